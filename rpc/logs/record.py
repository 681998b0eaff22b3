"""How a record is built, and how it is written down.

structlog builds it: a `Recorder` is a structlog bound logger, whose chain of processors turns the
event, the bound fields and the call's own fields into one event dict and hands that to the outlet.
A renderer turns the event dict into the bytes that one kind of sink takes.

This is the only file that imports structlog, and nothing imports this file before the first record
is written: a program that logs nothing never pays for the import (structlog's own __init__ imports
its console renderer, and with that rich where it is installed).

The event dict's own keys are `timestamp` (seconds since 1970), `level`, `source`, `thread`, `event`
and perhaps `exception`; everything else is a field.
"""

from __future__ import annotations

import functools
import json
import re
import threading
import time
from collections.abc import Callable, Iterator

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from aiovirt.rpc.patterns import pattern

from .outlet import OWN_KEYS

_SEVERITY = {"debug": 7, "info": 6, "warning": 4, "error": 3}
_FACILITY_DAEMON = 3
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_CONTROL = pattern(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NEEDS_QUOTES = pattern(r"[\s\"'=\\\x00-\x1f\x7f-\x9f]")

Render = Callable[[EventDict], bytes]


class Recorder(structlog.BoundLoggerBase):
    """A structlog bound logger that hands finished event dicts to the outlet."""

    def record(self, level: str, event: str, fields: dict[str, object]) -> None:
        """Builds one record and hands it on; never raises, whatever the fields are."""
        try:
            args, _ = self._process_event(level, event, fields)
            self._logger.emit(*args)
        except Exception as err:
            plain = {"source": self._context["source"], "event": as_text(event)}
            fields = {"log_statement_failed": repr(err)}
            args, _ = Recorder(self._logger, CHAIN, plain)._process_event(level, None, fields)
            self._logger.emit(*args)


def stamp(_logger: WrappedLogger, _method: str, event_dict: EventDict) -> EventDict:
    """Adds the time, unless it is there, and the thread's id, the process's own in the main thread."""
    if "timestamp" not in event_dict:
        event_dict["timestamp"] = time.time()
    event_dict["thread"] = threading.get_native_id()
    return event_dict


def hand_over(
    _logger: WrappedLogger, _method: str, event_dict: EventDict
) -> tuple[tuple[EventDict], dict[str, object]]:
    """Ends the chain: the event dict itself is what the wrapped outlet takes."""
    return (event_dict,), {}


CHAIN: tuple[Processor, ...] = (
    structlog.processors.add_log_level,
    stamp,
    structlog.processors.format_exc_info,
    hand_over,
)


def as_text(value: object) -> str:
    """Returns `str(value)`, or a stand-in if the value's own code fails."""
    try:
        return str(value)
    except Exception as err:
        return f"<{type(value).__name__} that cannot be printed: {type(err).__name__}>"


def _escape(text: str) -> str:
    """Makes control characters visible: whoever chose the text must not be able to forge a line."""
    return _CONTROL.sub(lambda found: repr(found.group())[1:-1], text)


def _value(value: object) -> str:
    text = as_text(value)
    if text and not _NEEDS_QUOTES.search(text):
        return _escape(text)
    return _escape(json.dumps(text, ensure_ascii=False))


def _fields(event_dict: EventDict) -> Iterator[tuple[str, object]]:
    return ((key, value) for key, value in event_dict.items() if key not in OWN_KEYS)


def _message(event_dict: EventDict) -> str:
    pairs = "".join(f" {_escape(key)}={_value(value)}" for key, value in _fields(event_dict))
    return _escape(as_text(event_dict["event"])) + pairs


def _body(event_dict: EventDict) -> str:
    """The line without its time; a traceback follows, indented: no line of it looks like a record."""
    own = event_dict
    text = f"{own['thread']}: {own['level']} : {own['source']}: {_message(own)}"
    trace = own.get("exception")
    if trace:
        text += "".join(f"\n    {_escape(line)}" for line in str(trace).splitlines())
    return text


def _encode(text: str) -> bytes:
    return text.encode("utf-8", "backslashreplace")


@functools.lru_cache(maxsize=2)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))


def render_text(event_dict: EventDict) -> bytes:
    """libvirt's line: `2026-11-23 08:58:20.123+0000: 12345: info : SOURCE: EVENT KEY=VALUE`.

    The time is UTC, the number the thread's id. libvirt has FUNCTION:LINE where we have SOURCE.
    Source: libvirt: src/util/virlog.c, virLogFormatString, virLogOutputToFd.
    """
    second, milli = divmod(int(event_dict["timestamp"] * 1000), 1000)
    return _encode(f"{_second(second)}.{milli:03d}+0000: {_body(event_dict)}\n")


_to_json = structlog.processors.JSONRenderer(default=as_text, allow_nan=False)


def _json(event_dict: EventDict) -> str:
    own = event_dict
    second, micro = divmod(int(own["timestamp"] * 1_000_000), 1_000_000)
    when = f"{_second(second).replace(' ', 'T')}.{micro:06d}Z"
    head = {"timestamp": when, **{key: own[key] for key in ("level", "source", "thread", "event")}}
    tail = {"exception": own["exception"]} if own.get("exception") else {}
    try:
        return str(_to_json(None, "", {**head, **dict(_fields(own)), **tail}))
    except (TypeError, ValueError, RecursionError):  # a key, a number or a cycle that JSON has not
        plain = {key: as_text(value) for key, value in _fields(own)}
        return str(_to_json(None, "", {**head, "event": as_text(own["event"]), **plain, **tail}))


def render_json(event_dict: EventDict) -> bytes:
    """A line with one JSON object: `timestamp` (ISO 8601, UTC), `level`, ..., then the fields."""
    return _encode(_json(event_dict) + "\n")


def syslog_renderer(ident: str, *, as_json: bool) -> Render:
    """Returns a renderer of RFC 3164 datagrams: facility `daemon`, local time, as libc sends them.

    Source: libvirt: src/util/virlog.c, virLogOutputToSyslog (its text has no time of its own either).
    """

    def render(event_dict: EventDict) -> bytes:
        priority = _FACILITY_DAEMON * 8 + _SEVERITY[event_dict["level"]]
        now = time.localtime(event_dict["timestamp"])
        when = f"{_MONTHS[now.tm_mon - 1]} {now.tm_mday:2d} {time.strftime('%H:%M:%S', now)}"
        body = _json(event_dict) if as_json else _body(event_dict)
        return _encode(f"<{priority}>{when} {ident}: {body}")

    return render


def _journal_field(name: str, value: str) -> bytes:
    data = _encode(value)
    if b"\n" in data:
        return name.encode() + b"\n" + len(data).to_bytes(8, "little") + data + b"\n"
    return name.encode() + b"=" + data + b"\n"


def journal_renderer(ident: str) -> Render:
    """Returns a renderer of the journal's native protocol.

    MESSAGE holds the event, its fields and a traceback, for people; each field also stands under
    its own name in capitals, for `journalctl CLIENT=7`. A name that a record has anyway gets
    `FIELD_` in front.
    Source: libvirt: src/util/virlog.c, virLogOutputToJournald; systemd's JOURNAL_NATIVE_PROTOCOL.
    """

    def render(event_dict: EventDict) -> bytes:
        trace = event_dict.get("exception")
        own = {
            "MESSAGE": _message(event_dict) + (f"\n{trace}" if trace else ""),
            "PRIORITY": str(_SEVERITY[event_dict["level"]]),
            "SYSLOG_FACILITY": str(_FACILITY_DAEMON),
            "SYSLOG_IDENTIFIER": ident,
            "LIBVIRT_SOURCE": str(event_dict["source"]),
            "TID": str(event_dict["thread"]),
        }
        parts = [_journal_field(name, value) for name, value in own.items()]
        for key, value in _fields(event_dict):
            name = re.sub(r"[^A-Z0-9_]", "_", key.upper()).lstrip("_")[:50]
            if not name or name[0].isdigit() or name in own:
                name = f"FIELD_{name}"
            parts.append(_journal_field(name, as_text(value)))
        return b"".join(parts)

    return render

"""A record as bytes, for those who follow the log: one JSON array.

    [1764275181.123456, 1, "rpc.server.call", 12345, "call", {"client": 7}, "Traceback ..."]

In order: seconds since 1970, the level's number, the source, the thread's id, the message, the fields;
then a traceback if there is one. Numbers, booleans, null, lists and tables in fields stay what they are.

This file imports msgspec, and is imported with the first record that somebody follows.
"""

from __future__ import annotations

import sys
import threading
import traceback
from typing import Any, Final

import msgspec

from .following import Kept
from .settings import Level

#: The most bytes of a record; a longer one is cut.
RECORD_MAX: Final = 16 << 10
#: What of a record that is too long stays of its texts, in characters: at most 12 bytes each.
_TEXT_KEPT: Final = 400


def as_text(value: object) -> str:
    """Return `str(value)` as UTF-8 can have it, or a stand-in if the value's own code fails."""
    try:
        return str(value).encode("utf-8", "backslashreplace").decode()
    except Exception as error:
        return f"<{type(value).__name__} that cannot be printed: {type(error).__name__}>"


_encode = msgspec.json.Encoder(enc_hook=as_text).encode
_decode = msgspec.json.Decoder(list[Any]).decode


def capture(
    level: int, source: str, event: str, fields: dict[str, object], *, when: float
) -> bytes:
    """Return a record as bytes; raises nothing, whatever the fields are.

    Args:
        level: its number.
        source: the name of its logger.
        event: its message.
        fields: its fields, perhaps with `exc_info`.
        when: in seconds since 1970.
    """
    thread = threading.get_native_id()
    trace: tuple[str, ...] = ()
    if "exc_info" in fields:
        fields = dict(fields)
        text = _traceback(fields.pop("exc_info"))
        trace = (text,) if text else ()
    try:
        data = _encode((when, level, source, thread, event, fields, *trace))
    except Exception:  # a text that is no UTF-8, a number or a cycle that JSON has not
        fields = {as_text(key): as_text(value) for key, value in fields.items()}
        event, trace = as_text(event), tuple(map(as_text, trace))
        data = _encode((when, level, as_text(source), thread, event, fields, *trace))
    if len(data) > RECORD_MAX:
        return _cut(when, level, source, thread, event, fields, trace, len(data))
    return data


def recaptured(data: bytes) -> Kept:
    """Return a record that `capture` has made. Raises ValueError for other bytes."""
    try:
        when, level, source, *_ = _decode(data)
        return Kept(float(when), Level(level), str(source), data)
    except (ValueError, TypeError) as error:
        raise ValueError(f"a saved log record does not fit: {error}") from error


def _traceback(exc_info: object) -> str:
    """Return the traceback that `exc_info` of a log call asks for; "" for none."""
    if isinstance(exc_info, BaseException):
        error: BaseException | None = exc_info
    elif isinstance(exc_info, tuple):
        error = exc_info[1]
    else:
        error = sys.exc_info()[1] if exc_info else None
    if error is None:
        return ""
    try:
        return "".join(traceback.format_exception(error)).rstrip("\n")
    except Exception as failure:
        return f"{type(error).__name__} (without a traceback: {type(failure).__name__})"


def _cut(
    when: float,
    level: int,
    source: str,
    thread: int,
    event: str,
    fields: dict[str, object],
    trace: tuple[str, ...],
    size: int,
) -> bytes:
    """Return what fits of a record: the begin of its texts, and the end of its traceback."""
    short: dict[str, object] = {"record_cut": size}
    for key, value in fields.items():
        text = as_text(value)
        short[as_text(key)[:40]] = value if _is_small(value) else text[:_TEXT_KEPT]
        if len(_encode(short)) > RECORD_MAX // 2:
            break
    ends = tuple(as_text(text)[-_TEXT_KEPT:] for text in trace)
    head = (when, level, as_text(source)[:100], thread, as_text(event)[:_TEXT_KEPT])
    return _encode((*head, short, *ends))


def _is_small(value: object) -> bool:
    return value is None or isinstance(value, bool | float) or _is_small_integer(value)


def _is_small_integer(value: object) -> bool:
    return type(value) is int and -(1 << 63) <= value < 1 << 64

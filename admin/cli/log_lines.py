"""Records of a daemon's log as lines: libvirt's layout, or JSON.

The layout is that of the daemon's own files (`rpc.logs.record`, which the client side does not load).
"""

from __future__ import annotations

import functools
import json
import re
import time
from typing import Any, Final

from aiovirt.admin.logs import LogGap, LogRecord

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_NEEDS_QUOTES: Final = re.compile(r"[\s\"'=\\\x00-\x1f\x7f-\x9f]")


def as_line(one: LogRecord | LogGap, daemon: str = "") -> str:
    """Return a record as a line with its end; a traceback follows, indented.

    Args:
        one: the record, or what is in the place of missing ones.
        daemon: the name of the daemon, when there are several.
    """
    name = f"{daemon}: " if daemon else ""
    if isinstance(one, LogGap):
        return f"{name}--- {gap_text(one)} ---\n"
    second, milli = divmod(int(one.time * 1000), 1000)
    pairs = "".join(f" {_escape(key)}={_value(value)}" for key, value in one.fields.items())
    head = f"{name}{_second(second)}.{milli:03d}+0000: {one.thread}: {one.level} : {one.source}: "
    text = f"{head}{_escape(one.message)}{pairs}\n"
    if one.exception:
        text += "".join(f"    {_escape(line)}\n" for line in one.exception.splitlines())
    return text


def gap_text(gap: LogGap) -> str:
    """Describe a gap."""
    if gap.lost is None:
        return "the daemon was restarted; records of that moment may be missing"
    return f"{gap.lost} record{' is' if gap.lost == 1 else 's are'} missing: reading was too slow"


def as_data(one: LogRecord | LogGap, daemon: str) -> dict[str, Any]:
    """Return a record for JSON."""
    if isinstance(one, LogGap):
        return {"daemon": daemon, "lost": one.lost, "restarted": one.lost is None}
    data: dict[str, Any] = {
        "daemon": daemon,
        "time": one.time,
        "level": one.level,
        "source": one.source,
        "thread": one.thread,
        "message": one.message,
        "fields": one.fields,
    }
    if one.exception is not None:
        data["exception"] = one.exception
    return data


@functools.lru_cache(maxsize=2)
def _second(second: int) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(second))


def _escape(text: str) -> str:
    """Make control characters visible: a client of the daemon may have chosen the text."""
    return _CONTROL.sub(lambda found: repr(found.group())[1:-1], text)


def _value(value: object) -> str:
    text = str(value)
    if text and not _NEEDS_QUOTES.search(text):
        return text
    return _escape(json.dumps(text, ensure_ascii=False))

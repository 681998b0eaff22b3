"""The protocol reference, made from the program tables.

`python -m aiovirt.daemons.reference write|check`, run at the top of the source tree. `check` exits
with 1 when docs/protocol.md is stale.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from enum import IntEnum, IntFlag
from pathlib import Path
from typing import Any

from aiovirt.admin.extension_protocol import EXTENSION
from aiovirt.admin.protocol import ADMIN
from aiovirt.daemons.lockd import admin_protocol as lock_admin
from aiovirt.daemons.lockd import protocol as lock_space
from aiovirt.daemons.logd import admin_protocol as log_admin
from aiovirt.daemons.logd import protocol as log_manager
from aiovirt.daemons.virtd import remote_protocol as remote
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import RemoteError
from aiovirt.rpc.wire.keepalive import KEEPALIVE
from aiovirt.rpc.wire.program import Program
from aiovirt.rpc.wire.typedparams import ParamType, TypedParam

_PLACE = Path("docs") / "protocol.md"
_PROGRAMS = (
    KEEPALIVE,
    ADMIN,
    EXTENSION,
    lock_space.LOCK_SPACE,
    log_manager.LOG_MANAGER,
    remote.REMOTE,
    lock_admin.LOCK_ADMIN,
    log_admin.LOG_ADMIN,
)
#: What streams are made of, where that is more than bytes.
_STREAMED = (log_admin.FollowRecord,)
_ENUMS: tuple[type[IntEnum | IntFlag], ...] = (
    remote.AuthType,
    remote.OpenFlags,
    remote.Feature,
    lock_space.AcquireFlags,
    log_manager.OpenFlags,
    lock_admin.BreakFlags,
    lock_admin.Fate,
    log_admin.FollowFlags,
)
_SCALARS = {"i": "int", "I": "unsigned", "q": "hyper", "Q": "unsigned hyper", "d": "double"}

_HEAD = """\
# Protocol reference

Made from the program tables by `python -m aiovirt.daemons.reference write`.

All numbers are big-endian XDR (RFC 4506). A frame is `length` (unsigned, counts itself), a header of
`program`, `version` (unsigned), `procedure`, `type` (int), `serial` (unsigned), `status` (int), and
the payload. A frame has 28 to 33554436 bytes.

Types: 0 CALL, 1 REPLY, 2 MESSAGE, 3 STREAM, 4 CALL_WITH_FDS, 5 REPLY_WITH_FDS, 6 STREAM_HOLE.
Statuses: 0 OK, 1 ERROR, 2 CONTINUE. A reply repeats program, version, procedure and serial of its call;
one with status ERROR carries an `Error`.

`+ fds` means that the reply has type REPLY_WITH_FDS: the number of descriptors (unsigned) stands before
the result, and each descriptor comes behind the frame, along with one byte of its own. `+ stream` means
that a stream begins behind the reply, see [streams.md](streams.md).

`T?` is an optional value, `T<N>` a list or string of at most N, `[N]` exactly N bytes.
"""


def reference() -> str:
    """The text of docs/protocol.md."""
    seen: dict[str, type] = {record.__name__: record for record in _STREAMED}
    parts = [_HEAD, "## Error\n", _fields_text(RemoteError, seen) + "\n"]
    for program in _PROGRAMS:
        parts += _program_lines(program, seen)
    parts.append("## Types\n")
    for cls in _closure(seen):
        parts.append(f"**{_name(cls)}**: {_fields_text(cls, seen)}. {_summary(cls)}\n")
    for enum in _ENUMS:
        values = ", ".join(f"{member.value} {member.name}" for member in enum)
        parts.append(f"**{_name(enum)}**: {values}. {_summary(enum)}\n")
    kinds = ", ".join(f"{kind.value} {kind.name.lower()}" for kind in ParamType)
    parts.append(f"The kinds of a typed parameter's value: {kinds}.\n")
    return "\n".join(parts)


def _program_lines(program: Program, seen: dict[str, type]) -> Iterator[str]:
    yield f"## Program `{program.name}`: 0x{program.number:08x} version {program.version}\n"
    yield "| # | procedure | takes | gives |"
    yield "|---|---|---|---|"
    for procedure in program:
        takes, gives = (_fields_text(cls, seen) for cls in (procedure.args, procedure.result))
        more = ["+ fds"] * procedure.reply_fds + ["+ stream"] * procedure.stream
        gives = " ".join(filter(None, [gives, *more]))
        yield f"| {procedure.number} | {procedure.name} | {takes} | {gives} |"
    yield ""


def _fields_text(cls: type, seen: dict[str, type]) -> str:
    return ", ".join(f"{name} {_type_text(codec, seen)}" for name, codec in xdr.fields_of(cls))


def _type_text(codec: Any, seen: dict[str, type]) -> str:
    match codec:
        case xdr.Scalar():
            return "bool" if codec.convert is bool else _SCALARS[codec.format]
        case xdr.String():
            return "string" if codec.maximum == xdr.STRING_MAX else f"string<{codec.maximum}>"
        case xdr.Opaque():
            return f"opaque[{codec.size}]"
        case xdr.VarOpaque():
            return f"opaque<{codec.maximum}>"
        case xdr.Optional():
            return _type_text(xdr.codec_of(codec.item), seen) + "?"
        case xdr.Array():
            return f"{_type_text(xdr.codec_of(codec.item), seen)}<{codec.maximum}>"
        case xdr.Struct():
            if seen.setdefault(codec.cls.__name__, codec.cls) is not codec.cls:
                raise TypeError(f"{codec.cls!r}: another type has its name")
            return _name(codec.cls)
        case xdr.Union():
            arms = (_type_text(xdr.codec_of(arm), seen) for arm in codec.arms.values())
            return f"union of {', '.join(dict.fromkeys(arms))} by kind int"
    raise TypeError(f"{codec!r} has no name in the reference")


def _closure(seen: dict[str, type]) -> Iterator[type]:
    """The struct classes met so far and those met inside them, each once."""
    done: set[str] = set()
    seen.setdefault(TypedParam.__name__, TypedParam)
    while missing := [name for name in seen if name not in done]:
        for name in missing:
            done.add(name)
            yield seen[name]


def _name(cls: type) -> str:
    return cls.__name__.lstrip("_")


def _summary(cls: type) -> str:
    return (inspect.getdoc(cls) or "").partition("\n")[0]


def main() -> int:
    """Returns the exit status: 0, 1 for a stale document, 2 for a wrong command line."""
    if sys.argv[1:] == ["write"]:
        _PLACE.write_text(reference(), encoding="utf-8")
        return 0
    if sys.argv[1:] == ["check"]:
        stale = not _PLACE.exists() or _PLACE.read_text(encoding="utf-8") != reference()
        if stale:
            sys.stderr.write(
                f"{_PLACE} is stale: run `python -m aiovirt.daemons.reference write`\n"
            )
        return int(stale)
    sys.stderr.write("usage: python -m aiovirt.daemons.reference write|check\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())

"""The code generator of `rpc.wire.xdr`: from declared fields to functions that encode and decode.

Each codec writes the source lines of its own encoding and decoding; here they are put together, and
neighbouring fixed-size fields are joined into one precompiled `struct.Struct`. Source is made from
declarations only, never from data.
"""

from __future__ import annotations

import struct as _struct
from collections.abc import Callable, Sequence
from typing import Any

from aiovirt.rpc.wire.records import frozen

Buffer = bytes | bytearray | memoryview
Append = Callable[[bytes], Any]
#: Appends the encoding of a value, piece by piece.
Encoder = Callable[[Any, Append], None]
#: Decodes from a buffer, between a position and an end, to a value and the position after it.
Decoder = Callable[[Buffer, int, int], tuple[Any, int]]

_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")


class XdrError(ValueError):
    """A value that its declared type cannot carry, or bytes that are not the encoding of one."""


class Codec:
    """How one field travels. A subclass writes the source lines of its encoder and decoder.

    `format` is the `struct` character of a fixed-size value, or empty. `minimum` is the fewest bytes
    that an encoding can have.
    """

    format = ""
    minimum = 4

    def encode_lines(self, value: str, scope: Scope) -> list[str]:
        raise NotImplementedError

    def decode_lines(self, target: str, scope: Scope) -> list[str]:
        raise NotImplementedError


class Scope:
    """Names that a generated function may use, and fresh names for its variables."""

    def __init__(self) -> None:
        self.names: dict[str, Any] = {
            "XdrError": XdrError,
            "misfit": _misfit,
            "_PADDING": _PADDING,
            "_u32": _struct.Struct(">I").pack,
            "_read_u32": _struct.Struct(">I").unpack_from,
        }

    def add(self, value: object) -> str:
        name = f"_v{len(self.names)}"
        self.names[name] = value
        return name

    def fresh(self) -> str:
        return self.add(None)


@frozen
class Scalar(Codec):
    """A fixed-size number; `convert` is applied to what was read (for booleans)."""

    format: str
    convert: type | None = None

    @property
    def minimum(self) -> int:  # type: ignore[override]  # a plain attribute in the base, derived here
        return _struct.calcsize(">" + self.format)

    def encode_lines(self, value: str, scope: Scope) -> list[str]:
        return encode_run([(self, value)], scope)

    def decode_lines(self, target: str, scope: Scope) -> list[str]:
        return decode_run([(self, target)], scope)


def _misfit(value: object, problem: Exception) -> XdrError:
    return XdrError(f"{type(value).__name__} does not fit its declared type: {problem}")


def indent(lines: list[str]) -> list[str]:
    return ["    " + line for line in lines]


def append_counted(raw: str, maximum: int) -> list[str]:
    message = f"at most {maximum} bytes can be sent here"
    return [
        f"if len({raw}) > {maximum}: raise XdrError({message!r})",
        f"append(_u32(len({raw})) + {raw} + _PADDING[len({raw}) & 3])",
    ]


def read_count(count: str, maximum: int, what: str) -> list[str]:
    message = f" exceeds this {what}'s maximum of {maximum}"
    return [
        f"if pos + 4 > end: raise XdrError('data ends before the length of this {what}')",
        f"{count}, = _read_u32(data, pos)",
        "pos += 4",
        f"if {count} > {maximum}: raise XdrError(str({count}) + {message!r})",
    ]


def read_counted(target: str, maximum: int, what: str) -> list[str]:
    return [*read_count("size", maximum, what), *read_body(target, what)]


def read_body(target: str, what: str) -> list[str]:
    """Read `size` bytes and their padding."""
    return [
        "after = pos + size",
        f"if after + (-size & 3) > end: raise XdrError('data ends inside this {what}')",
        f"{target} = data[pos:after]",
        "pos = after + (-size & 3)",
    ]


def encode_run(run: list[tuple[Codec, str]], scope: Scope) -> list[str]:
    pack = scope.add(_struct.Struct(">" + "".join(codec.format for codec, _ in run)).pack)
    return [f"append({pack}({', '.join(value for _, value in run)}))"]


def decode_run(run: list[tuple[Codec, str]], scope: Scope) -> list[str]:
    packer = _struct.Struct(">" + "".join(codec.format for codec, _ in run))
    lines = [
        f"if pos + {packer.size} > end: raise XdrError('data ends inside a number')",
        f"{', '.join(target for _, target in run)}, = {scope.add(packer.unpack_from)}(data, pos)",
        f"pos += {packer.size}",
    ]
    for codec, target in run:
        if isinstance(codec, Scalar) and codec.convert is not None:
            lines.append(f"{target} = {scope.add(codec.convert)}({target})")
    return lines


def _runs(fields: Sequence[tuple[str, Codec]]) -> list[list[tuple[str, Codec]]]:
    """Group neighbouring fixed-size fields; every other field stands alone."""
    runs: list[list[tuple[str, Codec]]] = []
    for field in fields:
        if field[1].format and runs and runs[-1][0][1].format:
            runs[-1].append(field)
        else:
            runs.append([field])
    return runs


def build(source: list[str], scope: Scope) -> dict[str, Any]:
    """Run the source text of functions, with the names of the scope; its globals."""
    namespace = dict(scope.names)
    exec("\n".join(source), namespace)  # noqa: S102  # the source is made above, from declarations only
    return namespace


def compile_struct(cls: type, fields: list[tuple[str, Codec]]) -> tuple[Encoder, Decoder]:
    scope = Scope()
    writing: list[str] = []
    for run in _runs(fields):
        if run[0][1].format:
            writing += encode_run([(codec, f"value.{name}") for name, codec in run], scope)
        else:
            ((name, codec),) = run
            local = f"f_{name}"
            writing += [f"{local} = value.{name}", *codec.encode_lines(local, scope)]
    reading = read_fields(fields, scope)
    return _assemble(writing, reading, ", ".join(f"f_{name}" for name, _ in fields), cls, scope)


def read_fields(fields: Sequence[tuple[str, Codec]], scope: Scope) -> list[str]:
    """The lines that read fields from `data`, between `pos` and `end`, into variables `f_NAME`."""
    reading: list[str] = []
    for run in _runs(fields):
        if run[0][1].format:
            reading += decode_run([(codec, f"f_{name}") for name, codec in run], scope)
        else:
            ((name, codec),) = run
            reading += codec.decode_lines(f"f_{name}", scope)
    return reading


def are_numbers(fields: Sequence[tuple[str, Codec]]) -> bool:
    """Whether there are fields, all of a fixed size."""
    return bool(fields) and all(codec.format for _, codec in fields)


def compile_value(codec: Codec) -> tuple[Encoder, Decoder]:
    """Encoder and decoder of one value that is not a struct field (a union's arm)."""
    scope = Scope()
    writing = codec.encode_lines("value", scope)
    reading = codec.decode_lines("result", scope)
    return _assemble(writing, reading, "result", None, scope)


def _assemble(
    writing: list[str], reading: list[str], result: str, cls: type | None, scope: Scope
) -> tuple[Encoder, Decoder]:
    made = f"{scope.add(cls)}({result})" if cls else result
    error = scope.add(_struct.error)
    built = build(
        [
            "def encode(value, append):",
            "    try:",
            *indent(indent(writing or ["pass"])),
            "    except XdrError: raise",
            f"    except ({error}, AttributeError, TypeError, ValueError) as problem:",
            "        raise misfit(value, problem) from None",
            "def decode(data, pos, end):",
            *indent(reading),
            f"    return {made}, pos",
        ],
        scope,
    )
    return built["encode"], built["decode"]


def compile_dumps(fields: list[tuple[str, Codec]], encode: Encoder) -> Callable[[Any], bytes]:
    """`encode` to one bytes object; a struct of numbers only is one `pack`."""
    if are_numbers(fields):
        scope = Scope()
        packer = _struct.Struct(">" + "".join(codec.format for _, codec in fields))
        pack, error = scope.add(packer.pack), scope.add(_struct.error)
        values = ", ".join(f"value.{name}" for name, _ in fields)
        built = build(
            [
                "def dumps(value):",
                "    try:",
                f"        return {pack}({values})",
                f"    except {error} as problem:",
                "        raise misfit(value, problem) from None",
            ],
            scope,
        )
        numbers: Callable[[Any], bytes] = built["dumps"]
        return numbers

    def dumps(value: Any) -> bytes:
        parts: list[bytes] = []
        encode(value, parts.append)
        return b"".join(parts)

    return dumps

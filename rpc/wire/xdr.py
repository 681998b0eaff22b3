"""XDR (RFC 4506) by declaration: annotated classes in, compiled encoders and decoders out.

Rules of this file:

- A type is declared once, as a class with annotated fields; its codec is compiled at its first use.
- Neighbouring fixed-size fields become one precompiled `struct.Struct`.
- A decoder checks every count and length against its declared maximum *and* against the bytes that
  are really there before it allocates anything.
- Padding is written as zeros and not looked at when read; any non-zero boolean is true. This is what
  the C library's XDR does (libtirpc: src/xdr.c), on which libvirt stands.
- A string with a NUL inside is refused in both directions: C would silently cut it there.

    @xdr.struct
    class Server:
        name: xdr.Str

    data = xdr.encode(Server("admin"))
    assert xdr.decode(Server, data) == Server("admin")
"""

from __future__ import annotations

import struct as _struct
from collections.abc import Callable, Iterable, Mapping
from typing import (
    Annotated,
    Any,
    ClassVar,
    Final,
    TypeVar,
    dataclass_transform,
    get_origin,
    get_type_hints,
)

from aiovirt.rpc.wire.codegen import (
    Buffer,
    Codec,
    Decoder,
    Encoder,
    Scalar,
    Scope,
    XdrError,
    append_counted,
    compile_dumps,
    compile_struct,
    compile_value,
    indent,
    read_body,
    read_count,
    read_counted,
)
from aiovirt.rpc.wire.records import as_dict, frozen, names_of, record

__all__ = [
    "Array",
    "Bool",
    "Buffer",
    "Codec",
    "CodecTable",
    "Decoder",
    "Double",
    "EncodedItems",
    "Encoder",
    "Hyper",
    "Int",
    "Opaque",
    "OptStr",
    "Optional",
    "Scalar",
    "Str",
    "String",
    "Struct",
    "UHyper",
    "UInt",
    "Union",
    "VarOpaque",
    "Void",
    "XdrError",
    "as_dict",
    "codec_of",
    "decode",
    "decoder_of",
    "encode",
    "encoder_of",
    "fields_of",
    "names_of",
    "struct",
]

T = TypeVar("T")

_MISSING: Final = object()

#: libvirt's REMOTE_STRING_MAX and ADMIN_STRING_MAX, in bytes.
STRING_MAX: Final = 4194304

#: The type of "no arguments" and "no result".
Void: Final = type(None)


@frozen
class String(Codec):
    """A counted string of at most `maximum` bytes. Bytes that are not UTF-8 survive as surrogates."""

    maximum: int = STRING_MAX

    def encode_lines(self, value: str, scope: Scope) -> list[str]:
        raw = scope.fresh()
        return [
            f"{raw} = {value}.encode('utf-8', 'surrogateescape')",
            f"if 0 in {raw}: raise XdrError('a string on the wire cannot contain a NUL')",
            *append_counted(raw, self.maximum),
        ]

    def decode_lines(self, target: str, scope: Scope) -> list[str]:
        return [
            *read_count("size", self.maximum, "string"),
            "if size:",
            *indent(
                [
                    *read_body(target, "string"),
                    f"{target} = str({target}, 'utf-8', 'surrogateescape')",
                    f"if '\\0' in {target}:"
                    " raise XdrError('a string on the wire cannot contain a NUL')",
                ]
            ),
            f"else: {target} = ''",
        ]


@frozen
class VarOpaque(Codec):
    """Counted bytes, at most `maximum` of them.

    widened: a subclass has it true if each byte travels as an int; descriptions need to know.
    """

    maximum: int
    widened: ClassVar[bool] = False

    def encode_lines(self, value: str, scope: Scope) -> list[str]:
        raw = scope.fresh()
        return [f"{raw} = bytes({value})", *append_counted(raw, self.maximum)]

    def decode_lines(self, target: str, scope: Scope) -> list[str]:
        return [
            *read_counted(target, self.maximum, "opaque data"),
            f"{target} = bytes({target})",
        ]


@frozen
class Opaque(Codec):
    """Exactly `size` bytes, such as a UUID. widened: as in `VarOpaque`."""

    size: int
    widened: ClassVar[bool] = False

    @property
    def minimum(self) -> int:  # type: ignore[override]  # a plain attribute in the base, derived here
        return self.size + -self.size % 4

    def encode_lines(self, value: str, scope: Scope) -> list[str]:
        message = f"expected exactly {self.size} bytes"
        return [
            f"if len({value}) != {self.size}: raise XdrError({message!r})",
            f"append(bytes({value}) + _PADDING[{self.size & 3}])",
        ]

    def decode_lines(self, target: str, scope: Scope) -> list[str]:
        return [
            f"if pos + {self.minimum} > end: raise XdrError('data ends inside fixed opaque data')",
            f"{target} = bytes(data[pos:pos + {self.size}])",
            f"pos += {self.minimum}",
        ]


class EncodedItems(list[Any]):
    """An array of structs, each of which `encode` has encoded; it stands for a list of them."""

    def __init__(self, items: Iterable[bytes]) -> None:
        super().__init__(items)


@frozen
class Array(Codec):
    """A counted array of at most `maximum` items of one type (a struct class, alias or codec)."""

    item: Any
    maximum: int

    def encode_lines(self, value: str, scope: Scope) -> list[str]:
        item, codec = scope.fresh(), codec_of(self.item)
        message = f"an array holds at most {self.maximum} items"
        lines = [
            f"if len({value}) > {self.maximum}: raise XdrError({message!r})",
            f"append(_u32(len({value})))",
        ]
        if isinstance(codec, Scalar):
            pack = scope.add(_struct.pack)
            return [*lines, f"append({pack}(f'>{{len({value})}}{codec.format}', *{value}))"]
        loop = [f"for {item} in {value}:", *indent(codec.encode_lines(item, scope))]
        if isinstance(codec, Struct):
            encoded = scope.add(EncodedItems)
            lines += [f"if type({value}) is {encoded}: append(b''.join({value}))", "else:"]
            loop = indent(loop)
        return [*lines, *loop]

    def decode_lines(self, target: str, scope: Scope) -> list[str]:
        codec = codec_of(self.item)
        count, item, index = scope.fresh(), scope.fresh(), scope.fresh()
        # The second test bounds memory: a count that the bytes present cannot hold allocates nothing.
        return [
            *read_count(count, self.maximum, "array"),
            f"if pos + {count} * {codec.minimum} > end:",
            "    raise XdrError('data ends inside an array')",
            f"{target} = []",
            f"for {index} in range({count}):",
            *indent([*codec.decode_lines(item, scope), f"{target}.append({item})"]),
        ]


@frozen
class Optional(Codec):
    """A value or None: XDR's pointer."""

    item: Any

    def encode_lines(self, value: str, scope: Scope) -> list[str]:
        inner = codec_of(self.item).encode_lines(value, scope)
        return [
            f"if {value} is None: append(b'\\0\\0\\0\\0')",
            "else:",
            *indent(["append(b'\\0\\0\\0\\1')", *inner]),
        ]

    def decode_lines(self, target: str, scope: Scope) -> list[str]:
        inner = codec_of(self.item).decode_lines(target, scope)
        present = scope.fresh()
        return [
            "if pos + 4 > end: raise XdrError('data ends before an optional value')",
            f"{present}, = _read_u32(data, pos)",
            "pos += 4",
            f"if not {present}: {target} = None",
            "else:",
            *indent(inner),
        ]


class Union(Codec):
    """A discriminated union.

    Decoding gives `make(discriminant, value)`; encoding takes such a pair apart again.
    """

    def __init__(self, arms: Mapping[int, Any], make: Callable[[int, Any], Any]) -> None:
        self.arms = arms
        self.make = make

    def encode_lines(self, value: str, scope: Scope) -> list[str]:
        arms, kind, content = scope.add(self._codecs()), scope.fresh(), scope.fresh()
        return [
            f"{kind}, {content} = {value}",
            f"if {kind} not in {arms}: raise XdrError(f'no union arm {{{kind}!r}}')",
            f"append(_u32({kind}))",
            f"{arms}[{kind}][0]({content}, append)",
        ]

    def decode_lines(self, target: str, scope: Scope) -> list[str]:
        arms, make = scope.add(self._codecs()), scope.add(self.make)
        kind, content = scope.fresh(), scope.fresh()
        return [
            "if pos + 4 > end: raise XdrError('data ends before a union')",
            f"{kind}, = _read_u32(data, pos)",
            f"if {kind} not in {arms}: raise XdrError(f'no union arm {{{kind}}}')",
            f"{content}, pos = {arms}[{kind}][1](data, pos + 4, end)",
            f"{target} = {make}({kind}, {content})",
        ]

    def _codecs(self) -> dict[int, tuple[Encoder, Decoder]]:
        return {int(kind): compile_value(codec_of(arm)) for kind, arm in self.arms.items()}


@frozen
class Struct(Codec):
    """A struct class inside another type."""

    cls: type

    @property
    def minimum(self) -> int:  # type: ignore[override]  # a plain attribute in the base, derived here
        return int(_codec_table(self.cls).minimum)

    def encode_lines(self, value: str, scope: Scope) -> list[str]:
        return [f"{scope.add(_codec_table(self.cls).encode)}({value}, append)"]

    def decode_lines(self, target: str, scope: Scope) -> list[str]:
        return [f"{target}, pos = {scope.add(_codec_table(self.cls).decode)}(data, pos, end)"]


Int = Annotated[int, Scalar("i")]
UInt = Annotated[int, Scalar("I")]
Hyper = Annotated[int, Scalar("q")]
UHyper = Annotated[int, Scalar("Q")]
Double = Annotated[float, Scalar("d")]
Bool = Annotated[bool, Scalar("i", bool)]
Str = Annotated[str, String()]
OptStr = Annotated[str | None, Optional(String())]


@frozen
class CodecTable:
    """The compiled codec of one struct class; `dumps` is `encode` to one bytes object."""

    encode: Encoder
    decode: Decoder
    dumps: Callable[[Any], bytes]
    minimum: int
    fields: tuple[tuple[str, Codec], ...]


@dataclass_transform()
def struct(cls: type[T]) -> type[T]:
    """Make an annotated class an XDR struct: a class with slots, and a codec.

    The codec is compiled when it is first used, so a field without an XDR type is found then.
    """
    return record(cls, __xdr__=None)


def encode(value: object) -> bytes:
    """The XDR encoding of a struct instance, or b"" for None.

    Raises XdrError when a field is out of its declared range or of the wrong type.
    """
    return b"" if value is None else encoder_of(type(value))(value)


def decode(cls: type[T], data: Buffer, offset: int = 0) -> T:
    """Decode one struct from `data`; bytes after it are ignored, as libvirt does.

    Raises XdrError when the bytes are not an encoding of `cls`.
    """
    value: T = decoder_of(cls)(data, offset, len(data))[0]
    return value


def encoder_of(cls: type) -> Callable[[Any], bytes]:
    """The compiled `value -> bytes` of a struct class or of Void."""
    return _encode_void if cls is Void else _codec_table(cls).dumps


def decoder_of(cls: type) -> Decoder:
    """The compiled `(data, pos, end) -> (value, pos)` of a struct class or of Void."""
    return _decode_void if cls is Void else _codec_table(cls).decode


def fields_of(cls: type) -> tuple[tuple[str, Codec], ...]:
    """The fields of a struct class, in the order in which they travel. Void has none.

    Raises TypeError for anything else.
    """
    return () if cls is Void else _codec_table(cls).fields


def _encode_void(value: object) -> bytes:
    if value is not None:
        raise XdrError(f"expected no value, got {value!r}")
    return b""


def _decode_void(data: Buffer, pos: int, end: int) -> tuple[None, int]:
    return None, pos


def _codec_table(cls: type) -> CodecTable:
    table = cls.__dict__.get("__xdr__", _MISSING)
    if isinstance(table, CodecTable):
        return table
    if table is _MISSING:
        raise TypeError(f"{cls.__name__} is not an XDR struct: decorate it with @xdr.struct")
    made: Any = cls
    hints = get_type_hints(cls, include_extras=True)
    fields = [(name, codec_of(hints[name])) for name in names_of(cls)]
    encode, decode = compile_struct(cls, fields)
    minimum = sum(codec.minimum for _, codec in fields)
    dumps = compile_dumps(fields, encode)
    made.__xdr__ = CodecTable(encode, decode, dumps, minimum, tuple(fields))
    found: CodecTable = made.__xdr__
    return found


def codec_of(hint: Any) -> Codec:
    """The codec of an alias, an annotation, a struct class or a codec. Raises TypeError."""
    if isinstance(hint, Codec):
        return hint
    if get_origin(hint) is Annotated:
        for extra in hint.__metadata__:
            if isinstance(extra, Codec):
                return extra
    if isinstance(hint, type) and "__xdr__" in hint.__dict__:
        return Struct(hint)
    raise TypeError(f"{hint!r} has no XDR type: annotate it with one, such as xdr.UInt")

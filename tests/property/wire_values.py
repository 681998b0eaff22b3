"""Values for any declared XDR type, derived from its declaration; and every type that is declared."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Any

from hypothesis import strategies as st

from aiovirt.daemons.reference import programs as programs  # for other tests, too
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import RemoteError
from aiovirt.rpc.wire.stream import HolePayload
from aiovirt.rpc.wire.typedparams import TypedParam

#: Longer strings and arrays teach nothing new; the bounds have tests of their own.
LONG = 40
MANY = 4

RANGES = {
    "i": (-(1 << 31), (1 << 31) - 1),
    "I": (0, (1 << 32) - 1),
    "q": (-(1 << 63), (1 << 63) - 1),
    "Q": (0, (1 << 64) - 1),
}


@xdr.struct
class Pair:
    """A struct inside a struct."""

    first: xdr.UHyper
    second: xdr.OptStr


@xdr.struct
class Everything:
    """A field of every kind, in an order that makes runs of numbers and breaks them."""

    a: xdr.Int
    b: xdr.UInt
    c: xdr.Bool
    text: Annotated[str, xdr.String(LONG)]
    d: xdr.Hyper
    e: xdr.UHyper
    f: xdr.Double
    uuid: Annotated[bytes, xdr.Opaque(16)]
    odd: Annotated[bytes, xdr.Opaque(3)]
    data: Annotated[bytes, xdr.VarOpaque(LONG)]
    maybe: xdr.OptStr
    pair: Pair
    perhaps: Annotated[Pair | None, xdr.Optional(Pair)]
    pairs: Annotated[list[Pair], xdr.Array(Pair, MANY)]
    numbers: Annotated[list[int], xdr.Array(xdr.UInt, MANY)]
    words: Annotated[list[str], xdr.Array(xdr.Str, MANY)]
    rows: Annotated[list[list[int]], xdr.Array(xdr.Array(xdr.Bool, MANY), MANY)]
    param: TypedParam
    last: xdr.Int


def types() -> list[type]:
    """Declared structs that programs carry, so many that all kinds of fields have all their neighbours.

    A program of hundreds of procedures has many types that differ by names, by bounds, or in which the
    same kinds of field stand beside each other; a codec is made of such joints, and of each one type is
    enough.
    """
    ours = [Everything, Pair, RemoteError, TypedParam, HolePayload]
    found = set[type]()
    for program in programs():
        found.update(program.records)
        for procedure in program:
            found |= {procedure.args, procedure.result}
    inside = {one for root in (*ours, *found) for one in _inside(root)}
    chosen: dict[type, None] = dict.fromkeys(ours)
    seen = {joint for one in ours for joint in _joints(one)}
    for one in sorted(inside, key=lambda one: (one.__name__, one.__module__)):
        new = _joints(one) - seen
        if new:
            chosen[one] = None
            seen |= new
    return list(chosen)


def _joints(cls: type) -> set[tuple[object, object]]:
    """The kinds of fields that stand beside each other in a struct, its begin and end among them."""
    kinds = ["begin", *(_kind(codec) for _, codec in xdr.fields_of(cls)), "end"]
    return set(pairwise(kinds))


def _kind(codec: xdr.Codec) -> str:
    """What a codec does, without its bound."""
    match codec:
        case xdr.Scalar():
            return f"{codec.format}{codec.convert}"
        case xdr.Array() | xdr.Optional():
            return f"{type(codec).__name__} of {_kind(xdr.codec_of(codec.item))}"
    return type(codec).__name__


def _inside(cls: type) -> Iterator[type]:
    yield cls
    for _, codec in xdr.fields_of(cls):
        yield from _structs(codec)


def _structs(codec: xdr.Codec) -> Iterator[type]:
    if isinstance(codec, xdr.Struct):
        yield from _inside(codec.cls)
    elif isinstance(codec, (xdr.Array, xdr.Optional)):
        yield from _structs(xdr.codec_of(codec.item))
    elif isinstance(codec, xdr.Union):
        for arm in codec.arms.values():
            yield from _structs(xdr.codec_of(arm))


def values(cls: type) -> st.SearchStrategy[Any]:
    """Instances of a struct class, or None for Void."""
    fields = xdr.fields_of(cls)
    if not fields:
        return st.none()
    return st.builds(cls, **{name: _of(codec) for name, codec in fields})


def texts(maximum: int) -> st.SearchStrategy[str]:
    """Strings that can travel, those that are not UTF-8 among them."""
    size = min(maximum, LONG)
    raw = st.binary(max_size=size).map(lambda data: data.replace(b"\0", b"\1"))
    return raw.map(lambda data: data.decode("utf-8", "surrogateescape"))


def _of(codec: xdr.Codec) -> st.SearchStrategy[Any]:
    match codec:
        case xdr.Scalar(convert=None, format="d"):
            return st.floats(allow_nan=False)
        case xdr.Scalar(convert=None):
            return st.integers(*RANGES[codec.format])
        case xdr.Scalar():
            return st.booleans()
        case xdr.String():
            return texts(codec.maximum)
        case xdr.Opaque():
            return st.binary(min_size=codec.size, max_size=codec.size)
        case xdr.VarOpaque():
            return st.binary(max_size=min(codec.maximum, LONG))
        case xdr.Array():
            item = _of(xdr.codec_of(codec.item))
            return st.lists(item, max_size=min(codec.maximum, MANY))
        case xdr.Optional():
            return st.none() | _of(xdr.codec_of(codec.item))
        case xdr.Struct():
            return values(codec.cls)
        case xdr.Union():
            arms = [
                st.builds(codec.make, st.just(kind), _of(xdr.codec_of(arm)))
                for kind, arm in codec.arms.items()
            ]
            return st.one_of(arms)
    raise TypeError(f"no values for {codec!r}: teach this module the new codec")


def full(cls: type) -> Any:
    """An instance in which everything optional is there and arrays have two items."""
    fields = xdr.fields_of(cls)
    return cls(**{name: _full(codec) for name, codec in fields}) if fields else None


def _full(codec: xdr.Codec) -> Any:
    match codec:
        case xdr.Scalar():
            return 1
        case xdr.String():
            return "text"
        case xdr.Opaque():
            return bytes(codec.size)
        case xdr.VarOpaque():
            return b"data"
        case xdr.Array():
            return [_full(xdr.codec_of(codec.item)) for _ in range(2)]
        case xdr.Optional():
            return _full(xdr.codec_of(codec.item))
        case xdr.Struct():
            return full(codec.cls)
        case xdr.Union():
            kind, arm = max(codec.arms.items(), key=lambda item: item[0])
            return codec.make(kind, _full(xdr.codec_of(arm)))
    raise TypeError(f"no value for {codec!r}: teach this module the new codec")

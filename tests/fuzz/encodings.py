"""Valid encodings of every declared type: what a fuzzer begins with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from aiovirt.rpc.wire import xdr
from tests.property.wire_values import RANGES, full


def examples(cls: type) -> list[bytes]:
    """A full value, an empty one, and one with the largest numbers."""
    return list(dict.fromkeys(xdr.encode(value) for value in _values(cls)))


def _values(cls: type) -> Iterator[Any]:
    yield full(cls)
    for largest in (False, True):
        fields = xdr.fields_of(cls)
        yield cls(**{name: _bare(codec, largest) for name, codec in fields}) if fields else None


def _bare(codec: xdr.Codec, largest: bool) -> Any:
    match codec:
        case xdr.Scalar(convert=None, format="d"):
            return -1e300 if largest else 0.0
        case xdr.Scalar(convert=None):
            return RANGES[codec.format][largest]
        case xdr.Scalar():
            return largest
        case xdr.String():
            return "\udcff\N{SNOWMAN}" if largest else ""
        case xdr.Opaque():
            return (b"\xff" if largest else b"\0") * codec.size
        case xdr.VarOpaque():
            return b""
        case xdr.Array():
            return [_bare(xdr.codec_of(codec.item), largest)] * (3 if largest else 0)
        case xdr.Optional():
            return _bare(xdr.codec_of(codec.item), largest) if largest else None
        case xdr.Struct():
            return codec.cls(
                **{name: _bare(inner, largest) for name, inner in xdr.fields_of(codec.cls)}
            )
        case xdr.Union():
            kind, arm = min(codec.arms.items(), key=lambda item: item[0])
            return codec.make(kind, _bare(xdr.codec_of(arm), largest))
    raise TypeError(f"no value for {codec!r}: teach this module the new codec")

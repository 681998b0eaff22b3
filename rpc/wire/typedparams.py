"""Typed parameters: named values of seven types, the open-ended part of libvirt's API.

Source: libvirt's include/libvirt/libvirt-common.h (virTypedParameterType) and
src/util/virtypedparam.c (what is refused).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Container, Iterable, Mapping
from enum import IntEnum
from functools import lru_cache
from typing import Annotated, Any, Final, NamedTuple

from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

#: The longest field name, in bytes (VIR_TYPED_PARAM_FIELD_LENGTH without its NUL).
FIELD_MAX: Final = 79
#: The flag of a getter whose caller takes strings, too (VIR_TYPED_PARAM_STRING_OKAY).
STRING_OKAY: Final = 4


class ParamType(IntEnum):
    """The type of a parameter's value (virTypedParameterType)."""

    INT = 1
    UINT = 2
    LLONG = 3
    ULLONG = 4
    DOUBLE = 5
    BOOLEAN = 6
    STRING = 7


class ParamValue(NamedTuple):
    """A value with its type."""

    kind: int
    content: int | float | bool | str


def _make(kind: int, content: Any) -> ParamValue:
    return ParamValue(ParamType(kind), content)


_ARMS: Final[Mapping[int, Any]] = {
    ParamType.INT: xdr.Int,
    ParamType.UINT: xdr.UInt,
    ParamType.LLONG: xdr.Hyper,
    ParamType.ULLONG: xdr.UHyper,
    ParamType.DOUBLE: xdr.Double,
    ParamType.BOOLEAN: xdr.Bool,
    ParamType.STRING: xdr.Str,
}


#: Names of parameters whose encoding is kept.
_HEADS_MAX: Final = 4096
_PACKED: Final[Mapping[int, Callable[..., bytes]]] = {
    ParamType.INT: struct.Struct(">i").pack,
    ParamType.UINT: struct.Struct(">I").pack,
    ParamType.LLONG: struct.Struct(">q").pack,
    ParamType.ULLONG: struct.Struct(">Q").pack,
}


@xdr.struct
class TypedParam:
    """One named, typed value; `uint("maxWorkers", 20)` and its kin make one."""

    field: xdr.Str
    value: Annotated[ParamValue, xdr.Union(_ARMS, _make)]


def int_(field: str, content: int) -> TypedParam:
    """Make a signed 32-bit parameter. Raises TypeError, ValueError; so do all that follow."""
    return _whole(ParamType.INT, field, content, -(2**31), 2**31 - 1)


def uint(field: str, content: int) -> TypedParam:
    """Make an unsigned 32-bit parameter."""
    return _whole(ParamType.UINT, field, content, 0, 2**32 - 1)


def llong(field: str, content: int) -> TypedParam:
    """Make a signed 64-bit parameter."""
    return _whole(ParamType.LLONG, field, content, -(2**63), 2**63 - 1)


def ullong(field: str, content: int) -> TypedParam:
    """Make an unsigned 64-bit parameter."""
    return _whole(ParamType.ULLONG, field, content, 0, 2**64 - 1)


def double(field: str, content: float) -> TypedParam:
    """Make a floating-point parameter."""
    if isinstance(content, bool) or not isinstance(content, (int, float)):
        raise _unfit(field, content, "a number")
    try:
        return _made(ParamType.DOUBLE, field, float(content))
    except OverflowError:
        raise ValueError(f"parameter '{field}' is a number too large for a double") from None


def boolean(field: str, content: bool) -> TypedParam:
    """Make a boolean parameter."""
    if not isinstance(content, bool):
        raise _unfit(field, content, "True or False")
    return _made(ParamType.BOOLEAN, field, content)


def string(field: str, content: str) -> TypedParam:
    """Make a string parameter."""
    if not isinstance(content, str):
        raise _unfit(field, content, "a string")
    if "\0" in content:
        raise ValueError(f"parameter '{field}' contains a NUL, which cannot travel")
    size = _size(content, f"parameter '{field}'")
    if size > xdr.STRING_MAX:
        raise ValueError(
            f"parameter '{field}' has {size} bytes; at most {xdr.STRING_MAX} can travel"
        )
    return _made(ParamType.STRING, field, content)


def encoded(kind: ParamType, field: str, content: int | str) -> bytes:
    """Encode a parameter at once, for an array of xdr.EncodedItems.

    Args:
        kind: its type: whole numbers and strings only.
        field: its name.
        content: its value.

    Raises:
        XdrError: the value does not fit its type.
    """
    pack = _PACKED.get(kind)
    if pack is None:
        return xdr.encode(TypedParam(field, ParamValue(kind, content)))
    try:
        return _head(kind, field) + pack(content)
    except struct.error as error:
        raise xdr.XdrError(f"parameter '{field}' is {content!r}: {error}") from None


@lru_cache(_HEADS_MAX)
def _head(kind: ParamType, field: str) -> bytes:
    """The encoding of a whole number before its value."""
    whole = xdr.encode(TypedParam(field, ParamValue(kind, 0)))
    return whole[: -len(_PACKED[kind](0))]


def _whole(kind: ParamType, field: str, content: int, low: int, high: int) -> TypedParam:
    if isinstance(content, bool) or not isinstance(content, int):
        raise _unfit(field, content, "a whole number")
    if not low <= content <= high:
        raise ValueError(
            f"parameter '{field}' is {content}; {_type_name(kind)} has {low} to {high}"
        )
    return _made(kind, field, content)


def _made(kind: ParamType, field: str, content: float | str) -> TypedParam:
    if not isinstance(field, str):
        raise TypeError(f"a parameter's name is a string, not {field!r}")
    if not 1 <= _size(field, "a parameter's name") <= FIELD_MAX or "\0" in field:
        raise ValueError(
            f"a parameter's name has 1 to {FIELD_MAX} bytes and no NUL, not {field[:FIELD_MAX]!r}"
        )
    return TypedParam(field, ParamValue(kind, content))


def _size(text: str, what: str) -> int:
    try:
        return len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        raise ValueError(
            f"{what} is not text that UTF-8 can encode: {text[:FIELD_MAX]!r}"
        ) from None


def _unfit(field: str, content: object, wanted: str) -> TypeError:
    return TypeError(f"parameter '{field}' is {content!r}, not {wanted}")


def without_strings(params: Iterable[TypedParam]) -> list[TypedParam]:
    """Return the parameters for a caller whose flags lack STRING_OKAY: all but strings.

    libvirt: src/util/virtypedparam.c, virTypedParamsSerialize.
    """
    return [param for param in params if param.value.kind != ParamType.STRING]


def find(params: Iterable[TypedParam], field: str, kind: ParamType) -> Any:
    """Return the value of the first parameter of this name, or None if there is none.

    Raises RpcError (INVALID_ARG) if that parameter has another type. libvirt: virTypedParamsGet*.
    """
    for param in params:
        if param.field == field:
            if param.value.kind != kind:
                raise _wrong_type(param, kind)
            return param.value.content
    return None


def find_all(params: Iterable[TypedParam], field: str, kind: ParamType) -> list[Any]:
    """Return the values of all parameters of this name, in their order; otherwise as `find`."""
    found = [param for param in params if param.field == field]
    for param in found:
        if param.value.kind != kind:
            raise _wrong_type(param, kind)
    return [param.value.content for param in found]


def to_dict(params: Iterable[TypedParam]) -> dict[str, int | float | bool | str]:
    """Return plain values by field name; of a repeated name, the last one."""
    return {param.field: param.value.content for param in params}


def check_names(params: Iterable[TypedParam]) -> None:
    """Raise RpcError (INTERNAL_ERROR, as libvirt has it) when a name is longer than FIELD_MAX."""
    for param in params:
        if len(param.field.encode("utf-8", "surrogateescape")) > FIELD_MAX:
            raise _refusal(
                ErrorCode.INTERNAL_ERROR,
                f"a parameter's name has at most {FIELD_MAX} bytes, this one is longer: "
                f"'{param.field[:FIELD_MAX]}...'",
            )


def validate(
    params: Iterable[TypedParam], allowed: Mapping[str, ParamType], multiple: Container[str] = ()
) -> dict[str, Any]:
    """Return the values by name, if every parameter is known, of the right type, and not repeated.

    Args:
        params: the parameters that came.
        allowed: the names that are known, with their types.
        multiple: the names among them that may be repeated; the value of such a name is a list.

    Raises:
        RpcError: in libvirt's order of looking: names ascending, and for each first repetition
            (INVALID_ARG), then the type (INVALID_ARG); an unknown one (ARGUMENT_UNSUPPORTED) is
            looked for after all known ones that sort before it. libvirt: virTypedParamsValidate.
    """
    found: dict[str, Any] = {}
    for param in sorted(params, key=lambda param: param.field.encode("utf-8", "surrogateescape")):
        name = param.field
        if name not in allowed:
            # libvirt walks two sorted lists side by side: the first unknown name ends the walk.
            raise _refusal(
                ErrorCode.ARGUMENT_UNSUPPORTED,
                f"parameter '{name}' is not supported; supported are {', '.join(sorted(allowed))}",
            )
        if name in found and name not in multiple:
            raise _refusal(ErrorCode.INVALID_ARG, f"parameter '{name}' is given twice")
        if param.value.kind != allowed[name]:
            raise _wrong_type(param, allowed[name])
        if name in multiple:
            found.setdefault(name, []).append(param.value.content)
        else:
            found[name] = param.value.content
    return found


def _wrong_type(param: TypedParam, wanted: int) -> RpcError:
    return _refusal(
        ErrorCode.INVALID_ARG,
        f"parameter '{param.field}' has type {_type_name(param.value.kind)}, "
        f"it must be {_type_name(wanted)}",
    )


def _refusal(code: ErrorCode, message: str) -> RpcError:
    return RpcError(code, message, domain=ErrorDomain.NONE)


def _type_name(kind: int) -> str:
    return ParamType(kind).name.lower()

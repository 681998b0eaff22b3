"""Typed parameters: named values of seven types, the open-ended part of libvirt's API.

Source: libvirt's include/libvirt/libvirt-common.h (virTypedParameterType) and
src/util/virtypedparam.c (what is refused).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from typing import Annotated, Any, Final, NamedTuple

from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

#: The longest field name, in bytes (VIR_TYPED_PARAM_FIELD_LENGTH without its NUL).
FIELD_MAX: Final = 79


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


@xdr.struct
class TypedParam:
    """One named, typed value. Make one with `uint("maxWorkers", 20)` and its kin."""

    field: xdr.Str
    value: Annotated[ParamValue, xdr.Union(_ARMS, _make)]


def int_(field: str, content: int) -> TypedParam:
    """A signed 32-bit parameter."""
    return TypedParam(field, ParamValue(ParamType.INT, content))


def uint(field: str, content: int) -> TypedParam:
    """An unsigned 32-bit parameter."""
    return TypedParam(field, ParamValue(ParamType.UINT, content))


def boolean(field: str, content: bool) -> TypedParam:
    """A boolean parameter."""
    return TypedParam(field, ParamValue(ParamType.BOOLEAN, content))


def string(field: str, content: str) -> TypedParam:
    """A string parameter."""
    return TypedParam(field, ParamValue(ParamType.STRING, content))


def to_dict(params: Iterable[TypedParam]) -> dict[str, int | float | bool | str]:
    """Field names and plain values; of a repeated name the last one stands."""
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


def validate(params: Iterable[TypedParam], allowed: Mapping[str, ParamType]) -> dict[str, Any]:
    """The values by name, when every parameter is known, of the right type, and there once.

    Raises RpcError, in libvirt's order of looking: names ascending, and for each first repetition
    (INVALID_ARG), then the type (INVALID_ARG); an unknown one (ARGUMENT_UNSUPPORTED) is looked for
    after all known ones that sort before it. libvirt: virTypedParamsValidate.
    """
    found: dict[str, Any] = {}
    unknown: str | None = None
    for param in sorted(params, key=lambda param: param.field.encode("utf-8", "surrogateescape")):
        if param.field not in allowed:
            # libvirt walks two sorted lists side by side: the first unknown name ends the walk.
            unknown = param.field
            break
        if param.field in found:
            raise _refusal(ErrorCode.INVALID_ARG, f"parameter '{param.field}' is given twice")
        if param.value.kind != allowed[param.field]:
            raise _refusal(
                ErrorCode.INVALID_ARG,
                f"parameter '{param.field}' has type {_type_name(param.value.kind)}, "
                f"it must be {_type_name(allowed[param.field])}",
            )
        found[param.field] = param.value.content
    if unknown is not None:
        raise _refusal(
            ErrorCode.ARGUMENT_UNSUPPORTED,
            f"parameter '{unknown}' is not supported; supported are {', '.join(sorted(allowed))}",
        )
    return found


def _refusal(code: ErrorCode, message: str) -> RpcError:
    return RpcError(code, message, domain=ErrorDomain.NONE)


def _type_name(kind: int) -> str:
    return ParamType(kind).name.lower()

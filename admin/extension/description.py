"""Descriptions of procedures and their types, made from a program's table.

A number whose members have names is declared with its enumeration beside its type:

    transport: Annotated[xdr.UInt, Transport]

The flags of a procedure take theirs from the table. In both places a reference may stand for the
enumeration (`rpc.wire.naming`), which is loaded here.
"""

from __future__ import annotations

import inspect
from enum import IntEnum, IntFlag
from typing import Any, Final, TypeAlias, get_origin, get_type_hints

from aiovirt.admin.extension.protocol.introspection import (
    ArmInfo,
    EnumerationInfo,
    FieldInfo,
    MemberInfo,
    ProcedureDescription,
    ProcedureInfo,
    TypeInfo,
    TypeKind,
)
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.naming import Named
from aiovirt.rpc.wire.program import Procedure

_SCALARS: Final = {
    "i": TypeKind.INT,
    "I": TypeKind.UINT,
    "q": TypeKind.HYPER,
    "Q": TypeKind.UHYPER,
    "d": TypeKind.DOUBLE,
}

#: What a table has beside a number whose values have names.
_Enumeration: TypeAlias = type[IntEnum | IntFlag] | Named


def procedure_info(procedure: Procedure[Any, Any], *, served: bool) -> ProcedureInfo:
    """Return a procedure's properties.

    Args:
        procedure: from a program's table.
        served: whether it has a handler.
    """
    return ProcedureInfo(
        number=procedure.number,
        name=procedure.name,
        function="" if procedure.event else procedure.function,
        args=_name(procedure.args),
        result=_name(procedure.result),
        flags=-1 if procedure.flags is None else procedure.flags,
        served=served,
        reads=procedure.reads,
        priority=procedure.priority,
        needs_auth=procedure.needs_auth,
        stream=procedure.stream,
        call_fds=procedure.call_fds,
        reply_fds=procedure.reply_fds,
        event=procedure.event,
    )


def describe(procedure: Procedure[Any, Any], *, served: bool = True) -> ProcedureDescription:
    """Return a procedure with the types of its arguments and result, and all that these need.

    No codec is compiled for it.

    Args:
        procedure: from a program's table.
        served: whether it has a handler.

    Raises:
        TypeError: a type has a field that has no XDR type.
    """
    types = _Types()
    args = types.args_of(procedure)
    result = types.of(procedure.result)
    return ProcedureDescription(
        procedure_info(procedure, served=served), args, result, types.types, types.enumerations
    )


def _name(cls: type) -> str:
    return "" if cls is xdr.Void else cls.__name__


class _Types:
    """The types met so far, and their positions."""

    def __init__(self) -> None:
        self.types: list[TypeInfo] = [_type(TypeKind.VOID)]
        self.enumerations: list[EnumerationInfo] = []
        self._known: dict[Any, int] = {xdr.Void: 0}
        self._known_enumerations: dict[_Enumeration, int] = {}

    def args_of(self, procedure: Procedure[Any, Any]) -> int:
        """Return the position of the type of the arguments, whose flags are the procedure's."""
        position = self.of(procedure.args)
        if procedure.flag_names is not None:
            for field in self.types[position].fields:
                if field.name == "flags":
                    kind = TypeKind(self.types[field.type].kind)
                    field.type = self._scalar(kind, procedure.flag_names)
        return position

    def of(self, hint: Any) -> int:
        """Return the position of a type, which is described if that was not done before."""
        if hint is xdr.Void:
            return 0
        codec = xdr.codec_of(hint)
        match codec:
            case xdr.Struct():
                return self._struct(codec.cls)
            case xdr.Scalar():
                kind = TypeKind.BOOL if codec.convert is bool else _SCALARS[codec.format]
                return self._scalar(kind, _enumeration(hint))
            case xdr.String():
                return self._add(codec, _type(TypeKind.STRING, bound=codec.maximum))
            case xdr.VarOpaque():
                kind = TypeKind.CHARS if codec.widened else TypeKind.VAROPAQUE
                return self._add((kind, codec.maximum), _type(kind, bound=codec.maximum))
            case xdr.Opaque():
                kind = TypeKind.CHAR_ARRAY if codec.widened else TypeKind.OPAQUE
                return self._add((kind, codec.size), _type(kind, bound=codec.size))
            case xdr.Array():
                made = _type(TypeKind.ARRAY, bound=codec.maximum, item=self.of(codec.item))
                return self._add((TypeKind.ARRAY, made.bound, made.item), made)
            case xdr.Optional():
                made = _type(TypeKind.OPTIONAL, item=self.of(codec.item))
                return self._add((TypeKind.OPTIONAL, made.item), made)
            case xdr.Union():
                arms = [
                    ArmInfo(int(key), getattr(key, "name", ""), self.of(arm))
                    for key, arm in codec.arms.items()
                ]
                return self._add(codec, _type(TypeKind.UNION, arms=arms))
        raise TypeError(f"{type(codec).__name__} is a type that cannot be described")

    def _struct(self, cls: type) -> int:
        if cls in self._known:
            return self._known[cls]
        made = _type(TypeKind.STRUCT, name=cls.__name__, text=inspect.getdoc(cls) or "")
        position = self._add(cls, made)  # before its fields: one of them may contain it
        hints = get_type_hints(cls, include_extras=True)
        made.fields = [FieldInfo(name, self.of(hints[name])) for name in xdr.names_of(cls)]
        return position

    def _scalar(self, kind: TypeKind, enumeration: _Enumeration | None) -> int:
        known = 0
        if enumeration is not None:
            known = self._known_enumerations.get(enumeration, 0)
            if not known:
                self.enumerations.append(_members(enumeration))
                known = self._known_enumerations[enumeration] = len(self.enumerations)
        return self._add((kind, enumeration), _type(kind, enumeration=known))

    def _add(self, key: Any, made: TypeInfo) -> int:
        position: int = self._known.setdefault(key, len(self.types))
        if position == len(self.types):
            self.types.append(made)
        return position


def _type(kind: TypeKind, **given: Any) -> TypeInfo:
    empty = {"name": "", "text": "", "bound": 0, "item": 0, "enumeration": 0}
    return TypeInfo(kind=kind, **{**empty, "fields": [], "arms": [], **given})


def _enumeration(hint: Any) -> _Enumeration | None:
    """Return the enumeration, or the reference to one, that an annotation has beside its type."""
    extras = getattr(hint, "__metadata__", ()) if get_origin(hint) is not None else ()
    for one in extras:
        if isinstance(one, Named) or (isinstance(one, type) and issubclass(one, IntEnum | IntFlag)):
            return one
    return None


def _members(enumeration: _Enumeration) -> EnumerationInfo:
    if isinstance(enumeration, Named):
        name, classes = enumeration.name, enumeration.load()
    else:
        name, classes = enumeration.__name__, [enumeration]
    members = {key: member for cls in classes for key, member in cls.__members__.items()}
    return EnumerationInfo(
        name,
        issubclass(classes[0], IntFlag),
        [MemberInfo(key, member.value) for key, member in members.items()],
    )

"""Introspection: the programs of a daemon's servers, their procedures, and the types of these.

A description is complete: a client encodes arguments and decodes results by it, without a table.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Annotated, Final

from aiovirt.admin.extension.protocol.program import EXTENSION
from aiovirt.admin.protocol import ServerRef, Transport
from aiovirt.rpc.wire import xdr

#: The most servers, services of a server, and programs of a server in one answer.
SERVERS_MAX: Final = 64
#: The most procedures in one answer.
PROCEDURES_MAX: Final = 1024
#: The most types, fields, arms of a union, enumerations, and members of one in one answer.
TYPES_MAX: Final = 4096


class TypeKind(IntEnum):
    """The kind of a type, by its form on the wire (RFC 4506).

    CHARS and CHAR_ARRAY are VAROPAQUE and OPAQUE in which each byte travels as an int.
    """

    VOID = 0
    INT = 1
    UINT = 2
    HYPER = 3
    UHYPER = 4
    DOUBLE = 5
    BOOL = 6
    STRING = 7
    OPAQUE = 8
    VAROPAQUE = 9
    ARRAY = 10
    OPTIONAL = 11
    UNION = 12
    STRUCT = 13
    CHARS = 14
    CHAR_ARRAY = 15


@xdr.struct
class ServiceInfo:
    """A listening socket.

    address: the path of a UNIX socket ("@" stands for the NUL of an abstract one), or host and port;
    auth: how clients authenticate, "none" or "sasl".
    """

    transport: Annotated[xdr.UInt, Transport]
    address: xdr.Str
    readonly: xdr.Bool
    auth: xdr.Str


@xdr.struct
class ProgramInfo:
    """A program. procedures: how many its table has; served: how many of these have a handler."""

    number: xdr.UInt
    version: xdr.UInt
    name: xdr.Str
    procedures: xdr.UInt
    served: xdr.UInt


@xdr.struct
class ServedServer:
    """A server with its services and programs."""

    name: xdr.Str
    services: Annotated[list[ServiceInfo], xdr.Array(ServiceInfo, SERVERS_MAX)]
    programs: Annotated[list[ProgramInfo], xdr.Array(ProgramInfo, SERVERS_MAX)]


@xdr.struct
class ServedServers:
    """All servers of the daemon."""

    servers: Annotated[list[ServedServer], xdr.Array(ServedServer, SERVERS_MAX)]


@xdr.struct
class ProcedureInfo:
    """A procedure, or an event.

    function: the public function that calls it; args, result: the names of their types, empty for none;
    flags: a mask of the allowed flags, -1 if any are allowed; served: whether it has a handler; the
    others as in a program's table.
    """

    number: xdr.Int
    name: xdr.Str
    function: xdr.Str
    args: xdr.Str
    result: xdr.Str
    flags: xdr.Hyper
    served: xdr.Bool
    reads: xdr.Bool
    priority: xdr.Bool
    needs_auth: xdr.Bool
    stream: xdr.Bool
    call_fds: xdr.Bool
    reply_fds: xdr.Bool
    event: xdr.Bool


@xdr.struct
class ProceduresArgs:
    """A program; after: only procedures with a higher number; maximum: at most 1024 are returned."""

    server: ServerRef
    program: xdr.UInt
    version: xdr.UInt
    after: xdr.Int
    maximum: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class ProcedureList:
    """procedures: in the order of their numbers; left: those after the last of them."""

    procedures: Annotated[list[ProcedureInfo], xdr.Array(ProcedureInfo, PROCEDURES_MAX)]
    left: xdr.UInt


@xdr.struct
class MemberInfo:
    """A member of an enumeration."""

    name: xdr.Str
    value: xdr.Hyper


@xdr.struct
class EnumerationInfo:
    """An enumeration whose members travel as numbers; is_flags: members are combined."""

    name: xdr.Str
    is_flags: xdr.Bool
    members: Annotated[list[MemberInfo], xdr.Array(MemberInfo, TYPES_MAX)]


@xdr.struct
class FieldInfo:
    """A field of a struct; type: the position of its type in the list of types."""

    name: xdr.Str
    type: xdr.UInt


@xdr.struct
class ArmInfo:
    """An arm of a union, which the number `value` selects; name: of that number, may be empty."""

    value: xdr.UInt
    name: xdr.Str
    type: xdr.UInt


@xdr.struct
class TypeInfo:
    """A type.

    name, text: of a struct, and its documentation; bound: the size of OPAQUE and CHAR_ARRAY, or the most
    bytes or items of STRING, VAROPAQUE, CHARS and ARRAY; item: the position of the type of the items of
    ARRAY and OPTIONAL; fields: of STRUCT; arms: of UNION; enumeration: of a number, its position counted
    from 1, or 0.
    """

    kind: Annotated[xdr.UInt, TypeKind]
    name: xdr.Str
    text: xdr.Str
    bound: xdr.UInt
    item: xdr.UInt
    fields: Annotated[list[FieldInfo], xdr.Array(FieldInfo, TYPES_MAX)]
    arms: Annotated[list[ArmInfo], xdr.Array(ArmInfo, TYPES_MAX)]
    enumeration: xdr.UInt


@xdr.struct
class ProcedureArgs:
    """A procedure of a program; name: its name, or empty for `number`."""

    server: ServerRef
    program: xdr.UInt
    version: xdr.UInt
    number: xdr.Int
    name: xdr.Str
    flags: xdr.UInt


@xdr.struct
class ProcedureDescription:
    """A procedure with all types that it needs; args, result: the positions of theirs."""

    procedure: ProcedureInfo
    args: xdr.UInt
    result: xdr.UInt
    types: Annotated[list[TypeInfo], xdr.Array(TypeInfo, TYPES_MAX)]
    enumerations: Annotated[list[EnumerationInfo], xdr.Array(EnumerationInfo, TYPES_MAX)]


@xdr.struct
class ProgramsArgs:
    """Arguments about the whole daemon."""

    flags: xdr.UInt


EXTENSION.enums = (*EXTENSION.enums, TypeKind)

CONNECT_LIST_PROGRAMS: Final = EXTENSION.procedure(
    30, "CONNECT_LIST_PROGRAMS", ProgramsArgs, ServedServers, flags=0, reads=True
)
PROGRAM_LIST_PROCEDURES: Final = EXTENSION.procedure(
    31, "PROGRAM_LIST_PROCEDURES", ProceduresArgs, ProcedureList, flags=0, reads=True
)
PROCEDURE_DESCRIBE: Final = EXTENSION.procedure(
    32, "PROCEDURE_DESCRIBE", ProcedureArgs, ProcedureDescription, flags=0, reads=True
)

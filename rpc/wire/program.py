"""Program tables: the one place that says which procedures a program has and what they carry.

Server, client, tracer, conformance suite and protocol reference all read the same table.

    ADMIN = Program("admin", 0x06900690, 1, domain=ErrorDomain.ADMIN, prefix="virAdm")
    CONNECT_OPEN = ADMIN.procedure(1, "CONNECT_OPEN", ConnectOpenArgs, xdr.Void, flags=0)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import IntEnum, IntFlag
from typing import Any, Final, Generic, TypedDict, TypeVar, Unpack

from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorDomain
from aiovirt.rpc.wire.message import procedure_key
from aiovirt.rpc.wire.naming import Named

ArgsT = TypeVar("ArgsT")
ResultT = TypeVar("ResultT")

#: Words that the names of libvirt's public functions write in another way than `Word`.
_SPELT: Final = {
    **{
        word: word
        for word in (
            *("CPU", "DHCP", "FD", "ID", "MAC", "NMI", "OS", "PM", "SCSI", "SEV", "SSH"),
            *("URI", "UUID", "WWN", "XML"),
        )
    },
    "FSFREEZE": "FSFreeze",
    "FSINFO": "FSInfo",
    "FSTHAW": "FSThaw",
    "FSTRIM": "FSTrim",
    "IOTHREAD": "IOThread",
    "NWFILTER": "NWFilter",
    "NWFILTERS": "NWFilters",
}


class ProcedureOptions(TypedDict, total=False):
    """The options of a declaration, besides number, name and types; see `Procedure`."""

    function: str
    flags: type[IntFlag] | Named | int
    priority: bool
    needs_auth: bool
    reads: bool
    call_fds: bool
    reply_fds: bool
    stream: bool
    event: bool


class Procedure(Generic[ArgsT, ResultT]):
    """One procedure: its number, what it takes and gives, and how it is scheduled.

    Attributes:
        function: the public function of libvirt that calls it ("virDomainGetInfo"), for errors.
        flags: the flags that `args.flags` may have, as a mask; None where nothing is checked.
        flag_names: the enumeration that names the flags, if there is one. A reference to one is
            declared where flags have names, but are not checked by the table.
        priority: it may run on a priority worker when every ordinary one is busy.
        needs_auth: a client that has not authenticated may not call it.
        reads: it changes nothing, so that a client of a read-only service may call it.
        call_fds: its call may carry descriptors.
        reply_fds: its reply carries descriptors.
        stream: its reply opens a stream.
        event: it is an event: the server sends it, unasked, and nobody calls it.
    """

    __slots__ = (
        "args",
        "call_fds",
        "decode_args",
        "decode_result",
        "encode_args",
        "encode_result",
        "event",
        "flag_names",
        "flags",
        "function",
        "key",
        "name",
        "needs_auth",
        "number",
        "priority",
        "program",
        "reads",
        "reply_fds",
        "result",
        "stream",
    )

    function: str
    encode_args: Callable[[ArgsT], bytes]
    encode_result: Callable[[ResultT], bytes]
    decode_args: xdr.Decoder
    decode_result: xdr.Decoder

    def __init__(
        self,
        program: Program,
        number: int,
        name: str,
        args: type[ArgsT],
        result: type[ResultT],
        **options: Unpack[ProcedureOptions],
    ) -> None:
        flags = options.get("flags")
        self.program = program
        self.number = number
        self.name = name
        self.args = args
        self.result = result
        if "function" in options:
            self.function = options["function"]
        self.flags: int | None
        self.flag_names: type[IntFlag] | Named | None
        if flags is None or isinstance(flags, int):
            self.flags, self.flag_names = flags, None
        elif isinstance(flags, Named):
            self.flags, self.flag_names = None, flags
        else:
            self.flags, self.flag_names = _mask(flags), flags
        self.priority = options.get("priority", False)
        self.needs_auth = options.get("needs_auth", True)
        self.reads = options.get("reads", False)
        self.call_fds = options.get("call_fds", False)
        self.reply_fds = options.get("reply_fds", False)
        self.stream = options.get("stream", False)
        self.event = options.get("event", False)
        self.key = procedure_key(program.number, program.version, number)

    def __getattr__(self, name: str) -> Any:
        # A slot that is still empty: codecs are compiled when they are first asked for.
        match name:
            case "encode_args":
                made: Any = xdr.encoder_of(self.args)
            case "decode_args":
                made = xdr.decoder_of(self.args)
            case "encode_result":
                made = xdr.encoder_of(self.result)
            case "decode_result":
                made = xdr.decoder_of(self.result)
            case "function":
                made = self.program.prefix + _camel_case(self.name)
            case _:
                raise AttributeError(f"{type(self).__name__} has no attribute {name!r}")
        setattr(self, name, made)
        return made

    def __repr__(self) -> str:
        return f"<Procedure {self.program.name} {self.number} {self.name}>"


class Program:
    """A numbered, versioned set of procedures (and, by the same table, events).

    Attributes:
        domain: of the errors that its dispatch finds by itself, such as an unsupported flag.
        prefix: what the names of its public functions begin with.
        enums: enumerations whose members travel as plain numbers, for the reference.
        records: structs that its streams are made of, for the reference.
        params: the typed parameters that it knows, by what they describe: field to type.
    """

    def __init__(
        self,
        name: str,
        number: int,
        version: int,
        *,
        domain: ErrorDomain = ErrorDomain.RPC,
        prefix: str = "vir",
        enums: Sequence[type[IntEnum | IntFlag]] = (),
        records: Sequence[type] = (),
        params: Mapping[str, Mapping[str, IntEnum]] | None = None,
    ) -> None:
        self.name = name
        self.number = number
        self.version = version
        self.domain = domain
        self.prefix = prefix
        self.enums = tuple(enums)
        self.records = tuple(records)
        self.params = params or {}
        self._procedures: dict[int, Procedure[Any, Any]] = {}

    def procedure(
        self,
        number: int,
        name: str,
        args: type[ArgsT],
        result: type[ResultT],
        **options: Unpack[ProcedureOptions],
    ) -> Procedure[ArgsT, ResultT]:
        """Declare a procedure; `options` are the attributes of `Procedure` of the same names.

        Raises ValueError when its number is taken.
        """
        if number in self._procedures:
            raise ValueError(
                f"procedure {number} of program {self.name} is {self._procedures[number].name} "
                f"already, {name} needs another number"
            )
        made = self._procedures[number] = Procedure(self, number, name, args, result, **options)
        return made

    def event(self, number: int, name: str, args: type[ArgsT]) -> Procedure[ArgsT, None]:
        """Declare an event. Raises ValueError when its number is taken."""
        return self.procedure(number, name, args, xdr.Void, event=True)

    def __iter__(self) -> Iterator[Procedure[Any, Any]]:
        return iter(self._procedures.values())

    def __len__(self) -> int:
        return len(self._procedures)

    def get(self, number: int) -> Procedure[Any, Any] | None:
        """The procedure with this number, or None."""
        return self._procedures.get(number)

    def __repr__(self) -> str:
        return f"<Program {self.name} 0x{self.number:08x} version {self.version}>"


def _mask(names: type[IntFlag]) -> int:
    mask = 0
    for member in names:
        mask |= member.value
    return mask


def _camel_case(name: str) -> str:
    """CONNECT_GET_URI as ConnectGetURI."""
    return "".join(_SPELT.get(word) or word.capitalize() for word in name.split("_"))

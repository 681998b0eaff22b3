"""Program tables: the one place that says which procedures a program has and what they carry.

Server, client, tracer, conformance suite and protocol reference all read the same table.

    ADMIN = Program("admin", 0x06900690, 1)
    CONNECT_OPEN = ADMIN.procedure(1, "CONNECT_OPEN", ConnectOpenArgs, xdr.Void)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Generic, TypeVar

from rpc.wire import xdr
from rpc.wire.message import procedure_key, split_key

ArgsT = TypeVar("ArgsT")
ResultT = TypeVar("ResultT")


class Procedure(Generic[ArgsT, ResultT]):
    """One procedure: its number, what it takes and gives, and how it is scheduled.

    priority: it may run on a priority worker when every ordinary one is busy; needs_auth: a client
    that has not authenticated may not call it; reads: it changes nothing, so that a client of a
    read-only service may call it; reply_fds: its reply carries descriptors; stream: its reply opens a
    stream.
    """

    __slots__ = (
        "args",
        "decode_args",
        "decode_result",
        "encode_args",
        "encode_result",
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

    def __init__(
        self,
        program: Program,
        number: int,
        name: str,
        args: type[ArgsT],
        result: type[ResultT],
        *,
        priority: bool,
        needs_auth: bool,
        reads: bool,
        reply_fds: bool,
        stream: bool,
    ) -> None:
        self.program = program
        self.number = number
        self.name = name
        self.args = args
        self.result = result
        self.priority = priority
        self.needs_auth = needs_auth
        self.reads = reads
        self.reply_fds = reply_fds
        self.stream = stream
        self.key = procedure_key(program.number, program.version, number)
        self.encode_args: Callable[[ArgsT], bytes] = xdr.encoder_of(args)
        self.decode_args = xdr.decoder_of(args)
        self.encode_result: Callable[[ResultT], bytes] = xdr.encoder_of(result)
        self.decode_result = xdr.decoder_of(result)

    def __repr__(self) -> str:
        return f"<Procedure {self.program.name} {self.number} {self.name}>"


class Program:
    """A numbered, versioned set of procedures (and, by the same table, events)."""

    def __init__(self, name: str, number: int, version: int) -> None:
        self.name = name
        self.number = number
        self.version = version
        self._procedures: dict[int, Procedure[Any, Any]] = {}

    def procedure(
        self,
        number: int,
        name: str,
        args: type[ArgsT],
        result: type[ResultT],
        *,
        priority: bool = False,
        needs_auth: bool = True,
        reads: bool = False,
        reply_fds: bool = False,
        stream: bool = False,
    ) -> Procedure[ArgsT, ResultT]:
        """Declare a procedure. Raises ValueError when its number is taken."""
        if number in self._procedures:
            raise ValueError(
                f"procedure {number} of program {self.name} is {self._procedures[number].name} "
                f"already, {name} needs another number"
            )
        made = Procedure(
            self,
            number,
            name,
            args,
            result,
            priority=priority,
            needs_auth=needs_auth,
            reads=reads,
            reply_fds=reply_fds,
            stream=stream,
        )
        self._procedures[number] = made
        return made

    def __iter__(self) -> Iterator[Procedure[Any, Any]]:
        return iter(self._procedures.values())

    def __len__(self) -> int:
        return len(self._procedures)

    def get(self, number: int) -> Procedure[Any, Any] | None:
        """The procedure with this number, or None."""
        return self._procedures.get(number)

    def owns(self, key: bytes) -> bool:
        """Whether a procedure key names this program and version, known procedure or not."""
        return split_key(key)[:2] == (self.number, self.version)

    def __repr__(self) -> str:
        return f"<Program {self.name} 0x{self.number:08x} version {self.version}>"

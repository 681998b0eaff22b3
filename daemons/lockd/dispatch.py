"""The lock space program's server side.

What a call needs of the disk (open, lock, unlink) is done at once, on the loop: on a local disk it
takes microseconds, less than the way to a thread and back.

Source: libvirt's src/locking/lock_daemon_dispatch.c; each refusal has its code and domain.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Final, NamedTuple

from aiovirt.daemons.lockd import protocol
from aiovirt.daemons.lockd.admin_protocol import REFUSALS
from aiovirt.daemons.lockd.fate import KILL_AFTER, REPORT_AFTER, end_process, started_at
from aiovirt.daemons.lockd.journal import Journal, pack_owner
from aiovirt.daemons.lockd.protocol import AcquireFlags, Owner
from aiovirt.daemons.lockd.space import LockSpace
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server import Client, ClientState, Daemon, Handlers, Server, check_flags, serves
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

_log = get_logger("daemons.lockd.dispatch")

#: Characters of a refusal's text that are remembered.
_TEXT_MAX: Final = 1000

#: What a client that acquires must not ask for; looked at here, since nothing may make this slower.
_NOT_TO_ACQUIRE: Final = ~int(AcquireFlags.SHARED | AcquireFlags.AUTOCREATE)


class Refusal(NamedTuple):
    """A refused lock. time: epoch seconds; because: the text of the refusal."""

    time: float
    directory: str
    name: str
    flags: int
    owner: Owner
    client: int
    because: str


@dataclass(slots=True)
class LockSession:
    """What is known of one client: its process, for whom it acts, when that one's process started.

    record: the owner as the journal takes it.
    """

    pid: int
    start: int | None = None
    owner: Owner | None = None
    restricted: bool = False
    record: bytes = b""

    def register(self, owner: Owner, start: int | None) -> None:
        """From now on it acts for `owner`, whose process started at `start`."""
        self.owner = owner
        self.start = start
        self.record = pack_owner(owner, start)


#: The session of a client that has registered an owner, or tried to.
SESSION: Final = ClientState[LockSession]("lockd session")


class LockSpaceDispatch:
    """All lockspaces of the daemon, and for whom its clients act.

    endings: the sessions whose processes are being ended, by their tasks.
    journal: where holdings are written down, once it is there. refusals: the latest, from old to new.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.journal: Journal | None = None
        self.default = LockSpace()
        self.spaces: dict[str, LockSpace] = {}
        self.endings: dict[asyncio.Task[None], LockSession] = {}
        self.refusals: deque[Refusal] = deque(maxlen=REFUSALS)
        self._server: Server | None = None

    def serve_on(self, server: Server) -> None:
        """Add the program to a server."""
        server.add_program(Handlers.of(self))
        server.on_client_gone.append(self._client_gone)
        self._server = server
        self._daemon.on_ending.append(self.finish)

    # Procedures ----------------------------------------------------------------------------------

    @serves(protocol.REGISTER)
    def register(self, client: Client, args: protocol.RegisterArgs) -> None:
        session = self._unrestricted(client)
        if not args.owner.id:
            raise _invalid("an owner has an id other than 0")
        session.register(args.owner, started_at(args.owner.pid))

    @serves(protocol.RESTRICT)
    def restrict(self, client: Client, args: protocol.RestrictArgs) -> None:
        session, _ = self._owned(client)
        session.restricted = True

    @serves(protocol.NEW)
    def new(self, client: Client, args: protocol.SpaceArgs) -> None:
        self._owned(client)
        if not args.path:
            raise _invalid("the default lockspace exists already")
        if args.path in self.spaces:
            raise RpcError(ErrorCode.INTERNAL_ERROR, f"lockspace {args.path} exists already")
        self.spaces[args.path] = LockSpace.at(args.path, self.journal)

    @serves(protocol.CREATE_RESOURCE)
    def create_resource(self, client: Client, args: protocol.ResourceArgs) -> None:
        self._owned(client)
        self.space(args.path).create(args.name)

    @serves(protocol.DELETE_RESOURCE)
    def delete_resource(self, client: Client, args: protocol.ResourceArgs) -> None:
        self._owned(client)
        self.space(args.path).delete(args.name)

    @serves(protocol.ACQUIRE_RESOURCE, checks_flags=True)
    def acquire_resource(self, client: Client, args: protocol.ResourceArgs) -> None:
        flags = args.flags
        if flags & _NOT_TO_ACQUIRE:
            check_flags(protocol.ACQUIRE_RESOURCE, flags)
        session, owner = self._owned(client)
        space = self.space(args.path) if args.path else self.default
        try:
            space.acquire(args.name, flags, owner, client.id, session.record, 0.0, session.start)
        except RpcError as error:
            if error.code == ErrorCode.RESOURCE_BUSY:
                self._note_refusal(client, owner, args, error)
            raise

    def _note_refusal(
        self, client: Client, owner: Owner, args: protocol.ResourceArgs, error: RpcError
    ) -> None:
        reason = error.message[:_TEXT_MAX]
        self.refusals.append(
            Refusal(time.time(), args.path, args.name, args.flags, owner, client.id, reason)
        )
        if _log.info_on:
            _log.info(
                "lock refused",
                server=client.server.name,
                client=client.id,
                owner=owner.name,
                pid=owner.pid,
                reason=reason,
            )

    @serves(protocol.RELEASE_RESOURCE, checks_flags=True)
    def release_resource(self, client: Client, args: protocol.ResourceArgs) -> None:
        if args.flags:
            check_flags(protocol.RELEASE_RESOURCE, args.flags)
        _, owner = self._owned(client)
        space = self.space(args.path) if args.path else self.default
        space.release(args.name, owner.pid)

    @serves(protocol.CREATE_LOCKSPACE)
    def create_lockspace(self, client: Client, args: protocol.CreateLockspaceArgs) -> None:
        self._unrestricted(client)
        self.space_at(args.path)

    # Checks, in libvirt's order ------------------------------------------------------------------

    def _unrestricted(self, client: Client) -> LockSession:
        session = SESSION.get(client)
        if session is None:
            session = SESSION.set(client, LockSession(client.identity().pid))
        if session.restricted:
            raise RpcError(
                ErrorCode.OPERATION_DENIED, "this connection has been restricted to what it holds"
            )
        return session

    def _owned(self, client: Client) -> tuple[LockSession, Owner]:
        found = SESSION.get(client)
        if found is not None and found.owner is not None and not found.restricted:
            return found, found.owner  # as nearly always: nothing else is to be looked at
        session = self._unrestricted(client)
        if session.owner is None:
            raise _invalid("this connection has registered no owner")
        return session, session.owner

    def space(self, path: str) -> LockSpace:
        """A lockspace by its directory, empty for the default one. Raises RpcError."""
        space = self.spaces.get(path) if path else self.default
        if space is None:
            raise RpcError(ErrorCode.INTERNAL_ERROR, f"lockspace {path} does not exist")
        return space

    # What outlives lockd -------------------------------------------------------------------------

    def keep_journal(self, journal: Journal) -> None:
        """Write down there what is held from now on."""
        self.journal = journal
        for space in self.all_spaces():
            space.journal = journal

    def space_at(self, directory: str) -> LockSpace:
        """The lockspace in `directory`, made if it is not there; the default one if it is empty."""
        if not directory:
            return self.default
        if directory not in self.spaces:
            self.spaces[directory] = LockSpace.at(directory, self.journal)
        return self.spaces[directory]

    # Ends ----------------------------------------------------------------------------------------

    def _client_gone(self, client: Client) -> None:
        session = SESSION.get(client)
        if session is None or session.owner is None or session.owner.pid != session.pid:
            return  # it acted for another process: that one's locks are not its to lose
        if self.holds(session.pid):
            self.end_holder(session, "its connection went while it held locks")

    def sessions(self) -> dict[int, LockSession]:
        """The sessions of the connected clients, by client id."""
        clients = self._server.registry if self._server is not None else ()
        found = {client.id: SESSION.get(client) for client in clients}
        return {number: session for number, session in found.items() if session is not None}

    def client(self, client_id: int) -> Client | None:
        """The connected client with this id, or None."""
        return self._server.registry.get(client_id) if self._server is not None else None

    def holds(self, pid: int) -> bool:
        """Whether the owner process `pid` holds anything."""
        return any(space.holds(pid) for space in self.all_spaces())

    def disconnect(self, client_id: int, reason: str) -> bool:
        """Close a client's connection; whether there was one."""
        client = self.client(client_id)
        if client is not None:
            client.abort(reason)
        return client is not None

    def end_holder(self, session: LockSession, reason: str) -> asyncio.Task[None]:
        """End the process of a session, then give its locks back; goes on by itself.

        reason: for the log.
        """
        ending = asyncio.get_running_loop().create_task(self._end_holder(session, reason))
        self.endings[ending] = session
        ending.add_done_callback(self.endings.pop)
        return ending

    async def _end_holder(self, session: LockSession, reason: str) -> None:
        self._daemon.inhibit_shutdown()
        try:
            await end_process(session.pid, session.start, reason)
        finally:
            for space in self.all_spaces():
                while count := space.release_owner(session.pid):
                    _log.info("locks released", pid=session.pid, count=count)
            self._daemon.allow_shutdown()

    async def finish(self) -> None:
        """Wait at the daemon's end for the processes that are being ended, as virtlockd does."""
        if self.endings:
            await asyncio.wait(self.endings, timeout=KILL_AFTER + REPORT_AFTER)
        if self.journal is not None:
            self.journal.close()

    def all_spaces(self) -> list[LockSpace]:
        """The default one first."""
        return [self.default, *self.spaces.values()]


def _invalid(message: str) -> RpcError:
    return RpcError(ErrorCode.OPERATION_INVALID, message)

"""The lock space program's server side.

What a call needs of the disk (open, lock, unlink) is done at once, on the loop: on a local disk it
takes microseconds, less than the way to a thread and back.

Source: libvirt's src/locking/lock_daemon_dispatch.c; each refusal has its code and domain.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from aiovirt.daemons.lockd import protocol
from aiovirt.daemons.lockd.admin_protocol import REFUSALS
from aiovirt.daemons.lockd.fate import KILL_AFTER, REPORT_AFTER, end_process, may_end
from aiovirt.daemons.lockd.holder import Holder, Holders
from aiovirt.daemons.lockd.journal_format import pack_owner
from aiovirt.daemons.lockd.protocol import AcquireFlags, Owner
from aiovirt.daemons.lockd.space import LockSpace
from aiovirt.daemons.lockd.table import LockTable
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server import Client, ClientState, Daemon, Handlers, Server, check_flags, serves
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.lockd.upkeep import Inherited, Upkeep

_log = get_logger("daemons.lockd.dispatch")

#: Seconds without any lock after which the daemon may end by itself (-t).
SETTLED_AFTER: Final = 0.5
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


class LockSession(msgspec.Struct):
    """The state of one client: its process's number, and for which owner and process it acts.

    acting: owner and process, and the owner as the journal takes it, as long as it may lock and release.
    """

    pid: int
    holder: Holder | None = None
    owner: Owner | None = None
    restricted: bool = False
    acting: tuple[Owner, Holder, bytes] | None = None

    def register(self, owner: Owner, holder: Holder, holders: Holders) -> None:
        """Act for `owner`, whose process is `holder`, from now on."""
        holder.sessions += 1
        self.forget(holders)
        self.owner = owner
        self.holder = holder
        if not self.restricted:
            self.acting = owner, holder, pack_owner(owner, holder.start)

    def restrict(self) -> None:
        """Let it lock and release nothing any more; what it holds stays."""
        self.restricted = True
        self.acting = None

    def forget(self, holders: Holders) -> None:
        """Act for nobody any more."""
        self.acting = None
        former, self.holder = self.holder, None
        if former is not None:
            former.sessions -= 1
            holders.let_go(former)


#: The session of a client that has registered an owner, or tried to.
SESSION: Final = ClientState[LockSession]("lockd session")


class LockSpaceDispatch:
    """All lockspaces of the daemon, and for whom its clients act.

    table: what the lockspaces have in common. endings: the processes that are being ended, with their
    tasks. upkeep: keeps the journal, where there is one. inherited: what `recovery.go_on` has to do
    after a restart. refusals: from old to new.
    """

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon
        self.holders = Holders()
        self.table = LockTable(
            self.holders, on_first=daemon.inhibit_shutdown, on_last=self._nothing_held
        )
        self.default = LockSpace(None, self.table)
        self.spaces: dict[str, LockSpace] = {}
        self.endings: dict[Holder, asyncio.Task[None]] = {}
        self.refusals: deque[Refusal] = deque(maxlen=REFUSALS)
        self.upkeep: Upkeep | None = None
        self.inherited: Inherited | None = None
        self._server: Server | None = None
        self._settling: asyncio.TimerHandle | None = None

    def serve_on(self, server: Server) -> None:
        """Add the program to a server."""
        server.add_program(Handlers.of(self))
        # Guests of one libvirtd: one process waits for all these replies.
        server.answer_together(before=self.table.settle)
        server.on_client_gone.append(self._client_gone)
        self._server = server
        self._daemon.on_ending.append(self.finish)
        self._daemon.before_preserving.append(self._may_preserve)

    # Procedures ----------------------------------------------------------------------------------

    @serves(protocol.REGISTER)
    def register(self, client: Client, args: protocol.RegisterArgs) -> None:
        session = self._unrestricted(client)
        if not args.owner.id:
            raise _invalid("an owner has an id other than 0")
        owner = args.owner
        try:
            # The kernel knows which process is at the other end: its number may be another's by now.
            peer = client.sock if owner.pid == session.pid else None
            holder = self.holders.find(owner.pid, peer)
        except OSError as error:
            raise RpcError(
                ErrorCode.SYSTEM_ERROR,
                f"process {owner.pid} cannot be watched, so nothing can be locked for it:"
                f" {error.strerror}",
            ) from error
        session.register(owner, holder, self.holders)

    @serves(protocol.RESTRICT)
    def restrict(self, client: Client, args: protocol.RestrictArgs) -> None:
        self._acting(client)
        self._unrestricted(client).restrict()

    @serves(protocol.NEW)
    def new(self, client: Client, args: protocol.SpaceArgs) -> None:
        self._acting(client)
        if not args.path:
            raise _invalid("the default lockspace exists already")
        if args.path in self.spaces:
            raise RpcError(ErrorCode.INTERNAL_ERROR, f"lockspace {args.path} exists already")
        self.spaces[args.path] = LockSpace.at(args.path, self.table)

    @serves(protocol.CREATE_RESOURCE)
    def create_resource(self, client: Client, args: protocol.ResourceArgs) -> None:
        self._acting(client)
        self.space(args.path).create(args.name)

    @serves(protocol.DELETE_RESOURCE)
    def delete_resource(self, client: Client, args: protocol.ResourceArgs) -> None:
        self._acting(client)
        self.space(args.path).delete(args.name)

    @serves(protocol.ACQUIRE_RESOURCE, checks_flags=True, repeats=True)
    def acquire_resource(self, client: Client, args: protocol.ResourceArgs) -> None:
        flags = args.flags
        if flags & _NOT_TO_ACQUIRE:
            check_flags(protocol.ACQUIRE_RESOURCE, flags)
        session = client.state.get(SESSION)  # as SESSION.get: locks are taken through here
        owner, holder, record = (session and session.acting) or self._acting(client)
        space = self.space(args.path) if args.path else self.default
        try:
            space.acquire(args.name, flags, owner, client.id, holder, record)
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

    @serves(protocol.RELEASE_RESOURCE, checks_flags=True, repeats=True)
    def release_resource(self, client: Client, args: protocol.ResourceArgs) -> None:
        if args.flags:
            check_flags(protocol.RELEASE_RESOURCE, args.flags)
        session = client.state.get(SESSION)
        _, holder, _ = (session and session.acting) or self._acting(client)
        space = self.space(args.path) if args.path else self.default
        space.release(args.name, holder)

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

    def _acting(self, client: Client) -> tuple[Owner, Holder, bytes]:
        acting = self._unrestricted(client).acting
        if acting is None:
            raise _invalid("this connection has registered no owner")
        return acting

    def space(self, path: str) -> LockSpace:
        """A lockspace by its directory, empty for the default one. Raises RpcError."""
        space = self.spaces.get(path) if path else self.default
        if space is None:
            raise RpcError(ErrorCode.INTERNAL_ERROR, f"lockspace {path} does not exist")
        return space

    def space_at(self, directory: str, *, make: bool = True) -> LockSpace:
        """The lockspace in `directory`, the default one if it is empty.

        make: whether its folder is made if it is missing. Raises RpcError when that cannot be done.
        """
        if not directory:
            return self.default
        if directory not in self.spaces:
            kind: Callable[[str, LockTable], LockSpace] = LockSpace.at if make else LockSpace
            self.spaces[directory] = kind(directory, self.table)
        return self.spaces[directory]

    def _nothing_held(self) -> None:
        """Let the daemon end by itself again, unless the next lock comes soon, as mostly."""
        if self._settling is None:
            loop = asyncio.get_running_loop()
            self._settling = loop.call_later(SETTLED_AFTER, self._settle)

    def _settle(self) -> None:
        self._settling = None
        if not self.table.held:
            self.table.is_quiet = True
            self._daemon.allow_shutdown()

    # Ends ----------------------------------------------------------------------------------------

    def _client_gone(self, client: Client) -> None:
        session = SESSION.get(client)
        if session is None or session.holder is None:
            return
        holder = session.holder
        # One that acted for another process may go: that one's locks are not its to lose. A lockd
        # that preserves its locks leaves their holders to the next one.
        if holder.pid == session.pid and holder.holdings and not self._preserves:
            self.end_holder(holder, "its connection went while it held locks")
        session.forget(self.holders)
        self.holders.reserve.fill()

    @property
    def _preserves(self) -> bool:
        return self._daemon.preserves and self._daemon.is_ending

    def sessions(self) -> dict[int, LockSession]:
        """The sessions of the connected clients, by client id."""
        clients = self._server.registry if self._server is not None else ()
        found = {client.id: SESSION.get(client) for client in clients}
        return {number: session for number, session in found.items() if session is not None}

    def client(self, client_id: int) -> Client | None:
        """The connected client with this id, or None."""
        return self._server.registry.get(client_id) if self._server is not None else None

    def disconnect(self, client_id: int, reason: str) -> bool:
        """Close a client's connection; whether there was one."""
        client = self.client(client_id)
        if client is not None:
            client.abort(reason)
        return client is not None

    def end_holder(self, holder: Holder, reason: str) -> asyncio.Task[None] | None:
        """End a process, then give its locks back; goes on by itself.

        Returns what to wait for; None if the process has ended already, and all is done, or if it may
        not be ended: then its locks are kept until it ends by itself. reason: for the log.
        """
        if holder.has_ended():
            self._give_all_back(holder)
            return None
        if not may_end(holder):
            _log.error("refusing to terminate a lock holder", pid=holder.pid, reason=reason)
            self.release_when_ended(holder)
            return None
        if holder not in self.endings:
            ending = asyncio.get_running_loop().create_task(self._end_holder(holder, reason))
            self.endings[holder] = ending
            ending.add_done_callback(lambda _: self.endings.pop(holder))
        return self.endings[holder]

    async def _end_holder(self, holder: Holder, reason: str) -> None:
        await end_process(holder, reason)
        self._give_all_back(holder)

    def release_when_ended(self, holder: Holder) -> None:
        """Give the locks of a process back when it ends, where no connection of its will tell."""
        holder.when_ended(lambda: self._give_all_back(holder))

    def _give_all_back(self, holder: Holder) -> None:
        count = self.table.give_all_back(holder)
        if count:
            _log.info("locks released", pid=holder.pid, count=count)
        self.holders.let_go(holder)

    def _may_preserve(self) -> None:
        """Raise RpcError if the next lockd would not find what is held."""
        if self.upkeep is not None:
            self.upkeep.require_journal()

    async def finish(self) -> None:
        """The daemon ends, and so do its locks: their holders are ended first, as by virtlockd.

        A holder that does not end in time, or has no connection that tells whose it is, may live on: its
        locks stay in the journal, and the next lockd takes them again.
        """
        if self.endings:
            await asyncio.wait(set(self.endings.values()), timeout=KILL_AFTER + REPORT_AFTER)
        if self.upkeep is not None:
            self.upkeep.finish()
        for ending in self.endings.values():
            ending.cancel()
        self.holders.close()


def _invalid(message: str) -> RpcError:
    return RpcError(ErrorCode.OPERATION_INVALID, message)

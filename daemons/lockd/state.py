"""Locks on their way from one program to the next.

The kernel's locks belong to open descriptors, so they stay as long as those do: nobody gets a lock in
between. What travels is whose they are.
"""

from __future__ import annotations

import msgspec

from aiovirt.daemons.lockd.dispatch import SESSION, LockSession, LockSpaceDispatch, Refusal
from aiovirt.daemons.lockd.holder import NO_PROCESS, Holder
from aiovirt.daemons.lockd.protocol import Owner
from aiovirt.daemons.lockd.table import Space
from aiovirt.daemons.lockd.upkeep import Inherited
from aiovirt.rpc.server.restart import Keep

# Texts come from the wire and need not be UTF-8: they travel as bytes.
_ERRORS = "surrogateescape"


class OwnerState(msgspec.Struct):
    """For whom a lock is held."""

    uuid: bytes
    name: bytes
    id: int
    pid: int


class HoldingState(msgspec.Struct):
    """One owner's share of a resource. start: of the owner's process, None if there was none; slot:
    where it is in the journal."""

    owner: OwnerState
    client: int
    since: float
    start: int | None = None
    slot: int = 0


class ResourceState(msgspec.Struct):
    """A locked file. descriptor: -1 when the kernel's lock is still to be taken again."""

    name: bytes
    path: bytes
    descriptor: int
    flags: int
    holdings: list[HoldingState]


class SpaceState(msgspec.Struct):
    """A lockspace; the default one has no directory."""

    directory: bytes | None
    resources: list[ResourceState]


class SessionState(msgspec.Struct):
    """The session of a client; client is 0 when it is gone and its process is being ended."""

    client: int
    pid: int
    start: int | None
    owner: OwnerState | None
    restricted: bool


class HolderState(msgspec.Struct):
    """A process that is watched, by number and start time. descriptor: its pidfd."""

    pid: int
    start: int
    descriptor: int


class RefusalState(msgspec.Struct):
    """Somebody who was refused a lock."""

    time: float
    directory: bytes
    name: bytes
    flags: int
    owner: OwnerState
    client: int
    because: bytes


class LocksState(msgspec.Struct):
    """All lockspaces, who acts for whom, who was refused, which processes are watched.

    journal: its descriptor, -1 without one.
    """

    spaces: list[SpaceState]
    sessions: list[SessionState]
    refusals: list[RefusalState] = []
    holders: list[HolderState] = []
    journal: int = -1


def save(service: LockSpaceDispatch, keep: Keep) -> LocksState:
    """Write down who holds what."""
    sessions = [_save_session(client, one) for client, one in service.sessions().items()]
    sessions += [SessionState(0, one.pid, one.start, None, False) for one in service.endings]
    journal = service.upkeep.journal if service.upkeep is not None else None
    service.table.settle()
    return LocksState(
        [_save_space(space, keep) for space in service.table.spaces],
        sessions,
        [_save_refusal(one) for one in service.refusals],
        [
            HolderState(one.pid, one.start, keep(one.descriptor))
            for one in service.holders
            if one.descriptor >= 0
        ],
        keep(journal.descriptor) if journal is not None else -1,
    )


def restore(service: LockSpaceDispatch, state: LocksState) -> None:
    """Note everything again that `save` wrote down; `recovery.go_on` then begins to act on it.

    Nothing outside this object is touched, no descriptor either: it may be a rehearsal.
    """
    for one in state.holders:
        service.holders.named(one.pid, one.start, one.descriptor)
    for saved in state.spaces:
        _restore_space(service, saved)
    service.refusals.extend(map(_restore_refusal, state.refusals))
    endings = []
    for session in state.sessions:
        client = service.client(session.client)
        if client is not None:
            SESSION.set(client, _restore_session(service, session))
        elif not session.client:
            endings.append(_holder(service, session.pid, session.start))
    service.inherited = Inherited(state.journal, endings)


def _holder(service: LockSpaceDispatch, pid: int, start: int | None) -> Holder:
    return service.holders.named(pid, start or NO_PROCESS)


def _save_space(space: Space, keep: Keep) -> SpaceState:
    directory = None if space.directory is None else space.directory.encode(errors=_ERRORS)
    return SpaceState(
        directory,
        [
            ResourceState(
                resource.name.encode(errors=_ERRORS),
                resource.path.encode(errors=_ERRORS),
                keep(resource.descriptor) if resource.descriptor >= 0 else -1,
                resource.flags,
                [
                    HoldingState(
                        _save_owner(holding.owner),
                        holding.client,
                        holding.since,
                        holding.holder.start or None,
                        holding.slot,
                    )
                    for holding in resource.holdings
                ],
            )
            for resource in space.resources.values()
        ],
    )


def _restore_space(service: LockSpaceDispatch, state: SpaceState) -> None:
    directory = "" if state.directory is None else state.directory.decode(errors=_ERRORS)
    space = service.space_at(directory, make=False)
    for saved in state.resources:
        name = saved.name.decode(errors=_ERRORS)
        for one in saved.holdings:
            resource = space.enter(
                name,
                saved.flags,
                _restore_owner(one.owner),
                _holder(service, one.owner.pid, one.start),
                one.since,
                one.slot,
                one.client,
            )
            resource.path = saved.path.decode(errors=_ERRORS)
            resource.descriptor = saved.descriptor


def _save_owner(owner: Owner) -> OwnerState:
    return OwnerState(owner.uuid, owner.name.encode(errors=_ERRORS), owner.id, owner.pid)


def _restore_owner(state: OwnerState) -> Owner:
    return Owner(state.uuid, state.name.decode(errors=_ERRORS), state.id, state.pid)


def _save_session(client: int, session: LockSession) -> SessionState:
    owner = None if session.owner is None else _save_owner(session.owner)
    start = None if session.holder is None else session.holder.start or None
    return SessionState(client, session.pid, start, owner, session.restricted)


def _restore_session(service: LockSpaceDispatch, state: SessionState) -> LockSession:
    session = LockSession(state.pid, restricted=state.restricted)
    if state.owner is not None:
        owner = _restore_owner(state.owner)
        holder = _holder(service, owner.pid, state.start)
        session.register(owner, holder, service.holders)
    return session


def _save_refusal(refusal: Refusal) -> RefusalState:
    return RefusalState(
        refusal.time,
        refusal.directory.encode(errors=_ERRORS),
        refusal.name.encode(errors=_ERRORS),
        refusal.flags,
        _save_owner(refusal.owner),
        refusal.client,
        refusal.because.encode(errors=_ERRORS),
    )


def _restore_refusal(state: RefusalState) -> Refusal:
    return Refusal(
        state.time,
        state.directory.decode(errors=_ERRORS),
        state.name.decode(errors=_ERRORS),
        state.flags,
        _restore_owner(state.owner),
        state.client,
        state.because.decode(errors=_ERRORS),
    )

"""Locks on their way from one program to the next.

The kernel's locks belong to open descriptors, so they stay as long as those do: nobody gets a lock in
between. What travels is whose they are.
"""

from __future__ import annotations

import os

import msgspec

from aiovirt.daemons.lockd.dispatch import SESSION, LockSession, LockSpaceDispatch, Refusal
from aiovirt.daemons.lockd.protocol import Owner
from aiovirt.daemons.lockd.space import Holding, LockSpace, Resource
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
    """One owner's share of a resource."""

    owner: OwnerState
    client: int
    since: float
    start: int | None = None


class ResourceState(msgspec.Struct):
    """A locked file."""

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
    """What is known of a client; client is 0 when it is gone and its process is being ended."""

    client: int
    pid: int
    start: int | None
    owner: OwnerState | None
    restricted: bool


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
    """All lockspaces, who acts for whom, and who was refused."""

    spaces: list[SpaceState]
    sessions: list[SessionState]
    refusals: list[RefusalState] = []


def save(service: LockSpaceDispatch, keep: Keep) -> LocksState:
    """Write down who holds what."""
    spaces = [service.default, *service.spaces.values()]
    sessions = [_save_session(client, one) for client, one in service.sessions().items()]
    sessions += [_save_session(0, one) for one in service.endings.values()]
    refusals = [_save_refusal(one) for one in service.refusals]
    return LocksState([_save_space(space, keep) for space in spaces], sessions, refusals)


def restore(service: LockSpaceDispatch, state: LocksState) -> list[LockSession]:
    """Hold everything again that `save` wrote down, in memory only.

    Returns the sessions of clients that are gone, whose processes are still to be ended.
    """
    to_end = []
    for saved in state.spaces:
        space = _restore_space(saved)
        if space.directory is None:
            service.default = space
        else:
            service.spaces[space.directory] = space
    service.refusals.extend(map(_restore_refusal, state.refusals))
    for one in state.sessions:
        session = _restore_session(one)
        client = service.client(one.client)
        if client is not None:
            SESSION.set(client, session)
        elif not one.client:
            to_end.append(session)
    return to_end


def _save_space(space: LockSpace, keep: Keep) -> SpaceState:
    directory = None if space.directory is None else space.directory.encode(errors=_ERRORS)
    return SpaceState(
        directory,
        [
            ResourceState(
                resource.name.encode(errors=_ERRORS),
                resource.path.encode(errors=_ERRORS),
                keep(resource.descriptor),
                resource.flags,
                [
                    HoldingState(
                        _save_owner(holding.owner), holding.client, holding.since, holding.start
                    )
                    for holding in resource.holdings
                ],
            )
            for resource in space.resources.values()
        ],
    )


def _restore_space(state: SpaceState) -> LockSpace:
    space = LockSpace(None if state.directory is None else state.directory.decode(errors=_ERRORS))
    for saved in state.resources:
        os.set_inheritable(saved.descriptor, False)
        name = saved.name.decode(errors=_ERRORS)
        space.resources[name] = Resource(
            name,
            saved.path.decode(errors=_ERRORS),
            saved.descriptor,
            saved.flags,
            [
                Holding(_restore_owner(one.owner), one.client, one.since, 0, one.start)
                for one in saved.holdings
            ],
        )
    return space


def _save_owner(owner: Owner) -> OwnerState:
    return OwnerState(owner.uuid, owner.name.encode(errors=_ERRORS), owner.id, owner.pid)


def _restore_owner(state: OwnerState) -> Owner:
    return Owner(state.uuid, state.name.decode(errors=_ERRORS), state.id, state.pid)


def _save_session(client: int, session: LockSession) -> SessionState:
    owner = None if session.owner is None else _save_owner(session.owner)
    return SessionState(client, session.pid, session.start, owner, session.restricted)


def _restore_session(state: SessionState) -> LockSession:
    session = LockSession(state.pid, restricted=state.restricted)
    if state.owner is not None:
        session.register(_restore_owner(state.owner), state.start)
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

"""The same call on libvirtd and on virtd: what each answered, decoded, and whether it is the same.

    async def test_info(both: Both) -> None:
        await both.same(lambda host: host.domain("test"))
        await both.same(of_domain("test", Domain.info), ignoring={"cpuTime"})

A call is a function of a `Host`. A result is compared as plain values: records and objects by their
fields, enumerations as numbers. A refusal is compared by code and domain, and by its text if asked for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiovirt.daemons.virtd.client import ConnectionLost, Domain, Host, connect
from aiovirt.daemons.virtd.client.objects import RemoteObject
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.records import names_of
from tests import harness

Call = Callable[[Host], Awaitable[Any]]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a call. value: plain; refusal: code (-1: no answer), domain, text, or None."""

    value: Any = None
    refusal: tuple[int, int, str] | None = None

    def key(self, *, text: bool) -> Any:
        """What two outcomes are compared by."""
        if self.refusal is None:
            return self.value
        return self.refusal if text else self.refusal[:2]


async def outcome(call: Call, host: Host, ignoring: Collection[str] = ()) -> Outcome:
    """Call, and keep what came of it.

    Args:
        call: what to do with a host.
        host: the host.
        ignoring: names of fields that are left out, on every level.
    """
    try:
        return Outcome(plain(await call(host), ignoring))
    except RpcError as error:
        return Outcome(refusal=(int(error.code), int(error.domain), error.message))
    except (TimeoutError, ConnectionLost) as error:
        return Outcome(refusal=(-1, -1, f"{type(error).__name__}: {error}"))


def plain(value: Any, ignoring: Collection[str] = ()) -> Any:
    """A result as values that compare: dicts, lists, numbers, texts, bytes.

    Args:
        value: a result of a call of the client.
        ignoring: names of fields that are left out.
    """
    if isinstance(value, RemoteObject):
        return {type(value).__name__: plain(value.ref, ignoring)}
    if names_of(type(value)) and not isinstance(value, tuple):
        value = {name: getattr(value, name) for name in names_of(type(value))}
    if isinstance(value, Mapping):
        return {
            name: plain(one, ignoring) for name, one in value.items() if str(name) not in ignoring
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(one, ignoring) for one in value]
    if isinstance(value, bool | float | str | bytes) or value is None:
        return value
    return int(value)


@dataclass(frozen=True)
class Both:
    """A host of libvirtd and one of virtd, which began with the same world."""

    theirs: Host
    ours: Host

    async def outcomes(
        self, call: Call, *, ignoring: Collection[str] = ()
    ) -> tuple[Outcome, Outcome]:
        """Call on both: libvirtd's outcome, then virtd's."""
        return (
            await outcome(call, self.theirs, ignoring),
            await outcome(call, self.ours, ignoring),
        )

    async def same(
        self, call: Call, *, ignoring: Collection[str] = (), text: bool = False
    ) -> Outcome:
        """Call on both, and fail unless both come to the same; gives libvirtd's outcome.

        Args:
            call: what to do with a host.
            ignoring: names of fields that may differ.
            text: the texts of refusals have to be the same, too.
        """
        theirs, ours = await self.outcomes(call, ignoring=ignoring)
        assert ours.key(text=text) == theirs.key(text=text), f"libvirtd: {theirs}\nvirtd: {ours}"
        return theirs


def of_domain(name: str, method: Callable[..., Awaitable[Any]], *args: Any) -> Call:
    """A call of a method of a domain, which is looked up first."""

    async def call(host: Host) -> Any:
        domain: Domain = await host.domain(name)
        return await method(domain, *args)

    return call


@asynccontextmanager
async def hosts(
    libvirtd: harness.RunningDaemon,
    virtd: harness.RunningDaemon,
    uri: str = "test:///default",
    timeout: float = harness.PATIENCE,
) -> AsyncIterator[Both]:
    """Connect to both daemons.

    Args:
        libvirtd: libvirt's.
        virtd: ours.
        uri: a URI without a transport.
        timeout: seconds for each answer.
    """
    scheme, _, path = uri.partition(":")
    theirs, ours = (f"{scheme}+unix:{path}?socket={daemon.socket}" for daemon in (libvirtd, virtd))
    async with (
        connect(theirs, timeout=timeout) as first,
        connect(ours, timeout=timeout) as second,
    ):
        yield Both(first, second)

"""Events that are injected into guests: the state of the guest, and what clients are told.

The order of events is that of libvirt's src/qemu/qemu_process.c.
"""

from __future__ import annotations

from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID
from aiovirt.daemons.virtd.faults import happenings
from aiovirt.daemons.virtd.faults.injecting import inject
from aiovirt.daemons.virtd.faults.rules import RuleError
from aiovirt.daemons.virtd.host import agent_asking
from aiovirt.daemons.virtd.host.domain import Domain
from aiovirt.daemons.virtd.host.events import Event
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests.virtd.conftest import DOMAIN, Client, Virtd

LIFE, REBOOT = int(DomainEventID.LIFECYCLE), int(DomainEventID.REBOOT)


class Guest:
    """A guest of the qemu host that runs. told: its events since then, number and details."""

    def __init__(self, client: Client, domain: Domain, ref: protocol.NonnullDomain) -> None:
        self.client = client
        self.domain = domain
        self.ref = ref
        self.told: list[tuple[Any, ...]] = []
        domain.host.events.receive(self._note)

    def _note(self, event: Event) -> None:
        self.told.append((event.number, *event.details))

    @property
    def state(self) -> tuple[int, int]:
        """Its state and the reason."""
        return self.domain.record.state, self.domain.record.reason


async def _guest(virtd: Virtd, on_crash: str = "destroy") -> Guest:
    client = await virtd.connect("qemu:///system")
    ref = await client.define("web")
    if on_crash != "destroy":
        text = (await client.xml(ref)).replace(
            "<on_crash>destroy</on_crash>", f"<on_crash>{on_crash}</on_crash>"
        )
        ref = (await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))).dom
    await client.start(ref)
    domain = virtd.host("qemu").domains.by_uuid(ref.uuid)
    assert domain is not None
    return Guest(client, domain, ref)


@pytest.mark.parametrize(
    ("on_crash", "state", "told"),
    [
        ("destroy", (5, 3), [(LIFE, 8, 0), (LIFE, 5, 2)]),
        ("restart", (1, 9), [(LIFE, 8, 0), (REBOOT,), (LIFE, 4, 0)]),
        ("preserve", (6, 1), [(LIFE, 8, 0)]),
    ],
)
async def test_a_crash_is_followed_by_what_the_document_says(
    virtd: Virtd, on_crash: str, state: tuple[int, int], told: list[tuple[Any, ...]]
) -> None:
    guest = await _guest(virtd, on_crash)
    inject(guest.domain, "crash", {})
    assert (guest.state, guest.told) == (state, told)


async def test_an_io_error_pauses_the_guest_and_shows_in_the_errors_of_its_disks(
    virtd: Virtd,
) -> None:
    guest = await _guest(virtd)
    inject(guest.domain, "io-error", {"reason": "enospc"})
    assert guest.state == (3, 5)
    numbers = [one[0] for one in guest.told]
    assert numbers == [DomainEventID.IO_ERROR, DomainEventID.IO_ERROR_REASON, LIFE]
    assert guest.told[1][1:] == ("/d/web.img", "virtio-disk0", 1, "enospc")
    assert guest.told[2] == (LIFE, 3, 2)
    args = protocol.DomainGetDiskErrorsArgs(guest.ref, 8, 0)
    errors = (await guest.client.call(protocol.DOMAIN_GET_DISK_ERRORS, args)).errors
    assert [(one.disk, one.error) for one in errors] == [("vda", 2)]
    await guest.client.call(protocol.DOMAIN_RESUME, protocol.DomainArgs(guest.ref))
    assert guest.state == (1, 5)
    errors = (await guest.client.call(protocol.DOMAIN_GET_DISK_ERRORS, args)).errors
    assert errors == []


@pytest.mark.parametrize(
    ("event", "values", "state", "last"),
    [
        ("kill", {}, (5, 3), (LIFE, 5, 5)),
        ("watchdog", {}, (3, 6), (LIFE, 3, 3)),
        ("watchdog", {"action": "none"}, (1, 1), (3, 0)),
        ("watchdog", {"action": "reset"}, (1, 1), (REBOOT,)),
        ("watchdog", {"action": "poweroff"}, (5, 1), (LIFE, 5, 0)),
        ("io-error", {"action": "report"}, (1, 1), (6, "/d/web.img", "virtio-disk0", 2, "")),
        ("shutdown", {}, (5, 1), (LIFE, 5, 0)),
        ("reboot", {}, (1, 1), (REBOOT,)),
        ("stop", {}, (5, 3), (LIFE, 5, 2)),
        ("stop", {"reason": "migrated"}, (5, 4), (LIFE, 5, 3)),
        ("stop", {"reason": "from-snapshot"}, (5, 7), (LIFE, 5, 6)),
        ("suspend", {}, (3, 1), (LIFE, 3, 0)),
        ("suspend", {"reason": "postcopy-failed"}, (3, 13), (LIFE, 3, 8)),
        ("resume", {"reason": "migrated"}, (1, 2), (LIFE, 4, 1)),
        ("pmsuspend", {}, (7, 0), (12,)),
        ("lifecycle", {"event": "started", "detail": "4"}, (1, 1), (LIFE, 2, 4)),
        ("rtc-change", {"offset": "-3600"}, (1, 1), (2, -3600)),
        ("tray-change", {"reason": "open"}, (1, 1), (10, "virtio-disk0", 0)),
        ("device-removed", {"alias": "net0"}, (1, 1), (15, "net0")),
        ("control-error", {}, (1, 1), (7,)),
        ("memory-failure", {}, (1, 1), (25, 1, 1, 0)),
        (
            "block-threshold",
            {"threshold": "7"},
            (1, 1),
            (24, "vda", "/d/web.img", 7, 0),
        ),
    ],
)
async def test_an_event_changes_the_state_and_is_told(
    virtd: Virtd,
    event: str,
    values: dict[str, str],
    state: tuple[int, int],
    last: tuple[Any, ...],
) -> None:
    guest = await _guest(virtd)
    inject(guest.domain, event, values)
    assert (guest.state, guest.told[-1]) == (state, last)


async def test_a_guest_starts_for_any_reason(virtd: Virtd) -> None:
    guest = await _guest(virtd)
    inject(guest.domain, "stop", {})
    inject(guest.domain, "start", {"reason": "migrated"})
    assert guest.state == (1, 2)
    assert (LIFE, 2, 1) in guest.told
    with pytest.raises(RpcError, match="already running"):
        inject(guest.domain, "start", {})


@pytest.mark.parametrize("event", ["crash", "kill", "io-error", "watchdog", "shutdown", "stop"])
async def test_nothing_happens_to_a_guest_that_does_not_run(virtd: Virtd, event: str) -> None:
    guest = await _guest(virtd)
    inject(guest.domain, "stop", {})
    guest.told.clear()
    with pytest.raises(RpcError) as caught:
        inject(guest.domain, event, {})
    assert caught.value.code == ErrorCode.OPERATION_INVALID
    assert guest.told == []


async def _addresses(guest: Guest) -> list[str]:
    args = protocol.DomainInterfaceAddressesArgs(guest.ref, 0, 0)
    found = (await guest.client.call(protocol.DOMAIN_INTERFACE_ADDRESSES, args)).ifaces
    return [address.addr for one in found for address in one.addrs]


async def test_an_address_changes_goes_and_comes_again(virtd: Virtd) -> None:
    guest = await _guest(virtd)
    (first,) = await _addresses(guest)
    inject(guest.domain, "address", {"address": "next"})
    (second,) = await _addresses(guest)
    assert second != first
    wanted = next(one for one in ("192.168.122.15", "192.168.122.16") if one != second)
    inject(guest.domain, "address", {"address": wanted})
    assert await _addresses(guest) == [wanted]
    inject(guest.domain, "address", {"address": "none"})
    assert await _addresses(guest) == []
    inject(guest.domain, "address", {"address": first})
    assert await _addresses(guest) == [first]


@pytest.mark.parametrize("wrong", ["10.0.0.1", "192.168.122.1", "192.168.122.255", "seven"])
async def test_an_address_that_the_network_cannot_give_is_refused(virtd: Virtd, wrong: str) -> None:
    guest = await _guest(virtd)
    with pytest.raises(RpcError, match="cannot give the address"):
        inject(guest.domain, "address", {"address": wrong})


async def test_an_agent_comes_goes_and_answers_as_told(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    channel = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
    text = DOMAIN.format(title="kvm", name="web").replace("</devices>", f"{channel}</devices>")
    ref = (await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))).dom
    await client.start(ref)
    domain = virtd.host("qemu").domains.by_uuid(ref.uuid)
    assert domain is not None
    ask = {"execute": "guest-get-host-name"}
    inject(domain, "agent-connect", {})
    assert agent_asking.command(domain, ask) == {"return": {"host-name": "web"}}
    reply = {"command": "guest-get-host-name", "return": '{"host-name": "mail"}'}
    inject(domain, "agent-reply", reply)
    assert agent_asking.command(domain, ask) == {"return": {"host-name": "mail"}}
    inject(domain, "agent-reply", {"command": "guest-get-host-name", "error": "it is tired"})
    with pytest.raises(RpcError, match="'guest-get-host-name': it is tired"):
        agent_asking.command(domain, ask)
    inject(domain, "agent-reply", {"command": "guest-get-host-name"})
    assert agent_asking.command(domain, ask) == {"return": {"host-name": "web"}}
    inject(domain, "agent-disconnect", {})
    with pytest.raises(RpcError, match="agent is not connected"):
        agent_asking.command(domain, ask)


@pytest.mark.parametrize(
    ("event", "values", "reason"),
    [
        ("explode", {}, "'explode' is not an event"),
        ("crash", {"how": "hard"}, "'crash' has no value 'how'; its values are: none"),
        ("io-error", {"action": "jump"}, "'jump' is not a value of 'action'"),
        ("rtc-change", {}, "'rtc-change' needs a value 'offset'"),
        ("rtc-change", {"offset": "soon"}, "'soon' is not a value of 'offset'"),
        ("agent-reply", {"command": "guest-info", "return": "{"}, "'return' is not JSON"),
    ],
)
def test_an_event_that_cannot_be_is_refused(
    event: str, values: dict[str, str], reason: str
) -> None:
    with pytest.raises(RuleError) as caught:
        happenings.check(event, values)
    assert str(caught.value).startswith(reason)


# How a guest behaves -----------------------------------------------------------------------------

MINUTES = 600.0


async def _asked(guest: Guest, procedure: Any) -> None:
    args: Any = protocol.DomainArgs(guest.ref)
    if procedure is protocol.DOMAIN_REBOOT:
        args = protocol.DomainFlagsArgs(guest.ref, 0)
    await guest.client.call(procedure, args)


@pytest.mark.parametrize("asked", [protocol.DOMAIN_SHUTDOWN, protocol.DOMAIN_REBOOT])
async def test_a_guest_ignores_a_shutdown_until_it_behaves_again(virtd: Virtd, asked: Any) -> None:
    guest = await _guest(virtd)
    inject(guest.domain, "behave", {"shutdown": "ignore"})
    await _asked(guest, asked)
    assert (guest.state, guest.told) == ((1, 1), [])
    inject(guest.domain, "behave", {})
    await _asked(guest, asked)
    assert guest.told


@pytest.mark.parametrize("asked", [protocol.DOMAIN_SHUTDOWN, protocol.DOMAIN_REBOOT])
async def test_a_guest_crashes_when_it_is_asked_to_shut_down(virtd: Virtd, asked: Any) -> None:
    guest = await _guest(virtd)
    inject(guest.domain, "behave", {"shutdown": "crash"})
    await _asked(guest, asked)
    assert (guest.state, guest.told) == ((5, 3), [(LIFE, 8, 0), (LIFE, 5, 2)])


async def test_a_guest_takes_its_time_to_shut_down(virtd: Virtd) -> None:
    guest = await _guest(virtd)
    inject(guest.domain, "behave", {"delay": "600000"})
    await _asked(guest, protocol.DOMAIN_SHUTDOWN)
    (((uuid, what), seconds),) = guest.domain.host.timers.pending()
    assert (uuid, what) == (guest.domain.uuid, "shutdown")
    assert 500 < seconds <= MINUTES


@pytest.mark.parametrize("host", ["test", "qemu"])
async def test_a_guest_crashes_at_each_boot(virtd: Virtd, host: str) -> None:
    client = await virtd.connect(f"{host}:///system" if host == "qemu" else "test:///default")
    ref = await client.define("web")
    domain = virtd.host(host).domains.by_uuid(ref.uuid)
    assert domain is not None
    inject(domain, "behave", {"boot": "crash"})
    for _ in range(2):
        await client.start(ref)
        assert (domain.record.state, domain.record.reason) == (5, 3)
    inject(domain, "behave", {})
    await client.start(ref)
    assert domain.record.state == 1


async def test_a_way_of_booting_counts_from_the_next_boot_and_not_for_a_pause(virtd: Virtd) -> None:
    guest = await _guest(virtd)
    inject(guest.domain, "behave", {"boot": "crash"})
    await _asked(guest, protocol.DOMAIN_SUSPEND)
    await _asked(guest, protocol.DOMAIN_RESUME)
    assert guest.state == (1, 5)
    inject(guest.domain, "reboot", {})
    assert guest.state == (5, 3)


async def test_the_agent_of_a_guest_that_hangs_at_its_boot_never_answers(virtd: Virtd) -> None:
    guest = await _guest(virtd)
    channel = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
    text = (await guest.client.xml(guest.ref)).replace("</devices>", channel + "</devices>")
    await guest.client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))
    for boot, state in (("hang", "disconnected"), ("normal", "connected")):
        inject(guest.domain, "stop", {})
        inject(guest.domain, "behave", {"boot": boot})
        await guest.client.start(guest.ref)
        assert guest.domain.record.facts.agent == state


@pytest.mark.parametrize("asked", [protocol.DOMAIN_SHUTDOWN, protocol.DOMAIN_REBOOT])
@pytest.mark.parametrize("end", ["destroyed", "reset"])
async def test_a_guest_that_was_ended_does_nothing_of_what_it_was_asked_before(
    virtd: Virtd, asked: Any, end: str
) -> None:
    guest = await _guest(virtd)
    virtd.host("qemu").pace.shutdown = MINUTES
    await _asked(guest, asked)
    assert guest.domain.host.timers.pending()
    if end == "destroyed":
        await _asked(guest, protocol.DOMAIN_DESTROY)
    else:
        await guest.client.call(protocol.DOMAIN_RESET, protocol.DomainFlagsArgs(guest.ref, 0))
    assert not guest.domain.host.timers.pending()

"""Everything is served, or the document names it with a reason."""

from __future__ import annotations

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.dispatch.serving import answers
from aiovirt.daemons.virtd.host.functions import TEST_FUNCTIONS
from aiovirt.rpc.wire.errors import ErrorCode
from tests.virtd import served
from tests.virtd.conftest import Virtd


def test_what_is_not_served_is_in_the_document() -> None:
    assert sorted(served.documented()) == sorted(map(served.name_of, served.not_served()))


def test_every_function_of_the_test_driver_is_served() -> None:
    known = {one.function for one in (*protocol.REMOTE, *protocol.QEMU) if not one.event}
    assert known >= TEST_FUNCTIONS
    assert not {one.function for one in served.not_served()} & TEST_FUNCTIONS


async def test_what_is_not_served_is_refused_by_name(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    args = protocol.DomainAttachArgs(1, 0)
    error = await client.refused(protocol.DOMAIN_ATTACH, args)
    assert error.code == ErrorCode.NO_SUPPORT
    assert error.message.endswith("by the connection driver: virDomainQemuAttach")


def test_a_missing_handler_would_be_seen() -> None:
    class Part:
        @answers(protocol.DOMAIN_ATTACH)
        def attach(self, session: object, args: object) -> None: ...

    assert protocol.DOMAIN_ATTACH in served.served([Part])
    assert protocol.DOMAIN_ATTACH in served.not_served()

"""The life of domains, as libvirt's test driver and its qemu driver have it.

Codes, domains and texts are those that libvirt 9.0.0 answers.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.domain import (
    DomainPausedReason,
    DomainRunningReason,
    DomainShutoffReason,
    DomainState,
)
from aiovirt.daemons.virtd.constants.domain_events import DomainEventID, DomainEventType
from aiovirt.daemons.virtd.constants.domain_flags import DomainSaveRestoreFlags, DomainXMLFlags
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from tests.virtd.conftest import DOMAIN, MakeVirtd, Virtd

BOTH = pytest.mark.parametrize("uri", ["test:///default", "qemu:///system"])


async def test_the_test_driver_begins_with_one_running_domain(virtd: Virtd) -> None:
    client = await virtd.connect()
    listed = await client.call(protocol.CONNECT_LIST_ALL_DOMAINS, protocol.ListAllArgs(1, 0))
    assert [(one.name, one.id) for one in listed.domains] == [("test", 1)]
    assert listed.domains[0].uuid.hex() == "6695eb01f6a4830479aa97f2502e193f"


async def test_the_two_hosts_share_nothing(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    listed = await client.call(protocol.CONNECT_LIST_ALL_DOMAINS, protocol.ListAllArgs(1, 0))
    assert listed.domains == []


@BOTH
async def test_a_life(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    domain = await client.define()
    assert domain.id == -1
    assert await client.state(domain) == (DomainState.SHUTOFF, DomainShutoffReason.UNKNOWN)
    await client.start(domain)
    assert await client.state(domain) == (DomainState.RUNNING, DomainRunningReason.BOOTED)
    one = protocol.DomainArgs(domain)
    await client.call(protocol.DOMAIN_SUSPEND, one)
    assert await client.state(domain) == (DomainState.PAUSED, DomainPausedReason.USER)
    await client.call(protocol.DOMAIN_RESUME, one)
    assert await client.state(domain) == (DomainState.RUNNING, DomainRunningReason.UNPAUSED)
    await client.call(protocol.DOMAIN_SHUTDOWN, one)
    assert await client.state(domain) == (DomainState.SHUTOFF, DomainShutoffReason.SHUTDOWN)
    await client.start(domain)
    await client.call(protocol.DOMAIN_DESTROY, one)
    assert await client.state(domain) == (DomainState.SHUTOFF, DomainShutoffReason.DESTROYED)
    await client.call(protocol.DOMAIN_UNDEFINE, one)
    error = await client.refused(protocol.DOMAIN_GET_INFO, one)
    assert error.code == ErrorCode.NO_DOMAIN


REFUSED: list[tuple[str, Any, tuple[ErrorCode, ErrorDomain, str]]] = [
    (
        "test",
        protocol.DOMAIN_SUSPEND,
        (ErrorCode.INTERNAL_ERROR, ErrorDomain.TEST, "internal error: domain 'guest' not running"),
    ),
    (
        "test",
        protocol.DOMAIN_RESUME,
        (ErrorCode.INTERNAL_ERROR, ErrorDomain.TEST, "internal error: domain 'guest' not paused"),
    ),
    (
        "test",
        protocol.DOMAIN_SHUTDOWN,
        (ErrorCode.INTERNAL_ERROR, ErrorDomain.TEST, "internal error: domain 'guest' not running"),
    ),
    (
        "test",
        protocol.DOMAIN_DESTROY,
        (
            ErrorCode.OPERATION_INVALID,
            ErrorDomain.DOMAIN,
            "Requested operation is not valid: domain is not running",
        ),
    ),
    (
        "qemu",
        protocol.DOMAIN_SUSPEND,
        (
            ErrorCode.OPERATION_INVALID,
            ErrorDomain.DOMAIN,
            "Requested operation is not valid: domain is not running",
        ),
    ),
    (
        "qemu",
        protocol.DOMAIN_SHUTDOWN,
        (
            ErrorCode.OPERATION_INVALID,
            ErrorDomain.QEMU,
            "Requested operation is not valid: domain is not running",
        ),
    ),
    (
        "qemu",
        protocol.DOMAIN_DESTROY,
        (
            ErrorCode.OPERATION_INVALID,
            ErrorDomain.DOMAIN,
            "Requested operation is not valid: domain is not running",
        ),
    ),
]


@pytest.mark.parametrize(("driver", "procedure", "error"), REFUSED)
async def test_a_domain_that_is_shut_off_refuses_in_its_drivers_words(
    virtd: Virtd, driver: str, procedure: Any, error: tuple[ErrorCode, ErrorDomain, str]
) -> None:
    uri = {"test": "test:///default", "qemu": "qemu:///system"}[driver]
    client = await virtd.connect(uri)
    found = await client.refused(procedure, protocol.DomainArgs(await client.define()))
    assert (found.code, found.domain, found.message) == error


@BOTH
async def test_two_domains_have_neither_one_name_nor_one_uuid(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    domain = await client.define("one")
    text = await client.xml(domain)
    other = text.replace("<name>one</name>", "<name>two</name>")
    error = await client.refused(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(other))
    assert error.code == ErrorCode.OPERATION_FAILED
    assert "domain 'one' is already defined with uuid" in error.message
    other = text.replace(text[text.index("<uuid>") : text.index("</uuid>") + 7], "")
    error = await client.refused(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(other))
    assert "domain 'one' already exists with uuid" in error.message


@BOTH
async def test_a_transient_domain_is_gone_with_its_guest(virtd: Virtd, uri: str) -> None:
    client = await virtd.connect(uri)
    text = await client.xml(await client.define("model"))
    text = text.replace("<name>model</name>", "<name>brief</name>")
    text = text.replace(text[text.index("<uuid>") : text.index("</uuid>") + 7], "")
    args = protocol.XmlDescFlagsArgs(text, 0)
    domain = (await client.call(protocol.DOMAIN_CREATE_XML, args)).dom
    assert domain.id > 0
    await client.call(protocol.DOMAIN_DESTROY, protocol.DomainArgs(domain))
    error = await client.refused(protocol.DOMAIN_LOOKUP_BY_NAME, protocol.NameArgs("brief"))
    assert error.code == ErrorCode.NO_DOMAIN


async def test_events_come_in_order_and_after_the_reply(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    observer = await virtd.connect("qemu:///system")
    seen: list[tuple[int, str, int, int]] = []
    observer.rpc.on_event(
        protocol.DOMAIN_EVENT_CALLBACK_LIFECYCLE,
        lambda one: seen.append((one.callbackID, one.msg.dom.name, one.msg.event, one.msg.detail)),
    )
    args = protocol.ConnectDomainEventCallbackRegisterAnyArgs(DomainEventID.LIFECYCLE, None)
    number = (
        await observer.call(protocol.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, args)
    ).callbackID
    domain = await client.define()
    await client.start(domain)
    await client.call(protocol.DOMAIN_SUSPEND, protocol.DomainArgs(domain))
    await client.call(protocol.DOMAIN_DESTROY, protocol.DomainArgs(domain))
    await observer.state(domain)  # whatever came before its reply has come
    assert seen == [
        (number, "guest", DomainEventType.DEFINED, 0),
        (number, "guest", DomainEventType.RESUMED, 0),
        (number, "guest", DomainEventType.STARTED, 0),
        (number, "guest", DomainEventType.SUSPENDED, 0),
        (number, "guest", DomainEventType.STOPPED, 1),
    ]
    await observer.call(
        protocol.CONNECT_DOMAIN_EVENT_CALLBACK_DEREGISTER_ANY, protocol.CallbackArgs(number)
    )
    await client.start(domain)
    await observer.state(domain)
    assert len(seen) == 5


def _modes(folder: Path) -> set[int]:
    return {path.stat().st_mode & 0o777 for path in folder.iterdir()}


async def test_everything_answered_is_there_after_the_process(
    make_virtd: MakeVirtd, tmp_path: Path
) -> None:
    store = str(tmp_path / "store")
    first = await make_virtd(store)
    client = await first.connect("qemu:///system")
    domain = await client.define()
    await client.start(domain)
    await client.call(protocol.DOMAIN_SUSPEND, protocol.DomainArgs(domain))
    text = await client.xml(domain, DomainXMLFlags.SECURE)
    second = await make_virtd(store)  # the first one still has the file open, as after kill -9
    client = await second.connect("qemu:///system")
    assert await client.state(domain) == (DomainState.PAUSED, DomainPausedReason.USER)
    assert await client.xml(domain, DomainXMLFlags.SECURE) == text
    assert _modes(tmp_path) == {0o600}


async def test_a_saved_guest_is_restored(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    await client.start(domain)
    await client.call(protocol.DOMAIN_SAVE, protocol.DomainSaveArgs(domain, "/saved"))
    assert await client.state(domain) == (DomainState.SHUTOFF, DomainShutoffReason.SAVED)
    await client.call(protocol.DOMAIN_RESTORE, protocol.DomainRestoreArgs("/saved"))
    assert await client.state(domain) == (DomainState.RUNNING, DomainRunningReason.RESTORED)
    await client.call(protocol.DOMAIN_MANAGED_SAVE, protocol.DomainFlagsArgs(domain, 0))
    await client.start(domain)
    assert await client.state(domain) == (DomainState.RUNNING, DomainRunningReason.RESTORED)


async def test_a_saved_image_takes_another_document_and_state_of_the_same_guest(
    virtd: Virtd,
) -> None:
    client = await virtd.connect("qemu:///system")
    domain = await client.define()
    await client.start(domain)
    text = await client.xml(domain)
    await client.call(protocol.DOMAIN_SAVE, protocol.DomainSaveArgs(domain, "/saved"))
    define = protocol.DOMAIN_SAVE_IMAGE_DEFINE_XML
    renamed = text.replace("<name>guest<", "<name>other<")
    args = protocol.DomainSaveImageDefineXmlArgs("/saved", renamed, 0)
    error = await client.refused(define, args)
    assert (error.code, error.domain) == (ErrorCode.CONFIG_UNSUPPORTED, ErrorDomain.DOMAIN)
    assert error.message.endswith("Target domain name other does not match source guest")
    changed = text.replace("<on_reboot>restart<", "<on_reboot>destroy<")
    args = protocol.DomainSaveImageDefineXmlArgs("/saved", changed, DomainSaveRestoreFlags.PAUSED)
    await client.call(define, args)
    await client.call(protocol.DOMAIN_RESTORE, protocol.DomainRestoreArgs("/saved"))
    assert (await client.state(domain))[0] == DomainState.PAUSED
    assert "<on_reboot>destroy</on_reboot>" in await client.xml(domain)


async def test_a_running_guest_of_qemu_has_whole_mebibytes_of_memory(virtd: Virtd) -> None:
    client = await virtd.connect("qemu:///system")
    text = DOMAIN.format(title="qemu", name="guest").replace("'MiB'>512<", "'KiB'>1500<")
    define = await client.call(protocol.DOMAIN_DEFINE_XML, protocol.XmlArgs(text))
    await client.start(define.dom)
    live = await client.xml(define.dom)
    assert "<memory unit='KiB'>2048</memory>" in live
    assert "<currentMemory unit='KiB'>2048</currentMemory>" in live
    assert "<memory unit='KiB'>1500</memory>" in await client.xml(
        define.dom, DomainXMLFlags.INACTIVE
    )


async def test_the_test_driver_has_only_its_own_functions(virtd: Virtd) -> None:
    client = await virtd.connect()
    error = await client.refused(protocol.CONNECT_NUM_OF_SECRETS, None)
    assert (error.code, error.domain) == (ErrorCode.NO_SUPPORT, ErrorDomain.SECRET)
    assert error.message.endswith("by the connection driver: virConnectNumOfSecrets")
    await asyncio.sleep(0)

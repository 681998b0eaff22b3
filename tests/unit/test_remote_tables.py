"""The tables of the remote program: what libvirt's interface definition and its library say of them."""

from __future__ import annotations

import importlib
import pkgutil
from enum import IntEnum, IntFlag
from typing import Any

import pytest

from aiovirt.daemons.virtd import constants, protocol
from aiovirt.daemons.virtd.constants.domain_flags import ConnectListAllDomainsFlags, DomainXMLFlags
from aiovirt.daemons.virtd.protocol import QEMU, REMOTE, limits
from aiovirt.daemons.virtd.protocol.chars import CharArray, Chars
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.program import Procedure

ALL = [*REMOTE, *QEMU]


def _names(chosen: Any) -> set[str]:
    return {one.name for one in ALL if chosen(one)}


def test_every_procedure_is_a_name_of_the_package() -> None:
    for one in REMOTE:
        assert getattr(protocol, one.name) is one


@pytest.mark.parametrize("procedure", ALL, ids=str)
def test_every_type_compiles(procedure: Procedure[Any, Any]) -> None:
    assert procedure.encode_args
    assert procedure.decode_args
    assert procedure.encode_result
    assert procedure.decode_result


def test_counts_are_those_of_the_definition() -> None:
    assert len([one for one in REMOTE if one.event]) == 51
    assert len([one for one in REMOTE if one.priority]) == 184
    assert len(QEMU) == 7


def test_authentication_needs_none() -> None:
    assert _names(lambda one: not one.needs_auth) == {
        "AUTH_LIST",
        "AUTH_SASL_INIT",
        "AUTH_SASL_START",
        "AUTH_SASL_STEP",
        "AUTH_POLKIT",
    }


def test_streams_follow_these() -> None:
    assert _names(lambda one: one.stream) == {
        "DOMAIN_MIGRATE_PREPARE_TUNNEL",
        "DOMAIN_MIGRATE_PREPARE_TUNNEL3",
        "DOMAIN_MIGRATE_PREPARE_TUNNEL3_PARAMS",
        "DOMAIN_OPEN_CHANNEL",
        "DOMAIN_OPEN_CONSOLE",
        "DOMAIN_SCREENSHOT",
        "STORAGE_VOL_DOWNLOAD",
        "STORAGE_VOL_UPLOAD",
    }


def test_descriptors_come_with_these() -> None:
    assert _names(lambda one: one.call_fds) == {
        "DOMAIN_CREATE_WITH_FILES",
        "DOMAIN_CREATE_XML_WITH_FILES",
        "DOMAIN_FD_ASSOCIATE",
        "DOMAIN_MONITOR_COMMAND_WITH_FILES",
        "DOMAIN_OPEN_GRAPHICS",
    }
    assert _names(lambda one: one.reply_fds) == {
        "DOMAIN_MONITOR_COMMAND_WITH_FILES",
        "DOMAIN_OPEN_GRAPHICS_FD",
    }


@pytest.mark.parametrize(
    ("procedure", "reads"),
    [
        (protocol.DOMAIN_GET_XML_DESC, True),  # but not with SECURE
        (protocol.CONNECT_GET_ALL_DOMAIN_STATS, True),
        (protocol.CONNECT_DOMAIN_EVENT_CALLBACK_REGISTER_ANY, True),
        (protocol.STORAGE_VOL_GET_INFO, True),
        (protocol.DOMAIN_CREATE, False),
        (protocol.DOMAIN_GET_HOSTNAME, False),  # asks the guest
        (protocol.DOMAIN_MEMORY_PEEK, False),
        (protocol.DOMAIN_SAVE_IMAGE_GET_XML_DESC, False),
        (protocol.SECRET_GET_VALUE, False),
        (protocol.STORAGE_VOL_DOWNLOAD, False),
    ],
    ids=str,
)
def test_what_reads_is_what_libvirt_lets_a_reader_call(
    procedure: Procedure[Any, Any], reads: bool
) -> None:
    assert procedure.reads == reads


class TestChars:
    """C's arrays of characters, which travel as ints."""

    def test_a_counted_one(self) -> None:
        label = protocol.DomainGetSecurityLabelRet(b"a\xff", 1)
        data = bytes.fromhex("00000002 00000061 ffffffff 00000001")
        assert xdr.encode(label) == data
        assert xdr.decode(protocol.DomainGetSecurityLabelRet, data) == label
        unsigned = bytes.fromhex("00000002 00000061 000000ff 00000001")
        assert xdr.decode(protocol.DomainGetSecurityLabelRet, unsigned) == label

    def test_a_counted_one_has_its_bound(self) -> None:
        with pytest.raises(xdr.XdrError, match="at most 4097 bytes"):
            xdr.encode(protocol.DomainGetSecurityLabelRet(b"x" * 4098, 1))
        with pytest.raises(xdr.XdrError, match="maximum of 4097"):
            xdr.decode(protocol.DomainGetSecurityLabelRet, (4098).to_bytes(4, "big") + bytes(99999))
        with pytest.raises(xdr.XdrError, match="ends inside an array"):
            xdr.decode(protocol.DomainGetSecurityLabelRet, (4097).to_bytes(4, "big") + bytes(8))

    def test_one_of_fixed_size(self) -> None:
        info = protocol.NodeGetInfoRet(b"x86_64".ljust(32, b"\0"), 1, 2, 3, 4, 5, 6, 7)
        data = xdr.encode(info)
        assert len(data) == 32 * 4 + 8 + 6 * 4
        found = xdr.decode(protocol.NodeGetInfoRet, data)
        assert found == info
        with pytest.raises(xdr.XdrError, match="exactly 32 bytes"):
            xdr.encode(protocol.NodeGetInfoRet(b"x86_64", 1, 2, 3, 4, 5, 6, 7))
        with pytest.raises(xdr.XdrError, match="ends inside an array"):
            xdr.decode(protocol.NodeGetInfoRet, bytes(127))

    def test_equal_ones_are_equal(self) -> None:
        assert Chars(3) == Chars(3) != Chars(4)
        assert CharArray(3).minimum == 12


def test_limits_are_libvirts() -> None:
    assert limits.DOMAIN_LIST_MAX == 16384
    assert limits.CONNECT_GET_ALL_DOMAIN_STATS_MAX == 262144


def test_constants_have_libvirts_values() -> None:
    assert DomainXMLFlags.MIGRATABLE == 8
    assert ConnectListAllDomainsFlags.HAS_SNAPSHOT == 4096


def test_constants_are_enumerations_of_distinct_names() -> None:
    names: list[str] = []
    for info in pkgutil.iter_modules(constants.__path__, constants.__name__ + "."):
        for name, value in vars(importlib.import_module(info.name)).items():
            if isinstance(value, type) and value.__module__ == info.name:
                assert issubclass(value, IntEnum | IntFlag)
                assert value.__doc__
                assert value.__doc__[-1] == "."
                names.append(name)
    assert len(names) > 150
    assert len(names) == len(set(names))


def test_a_reader_may_call_nothing_of_the_qemu_program() -> None:
    assert [one.name for one in protocol.QEMU if one.reads and not one.event] == []

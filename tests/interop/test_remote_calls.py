"""What a client says to libvirtd before any work, and the same to virtd: both answer alike.

Written from what libvirtd 9.0.0 answered.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from aiovirt.admin.compatibility import version_number
from aiovirt.daemons.virtd import protocol as remote
from aiovirt.daemons.virtd.constants.connect import AuthType, Feature
from aiovirt.daemons.virtd.protocol import ConnectOpenArgs, ConnectSupportsFeatureArgs
from aiovirt.rpc.client import ConnectionLost, connect_unix
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.program import Procedure
from tests import harness

Step = tuple[Procedure[Any, Any], Any]


@pytest.fixture(scope="module", params=["libvirtd", "virtd"])
def daemon(request: pytest.FixtureRequest) -> Iterator[harness.RunningDaemon]:
    if request.param == "libvirtd" and os.geteuid() != 0:
        pytest.skip("what an ordinary user's libvirtd opens for an empty URI depends on the host")
    claimed = {} if request.param == "libvirtd" else {"libvirt_version": "12.8.0"}
    with harness.running(request.param, claimed) as daemon:
        yield daemon


def opening(name: str | None, flags: int = 0) -> Step:
    return remote.CONNECT_OPEN, ConnectOpenArgs(name, flags)


def supports(feature: int) -> Step:
    return remote.CONNECT_SUPPORTS_FEATURE, ConnectSupportsFeatureArgs(feature)


TYPE: Step = (remote.CONNECT_GET_TYPE, None)
URI: Step = (remote.CONNECT_GET_URI, None)
LIST: Step = (remote.AUTH_LIST, None)
REGISTER: Step = (remote.CONNECT_REGISTER_CLOSE_CALLBACK, None)
UNREGISTER: Step = (remote.CONNECT_UNREGISTER_CLOSE_CALLBACK, None)

TEST = opening("test:///default")
DONE = None
NOT_OPEN = (1, 7)


def type_(name: str) -> remote.TypeRet:
    return remote.TypeRet(name)


#: The features of both drivers, among those that a case asks about.
SUPPORTED = frozenset(
    (
        Feature.FD_PASSING,
        Feature.TYPED_PARAM_STRING,
        Feature.PROGRAM_KEEPALIVE,
        Feature.REMOTE_EVENT_CALLBACK,
        Feature.REMOTE_CLOSE_CALLBACK,
        Feature.NETWORK_UPDATE_HAS_CORRECT_ORDER,
    )
)


def uri(text: str) -> remote.ConnectGetUriRet:
    return remote.ConnectGetUriRet(text)


#: Stands for the version of libvirtd, or the one that ours was told to claim.
VERSION = "its version"

CASES: dict[str, list[tuple[Step, object]]] = {
    "nothing is open": [
        ((remote.CONNECT_GET_TYPE, None), NOT_OPEN),
        ((remote.CONNECT_GET_VERSION, None), NOT_OPEN),
        ((remote.CONNECT_GET_HOSTNAME, None), NOT_OPEN),
        ((remote.CONNECT_GET_URI, None), NOT_OPEN),
        ((remote.CONNECT_IS_SECURE, None), NOT_OPEN),
        ((remote.CONNECT_GET_LIB_VERSION, None), NOT_OPEN),
        (REGISTER, NOT_OPEN),
        (UNREGISTER, NOT_OPEN),
        (supports(Feature.REMOTE_CLOSE_CALLBACK), NOT_OPEN),
        (supports(Feature.PROGRAM_KEEPALIVE), remote.ConnectSupportsFeatureRet(1)),
    ],
    "how to authenticate": [(LIST, remote.AuthListRet([AuthType.NONE]))] * 2,
    "the test driver": [
        (TEST, DONE),
        (TYPE, type_("TEST")),
        (URI, uri("test:///default")),
        ((remote.CONNECT_GET_VERSION, None), remote.ConnectGetVersionRet(2)),
        ((remote.CONNECT_GET_LIB_VERSION, None), VERSION),
        ((remote.CONNECT_GET_HOSTNAME, None), remote.HostnameRet(socket.gethostname())),
        ((remote.CONNECT_IS_SECURE, None), remote.ConnectIsSecureRet(1)),
    ],
    "the qemu driver": [
        (opening("qemu:///system"), DONE),
        (TYPE, type_("QEMU")),
        (URI, uri("qemu:///system")),
    ],
    "a session": [(opening("qemu:///session"), DONE), (URI, uri("qemu:///session"))],
    "an empty name": [(opening(""), DONE), (URI, uri("qemu:///system"))],
    "no name": [(opening(None), NOT_OPEN), (TEST, DONE)],
    "twice": [(TEST, DONE), (TEST, (1, 7)), (TYPE, NOT_OPEN), (TEST, DONE)],
    "a driver that there is not": [(opening("foo:///x"), (5, 0)), (TEST, DONE)],
    "no driver named": [(opening("nonsense"), (5, 0)), (TYPE, NOT_OPEN)],
    "no URI at all": [(opening(":::"), (1, 45)), (TYPE, NOT_OPEN)],
    "a path that there is not": [(opening("qemu:///bad"), (1, 0)), (TYPE, NOT_OPEN)],
    "no path": [(opening("qemu:///"), (1, 0))],
    "no path for the test driver": [(opening("test:///"), (8, 12))],
    "not even a URI": [
        *((opening(f"qemu:///system?a={bad}"), (1, 45)) for bad in ("\udcff", "ü", "b c", "%zz")),
        *((opening(bad), (1, 45)) for bad in (" ", "1qemu:///system", "http://[::1")),
    ],
    "an escape": [(opening("qemu:///%73ystem"), DONE), (URI, uri("qemu:///system"))],
    "one slash": [(opening("qemu:/system"), DONE), (URI, uri("qemu:///system"))],
    "a fragment": [(opening("test:///default#x"), DONE), (URI, uri("test:///default#x"))],
    "a user": [(opening("test://me@/default"), DONE), (URI, uri("test://me@/default"))],
    "read-only": [(opening("test:///default", 1), DONE), (TYPE, type_("TEST"))],
    "any flags": [(opening("test:///default", 0xFF), DONE)],
    "features": [
        (TEST, DONE),
        *(
            (supports(number), remote.ConnectSupportsFeatureRet(int(number in SUPPORTED)))
            for number in (*range(1, 3), *range(8, 11), *range(14, 17), 99, -1)
        ),
    ],
    "close callbacks": [
        (TEST, DONE),
        *((step, DONE) for step in (UNREGISTER, REGISTER, REGISTER, UNREGISTER, UNREGISTER)),
    ],
    "good-bye": [((remote.CONNECT_CLOSE, None), DONE), (TYPE, "closed")],
}


@pytest.mark.parametrize("case", CASES)
async def test_both_answer_alike(daemon: harness.RunningDaemon, case: str) -> None:
    async with connect_unix(daemon.socket) as connection:
        for number, ((procedure, args), expected) in enumerate(CASES[case]):
            found: object
            try:
                found = await connection.call(procedure, args, timeout=harness.PATIENCE)
            except RpcError as error:
                found = (error.code, error.domain)
            except ConnectionLost:
                found = "closed"
            if expected is VERSION:
                text = harness.libvirt_version_text() if daemon.is_real else "12.8.0"
                expected = remote.ConnectGetLibVersionRet(version_number(text))
            assert found == expected, f"step {number}: {procedure.name}"

"""Calls that libvirtd and virtd answer alike, by our client."""

from __future__ import annotations

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.client import Host
from aiovirt.daemons.virtd.constants.connect import Feature
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain
from aiovirt.rpc.wire.program import Program
from tests.interop.comparison import Both, Call, plain

CALLS: dict[str, Call] = {
    "type": Host.type,
    "lib_version": Host.lib_version,
    "hostname": Host.hostname,
    "remote_uri": Host.remote_uri,
    "is_secure": Host.is_secure,
    **{
        f"supports_feature {feature.name}": lambda host, feature=feature: host.supports_feature(
            feature
        )
        for feature in (
            Feature.FD_PASSING,
            Feature.PROGRAM_KEEPALIVE,
            Feature.REMOTE_CLOSE_CALLBACK,
            Feature.REMOTE_EVENT_CALLBACK,
            Feature.TYPED_PARAM_STRING,
        )
    },
}


@pytest.mark.parametrize("name", CALLS)
async def test_both_answer_alike(both: Both, name: str) -> None:
    found = await both.same(CALLS[name])
    assert found.refusal is None


async def test_a_difference_is_told(both: Both) -> None:
    async def which(host: Host) -> bool:
        return host is both.ours

    with pytest.raises(AssertionError, match="libvirtd: Outcome"):
        await both.same(which)


async def test_refusals_are_compared_by_code_and_domain(both: Both) -> None:
    later = Program("remote", protocol.REMOTE.number, 1).procedure(9999, "X", xdr.Void, xdr.Void)
    found = await both.same(lambda host: host.call(later, None), text=True)
    assert found.refusal == (ErrorCode.RPC, ErrorDomain.RPC, "unknown procedure: 9999")


def test_fields_may_be_ignored() -> None:
    assert plain({"a": 1, "b": [{"a": 2, "c": 3}]}, {"a"}) == {"b": [{"c": 3}]}

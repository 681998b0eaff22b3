"""The version of libvirt that a daemon claims is a setting, the same in every program."""

from __future__ import annotations

import pytest

from aiovirt.admin.client import connect
from aiovirt.admin.compatibility import LIBVIRT_VERSION, version_number, version_text
from aiovirt.daemons.virtd import protocol as remote
from aiovirt.rpc.client import connect_unix
from tests import harness


@pytest.mark.parametrize("name", harness.OURS)
async def test_it_is_what_the_settings_say(name: str) -> None:
    with harness.running(name, {"libvirt_version": "12.8.1"}) as daemon:
        async with connect(daemon.uri) as conn:
            assert await conn.lib_version() == 12_008_001
        if name != "virtd":
            return
        async with connect_unix(daemon.socket) as connection:
            await connection.call(
                remote.CONNECT_OPEN, remote.ConnectOpenArgs(name="test:///default", flags=0)
            )
            answer = await connection.call(remote.CONNECT_GET_LIB_VERSION, None)
            assert answer.lib_ver == 12_008_001


@pytest.mark.parametrize(
    "text", ["", "9", "9.0", "9.0.0.0", "v9.0.0", "9.0.1000", "9.0.-1", "9.0.x"]
)
def test_what_is_no_version_is_refused_at_the_start(text: str) -> None:
    with pytest.raises(ValueError, match="MAJOR"):
        version_number(text)
    with (
        pytest.raises(harness.DaemonFailed, match="libvirt_version"),
        harness.running("lockd", {"libvirt_version": text}),
    ):
        pass


def test_a_version_is_written_as_it_is_read() -> None:
    for text in ("0.0.0", "9.0.0", "12.8.1", "999.999.999"):
        assert version_text(version_number(text)) == text
    assert version_number("9.0.0") == LIBVIRT_VERSION

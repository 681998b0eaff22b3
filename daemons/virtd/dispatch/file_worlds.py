"""Hosts that are made from a file for one client: `test:///path/file.xml`.

Each client has a host of its own, which ends with its connection. The file is read by a thread, as the
user of the daemon; errors name it and tell nothing of its contents.

Source: libvirt's src/test/test_driver.c (testOpenFromFile).
"""

from __future__ import annotations

from aiovirt.daemons.virtd.host import world_file, worlds
from aiovirt.daemons.virtd.host.flavour import TEST
from aiovirt.daemons.virtd.host.host import Host
from aiovirt.daemons.virtd.host.store import Store
from aiovirt.daemons.virtd.host.world_file import WorldError
from aiovirt.rpc.server.threads import run_blocking
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError


async def host_of(path: str) -> Host:
    """Make a host from a file.

    Args:
        path: of the file, in one of the formats of a world.

    Raises:
        RpcError: XML_ERROR if the file cannot be read; as libvirt's for what is not a world.
    """
    host = Host(TEST)
    host.keep_in(Store(None))
    try:
        text = await run_blocking(world_file.read, path)
        worlds.begin(host, text)
    except WorldError as error:
        raise _refused(path, error) from error
    return host


def restored(data: bytes) -> Host:
    """Return the host whose store this is, as `Store.dump` returned it."""
    store = Store(None)
    store.restored(data)
    host = Host(TEST)
    host.load(store)
    return host


def _refused(path: str, error: WorldError) -> RpcError:
    """The error for a client. libvirt's shows the line that is wrong, which may be a secret."""
    cause = error.__cause__
    if isinstance(cause, RpcError):
        return RpcError(cause.code, cause.message.partition("\n")[0], domain=cause.domain)
    if isinstance(cause, OSError) or cause is None:
        detail = f"failed to parse xml document '{path}'"
        return RpcError.of(ErrorCode.XML_ERROR, detail, domain=ErrorDomain.XML)
    return RpcError.of(ErrorCode.XML_ERROR, str(error).partition("\n")[0], domain=ErrorDomain.XML)

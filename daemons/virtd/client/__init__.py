"""The calling side of libvirt's remote program: hypervisors of libvirtd and virtd, for asyncio.

    async with connect("qemu:///system") as host:
        domain = await host.define(xml)
        await domain.create()
        async with host.events() as events:
            async for event in events:
                print(event)

No C library is needed. `connect` takes libvirt's URIs; every procedure has `host.call`.

Errors: RpcError is a refusal, with libvirt's code and domain; ConnectionLost is the end of the
connection; UriError is a URI that leads nowhere.
"""

from aiovirt.admin.uri import UriError
from aiovirt.daemons.virtd.client.authentication import authenticate, open_driver
from aiovirt.daemons.virtd.client.checkpoint import Checkpoint
from aiovirt.daemons.virtd.client.domain import Domain
from aiovirt.daemons.virtd.client.events import ConnectionEvent, Event, Events
from aiovirt.daemons.virtd.client.host import Host, connect
from aiovirt.daemons.virtd.client.interface import Interface
from aiovirt.daemons.virtd.client.network import Network, NetworkPort
from aiovirt.daemons.virtd.client.nodedev import NodeDevice
from aiovirt.daemons.virtd.client.nwfilter import NwFilter, NwFilterBinding
from aiovirt.daemons.virtd.client.secret import Secret
from aiovirt.daemons.virtd.client.snapshot import Snapshot
from aiovirt.daemons.virtd.client.storage import StoragePool, StorageVol
from aiovirt.daemons.virtd.client.uri import RemoteUri
from aiovirt.rpc.client import ConnectionLost
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.stream import Hole

__all__ = [
    "Checkpoint",
    "ConnectionEvent",
    "ConnectionLost",
    "Domain",
    "Event",
    "Events",
    "Hole",
    "Host",
    "Interface",
    "Network",
    "NetworkPort",
    "NodeDevice",
    "NwFilter",
    "NwFilterBinding",
    "RemoteUri",
    "RpcError",
    "Secret",
    "Snapshot",
    "StoragePool",
    "StorageVol",
    "UriError",
    "authenticate",
    "connect",
    "open_driver",
]

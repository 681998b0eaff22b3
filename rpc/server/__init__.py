"""The serving side: daemon > server > service > client, with registry, workers and dispatch."""

from aiovirt.rpc.server.access import Access, Authentication
from aiovirt.rpc.server.client import Client
from aiovirt.rpc.server.counts import Counts
from aiovirt.rpc.server.daemon import Daemon
from aiovirt.rpc.server.events import broadcast
from aiovirt.rpc.server.handlers import CallWithFds, Handlers, WithFds, WithStream, serves
from aiovirt.rpc.server.options import ServerOptions
from aiovirt.rpc.server.refusals import check_flags
from aiovirt.rpc.server.server import Server
from aiovirt.rpc.server.service import Service
from aiovirt.rpc.server.serving import serve
from aiovirt.rpc.server.state import ClientState
from aiovirt.rpc.server.streams import Stream
from aiovirt.rpc.server.threads import run_blocking
from aiovirt.rpc.server.workers import PoolStats, WorkerPool

__all__ = [
    "Access",
    "Authentication",
    "CallWithFds",
    "Client",
    "ClientState",
    "Counts",
    "Daemon",
    "Handlers",
    "PoolStats",
    "Server",
    "ServerOptions",
    "Service",
    "Stream",
    "WithFds",
    "WithStream",
    "WorkerPool",
    "broadcast",
    "check_flags",
    "run_blocking",
    "serve",
    "serves",
]

"""The serving side: daemon > server > service > client, with registry, workers and dispatch."""

from rpc.server.client import Client
from rpc.server.daemon import Daemon
from rpc.server.handlers import Handlers, WithFds, WithStream
from rpc.server.options import ServerOptions
from rpc.server.server import Server
from rpc.server.service import Service
from rpc.server.streams import Stream
from rpc.server.threads import run_blocking
from rpc.server.workers import PoolStats, WorkerPool

__all__ = [
    "Client",
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
    "run_blocking",
]

"""The options of a server; each of them can be changed while it runs."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class ServerOptions:
    """The knobs of one server, with libvirtd's defaults.

    name: how administration finds it; min_workers, max_workers, prio_workers: see WorkerPool
    (max_workers 0: without a pool); max_clients: connections at a time; max_anonymous_clients:
    unauthenticated ones (0: no limit of their own); max_client_requests: calls of one client under
    way at a time; keepalive_interval: seconds between two PINGs to a client that asked for them
    (-1: never);
    keepalive_count: PINGs without any answer before the connection is closed.
    """

    name: str
    min_workers: int = 5
    max_workers: int = 20
    prio_workers: int = 5
    max_clients: int = 5000
    max_anonymous_clients: int = 20
    max_client_requests: int = 5
    keepalive_interval: int = 5
    keepalive_count: int = 5

"""Answers of a daemon about its servers and clients, as the API's callers get them.

A field that the daemon did not send is None. `received` has everything that it did send, in its order,
so that fields of later versions are not lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiovirt.rpc.wire.typedparams import TypedParam, to_dict

#: A field of `ClientInfo` whose parameter is called otherwise: by libvirt, and by aiovirt before 0.4.
_X509_NAMES: Final = ("tls_x509_dname", "x509_dname")


@dataclass(frozen=True, slots=True)
class ThreadPoolParameters:
    """A server's worker pool, in numbers of threads (of tasks, with our daemons) and of calls.

    min_workers and max_workers bound it; n_workers exist and free_workers of them are idle;
    prio_workers are kept for calls that must not wait; job_queue_depth calls are waiting.
    """

    min_workers: int | None
    max_workers: int | None
    n_workers: int | None
    free_workers: int | None
    prio_workers: int | None
    job_queue_depth: int | None
    received: tuple[TypedParam, ...] = field(repr=False)

    @classmethod
    def from_params(cls, params: Sequence[TypedParam]) -> ThreadPoolParameters:
        """Assign the parameters of an answer to the fields."""
        get: Callable[[str], Any] = to_dict(params).get
        return cls(
            get("minWorkers"),
            get("maxWorkers"),
            get("nWorkers"),
            get("freeWorkers"),
            get("prioWorkers"),
            get("jobQueueDepth"),
            tuple(params),
        )


@dataclass(frozen=True, slots=True)
class ClientLimits:
    """The client limits of a server, and its current numbers of clients.

    max_clients bounds clients; max_unauth_clients bounds unauth_clients, the number of clients that have
    not yet authenticated.
    """

    max_clients: int | None
    clients: int | None
    max_unauth_clients: int | None
    unauth_clients: int | None
    received: tuple[TypedParam, ...] = field(repr=False)

    @classmethod
    def from_params(cls, params: Sequence[TypedParam]) -> ClientLimits:
        """Assign the parameters of an answer to the fields."""
        get: Callable[[str], Any] = to_dict(params).get
        return cls(
            get("nclients_max"),
            get("nclients"),
            get("nclients_unauth_max"),
            get("nclients_unauth"),
            tuple(params),
        )


@dataclass(frozen=True, slots=True)
class ClientInfo:
    """The identity of a client. A field that does not apply to its transport is None.

    readonly: the client is connected to the read-only socket; unix_*: its process, over a UNIX socket;
    sock_addr: its address, over TCP; x509_dname: the distinguished name in its certificate, over TLS
    (`tls_x509_dname` in the protocol); sasl_user_name: its name after SASL; selinux_context: its label.
    """

    readonly: bool | None
    unix_user_id: int | None
    unix_user_name: str | None
    unix_group_id: int | None
    unix_group_name: str | None
    unix_process_id: int | None
    sock_addr: str | None
    sasl_user_name: str | None
    x509_dname: str | None
    selinux_context: str | None
    received: tuple[TypedParam, ...] = field(repr=False)

    @classmethod
    def from_params(cls, params: Sequence[TypedParam]) -> ClientInfo:
        """Assign the parameters of an answer to the fields."""
        known = to_dict(params)
        names = [name for name in cls.__slots__ if name != "received"]
        values: dict[str, Any] = {name: known.get(name) for name in names}
        values["x509_dname"] = next((known[name] for name in _X509_NAMES if name in known), None)
        return cls(**values, received=tuple(params))

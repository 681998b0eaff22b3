"""Migrations that nobody goes on with: their client is gone, or the daemon was.

Source: libvirt's src/qemu/qemu_migration.c (qemuMigrationAnyConnectionClosed) and
src/qemu/qemu_process.c (qemuProcessAutoDestroy, qemuProcessRecoverMigrationIn,
qemuProcessRecoverMigrationOut).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from aiovirt.daemons.virtd.host import arriving, leaving, migration, moving
from aiovirt.daemons.virtd.host.timers import RETRY
from aiovirt.rpc.wire.errors import RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.host.host import Host


def client_gone(host: Host, owner: str) -> None:
    """End what a client has left behind between two phases.

    Args:
        host: what the client had opened.
        owner: the client.
    """
    arrivals = host.migrations.arrivals
    for name in [name for name, one in arrivals.items() if one.owner == owner]:
        del arrivals[name]
    for domain, job in migration.under_way(host):
        if job["owner"] == owner:
            _abandon(domain, job)


def _abandon(domain: Domain, job: dict[str, Any]) -> None:
    one = moving.of(domain)
    if one is not None:  # the call that sends it lets the guest run on
        one.stop("the client is gone")
    elif job["kind"] == migration.OUT:
        _forget(domain, job)
    else:
        end = partial(arriving.give_up, domain, by_client=True)
        try:
            end()
        except RpcError:  # it cannot be stored now
            domain.host.timers.after(RETRY, (domain.uuid, "migration"), end)


def _forget(domain: Domain, job: dict[str, Any]) -> None:
    """Take the job from a guest that was to leave; whether it has arrived is not known if all was
    sent, and it stays paused."""
    if job["phase"] == migration.MOVED:
        leaving.lose(domain)
    else:
        leaving.stay_soon(domain)


def know(host: Host) -> None:
    """Find the guests that have a migration, after the store was read."""
    for one in host.domains.active():
        if migration.job(one) is not None:
            host.migrations.begun(one.uuid)


def recover(host: Host) -> None:
    """End the migrations that were under way when the daemon before this one ended.

    Raises RpcError when that cannot be stored.
    """
    know(host)
    for domain, job in migration.under_way(host):
        if job["kind"] == migration.IN:
            arriving.give_up(domain)
        elif job["phase"] == migration.MOVED:
            migration.end_job(domain)
        else:
            leaving.stay(domain)


def go_on(host: Host) -> None:
    """End the migrations that this program does not go on with, after it has taken over from another.

    Those go on whose client has the next call to make.
    """
    for domain, job in migration.under_way(host):
        if job["kind"] == migration.OUT and (
            job["phase"] == migration.MOVING or job["owner"] == migration.PEER
        ):
            _forget(domain, job)

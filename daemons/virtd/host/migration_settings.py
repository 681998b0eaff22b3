"""Settings of a migration that a guest keeps: speeds, downtime, the cache. Migrations have
the speed.

Source: libvirt's src/qemu/qemu_driver.c (qemuDomainMigrateSetMaxSpeed and its like); the refusals of
values are QEMU's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.host import moving
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain

#: Speeds in MiB/s, the longest downtime in milliseconds, and what a guest begins with.
_SPEED_MAX: Final = (2**63 - 1) // (1 << 20)
_POSTCOPY_MAX: Final = (2**64 - 1) // (1 << 20)
_DOWNTIME_MAX: Final = 2_000_000
_DOWNTIME: Final = 300
_CACHE: Final = 64 << 20
_PAGE: Final = 4096
#: Where a domain keeps its speed, and what a guest keeps until it ends.
_SPEED: Final = "migration-speed"
RUNNING: Final = ("migration-postcopy", "migration-downtime", "migration-cache")


def speed(domain: Domain, *, postcopy: bool) -> int:
    """Return the speed limit, in MiB/s.

    Args:
        domain: whose.
        postcopy: that of the phase after the switch, of a guest that runs.

    Raises:
        RpcError: OPERATION_INVALID for a guest that does not run.
    """
    if not postcopy:
        return int(domain.detail(_SPEED, _SPEED_MAX))
    domain.require_active()
    return int(domain.detail(RUNNING[0], 0))


def limit(domain: Domain) -> int:
    """Return the speed limit of the next migration in MiB/s, 0 for none."""
    return int(domain.detail(_SPEED, 0))


def set_speed(domain: Domain, limit: int, *, postcopy: bool) -> None:
    """Set the speed limit.

    Args:
        domain: whose.
        limit: in MiB/s.
        postcopy: see `speed`.

    Raises:
        RpcError: OVERFLOW for too high a limit; as `speed`.
    """
    most = _POSTCOPY_MAX if postcopy else _SPEED_MAX
    if limit > most:
        raise domain.refused(ErrorCode.OVERFLOW, f"bandwidth must be less than {most + 1}")
    if postcopy:
        domain.require_active()
    domain.keep(RUNNING[0] if postcopy else _SPEED, limit)
    one = moving.of(domain)
    if one is not None and not postcopy:
        one.set_limit(limit)


def downtime(domain: Domain) -> int:
    """Return the longest downtime, in milliseconds. Raises RpcError unless the guest runs."""
    domain.require_active()
    return int(domain.detail(RUNNING[1], _DOWNTIME))


def set_downtime(domain: Domain, limit: int) -> None:
    """Set the longest downtime.

    Args:
        domain: whose.
        limit: in milliseconds.

    Raises:
        RpcError: as `downtime`; INTERNAL_ERROR for more than QEMU takes.
    """
    domain.require_active()
    if limit > _DOWNTIME_MAX:
        raise _refused(
            domain, "'downtime_limit' expects an integer in the range of 0 to (2000 * 1000) ms"
        )
    domain.keep(RUNNING[1], limit)


def cache(domain: Domain) -> int:
    """Return the bytes of the cache for compression. Raises RpcError unless the guest runs."""
    domain.require_active()
    return int(domain.detail(RUNNING[2], _CACHE))


def set_cache(domain: Domain, size: int) -> None:
    """Set the size of the cache for compression.

    Args:
        domain: whose.
        size: in bytes.

    Raises:
        RpcError: as `cache`; INTERNAL_ERROR for a size that QEMU does not take.
    """
    domain.require_active()
    if size < _PAGE or size & (size - 1):
        words = "'xbzrle_cache_size' expects a power of two no less than the target page size"
        raise _refused(domain, words)
    domain.keep(RUNNING[2], size)


def _refused(domain: Domain, words: str) -> RpcError:
    return domain.refused(
        ErrorCode.INTERNAL_ERROR,
        f"unable to execute QEMU command 'migrate-set-parameters': Parameter {words}",
    )

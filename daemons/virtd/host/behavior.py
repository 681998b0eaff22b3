"""How the system of a guest behaves: one that ignores a shutdown, or does not come up.

A test sets it; it is kept with the domain, and the guest behaves as ever without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from aiovirt.daemons.virtd.host.domain import Domain

#: What a guest does when it is asked to shut down or to boot again, and when it boots.
SHUTDOWN: Final = ("normal", "ignore", "crash")
BOOT: Final = ("normal", "hang", "crash")

#: The small thing of a domain that has it.
_KEPT: Final = "behavior"
#: The small thing of a running guest whose system hangs or crashes while it boots.
FAILING: Final = "failing-boot"


def behave(domain: Domain, shutdown: str, boot: str, seconds: float | None) -> None:
    """Let a guest behave in a certain way from now on; a way of booting counts from its next boot.

    Args:
        domain: the guest; it need not run.
        shutdown: one of SHUTDOWN.
        boot: one of BOOT.
        seconds: how long it takes to shut down or to boot again; None for the usual time.

    Raises:
        RpcError: the store cannot be written.
    """
    given = {"shutdown": shutdown, "boot": boot, "seconds": seconds}
    kept = {key: value for key, value in given.items() if value not in (None, "normal")}
    if kept or domain.detail(_KEPT) is not None:
        domain.keep(_KEPT, kept or None)


def at_shutdown(domain: Domain) -> tuple[str, float]:
    """Return what a guest does that is asked to shut down, and the seconds that this takes."""
    kept = domain.detail(_KEPT, {})
    return kept.get("shutdown", "normal"), kept.get("seconds", domain.host.pace.shutdown)


def at_boot(details: dict[str, Any]) -> dict[str, str]:
    """Return what a guest keeps that begins to boot; empty if it comes up.

    Args:
        details: the small things of the domain.
    """
    boot = details.get(_KEPT, {}).get("boot", "normal")
    return {} if boot == "normal" else {FAILING: boot}

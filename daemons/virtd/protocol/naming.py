"""Names for the numbers of the remote program and the QEMU program: references to constants.

Loading the constants takes longer than a start should; a reference to them does not load these.
"""

from __future__ import annotations

from aiovirt.rpc.wire.naming import Named


def names(words: str) -> Named:
    """Return a reference to enumerations of the package `constants`, such as "domain.DomainState"."""
    return Named("aiovirt.daemons.virtd.constants", words)

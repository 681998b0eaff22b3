"""In whose name libvirt refuses a function that no driver has: the domain of its error.

Source: VIR_FROM_THIS in libvirt's src/libvirt*.c, where the public functions are.
"""

from __future__ import annotations

from typing import Any, Final

from aiovirt.rpc.patterns import pattern
from aiovirt.rpc.wire.program import Procedure

#: What a function's name has in it, first match first, with the number of virErrorDomain.
_DOMAINS: Final = (
    (pattern("^vir(Domain|Connect).*Qemu"), 0),
    (pattern("^virDomain.*Checkpoint"), 69),
    (pattern("^virDomain.*Snapshot"), 35),
    (pattern("^virDomain"), 20),
    (pattern("NWFilter"), 33),
    (pattern("NodeDevice"), 22),
    (pattern("Storage"), 18),
    (pattern("Interface"), 26),
    (pattern("Secret"), 30),
    (pattern("Network"), 19),
    (pattern("^virStream"), 38),
)
#: Of the functions about guests in general and about the host (libvirt-domain.c, libvirt-host.c).
_OTHERS: Final = 20


def unsupported_domain(procedure: Procedure[Any, Any]) -> int:
    """The domain of the error for a procedure that nobody serves, by its public function."""
    for functions, domain in _DOMAINS:
        if functions.search(procedure.function):
            return domain
    return _OTHERS

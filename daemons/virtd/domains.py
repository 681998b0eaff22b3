"""In whose name libvirt refuses a function that no driver has: the domain of its error.

Source: VIR_FROM_THIS in libvirt's src/libvirt*.c, where the public functions are.
"""

from __future__ import annotations

import re
from typing import Any, Final

from aiovirt.rpc.wire.program import Procedure

#: What a function's name has in it, first match first, with the number of virErrorDomain.
_DOMAINS: Final = (
    (re.compile("^vir(Domain|Connect).*Qemu"), 0),
    (re.compile("^virDomain.*Checkpoint"), 69),
    (re.compile("^virDomain.*Snapshot"), 35),
    (re.compile("^virDomain"), 20),
    (re.compile("NWFilter"), 33),
    (re.compile("NodeDevice"), 22),
    (re.compile("Storage"), 18),
    (re.compile("Interface"), 26),
    (re.compile("Secret"), 30),
    (re.compile("Network"), 19),
    (re.compile("^virStream"), 38),
)
#: Of the functions about guests in general and about the host (libvirt-domain.c, libvirt-host.c).
_OTHERS: Final = 20


def unsupported_domain(procedure: Procedure[Any, Any]) -> int:
    """The domain of the error for a procedure that nobody serves, by its public function."""
    for pattern, domain in _DOMAINS:
        if pattern.search(procedure.function):
            return domain
    return _OTHERS

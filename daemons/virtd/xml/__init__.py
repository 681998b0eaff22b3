"""Documents of guests, networks, pools and the like, read safely and written as libvirt does.

`read` takes a client's text, `Document.complete` adds what a driver adds and refuses what it refuses,
`Document.text` writes it. The tables (`tables`) say what each kind may hold, in the language of
`rules`; `completion` has what follows from other parts, `checking` what is refused. What calls ask and
set is in `guests`, devices are in `devices` and `changes`, running guests in `live`.

Nothing here imports another part of virtd. lxml is loaded with this package, so virtd loads it before
it is ready, and the other daemons never do.
"""

from __future__ import annotations

from aiovirt.daemons.virtd.xml import isolation
from aiovirt.daemons.virtd.xml.checking import guests as _guest_checks
from aiovirt.daemons.virtd.xml.checking import networks as _network_checks
from aiovirt.daemons.virtd.xml.documents import Document, read
from aiovirt.daemons.virtd.xml.kinds import KINDS

__all__ = ["KINDS", "Document", "prepare", "read"]


def prepare() -> None:
    """Compile all tables and rules, so that no call pays for it; does nothing a second time."""
    isolation.vocabulary()
    _guest_checks.given()
    _guest_checks.completed()
    _network_checks.rules()

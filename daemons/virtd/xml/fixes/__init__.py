"""Corrections of one element that a line of a table cannot say; a table names them as flags.

Each is called after the element and all in it are in shape, sees it as it was given and as it has
become, and may change it; False drops it. The order of its attributes is restored afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiovirt.daemons.virtd.xml.fixes import devices, guests, shared
from aiovirt.daemons.virtd.xml.rules import Scope

Fix = Callable[[Scope], "bool | None"]

FIXES: Final[dict[str, Fix]] = {**shared.FIXES, **guests.FIXES, **devices.FIXES}

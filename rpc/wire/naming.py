"""Names for numbers: enumerations of other modules, which are imported when they are asked for.

A table says beside a number which names its values have, without loading these:

    state: Annotated[xdr.UInt, Named("shop.constants", "orders.OrderState")]
    CLOSE = SHOP.procedure(3, "CLOSE", Args, xdr.Void, flags=Named("shop.constants", "flags.Closing"))
"""

from __future__ import annotations

import importlib
from enum import IntEnum, IntFlag

from aiovirt.rpc.wire.records import frozen


@frozen
class Named:
    """A reference to the enumerations that together name the values of a number.

    Attributes:
        package: the package of their modules.
        words: module and class of each, "orders.OrderState"; several are separated by " | ".
    """

    package: str
    words: str

    @property
    def name(self) -> str:
        """The names of the classes: "Closing | Reopening"."""
        return " | ".join(word.rpartition(".")[2] for word in self._paths())

    def load(self) -> list[type[IntEnum | IntFlag]]:
        """Import the enumerations. Raises ImportError or AttributeError for a wrong reference."""
        found = []
        for path in self._paths():
            module, _, name = path.rpartition(".")
            found.append(getattr(importlib.import_module(f"{self.package}.{module}"), name))
        return found

    def _paths(self) -> list[str]:
        return self.words.split(" | ")

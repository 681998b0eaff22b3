"""Tells which procedures virtd does not serve: `python -m tests.virtd.served [DEMAND]`.

DEMAND is a list of procedures that clients call, one a line: its number, its name (with `qemu:` for
those of the QEMU program) and whatever follows. Without it, all procedures are looked at.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.dispatch.front import RemoteDispatch
from aiovirt.daemons.virtd.dispatch.parts import PARTS, QEMU_PARTS
from aiovirt.daemons.virtd.dispatch.serving import served
from aiovirt.daemons.virtd.host.functions import TEST_FUNCTIONS
from aiovirt.daemons.virtd.sasl import SaslDispatch
from aiovirt.rpc.server import Handlers
from aiovirt.rpc.wire.program import Procedure

DOCUMENT: Final = Path(__file__).resolve().parents[2] / "docs" / "virtd.md"
_HEAD: Final = "| Not served | Reason |"


def name_of(procedure: Procedure[Any, Any]) -> str:
    """The name of a procedure, with its program if that is not the remote program."""
    prefix = "" if procedure.program is protocol.REMOTE else f"{procedure.program.name}:"
    return prefix + procedure.name


def not_served() -> list[Procedure[Any, Any]]:
    """The procedures that have no handler, in the order of the tables."""
    sasl = SaslDispatch("/nonexistent", None)
    front = Handlers.of(RemoteDispatch(sasl, {}), sasl)
    known = {one.procedure for one in front.bindings()}
    known |= {*served(PARTS), *served(QEMU_PARTS)}
    everything = (*protocol.REMOTE, *protocol.QEMU)
    return [one for one in everything if not one.event and one not in known]


def documented() -> dict[str, str]:
    """The reasons that the document gives, by procedure."""
    rows = DOCUMENT.read_text().partition(_HEAD)[2].partition("\n\n")[0].splitlines()[2:]
    found = {}
    for row in rows:
        names, reason = (cell.strip() for cell in row.strip("|").split("|"))
        found.update(dict.fromkeys(re.findall(r"`([^`]+)`", names), reason))
    return found


def _wanted(path: str) -> Iterator[str]:
    for line in Path(path).read_text().splitlines():
        found = re.match(r"\s*q?\d+\s+(\S+)", line)
        if found is not None:
            yield found[1]


def main(arguments: list[str]) -> None:
    """Print the procedures that are not served, with the reasons of the document."""
    wanted = set(_wanted(arguments[0])) if arguments else None
    reasons = documented()
    for procedure in not_served():
        name = name_of(procedure)
        if wanted is None or name in wanted or procedure.function in TEST_FUNCTIONS:
            print(f"{name:40} {reasons.get(name, 'no reason is documented')}")


if __name__ == "__main__":
    main(sys.argv[1:])

"""The known differences of virtd from libvirtd, with their reasons: `differences.txt`.

A reason is a line of its own, and below it stand the invocations that differ for it, indented:

    virtd has no SELinux.
        test security: labels: dominfo test

The list is exact: the test fails for a difference that is not listed, and for one that has gone. Its
reasons are a section of docs/virtd.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

from tests.harness import ROOT
from tests.virtd.interop.story import DRIVERS, HERE, stories

if TYPE_CHECKING:
    from tests.virtd.interop.performing import Compared

FILE: Final = HERE / "differences.txt"
DOCUMENT: Final = ROOT / "docs" / "virtd.md"

#: The reason of what `updated` adds, for which somebody has to write one.
UNEXPLAINED: Final = "No reason yet."

#: Reasons that `updated` finds by itself.
UNSERVED: Final = "virtd does not serve the procedure."
CONSEQUENCE: Final = "An earlier command of the story needs a procedure that virtd does not serve."
WORDS: Final = (
    "A refusal of a document names the place, the value and the right values, where libvirt has other"
    " words."
)
#: The end of a refusal that names the right values.
_RIGHT: Final = " expected)"
_UNSUPPORTED: Final = "this function is not supported by the connection driver"

_BEGIN: Final = "<!-- begin: differences that virsh shows -->\n"
_END: Final = "<!-- end: differences that virsh shows -->\n"


def listed(path: Path = FILE) -> dict[str, str]:
    """Read the reasons, by invocation."""
    found: dict[str, str] = {}
    reason = ""
    for line in path.read_text().splitlines():
        if line.startswith("    "):
            found[line.strip()] = reason
        elif line.strip() and not line.startswith("#"):
            reason = line.strip()
    return found


def key(compared: Compared) -> str:
    """The name of an invocation in the list."""
    return f"{compared.story}: {compared.invocation.label}"


def updated(known: dict[str, str], results: Iterable[Compared]) -> dict[str, str]:
    """Return the list as it is true now; invocations that did not run keep their lines."""
    told = {f"{story}: {one.label}" for story in stories() for one in story.compared}
    made = {one: reason for one, reason in known.items() if one in told}
    incomplete: set[str] = set()
    for compared in results:
        if compared.alike:
            made.pop(key(compared), None)
            continue
        reason = UNEXPLAINED
        if _UNSUPPORTED in compared.virtd.stderr:
            reason = UNSERVED
            incomplete.add(str(compared.story))
        elif compared.virtd.stderr.endswith(_RIGHT):
            reason = WORDS
        elif str(compared.story) in incomplete:
            reason = CONSEQUENCE
        made.setdefault(key(compared), reason)
    return made


def write(known: dict[str, str], path: Path = FILE) -> None:
    """Write the list, reasons in their order, and the section of the document."""
    lines = ["# See differences.py. `python -m tests.virtd.interop --update` corrects this list."]
    for reason in dict.fromkeys(known.values()):
        lines += ["", reason, *(f"    {one}" for one, why in known.items() if why == reason)]
    path.write_text("\n".join(lines) + "\n")
    text = DOCUMENT.read_text()
    before, after = text.partition(_BEGIN)[0], text.partition(_END)[2]
    if section_in(text) != section(known):
        DOCUMENT.write_text(f"{before}{_BEGIN}{section(known)}{_END}{after}")


def section(known: dict[str, str]) -> str:
    """The section of the document: each reason, and how many invocations differ for it."""
    lines = []
    for reason in dict.fromkeys(known.values()):
        count = Counter(one.split()[0] for one, why in known.items() if why == reason)
        shown = ", ".join(f"{driver} {count[driver]}" for driver in DRIVERS if count[driver])
        lines.append(f"- {reason} ({shown})\n")
    return "".join(lines)


def section_in(text: str) -> str:
    """The section as a document has it. Raises ValueError when it has none."""
    if _BEGIN not in text or _END not in text:
        raise ValueError(f"{DOCUMENT.name} has no section between {_BEGIN!r} and {_END!r}")
    return text.partition(_BEGIN)[2].partition(_END)[0]

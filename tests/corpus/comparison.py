"""The comparison: each document through our package, and how it differs from libvirt's text.

A difference is named by the rule that it comes from: the path of the first element that differs.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import zip_longest

from aiovirt.daemons.virtd import xml
from aiovirt.rpc.wire.errors import RpcError
from tests.corpus.oracle import Verdict

_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_MAC = re.compile(r"(?<=<mac address=')[0-9a-f:]{17}(?=')")

#: Why documents differ, by the first element that does.
REASONS = {
    "domain/devices/redirdev/source": "a channel of D-Bus gets a default name",
    "domain/devices/hostdev/address": "host devices of SCSI get the next free unit",
    "domain/devices/controller": "host devices of SCSI get the next free unit",
    "domain/cputune/cachetune": "processors that do not exist are taken out of cache tunes",
}


@dataclass
class Result:
    """How a kind of documents fared."""

    kept: int = 0
    same: int = 0
    refused: int = 0
    refused_too: int = 0
    same_code: int = 0
    differences: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    @property
    def percent(self) -> float:
        """The share of the documents that libvirt keeps which dump back the same."""
        return 100 * self.same / self.kept if self.kept else 0.0

    def note(self, rule: str, path: str) -> None:
        """Count a difference."""
        self.differences[rule] += 1
        self.examples.setdefault(rule, path)


def ours(kind: str, document: str, *, secure: bool = False) -> str | RpcError:
    """Our text of a document that is defined and dumped, or our refusal."""
    try:
        read = xml.read(kind, document)
        read.complete("test")
        return read.text(secure=secure)
    except RpcError as error:
        return error


def without_made(text: str, given: str) -> str:
    """A text in which identifiers that were made, not given, are all the same.

    Args:
        text: ours or libvirt's.
        given: the document as it was given.
    """
    known = given.lower()
    for pattern in (_UUID, _MAC):
        text = pattern.sub(lambda m: m[0] if m[0] in known else "made", text)
    return text


def compare(kind: str, documents: list[tuple[str, str]], verdicts: list[Verdict]) -> Result:
    """Compare our texts with libvirt's.

    Args:
        kind: the kind of documents.
        documents: their paths and texts.
        verdicts: what libvirt said of each.
    """
    result = Result()
    for (path, given), verdict in zip(documents, verdicts, strict=True):
        found = ours(kind, given)
        if "text" not in verdict:
            _refusal(result, path, found, verdict)
            continue
        result.kept += 1
        if isinstance(found, RpcError):
            result.note(f"refused by us: {found.message[:90]}", path)
            continue
        want, got = without_made(verdict["text"], given), without_made(found, given)
        if want == got:
            result.same += 1
        else:
            result.note(first_difference(want, got), path)
    return result


def _refusal(result: Result, path: str, found: str | RpcError, verdict: Verdict) -> None:
    result.refused += 1
    if isinstance(found, RpcError):
        result.refused_too += 1
        result.same_code += int(found.code) == verdict["code"]
    else:
        result.note(f"kept by us: {verdict['message'].splitlines()[0][:90]}", path)


def _paths(text: str) -> Iterator[tuple[str, str]]:
    """Each line of a text with the path of the element that it is about."""
    open_tags: list[str] = []
    for line in text.splitlines():
        tag = re.match(r"\s*</?([\w:.-]+)", line)
        closing = line.lstrip().startswith("</")
        if closing and open_tags:
            open_tags.pop()
        name = tag[1] if tag else ""
        yield "/".join([*open_tags, name]), line
        if tag and not closing and not line.rstrip().endswith("/>") and f"</{name}>" not in line:
            open_tags.append(name)


def first_difference(want: str, got: str) -> str:
    """The rule by which two texts differ: the path of the first element that does.

    Args:
        want: libvirt's text.
        got: ours.
    """
    for wanted, found in zip_longest(_paths(want), _paths(got), fillvalue=("", "")):
        if wanted != found:
            path = wanted[0] or found[0]
            reason = REASONS.get(path)
            return f"{path}: {reason}" if reason else path
    return "white space"

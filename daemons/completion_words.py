"""The words that the completion scripts of all shells offer: options, values and URIs."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from aiovirt.admin.cli.manual import OPTIONS
from aiovirt.daemons.runtime.kind import DaemonKind

#: Options of virtadm whose values can be told, apart from URIs.
_VALUES: Final = (
    (("-d", "--debug"), ("0", "1", "2", "3", "4")),
    (("-o", "--output"), ("text", "json")),
    (("--version",), ("short", "long")),
)


class OwnOptions(NamedTuple):
    """The program's own options of virtadm.

    words: all of them. taking: those that take a value. values: the values of some. uris: URIs that are
    always offered; those of the daemons of the host are asked for.
    """

    words: Sequence[str]
    taking: Sequence[str]
    values: Sequence[tuple[Sequence[str], Sequence[str]]]
    uris: Sequence[str]


class DaemonOption(NamedTuple):
    """An option of a daemon. value: "file", "folder", "other", or empty for none."""

    names: Sequence[str]
    metavar: str
    value: str
    help: str


def own_options(daemons: Iterable[DaemonKind]) -> OwnOptions:
    """Return the options of virtadm. daemons: those whose URIs are offered."""
    words = [word.partition("=")[0].rstrip("[") for row in OPTIONS for word in row[:2] if word]
    taking = [
        word
        for short, long, _ in OPTIONS
        if "=" in long and "[" not in long
        for word in (short, long.partition("=")[0])
        if word
    ]
    uris = ["all", "libvirtd:///system", "libvirtd:///session"]
    return OwnOptions(words, taking, _VALUES, [*uris, *(f"{kind.name}:///" for kind in daemons)])


def daemon_options(declared: Iterable[argparse.Action]) -> list[DaemonOption]:
    """Return the options of a daemon. declared: as argparse has them."""
    return [
        DaemonOption(
            action.option_strings,
            metavar := action.metavar if isinstance(action.metavar, str) else "",
            _VALUE_KINDS.get(metavar, "other" if metavar else ""),
            action.help or "",
        )
        for action in declared
    ]


_VALUE_KINDS: Final = {"FILE": "file", "PATH": "file", "DIR": "folder"}

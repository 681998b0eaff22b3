"""Makes the outputs of two hosts comparable: what differs by chance or by machine gets one name.

Ids, generated UUIDs and MAC addresses, times, and the sizes of the host are replaced; fixed UUIDs stay.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

#: UUIDs of documents and of the test driver's world, which both sides must show.
_KNOWN_UUIDS: Final = re.compile(
    r"6695eb01-f6a4|dd8fe884-6c02|dfe224cb-28fb|11111111-|0000000|aaaaaaaa-|ffffffff-"
)
_UUID: Final = re.compile(r"\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b")

_RULES: Final = tuple(
    (re.compile(pattern, re.MULTILINE), replacement)
    for pattern, replacement in (
        (r"52:54:00(:[0-9a-f]{2}){3}", "MAC"),
        (r"(CPU time: +)[0-9.]+s", r"\1TIME"),
        (r"(<domain type='\w+' id=')\d+'", r"\1ID'"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d( \+0000|\.\d+\+0000)?", "TIME"),
        (r"<creationTime>\d+<", "<creationTime>TIME<"),
        (r"\b1[6-9]\d{8}(\.\d+)?\b", "TIME"),
        (r"^Messages: +tainted: running with undesirable elevated privileges\n?", ""),
        (r"(domain-)\d+(-\w+)", r"\1ID\2"),
    )
)

#: All processors of the machine, however many it has.
_ALL_PROCESSORS: Final = ((r"\b0-\d+$", "ALL"),)

#: Rules for the output of some commands only.
_BY_COMMAND: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "capabilities": ((r"(?s)<uuid>.*</host>", "HOST"),),
    "domcapabilities": (
        (r"(?s)<mode name='host-model' supported='yes'>.*?</mode>", "HOST MODEL"),
        (r" usable='\w+'", ""),
        (r"(?s)<os supported='yes'>.*</os>", "FIRMWARE"),
    ),
    # QEMU tells of its end, and whether libvirtd still listens then is chance.
    # How often QEMU copies what has changed, and a guest without a system boots again, is chance, too.
    "event": (
        (r"^event 'lifecycle' .* Shutdown Finished after host request\n?", ""),
        (r"(?:^event 'migration-iteration' .*\n)+", "event 'migration-iteration'\n"),
        (r"(?:^event 'reboot' .*\n)+", "event 'reboot'\n"),
        (r"^\t(?!operation)(\w+): \d+$", r"\t\1: N"),
    ),
    "domjobinfo": (
        (r"^((?:Time|Data|Mem|Dirty|Iter|Const|Normal|Total|Setup).*?: +)\d.*$", r"\1N"),
    ),
    "domxml-to-native": ((r'"fd":"\d+"', '"fd":"N"'),),
    "version": ((r"(QEMU 7\.2)\.\d+", r"\1"),),
    # The test driver counts the clock; errors are half its seconds.
    "domblkstat": ((r"\b\d{9,}$", "N"),),
    "domifstat": ((r"\b\d{9,}$", "N"),),
    "domstats": ((r"(cpu\.\w+=)\d+", r"\1TIME"),),
    "iothreadinfo": _ALL_PROCESSORS,
    "vcpupin": _ALL_PROCESSORS,
    "emulatorpin": _ALL_PROCESSORS,
    "vcpuinfo": ((r"(CPU Affinity: +)[y-]+", r"\1MAP"),),
    "nodecpustats": ((r"[0-9.]+(%?)$", r"N\1"),),
    "nodememstats": ((r"\d+ KiB$", "N KiB"),),
    "domid": ((r"^\d+$", "ID"),),
    "list": ((r"^ \d+ +", " ID  "),),
    "dominfo": ((r"^(Id: +)\d+", r"\1ID"),),
}


def normalized(text: str, command: str, names: Mapping[str, str]) -> str:
    """Return the output of a command without what differs by chance.

    Args:
        text: the output.
        command: the whole command.
        names: what to replace by names: paths.
    """
    for found, name in names.items():
        text = text.replace(found, name)
    text = _UUID.sub(lambda uuid: uuid[0] if _KNOWN_UUIDS.match(uuid[0]) else "UUID", text)
    for pattern, replacement in _RULES:
        text = pattern.sub(replacement, text)
    for rule, replacement in _BY_COMMAND.get(command.partition(" ")[0], ()):
        text = re.sub(rule, replacement, text, flags=re.MULTILINE)
    return "\n".join(line.rstrip() for line in text.splitlines())

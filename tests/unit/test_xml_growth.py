"""The work on a document grows with its length, not with the square of it.

Work is counted in lines of Python that are run, so that it does not depend on the machine. Two equal
additions to a document cost the same, whatever it had before them; where each device looks at all
others, the second one costs two thirds more.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import FrameType

import pytest

from aiovirt.daemons.virtd import xml
from aiovirt.daemons.virtd.xml import changes, checking, devices, documents, live
from aiovirt.daemons.virtd.xml.checking import guests, networks, qemu
from aiovirt.daemons.virtd.xml.checking import host_objects as objects

#: Elements that are added at a time.
MORE = 32
#: What the second addition may cost, of what the first one did.
GROWTH = 1.15


@cache
def is_ours(path: str) -> bool:
    """Whether a file is a part of the documents' package."""
    return Path(path).resolve().is_relative_to(Path(xml.__file__).parent.resolve())


def lines_of(work: Callable[[], object]) -> int:
    """Count the lines that are run in this package's documents."""
    counted = 0

    def line(frame: FrameType, event: str, arg: object) -> object:
        nonlocal counted
        counted += event == "line"
        return line

    def call(frame: FrameType, event: str, arg: object) -> object:
        return line if is_ours(frame.f_code.co_filename) else None

    earlier = sys.gettrace()
    sys.settrace(call)  # type: ignore[arg-type]  # its stub wants one function for all events
    try:
        work()
    finally:
        sys.settrace(earlier)
    return counted


def assert_steady(work: Callable[[int], Callable[[], object]]) -> None:
    """The second addition costs what the first one did."""
    work(2)()  # what is compiled at first use
    one, two, three = (lines_of(work(number)) for number in (MORE, 2 * MORE, 3 * MORE))
    assert three - two <= GROWTH * (two - one)


def letters(number: int) -> str:
    """Give the letters of a disk's target."""
    text, left = "", number + 1
    while left:
        left, rest = divmod(left - 1, 26)
        text = chr(ord("a") + rest) + text
    return text


def disk(bus: str, head: str) -> Callable[[int], str]:
    """Make disks of a bus."""
    return lambda number: (
        f"<disk type='file' device='disk'><source file='/{number}'/>"
        f"<target dev='{head}{letters(number)}' bus='{bus}'/></disk>"
    )


#: A device of each kind whose addresses, numbers or controllers depend on the others.
DEVICES: dict[str, Callable[[int], str]] = {
    "disks of virtio": disk("virtio", "vd"),
    "disks of SCSI": disk("scsi", "sd"),
    "disks of SATA": disk("sata", "sd"),
    "disks backwards": lambda number: disk("usb", "sd")(1000 - number),
    "interfaces": lambda number: "<interface type='user'/>",
    "interfaces with aliases": lambda n: (
        f"<interface type='user'><alias name='ua-{n}'/></interface>"
    ),
    "channels": lambda n: f"<channel type='unix'><target type='virtio' name='c{n}'/></channel>",
    "consoles": lambda number: "<console type='pty'><target type='virtio'/></console>",
    "serial ports": lambda number: "<serial type='pty'/>",
    "tablets": lambda number: "<input type='tablet' bus='usb'/>",
    "hubs": lambda number: "<hub type='usb'/>",
    "SCSI devices of the host": lambda number: (
        "<hostdev mode='subsystem' type='scsi'><source><adapter name='scsi_host0'/>"
        f"<address bus='0' target='0' unit='{number}'/></source></hostdev>"
    ),
    "controllers": lambda number: "<controller type='scsi'/>",
    "controllers backwards": lambda number: f"<controller type='scsi' index='{1000 - number}'/>",
    "parts of USB controllers": lambda number: (
        "<controller type='usb' model='ich9-ehci1'/><controller type='usb' model='ich9-uhci1'/>"
    ),
    "smart cards": lambda number: "<smartcard mode='host'/>",
    "screens": lambda number: "<graphics type='vnc' port='-1'/>",
    "file systems": lambda n: f"<filesystem><source dir='/{n}'/><target dir='t{n}'/></filesystem>",
}

#: Parts of a guest that refer to each other, by a list of numbers.
PARTS: dict[str, Callable[[range], str]] = {
    "pinned processors": lambda numbers: (
        "<cputune>"
        + "".join(f"<vcpupin vcpu='{one}' cpuset='0'/>" for one in numbers)
        + "</cputune>"
    ),
    "scheduled processors": lambda numbers: (
        "<cputune>"
        + "".join(f"<vcpusched vcpus='{one}' scheduler='batch'/>" for one in numbers)
        + "</cputune>"
    ),
    "threads": lambda numbers: (
        f"<iothreads>{2 * len(numbers)}</iothreads><iothreadids>"
        + "".join(f"<iothread id='{one + 2}'/>" for one in numbers)
        + "</iothreadids><cputune>"
        + "".join(f"<iothreadpin iothread='{one + 2}' cpuset='0'/>" for one in numbers)
        + "</cputune>"
    ),
    "processor features": lambda numbers: (
        "<cpu match='exact'><model>qemu64</model>"
        + "".join(f"<feature policy='require' name='f{one}'/>" for one in numbers)
        + "</cpu>"
    ),
    "nodes": lambda numbers: (
        "<cpu><numa>"
        + "".join(f"<cell id='{one}' cpus='{one}' memory='1024'/>" for one in numbers)
        + "</numa></cpu>"
    ),
    "labels": lambda numbers: "".join(
        f"<seclabel type='static' model='m{one}'><label>x</label></seclabel>" for one in numbers
    ),
}


def guest(inside: str = "", parts: str = "", *, machine: str = "pc") -> str:
    """Write a guest."""
    return (
        "<domain type='qemu'><name>x</name><memory>1048576</memory>"
        f"<vcpu>{1000 if parts else 1}</vcpu>"
        f"<os><type arch='x86_64' machine='{machine}'>hvm</type></os>{parts}"
        f"<devices>{inside}</devices></domain>"
    )


def defined(text: str, flavour: str = "test") -> documents.Document:
    """Read, complete and write a guest."""
    made = documents.read("domain", text)
    made.complete(flavour)
    made.text(secure=True)
    return made


def several(kind: str, count: int) -> str:
    """Write devices of a kind."""
    return "".join(map(DEVICES[kind], range(count)))


@pytest.mark.parametrize("kind", DEVICES)
def test_a_device_costs_the_same_however_many_there_are(kind: str) -> None:
    assert_steady(lambda count: lambda: defined(guest(several(kind, count))))


@pytest.mark.parametrize("kind", PARTS)
def test_a_part_costs_the_same_however_many_there_are(kind: str) -> None:
    assert_steady(lambda count: lambda: defined(guest(parts=PARTS[kind](range(count)))))


@pytest.mark.parametrize("kind", ["disks of SCSI", "tablets", "hubs", "channels", "screens"])
def test_an_address_of_qemu_costs_the_same_however_many_there_are(kind: str) -> None:
    assert_steady(lambda count: lambda: defined(guest(several(kind, count)), "qemu"))


def test_a_port_of_pci_express_costs_the_same_however_many_there_are() -> None:
    text = "<input type='tablet' bus='virtio'/>"
    assert_steady(lambda count: lambda: defined(guest(text * count, machine="q35"), "qemu"))


@pytest.mark.parametrize("kind", ["interfaces", "interfaces with aliases", "serial ports"])
def test_an_alias_costs_the_same_however_many_there_are(kind: str) -> None:
    def started(count: int) -> Callable[[], object]:
        made = defined(guest(several(kind, count)))
        return lambda: live.start(made, 1, aliases=True)

    assert_steady(started)


def test_attaching_a_device_costs_the_same_for_each_device_that_exists() -> None:
    def attached(count: int) -> Callable[[], object]:
        made = defined(guest(several("disks of SCSI", count)))
        new = devices.read_device(disk("scsi", "sd")(900))
        return lambda: changes.attach(made, new)

    assert_steady(attached)


def test_no_condition_compares_each_element_with_all_others() -> None:
    rules = (
        *(guests.bounds, guests.given, guests.shaped, guests.completed),
        *(networks.given, networks.rules, qemu.places, qemu.rules),
        *(objects.pools, objects.secrets, objects.filters),
    )
    quadratic = re.compile(r"(preceding|following)|\[[^]]*count\((\.\.|/)|= */\*/")
    found = [
        source
        for made in rules
        for rule in made().all
        if isinstance(rule, checking.Condition)
        for source in (rule.source, *(value.path for value in rule.values))
        if quadratic.search(source)
    ]
    # These are looked at only to say what a refused document has.
    assert all(source.startswith("string(") for source in found), found

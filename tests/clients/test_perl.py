"""Perl: Sys::Virt, as Debian has it, on virtd as on libvirtd."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests import harness
from tests.clients.sides import HERE, HOSTS, Command, Sides, both_sides, run

_PERL: Final = "/usr/bin/perl"

#: Programs that come with Sys::Virt, for the world of libvirt's test driver.
_EXAMPLES: Final = Path("/usr/share/doc/libsys-virt-perl/examples")
_EXAMPLE_COMMANDS: Final = (
    "devices.pl @uri",
    "dom-ifinfo.pl @uri test",
    "dom-fsinfo.pl @uri test",
    "dom-stats.pl @uri test",
    "dump-info.pl @uri",
    "dump-xml.pl @uri test",
    "fs-freeze.pl @uri test /",
    "hv-stat.pl @uri",
    "iothreadinfo.pl @uri",
    "node-cpu.pl @uri",
    "send-key.pl @uri test",
    "vcpuinfo.pl @uri",
)


@pytest.fixture(scope="module")
def sides() -> Iterator[Sides]:
    """Both daemons."""
    if run([_PERL, "-MSys::Virt", "-e", "1"]).returncode:
        harness.missing("Perl's Sys::Virt is not installed")
    with both_sides() as made:
        yield made


@pytest.mark.parametrize("driver", HOSTS)
def test_a_walk_through_sys_virt_is_the_same(sides: Sides, driver: str) -> None:
    def walk(uri: str, folder: Path) -> list[str]:
        return [_PERL, str(HERE / "perl" / "walk.pl"), uri, driver, str(folder)]

    assert sides.same(driver, walk).endswith("done\n")


def test_the_examples_of_sys_virt_print_the_same(sides: Sides) -> None:
    if not _EXAMPLES.is_dir():
        harness.missing("the examples of Sys::Virt are not installed")
    for words in _EXAMPLE_COMMANDS:
        sides.same("test", _example(words), rules=((re.compile(r"(cpuTime: )\d+"), r"\1TIME"),))


def _example(words: str) -> Command:
    def command(uri: str, folder: Path) -> list[str]:
        program, *arguments = words.replace("@uri", uri).split(" ")
        return [_PERL, str(_EXAMPLES / program), *arguments]

    return command

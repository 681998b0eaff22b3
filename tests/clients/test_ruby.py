"""Ruby: ruby-libvirt and fog-libvirt, as Debian has them, on virtd as on libvirtd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import harness
from tests.clients.sides import HERE, HOSTS, Sides, both_sides, run, transcript

_RUBY = "/usr/bin/ruby"


@pytest.fixture(scope="module")
def sides() -> Iterator[Sides]:
    """Both daemons."""
    harness.require(_RUBY)
    for library in ("libvirt", "fog/libvirt"):
        if run([_RUBY, "-W0", "-e", f"require '{library}'"]).returncode:
            harness.missing(f"Ruby's {library} is not installed")
    with both_sides() as made:
        yield made


@pytest.mark.parametrize("driver", HOSTS)
def test_a_walk_through_ruby_libvirt_is_the_same(sides: Sides, driver: str) -> None:
    def walk(uri: str, folder: Path) -> list[str]:
        return [_RUBY, "-W0", str(HERE / "ruby" / "walk.rb"), uri, driver, str(folder)]

    assert sides.same(driver, walk).endswith("done\n")


@pytest.mark.parametrize("driver", HOSTS)
def test_fog_makes_the_same_machine(sides: Sides, driver: str) -> None:
    def fog(uri: str, folder: Path) -> list[str]:
        return [_RUBY, "-W0", str(HERE / "ruby" / "fog.rb"), uri, driver, str(folder)]

    assert sides.same(driver, fog).endswith("done\n")


def test_a_machine_of_fog_gets_an_address_and_is_halted(sides: Sides) -> None:
    """libvirtd needs dnsmasq and a booted guest for this; virtd has neither."""

    def fog(uri: str, folder: Path) -> list[str]:
        return [_RUBY, "-W0", str(HERE / "ruby" / "fog.rb"), uri, "qemu", str(folder), "default"]

    told = transcript(sides.virtd.uri("qemu"), fog)
    lines = dict(line.split(" = ", 1) for line in told.splitlines() if " = " in line)
    assert lines["address"] == "true", told
    assert lines["lease"] == "[[0, 24]]"  # VIR_IP_ADDR_TYPE_IPV4
    assert lines["display"] == "true"
    assert (lines["suspend"], lines["resume"], lines["halt"]) == (
        '"paused"',
        '"running"',
        '"shutoff"',
    )
    assert lines["volumes"] == '["template.img"]'
    assert told.endswith("done\n")

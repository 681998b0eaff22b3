"""prometheus-libvirt-exporter, as Debian has it, scrapes the same series from virtd as from libvirtd."""

from __future__ import annotations

import re
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pytest

from tests import harness
from tests.clients.sides import HOSTS, Side, Sides, both_sides, run

_EXPORTER: Final = "prometheus-libvirt-exporter"

_GUEST: Final = """
<domain type='qemu'>
  <name>measured</name>
  <uuid>11111111-0000-4000-8000-0000000000d1</uuid>
  <memory unit='MiB'>64</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64' machine='pc'>hvm</type></os>
  <devices>
    <disk type='file' device='disk'>
      <driver name='qemu' type='raw'/>
      <source file='{disk}'/>
      <target dev='vda' bus='virtio'/>
    </disk>
  </devices>
</domain>
"""

_SERIES: Final = re.compile(r"^(libvirt_\S+(?: .*\})?) (\S+)$", re.MULTILINE)


@pytest.fixture(scope="module")
def sides() -> Iterator[Sides]:
    """Both daemons; the qemu host of each has one running guest."""
    harness.require(_EXPORTER)
    virsh = harness.require("virsh")
    with tempfile.TemporaryDirectory(prefix="av-") as name, both_sides() as made:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "disk.img").write_bytes(bytes(1 << 20))
        document = folder / "guest.xml"
        document.write_text(_GUEST.format(disk=folder / "disk.img"))
        for side in (made.libvirtd, made.virtd):
            ran = run([virsh, "-c", side.uri("qemu"), "create", str(document)])
            assert ran.returncode == 0, ran.stderr
        yield made
        for side in (made.libvirtd, made.virtd):
            run([virsh, "-c", side.uri("qemu"), "destroy", "measured"])


@pytest.mark.parametrize("driver", HOSTS)
def test_the_series_are_the_same(sides: Sides, driver: str) -> None:
    theirs, ours = (_scraped(side, driver) for side in (sides.libvirtd, sides.virtd))
    assert theirs["libvirt_up"] == ours["libvirt_up"] == 1
    assert theirs["libvirt_domains_number"] == ours["libvirt_domains_number"] == 1
    assert set(theirs) == set(ours)
    # Counters grow while the guest runs; all other values are of the guest's definition.
    gauges = {name for name in theirs if "_total" not in name}
    assert {name: theirs[name] for name in gauges} == {name: ours[name] for name in gauges}


def test_counters_do_not_fall(sides: Sides) -> None:
    with _exporter(sides.virtd, "qemu") as port:
        first, second = _parsed(_fetched(port)), _parsed(_fetched(port))
    assert first.keys() == second.keys()
    assert not {name for name, value in first.items() if second[name] < value}


def _scraped(side: Side, driver: str) -> dict[str, float]:
    with _exporter(side, driver) as port:
        return _parsed(_fetched(port))


def _parsed(text: str) -> dict[str, float]:
    """The values of all series, by name and labels."""
    return {name: float(value) for name, value in _SERIES.findall(text)}


@contextmanager
def _exporter(side: Side, driver: str) -> Iterator[int]:
    """Run an exporter. The value is its port."""
    port = harness.free_port()
    options = [f"--web.listen-address=127.0.0.1:{port}", f"--libvirt.uri={side.uri(driver)}"]
    process = subprocess.Popen(
        [harness.require(_EXPORTER), *options],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield port
    finally:
        process.kill()
        process.wait()


def _fetched(port: int) -> str:
    """Fetch the text of the exporter as soon as it listens."""
    deadline = time.monotonic() + harness.PATIENCE
    while True:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30) as answer:
                return str(answer.read().decode())
        except urllib.error.URLError:
            assert time.monotonic() < deadline, "the exporter does not answer"
            time.sleep(0.01)

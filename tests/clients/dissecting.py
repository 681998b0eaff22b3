"""Records clients of a virtd over TCP, and lets libvirt's dissector for tshark read the recording."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Final

import pytest

from tests import harness
from tests.clients.apart import PORT

#: Fields of a message, as tshark names them.
_FIELDS: Final = ("libvirt.program", "libvirt.procedure", "libvirt.type", "libvirt.status")


#: Length word, header, and less than 28 bytes of a stream's data.
_SHORT_STREAM: Final = "libvirt.type == 3 && libvirt.length < 56"


def record(capture: Path, script: str) -> subprocess.CompletedProcess[str]:
    """Run a script beside a virtd in a network of its own; see `apart`.

    Args:
        capture: the file for what is sent.
        script: the text of the script.
    """
    if os.geteuid() != 0:
        pytest.skip("a network of its own needs root")
    for program in ("unshare", "dumpcap", "tshark"):
        harness.require(program)
    return subprocess.run(
        ["unshare", "--net", sys.executable, "-m", "tests.clients.apart", str(capture), script],
        cwd=harness.ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=240,
        check=False,
    )


def require_dissector() -> None:
    """Skip the test without libvirt's dissector, or fail it in CI."""
    if "libvirt\tlibvirt" not in _tshark("-G", "protocols"):
        harness.missing("tshark's dissector of libvirt (libvirt-wireshark) is not installed")


def malformed(capture: Path) -> str:
    """Return a line for each packet of virtd with a message that the dissector cannot read.

    The dissector of libvirt 9.0.0 has two faults, which it shows for libvirtd as well. It takes a
    stream's packet with less than 28 bytes of data for malformed. It cannot read the call that looks
    for sources of pools if no specification is given; but only packets of virtd are looked at here.

    Args:
        capture: the recording.
    """
    unreadable = f"tcp.srcport == {PORT} && (_ws.malformed || libvirt.unknown)"
    return _tshark("-r", str(capture), "-Y", f"{unreadable} && !({_SHORT_STREAM})")


def messages(capture: Path) -> Counter[tuple[str, ...]]:
    """Count the messages by program, procedure, type and status, as numbers.

    Args:
        capture: the recording.
    """
    options = [word for field in _FIELDS for word in ("-e", field)]
    lines = _tshark("-r", str(capture), "-Y", "libvirt", "-T", "fields", *options).splitlines()
    # One packet may have several messages, whose fields are then joined by commas.
    columns = (tuple(column.split(",") for column in line.split("\t")) for line in lines)
    return Counter(one for packet in columns for one in zip(*packet, strict=True))


def _tshark(*arguments: str) -> str:
    ran = subprocess.run(
        [harness.require("tshark"), *arguments],
        env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": harness.HOME},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout

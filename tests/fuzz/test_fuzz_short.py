"""What reads bytes passes what was found once, its own seeds, and a short run of the fuzzer."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz import engine
from tests.fuzz.campaign import growth, shares
from tests.fuzz.catalogue import targets
from tests.fuzz.engine import Sample
from tests.fuzz.inputs import kept, load, save
from tests.fuzz.target import Finding, Target
from tests.property.wire_values import programs

ROOT = Path(__file__).parents[2]
TARGETS = targets()
KEPT = list(kept())
EACH = 1000

needs_fuzzer = pytest.mark.skipif(
    not engine.is_available() and os.environ.get("CI") != "true",
    reason="atheris is not installed: it has packages for Linux on x86_64 only",
)


def fuzz(place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`python -m tests.fuzz`, with a deadline that is no measure of anything."""
    command = [sys.executable, "-m", "tests.fuzz", "--place", str(place), *arguments]
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
    )


@pytest.mark.parametrize(("name", "path"), KEPT, ids=[f"{name}-{path.stem}" for name, path in KEPT])
def test_what_was_found_once_passes(name: str, path: Path) -> None:
    engine.watched(TARGETS[name], load(path))


@pytest.mark.parametrize("name", TARGETS)
def test_a_target_passes_its_seeds(name: str) -> None:
    target = TARGETS[name]
    seeds = list(target.seeds())
    assert seeds
    for data in [b"", *seeds]:
        assert len(data) <= target.max_len
        target.check(data)


@needs_fuzzer
def test_a_short_run_finds_nothing(tmp_path: Path) -> None:
    ran = fuzz(tmp_path, "--each", str(EACH), "--jobs", "1", "--seed", "1", "--hang", "60")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    rows = [line.split("|")[1:-1] for line in ran.stdout.splitlines() if line.endswith("| ok |")]
    assert [row[0].strip() for row in rows] == list(TARGETS)
    for row, target in zip(rows, TARGETS.values(), strict=True):
        assert int(row[1].replace(",", "")) >= EACH // target.cost


def test_every_program_has_its_target() -> None:
    for program in programs():
        assert f"decode-{program.name.replace(' ', '-')}" in TARGETS


# The fuzzer itself ---------------------------------------------------------------------------------


def test_a_decoder_that_allocates_what_a_length_says_is_found() -> None:
    def greedy(data: bytes) -> None:
        bytearray(int.from_bytes(data[:4], "big"))

    target = Target("greedy", greedy, lambda: [b""], 1)
    engine.watched(target, b"\0\0\0\1")
    with pytest.raises(Finding, match="took"):
        engine.watched(target, b"\0\xff\xff\xff")


def test_growth_is_told_from_noise() -> None:
    begin, middle = Sample(1, 50 << 20, 1000, 9), Sample(2, 60 << 20, 1500, 9)
    assert not growth((begin, middle, middle))
    for end in (
        middle._replace(resident=200 << 20),
        middle._replace(blocks=1_000_000),
        middle._replace(descriptors=99),
    ):
        assert growth((begin, middle, end))


def test_a_run_is_divided_without_a_rest() -> None:
    parts = shares(TARGETS.values(), 1_000_000)
    assert sum(parts.values()) == 1_000_000
    assert min(parts.values()) > 0


def test_an_input_is_written_down_and_read_again(tmp_path: Path) -> None:
    data = os.urandom(99)
    path = save(tmp_path, "target", data)
    path.write_text("# why\n" + path.read_text())
    assert load(path) == data

"""One target under atheris (libFuzzer), in a process of its own that is forked for it.

libFuzzer owns the process from `Fuzz` on, and ends it. So what is to be known afterwards is written as
it happens: memory into `samples`, libFuzzer's own words into `log`.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.util
import io
import os
import sys
import traceback
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any, Final, NamedTuple

from tests.fuzz.target import Target, expect

#: The packages whose branches and comparisons guide the fuzzer.
_PACKAGES: Final = ["aiovirt"]
#: Every so many inputs one is run with its memory watched.
_WATCHED: Final = 509
#: How often memory is noted in a run that is counted, and how often where only time is.
_SAMPLES: Final = 200
_SAMPLE_EVERY: Final = 5000

SAMPLES: Final = "samples"
LOG: Final = "log"
#: An input that did not pass; libFuzzer writes others, whose names begin like this one's.
FOUND: Final = "found-crash"


class Limits(NamedTuple):
    """What one target gets. runs: inputs; seconds: of time, 0 for any; hang: seconds that one input
    may take; memory: MiB that the process may have."""

    runs: int
    seconds: int = 0
    hang: int = 10
    memory: int = 1024


class Sample(NamedTuple):
    """Memory after so many inputs: resident bytes, blocks that Python has, open descriptors."""

    inputs: int
    resident: int
    blocks: int
    descriptors: int

    @classmethod
    def now(cls, inputs: int) -> Sample:
        """As it is; after a collection, so that what only waits for one is not counted."""
        gc.collect()
        with open("/proc/self/statm", encoding="ascii") as statm:
            resident = int(statm.read().split()[1]) * os.sysconf("SC_PAGESIZE")
        return cls(inputs, resident, sys.getallocatedblocks(), len(os.listdir("/proc/self/fd")))


def is_available() -> bool:
    """Whether atheris is installed."""
    return importlib.util.find_spec("atheris") is not None


def blind(data: bytes, limit: int) -> bytes:
    """An input changed as libFuzzer would do it: bits, bytes, words of its dictionary."""
    import atheris

    changed: bytes = atheris.Mutate(data, limit)
    return changed


@contextlib.contextmanager
def instrumented() -> Iterator[None]:
    """What is imported inside guides the fuzzer, compiled encoders and decoders included."""
    import atheris

    # It says of every module that it takes it.
    with (
        contextlib.redirect_stderr(io.StringIO()),
        atheris.instrument_imports(include=_PACKAGES),
    ):
        codegen: Any = importlib.import_module("aiovirt.rpc.wire.codegen")
        build = codegen.build

        def build_instrumented(source: list[str], scope: Any) -> dict[str, Any]:
            built: dict[str, Any] = build(source, scope)
            for name in ("encode", "decode"):
                if name in built:
                    atheris.instrument_func(built[name])
            return built

        codegen.build = build_instrumented
        yield


def watched(target: Target, data: bytes) -> None:
    """Run one input and see how much memory it takes. Raises Finding."""
    tracemalloc.start()
    try:
        target.check(data)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    most = target.slack + target.factor * len(data)
    expect(
        peak <= most, f"{len(data)} bytes of input took {peak} bytes of memory, {most} are allowed"
    )


def run(target: Target, limits: Limits, folder: Path, corpus: Path, seed: int) -> None:
    """Fuzz one target; never returns. `folder` gets its traces, `corpus` what was worth keeping."""
    import atheris

    seeds = folder / "seeds"
    for place in (seeds, corpus):
        place.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (seeds / f"{number:05}").write_bytes(data)
    dictionary = folder / "words"
    dictionary.write_text("".join(f'"{_escaped(word)}"\n' for word in target.words))
    _redirect(folder / LOG)
    arguments = [
        "fuzz",
        str(corpus),
        str(seeds),
        f"-runs={limits.runs}",
        f"-max_total_time={limits.seconds}",
        f"-timeout={limits.hang}",
        f"-rss_limit_mb={limits.memory}",
        f"-max_len={target.max_len}",
        f"-artifact_prefix={folder}/found-",
        f"-dict={dictionary}",
        f"-seed={seed}",
        "-len_control=0",
        "-print_final_stats=1",
    ]
    every = (
        max(1, min(limits.runs // _SAMPLES, _SAMPLE_EVERY)) if limits.runs > 0 else _SAMPLE_EVERY
    )
    gc.freeze()  # what is here by now stays; looking through it at every sample would take long
    check = _counting(target, folder, every)
    atheris.instrument_func(target.check)
    mutator = _mutator(target)
    atheris.Setup(arguments, check, **({"custom_mutator": mutator} if mutator else {}))
    atheris.Fuzz()


def _counting(target: Target, folder: Path, every: int) -> Callable[[bytes], None]:
    count = 0
    check = target.check
    samples = os.open(folder / SAMPLES, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)

    def one(data: bytes) -> None:
        nonlocal count
        try:
            if count % _WATCHED == 0 and count:
                watched(target, data)
            else:
                check(data)
        except BaseException:  # whatever it is, it is what is looked for
            (folder / FOUND).write_bytes(data)
            traceback.print_exc()
            os._exit(1)
        count += 1
        if count % every == 0:
            os.write(samples, (" ".join(map(str, Sample.now(count))) + "\n").encode())

    return one


def _mutator(target: Target) -> Callable[[bytes, int, int], bytes] | None:
    mutate = target.mutate
    if mutate is None:
        return None
    random = Random()

    def one(data: bytes, limit: int, seed: int) -> bytes:
        random.seed(seed)
        return mutate(data, limit, random)[:limit]

    return one


def _redirect(path: Path) -> None:
    log = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _escaped(word: bytes) -> str:
    return "".join(f"\\x{byte:02x}" for byte in word)

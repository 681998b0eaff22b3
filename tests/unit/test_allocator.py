"""What the C library is told about memory, each in a process of its own."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest

from aiovirt.daemons.runtime import allocator

pytestmark = pytest.mark.skipif(
    not hasattr(ctypes.CDLL(None), "mallinfo2"), reason="needs a glibc of version 2.33 or newer"
)

_PROLOGUE = """
import ctypes, threading
from aiovirt.daemons.runtime import allocator

MIB = 1 << 20
assert allocator.settle()


class Info(ctypes.Structure):
    _fields_ = [(name, ctypes.c_size_t) for name in ("arena", "b", "c", "mapped_blocks")]
    _fields_ += [(name, ctypes.c_size_t) for name in "efghij"]

mallinfo = ctypes.CDLL(None).mallinfo2
mallinfo.restype = Info

def address(block):
    return ctypes.addressof(ctypes.c_char.from_buffer(block))
"""


def run(code: str) -> None:
    """Run code in a new process, after the settling. Raises AssertionError with what it printed."""
    done = subprocess.run(
        [sys.executable, "-c", _PROLOGUE + code], capture_output=True, text=True, check=False
    )
    assert not done.returncode, done.stderr


def test_large_blocks_are_mapped_also_after_larger_ones_were_freed() -> None:
    run("""
for _ in range(2):
    bytearray(30 * MIB)
before = mallinfo().mapped_blocks
block = bytearray(MIB)
assert mallinfo().mapped_blocks == before + 1
""")


def test_the_end_of_the_heap_is_given_back() -> None:
    run("""
bytearray(30 * MIB)
before = mallinfo().arena
blocks = [bytearray(MIB // 4) for _ in range(40)]
assert mallinfo().arena > before + 9 * MIB
del blocks
assert mallinfo().arena < before + 2 * MIB
""")


def test_threads_have_no_heaps_of_their_own() -> None:
    run("""
(heap,) = [line.split()[0] for line in open("/proc/self/maps") if line.endswith("[heap]\\n")]
meeting, blocks = threading.Barrier(5), []

def allocate():
    meeting.wait()
    blocks.append(bytearray(100_000))
    meeting.wait()

threads = [threading.Thread(target=allocate) for _ in range(4)]
for thread in threads:
    thread.start()
meeting.wait()
meeting.wait()
first, end = (int(bound, 16) for bound in heap.split("-"))
end += 10 * MIB  # it has grown since
assert all(first <= address(block) < end for block in blocks), (heap, blocks)
""")


def test_a_c_library_without_it_is_left_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ctypes, "CDLL", lambda name: object())
    assert not allocator.settle()

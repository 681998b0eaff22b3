"""How the C library keeps memory that is free: told once, when a daemon is ready.

By itself it raises its limits with what was freed last: after one frame of 32 MiB up to 64 MiB of free
memory stay with the process, and blocks of that size come from its heap, where whatever is allocated
after them keeps them from being given back. And each thread has a heap of its own, of which parts stay
with the process: 4 MiB with the threads that read logs.

A C library without these (musl) is left as it is.
"""

from __future__ import annotations

from typing import Final

#: Parameters of mallopt(3), by their numbers in malloc.h.
_TRIM_THRESHOLD: Final = -1
_MMAP_THRESHOLD: Final = -3
_ARENA_MAX: Final = -8
#: In bytes. Larger blocks are mapped, and unmapped when they are freed, which costs a fault for each
#: page. The packets of streams, of 256 KiB, and what is made of them are smaller.
_MAPPED_FROM: Final = 512 * 1024
#: In bytes, of free memory at the end of the heap. Above twice the size of a block that is not mapped,
#: so that the heap does not shrink and grow with each call.
_KEPT: Final = 1024 * 1024
#: Heaps. Nothing is allocated by two threads at once for long, since they share the interpreter's lock.
_HEAPS: Final = 1


def settle() -> bool:
    """Fix the limits; whether the C library has them all."""
    import ctypes  # late: no start needs it

    library = ctypes.CDLL(None)
    if not hasattr(library, "mallopt"):
        return False
    limits = (_MMAP_THRESHOLD, _MAPPED_FROM), (_TRIM_THRESHOLD, _KEPT), (_ARENA_MAX, _HEAPS)
    taken = [library.mallopt(name, value) for name, value in limits]
    return all(taken)

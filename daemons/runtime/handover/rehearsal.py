"""A rehearsal: the new program as a child that reads everything back and goes away.

Its parent is the daemon, which goes on serving meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import signal
from collections.abc import Collection, Mapping, Sequence
from typing import Final

#: Seconds that a rehearsal may take.
PATIENCE: Final = 30.0
#: Seconds that one that was killed has to be gone.
_END: Final = 1.0
#: Bytes that are kept of what a rehearsal writes to its standard error: the last line is wanted.
_KEPT: Final = 64 * 1024
#: Of prctl(2): the signal that a process gets when its parent ends.
_PR_SET_PDEATHSIG: Final = 1


class RehearsalFailed(Exception):
    """The new program would not take over; the text says why."""


async def rehearse(
    command: Sequence[str],
    folder: str | None,
    environment: Mapping[str, str],
    descriptors: Collection[int],
) -> None:
    """Run a rehearsal to its end.

    Args:
        command: the program and its arguments.
        folder: where to run it; None for the working directory.
        environment: says that it is a rehearsal.
        descriptors: those that it shares with this process.

    Raises:
        RehearsalFailed: it failed, or could not be started, or took too long.
    """
    try:
        child = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=environment,
            pass_fds=descriptors,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
    except OSError as error:
        for descriptor in descriptors:  # uvloop leaves them as the child was to have them
            with contextlib.suppress(OSError):
                os.set_inheritable(descriptor, False)
        reason = error.strerror if (error.errno or 0) > 0 else "no pipe to it can be made"
        raise RehearsalFailed(f"the program cannot be executed: {reason}") from error
    try:
        async with asyncio.timeout(PATIENCE):
            said = await _last_words(child)
            status = await child.wait()
    except TimeoutError:
        text = f"the new program was not done with its rehearsal in {PATIENCE:g} s"
        if not await _end(child):
            text += ", and cannot be ended: a disk holds it up"
        raise RehearsalFailed(text) from None
    finally:
        await _end(child)
    if status:
        last = said.decode(errors="replace").strip().splitlines()[-1:]
        reason = last[0] if last else f"its rehearsal ended with {status}"
        raise RehearsalFailed(f"the new program would not take over: {reason}")


async def _end(child: asyncio.subprocess.Process) -> bool:
    """Kill a rehearsal that took too long, or whose daemon ends; whether it is over.

    The kernel closes its files first, and a disk that does not answer may hold that up for ever.
    """
    if child.returncode is None:
        child.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_END):
                await child.wait()
    return child.returncode is not None


async def _last_words(child: asyncio.subprocess.Process) -> bytes:
    """Read a child's standard error to its end, and return the last part of it."""
    kept = b""
    while child.stderr is not None and (piece := await child.stderr.read(_KEPT)):
        kept = (kept + piece)[-_KEPT:]
    return kept


def end_with_parent() -> None:
    """Let the kernel end this process when its parent ends, and after the time of a rehearsal anyhow.

    A rehearsal has the daemon's descriptors: as long as it runs, no lock and no socket among them is
    free, even if the daemon was killed.
    """
    import ctypes

    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    signal.alarm(math.ceil(PATIENCE))

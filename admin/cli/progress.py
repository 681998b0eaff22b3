"""A line on the terminal that says what a command waits for, when it takes longer than a second.

The line is on the standard error and only there: never in a pipe or a file, never with -q, and never
beside JSON on the same terminal. It is erased before anything else is written.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Final

from aiovirt.admin.cli.terminal import Terminal, harmless

#: Seconds before the line is shown, and between two changes of it.
_PATIENCE: Final = 1.0


@asynccontextmanager
async def progress(
    terminal: Terminal, awaited: Callable[[], Sequence[str]], *, through_output: bool = False
) -> AsyncIterator[None]:
    """Show what is waited for as long as the block runs.

    Args:
        terminal: where it is shown.
        awaited: names what is waited for; nothing is shown for none.
        through_output: go on after output of the block; else that is taken for its answer.
    """
    if not terminal.shows_progress:
        yield
        return
    task = asyncio.create_task(_show(terminal, awaited, through_output))
    try:
        yield
    finally:
        task.cancel()
        terminal.show_progress("")


async def _show(
    terminal: Terminal, awaited: Callable[[], Sequence[str]], through_output: bool
) -> None:
    seconds, before = 0, terminal.outputs
    while True:
        await asyncio.sleep(_PATIENCE)
        if not through_output and terminal.outputs != before:
            return
        seconds += 1
        names = harmless(", ".join(awaited()))
        if names:
            # A line that wraps could not be erased.
            room = shutil.get_terminal_size().columns - 1
            end = f" ({seconds} s)"
            text = f"waiting for {names}"
            if len(text) + len(end) > room:
                text = text[: max(room - len(end) - 3, 0)] + "..."
            terminal.show_progress(text + end)

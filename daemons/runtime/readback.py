"""The rehearsal of a restart: the new program reads everything back, and leaves.

The daemon goes on using the same descriptors meanwhile: nothing may be read from them, written to them
or tidied up at the end. So the loop never goes on after the reading back, and the process leaves then.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn

from aiovirt.daemons.runtime.logging import LogSettings
from aiovirt.daemons.runtime.process.failure import StartError

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.kind import DaemonKind
    from aiovirt.daemons.runtime.process.options import Options
    from aiovirt.daemons.runtime.start import Start


def read_back(
    kind: DaemonKind, options: Options, start: Start, report: Callable[[str], None]
) -> NoReturn:
    """Read everything back as for serving, then leave with 0, or say why it cannot be done.

    Args:
        kind: the declaration of the daemon.
        options: its command line.
        start: what it begins with; its document is read back.
        report: is called with the reason, in one line, before the process leaves with another status.
    """
    import uvloop

    status = 0
    try:
        earlier = start.document.logging if start.document else None
        log = LogSettings(kind.name, options, start.settings, earlier, rehearsal=True)

        async def restore() -> None:
            nonlocal status
            try:
                _restore(kind, start, log)
            except BaseException as error:  # whatever it is, it must not get past the exit
                status = _failed(error, report)
            _leave(status)

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(restore())
    except BaseException as error:  # as above
        status = _failed(error, report)
    _leave(status)


def _restore(kind: DaemonKind, start: Start, log: LogSettings) -> None:
    from aiovirt.daemons.runtime.handover.modules import load_all
    from aiovirt.daemons.runtime.instance import Instance

    instance = Instance(kind, start, log)
    if start.document is not None:
        instance.restore(start.document)
    load_all(instance)


def _failed(error: BaseException, report: Callable[[str], None]) -> int:
    """Report an error that ends a rehearsal, in one line; the exit status."""
    text = " ".join(str(error).split())
    if isinstance(error, StartError):
        report(text)
        return error.status
    report(f"unexpected {type(error).__name__}: {text}")
    return 1


def _leave(status: int) -> NoReturn:
    sys.stderr.flush()
    os._exit(status)

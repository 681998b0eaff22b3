"""The first lines of a daemon: nothing else may be imported, opened or started before them.

Loading a daemon takes about 150 ms, and during that time its process number is known already: to the
service manager, to a script with `pkill`, to an impatient `kill -HUP`. The default effect of SIGHUP and
SIGUSR1 would end it.
"""

from __future__ import annotations

import gc
import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from aiovirt.admin.standard_streams import fill_standard_descriptors, replace_missing_streams

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.kind import DaemonKind

#: Signals whose handlers exist only when the daemon is ready; they wait for that.
_EARLY: Final = {signal.SIGHUP, signal.SIGUSR1}


def run(kind: DaemonKind, arguments: Sequence[str] | None = None) -> int:
    """Be a daemon until it is told to end. Returns the exit status (see `Failure`).

    Args:
        kind: its declaration.
        arguments: the command line without the program's name; None takes the process's own.

    Raises:
        SystemExit: after --help, --version, --print-config and a wrong command line.
    """
    gc.disable()  # it would find nothing; `lifecycle` lets it begin when the daemon is ready
    signal.pthread_sigmask(signal.SIG_BLOCK, _EARLY)  # `handover.reexec.take_signals` lets them in
    fill_standard_descriptors()
    replace_missing_streams()
    from aiovirt.daemons.runtime.lifecycle import run_process

    return run_process(kind, arguments)

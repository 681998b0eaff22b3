"""Threads beside the event loop's, which take no signals.

A signal for the process is delivered to any thread that lets it in. While a program is executed the
other threads end, and what one of them has just taken is lost with it. So only the main thread takes
signals.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any


def start_thread(target: Callable[..., Any], *args: Any, name: str) -> threading.Thread:
    """Start a daemon thread.

    Args:
        target: called on it.
        args: for the call.
        name: of the thread, for debuggers.

    Raises:
        RuntimeError: there can be no more threads.
    """
    thread = threading.Thread(target=target, args=args, name=name, daemon=True)
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        thread.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return thread

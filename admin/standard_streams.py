"""Descriptors 0, 1 and 2, made sure of before a program opens anything else.

A program that is started with one of them closed gets that number for the next file or socket that it
opens. Whatever is then written to "standard error" ends in a pid file or in somebody's connection.
"""

from __future__ import annotations

import os
import sys
from typing import Final

#: Descriptor -> the name of its stream in `sys`, and the mode of that stream.
_STREAMS: Final = {0: ("stdin", "r"), 1: ("stdout", "w"), 2: ("stderr", "w")}


def fill_standard_descriptors() -> None:
    """Open the null device for each of descriptors 0, 1 and 2 that is closed.

    Call it first: it takes the lowest free numbers. Does nothing when all are open. `sys.stdin` and the
    others stay None, as Python leaves them for closed descriptors.
    """
    while not all(map(_is_open, _STREAMS)):
        os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)


def replace_missing_streams() -> None:
    """Give `sys` a stream for each of stdin, stdout and stderr that it has not.

    Call it after `fill_standard_descriptors`.
    """
    for descriptor, (name, mode) in _STREAMS.items():
        if getattr(sys, name) is None:  # Python leaves out a stream whose descriptor was closed
            stream = open(  # noqa: SIM115  it lives as long as the process
                descriptor, mode, encoding="utf-8", errors="backslashreplace", closefd=False
            )
            setattr(sys, name, stream)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True

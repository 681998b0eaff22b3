"""Why a daemon did not start: a text for the user and an exit status for scripts."""

from __future__ import annotations

import enum


class Failure(enum.IntEnum):
    """Exit statuses, with libvirt's numbers (src/util/virdaemon.h, virDaemonErr).

    1 is what libvirt's daemons return for a wrong command line, wrong settings and a taken pid file
    alike.
    """

    USAGE = 1
    SETTINGS = 1
    PIDFILE = 1
    RUNDIR = 2
    INIT = 3
    NETWORK = 6


class StartError(Exception):
    """The daemon cannot start. The text is for the user; `status` is the exit status."""

    def __init__(self, status: Failure, text: str) -> None:
        super().__init__(text)
        self.status = status

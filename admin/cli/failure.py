"""Failures of virtadm, and their messages.

Every failure that is the user's or the daemon's becomes lines on the standard error, each after
`error: `; the first says what could not be done, the last why.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from aiovirt.admin.uri import UriError
from aiovirt.rpc.wire.errors import RpcError
from aiovirt.rpc.wire.xdr import XdrError

#: What a call to a daemon may end with, when nobody made a mistake in this program.
CALL_FAILURES = (RpcError, UriError, XdrError, OSError)


class CommandFailed(Exception):
    """A command could not do what it was asked. lines: what to tell, at least one line."""

    def __init__(self, *lines: str) -> None:
        super().__init__("; ".join(lines))
        self.lines = lines


class CommandSyntaxError(CommandFailed):
    """A command line that does not parse; nothing of it is run."""


class Leave(Exception):
    """The program ends now, with this exit status, and all has been said."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


def text_of(error: Exception) -> str:
    """An error as one line for a person."""
    if isinstance(error, RpcError):
        return error.message
    return str(error) or type(error).__name__


@contextmanager
def explained(headline: str) -> Iterator[None]:
    """Say first what could not be done when a call in the block fails."""
    try:
        yield
    except CALL_FAILURES as error:
        raise CommandFailed(headline, text_of(error)) from error

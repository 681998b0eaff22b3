"""Where ours are meant to act otherwise than libvirt 9.0.0.

docs/conformance.md says why; a test holds the two together.
"""

from __future__ import annotations

from enum import Enum


class Difference(Enum):
    """Each is named after what ours do; the value is the title of its part of the document."""

    NUL_REFUSED = "A string with a NUL inside is refused"
    LONG_TEXT_SHORTENED = "An error's text is shortened to what can be sent"
    DESCRIPTORS_UNSEEN = "A descriptor that was announced is not looked for"
    NO_OUTPUTS_IS_DEFAULT = "Log outputs that name nothing stand for the default"
    SHUTDOWN = "CONNECT_DAEMON_SHUTDOWN is there"
    TIMEOUT_NOT_CUT = "A timeout is as long as it says"
    KNOWN_AT_ONCE = "A client is known before its first call"
    ROOT_ADMITTED = "Root may administer every daemon"
    BAD_LOCKSPACE_REFUSED = "A lockspace that cannot be is refused"
    ONE_FILE_ONE_LOCK = "A file has one lock, whatever it is called"
    ALL_SHARES_BACK = "Who leaves gives all its shares back"
    POSITION_GONE = "A log's position whose file is gone is the start of the oldest"
    NUL_SHOWN = "A NUL in a log is shown as SUB"
    PIPE_KEPT = "A log that cannot be written keeps its pipe"
    FIFO_REFUSED = "A FIFO is refused as a log, and not waited for"
    READ_ONCE = "A file that a log has under two names is read once"
    LARGER_PIECES = "A log's lines are looked for in pieces of 64 KiB"

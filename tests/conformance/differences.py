"""Where ours are meant to act otherwise than libvirt 9.0.0.

docs/conformance.md says why; a test holds the two together.
"""

from __future__ import annotations

from enum import Enum


class Difference(Enum):
    """Each is named after what ours do; the value is the title of its part of the document."""

    NUL_REFUSED = "A string with a NUL inside is refused"
    LONG_TEXT_SHORTENED = "An error's text is shortened to what can be sent"
    DESCRIPTORS_UNSEEN = "An announced descriptor is not received"
    NO_OUTPUTS_IS_DEFAULT = "A blank text of log outputs means the default"
    SHUTDOWN = "CONNECT_DAEMON_SHUTDOWN is available"
    TIMEOUT_NOT_CUT = "A timeout is not shortened"
    KNOWN_AT_ONCE = "A client is known before its first call"
    ROOT_ADMITTED = "Root may administer every daemon"
    BAD_LOCKSPACE_REFUSED = "A lockspace that cannot be created is refused"
    ONE_FILE_ONE_LOCK = "A file has one lock under all its names"
    ALL_SHARES_BACK = "A holder that leaves gives all its shares back"
    POSITION_GONE = "A log's position whose file is gone is the start of the oldest"
    NUL_SHOWN = "A NUL in a log is shown as SUB"
    PIPE_KEPT = "A log that cannot be written keeps its pipe"
    WRITTEN_ON = "A log that cannot be rotated is written on"
    FIFO_REFUSED = "A FIFO is refused as a log, and not waited for"
    REAL_SIZE = "A log's position is the real size of its file"
    MADE_ANEW = "A log that was removed is made anew"
    READ_ONCE = "A log file found under two names is read once"
    LARGER_PIECES = "A log's lines are searched in pieces of 64 KiB"

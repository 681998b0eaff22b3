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

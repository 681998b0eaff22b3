"""Why a link is not read; more than one reason can hold at a time."""

from __future__ import annotations

from typing import Final

PAUSE_WRITE: Final = 1  # the peer does not read its replies
PAUSE_LIMIT: Final = 2  # its request limit is reached and its read-ahead is full
PAUSE_SHUTDOWN: Final = 4  # the daemon takes no more calls
PAUSE_ENDING: Final = 8  # the connection closes when its last bytes are sent
PAUSE_STREAM: Final = 16  # what came through its streams has not been taken
PAUSE_SLICE: Final = 32  # it sends more than its share, and others have their turn
PAUSE_DESCRIPTORS: Final = 64  # the descriptors that it sent have not been taken
PAUSE_INPUT_ENDED: Final = 128  # nothing more comes from it

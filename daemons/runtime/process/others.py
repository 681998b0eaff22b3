"""Other processes: when they started, and whether they have ended.

Number and start time name a process; the number alone is given to another one later.
"""

from __future__ import annotations

import select


def start_time(pid: int) -> int:
    """Return when a process started, in clock ticks since boot.

    Raises OSError, and ValueError or IndexError if the kernel does not say it.
    """
    with open(f"/proc/{pid}/stat", "rb", buffering=0) as stat:
        # The name in parentheses may hold anything; field 22 is the 20th after it.
        return int(stat.read(4096).rpartition(b")")[2].split()[19])


def is_over(pidfd: int, wait: float = 0.0) -> bool:
    """Return whether a pidfd says that its process has ended. wait: seconds for that, at most."""
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    try:
        return any(event & select.POLLIN for _, event in poll.poll(wait * 1000))
    except OSError:
        return False  # no memory to look with

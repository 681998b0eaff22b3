"""Bring the documents derived from the settings up to date, or check them.

`python -m aiovirt.daemons.runtime.settings write|check`, run at the top of the source tree. `check`
exits with 1 and names what is stale.
"""

import sys
from pathlib import Path

from aiovirt.daemons.runtime.settings.reference import COMMAND, stale, write


def main() -> int:
    """Returns the exit status: 0, 1 for something stale, 2 for a wrong command line."""
    if sys.argv[1:] == ["write"]:
        write(Path.cwd())
        return 0
    if sys.argv[1:] == ["check"]:
        names = stale(Path.cwd())
        for name in names:
            sys.stderr.write(f"{name} is not what the settings say: run `{COMMAND}`\n")
        return 1 if names else 0
    sys.stderr.write("usage: python -m aiovirt.daemons.runtime.settings write|check\n")
    return 2


if __name__ == "__main__":
    sys.exit(main())

"""One attack, in this process, until standard input is closed.

    python -m tests.attacks NAME SIZE TARGET

TARGET is a `Target` in JSON. Prints what became of it so far as a line of JSON: when all attackers
are in place, ten times a second, and at the end.
"""

from __future__ import annotations

import json
import select
import sys
import time
from collections import Counter
from typing import Final

from tests.attacks.process import ATTACKS
from tests.attacks.target import Attack, Tally, Target
from tests.bench.contenders import allow_descriptors

_INTERVAL: Final = 0.1


def main() -> None:
    """Attack as the arguments say."""
    name, size, target = sys.argv[1:]
    allow_descriptors()
    tally: Tally = Counter()
    attack: Attack = ATTACKS[name](Target(**json.loads(target)), tally, int(size))
    said = 0.0
    for pause in attack:
        if time.monotonic() - said > _INTERVAL:
            print(json.dumps(tally), flush=True)
            said = time.monotonic()
        if select.select([sys.stdin], [], [], pause)[0]:
            break
    attack.close()
    print(json.dumps(tally), flush=True)


if __name__ == "__main__":
    main()

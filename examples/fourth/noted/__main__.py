import sys

from aiovirt.daemons.runtime import run
from noted import KIND

sys.exit(run(KIND))

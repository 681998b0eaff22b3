"""`python -m aiovirt.daemons.lockd`."""

import sys

from aiovirt.daemons.lockd import main

sys.exit(main())

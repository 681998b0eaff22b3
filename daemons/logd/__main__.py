"""`python -m aiovirt.daemons.logd`."""

import sys

from aiovirt.daemons.logd import main

sys.exit(main())

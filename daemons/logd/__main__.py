"""`python -m daemons.logd`."""

import sys

from daemons.logd import main

sys.exit(main())

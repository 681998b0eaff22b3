"""`python -m daemons.lockd`."""

import sys

from daemons.lockd import main

sys.exit(main())

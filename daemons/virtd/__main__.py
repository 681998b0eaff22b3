"""`python -m daemons.virtd`."""

import sys

from daemons.virtd import main

sys.exit(main())

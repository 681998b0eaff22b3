"""`python -m aiovirt.daemons.virtd`."""

import sys

from aiovirt.daemons.virtd import main

sys.exit(main())

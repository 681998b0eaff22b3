"""`python -m aiovirt.admin.cli` is virtadm."""

import sys

from aiovirt.admin.cli import main

sys.exit(main())

"""`python -m admin.cli` is virtadm."""

import sys

from admin.cli import main

sys.exit(main())

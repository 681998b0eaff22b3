"""The table of the extension program, by subject.

libvirt's daemons do not have this program, and say so.
"""

from aiovirt.admin.extension.protocol import settings, tls
from aiovirt.admin.extension.protocol.program import EXTENSION

__all__ = ["EXTENSION", "settings", "tls"]

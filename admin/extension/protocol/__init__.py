"""The table of the extension program, by subject.

libvirt's daemons do not have this program, and say so.
"""

from aiovirt.admin.extension.protocol import introspection, logs, settings, statistics, tls
from aiovirt.admin.extension.protocol.program import EXTENSION

__all__ = ["EXTENSION", "introspection", "logs", "settings", "statistics", "tls"]

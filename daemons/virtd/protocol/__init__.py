"""The tables of the remote program and the QEMU program of libvirt 9.0.0, by kind of object.

Procedures and fields have the names of libvirt's interface definition (`DOMAIN_GET_XML_DESC`). A type
is named after its procedure (`DomainGetInfoRet`); procedures with the same fields share one, which is in
`shapes`. All names of the modules are names of this package, too:

    from aiovirt.daemons.virtd import protocol

    await connection.call(protocol.DOMAIN_CREATE, protocol.DomainArgs(domain))

Enumerations and flags are in `aiovirt.daemons.virtd.constants`.

Source: libvirt's src/remote/remote_protocol.x and src/remote/qemu_protocol.x.
"""

# ruff: noqa: F403  # the package is the sum of its modules

from __future__ import annotations

from aiovirt.daemons.virtd.protocol.auth import *
from aiovirt.daemons.virtd.protocol.checkpoint import *
from aiovirt.daemons.virtd.protocol.connect import *
from aiovirt.daemons.virtd.protocol.domain import *
from aiovirt.daemons.virtd.protocol.domain_block import *
from aiovirt.daemons.virtd.protocol.domain_callback_events import *
from aiovirt.daemons.virtd.protocol.domain_devices import *
from aiovirt.daemons.virtd.protocol.domain_events import *
from aiovirt.daemons.virtd.protocol.domain_guest import *
from aiovirt.daemons.virtd.protocol.domain_jobs import *
from aiovirt.daemons.virtd.protocol.domain_stats import *
from aiovirt.daemons.virtd.protocol.domain_tuning import *
from aiovirt.daemons.virtd.protocol.interface import *
from aiovirt.daemons.virtd.protocol.migration import *
from aiovirt.daemons.virtd.protocol.network import *
from aiovirt.daemons.virtd.protocol.node import *
from aiovirt.daemons.virtd.protocol.nodedev import *
from aiovirt.daemons.virtd.protocol.nwfilter import *
from aiovirt.daemons.virtd.protocol.objects import *
from aiovirt.daemons.virtd.protocol.program import *
from aiovirt.daemons.virtd.protocol.qemu import *
from aiovirt.daemons.virtd.protocol.secret import *
from aiovirt.daemons.virtd.protocol.shapes import *
from aiovirt.daemons.virtd.protocol.snapshot import *
from aiovirt.daemons.virtd.protocol.storage_pool import *
from aiovirt.daemons.virtd.protocol.storage_vol import *

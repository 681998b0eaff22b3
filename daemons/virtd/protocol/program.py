"""The remote program and the QEMU program, to whose tables the other modules of this package add.

A procedure *reads* if libvirt lets a client of a read-only connection call it. With some arguments such
a client may not call these (see `dispatch.read_only`): DOMAIN_GET_XML_DESC,
DOMAIN_MANAGED_SAVE_GET_XML_DESC, DOMAIN_SNAPSHOT_GET_XML_DESC and DOMAIN_CHECKPOINT_GET_XML_DESC with a
flag SECURE (the first one also with MIGRATABLE), DOMAIN_GET_VCPUS_FLAGS with VCPU_GUEST, and
DOMAIN_INTERFACE_ADDRESSES with the source AGENT.

Flags are not checked by the table. Which flags are accepted is up to the driver behind the procedure,
and so is the order of its checks.

Source: libvirt's src/remote/remote_protocol.x, src/remote/qemu_protocol.x, and virCheckReadOnlyGoto in
src/libvirt*.c.
"""

from __future__ import annotations

from typing import Final

from aiovirt.rpc.wire.program import Program

REMOTE: Final = Program("remote", 0x20008086, 1)
QEMU: Final = Program("qemu", 0x20008087, 1)

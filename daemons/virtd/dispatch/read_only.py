"""Calls that a client of a read-only connection may make, but not with all arguments.

The public functions of libvirt refuse these before their driver is asked.

Source: VIR_CONNECT_RO and virCheckReadOnlyGoto in libvirt's src/libvirt-domain.c,
src/libvirt-domain-snapshot.c and src/libvirt-domain-checkpoint.c.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from aiovirt.daemons.virtd import protocol
from aiovirt.daemons.virtd.constants.checkpoint import DomainCheckpointXMLFlags
from aiovirt.daemons.virtd.constants.domain import DomainInterfaceAddressesSource
from aiovirt.daemons.virtd.constants.domain_flags import (
    DomainSaveImageXMLFlags,
    DomainVcpuFlags,
    DomainXMLFlags,
)
from aiovirt.daemons.virtd.constants.snapshot import DomainSnapshotXMLFlags
from aiovirt.daemons.virtd.domains import unsupported_domain
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.program import Procedure

_SECRETS: Final = "{} with secure flag"
_CHANGES: Final = "read only access prevents {}"
_XML: Final = DomainXMLFlags.SECURE | DomainXMLFlags.MIGRATABLE


class Limit(msgspec.Struct, frozen=True):
    """Arguments that are refused. refuses: tells them; text: of the error, about the function."""

    refuses: Callable[[Any], bool]
    text: str


def _flags(mask: int, text: str) -> Limit:
    return Limit(lambda args: bool(args.flags & mask), text)


LIMITS: Final[Mapping[Procedure[Any, Any], Limit]] = {
    protocol.DOMAIN_GET_XML_DESC: _flags(_XML, _SECRETS),
    protocol.DOMAIN_MANAGED_SAVE_GET_XML_DESC: _flags(DomainSaveImageXMLFlags.SECURE, _SECRETS),
    protocol.DOMAIN_SNAPSHOT_GET_XML_DESC: _flags(DomainSnapshotXMLFlags.SECURE, _SECRETS),
    protocol.DOMAIN_CHECKPOINT_GET_XML_DESC: _flags(DomainCheckpointXMLFlags.SECURE, _SECRETS),
    protocol.DOMAIN_GET_VCPUS_FLAGS: _flags(DomainVcpuFlags.GUEST, _CHANGES),
    protocol.DOMAIN_INTERFACE_ADDRESSES: Limit(
        lambda args: bool(args.source == DomainInterfaceAddressesSource.AGENT), _CHANGES
    ),
}
"""The procedures that read, and are refused with some arguments all the same."""


def check(procedure: Procedure[Any, Any], args: Any) -> None:
    """Refuse arguments for a client of a read-only connection.

    Args:
        procedure: one of LIMITS.
        args: its arguments.

    Raises:
        RpcError: OPERATION_DENIED, as libvirt's public function.
    """
    limit = LIMITS[procedure]
    if limit.refuses(args):
        raise RpcError.of(
            ErrorCode.OPERATION_DENIED,
            limit.text.format(procedure.function),
            domain=unsupported_domain(procedure),
        )

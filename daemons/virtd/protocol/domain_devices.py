"""Devices of domains."""

from __future__ import annotations

from typing import Final

from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullDomain
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import DomainNameFlagsArgs
from aiovirt.rpc.wire import xdr


@xdr.struct
class DomainXmlArgs:
    """A domain and a document."""

    dom: NonnullDomain
    xml: xdr.Str


@xdr.struct
class DomainXmlFlagsArgs:
    """A domain and a document, and flags of the procedure."""

    dom: NonnullDomain
    xml: xdr.Str
    flags: xdr.UInt


@xdr.struct
class DomainDetachDeviceAliasArgs:
    """Arguments of DOMAIN_DETACH_DEVICE_ALIAS. flags: DomainDeviceModifyFlags."""

    dom: NonnullDomain
    alias: xdr.Str
    flags: xdr.UInt


DOMAIN_ATTACH_DEVICE: Final = REMOTE.procedure(8, "DOMAIN_ATTACH_DEVICE", DomainXmlArgs, xdr.Void)
DOMAIN_DETACH_DEVICE: Final = REMOTE.procedure(13, "DOMAIN_DETACH_DEVICE", DomainXmlArgs, xdr.Void)
DOMAIN_ATTACH_DEVICE_FLAGS: Final = REMOTE.procedure(
    160,
    "DOMAIN_ATTACH_DEVICE_FLAGS",
    DomainXmlFlagsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainDeviceModifyFlags"),
)
DOMAIN_DETACH_DEVICE_FLAGS: Final = REMOTE.procedure(
    161,
    "DOMAIN_DETACH_DEVICE_FLAGS",
    DomainXmlFlagsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainDeviceModifyFlags"),
)
DOMAIN_UPDATE_DEVICE_FLAGS: Final = REMOTE.procedure(
    174,
    "DOMAIN_UPDATE_DEVICE_FLAGS",
    DomainXmlFlagsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainDeviceModifyFlags"),
)
DOMAIN_DETACH_DEVICE_ALIAS: Final = REMOTE.procedure(
    392,
    "DOMAIN_DETACH_DEVICE_ALIAS",
    DomainDetachDeviceAliasArgs,
    xdr.Void,
    flags=names("domain_flags.DomainDeviceModifyFlags"),
)
DOMAIN_FD_ASSOCIATE: Final = REMOTE.procedure(
    443,
    "DOMAIN_FD_ASSOCIATE",
    DomainNameFlagsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainFDAssociateFlags"),
    call_fds=True,
)

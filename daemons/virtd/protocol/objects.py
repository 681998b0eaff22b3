"""Objects as calls and events name them."""

from __future__ import annotations

from typing import Annotated

from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.rpc.wire import xdr

#: The 16 bytes of a UUID.
Uuid = Annotated[bytes, xdr.Opaque(16)]


@xdr.struct
class NonnullDomain:
    """A domain. id: its number while it runs, else -1."""

    name: xdr.Str
    uuid: Uuid
    id: xdr.Int


@xdr.struct
class NonnullNetwork:
    """A virtual network."""

    name: xdr.Str
    uuid: Uuid


@xdr.struct
class NonnullNetworkPort:
    """A port of a network."""

    net: NonnullNetwork
    uuid: Uuid


@xdr.struct
class NonnullNwfilter:
    """A network filter."""

    name: xdr.Str
    uuid: Uuid


@xdr.struct
class NonnullNwfilterBinding:
    """A binding of a network filter. portdev: the interface on the host."""

    portdev: xdr.Str
    filtername: xdr.Str


@xdr.struct
class NonnullInterface:
    """A network interface of the host."""

    name: xdr.Str
    mac: xdr.Str


@xdr.struct
class NonnullStoragePool:
    """A storage pool."""

    name: xdr.Str
    uuid: Uuid


@xdr.struct
class NonnullStorageVol:
    """A storage volume. pool: the name of its pool; key: unique on the host."""

    pool: xdr.Str
    name: xdr.Str
    key: xdr.Str


@xdr.struct
class NonnullNodeDevice:
    """A device of the host."""

    name: xdr.Str


@xdr.struct
class NonnullSecret:
    """A secret. usageType: SecretUsageType; usageID: the object that uses it."""

    uuid: Uuid
    usageType: Annotated[xdr.Int, names("secret.SecretUsageType")]
    usageID: xdr.Str


@xdr.struct
class NonnullDomainCheckpoint:
    """A checkpoint of a domain."""

    name: xdr.Str
    dom: NonnullDomain


@xdr.struct
class NonnullDomainSnapshot:
    """A snapshot of a domain."""

    name: xdr.Str
    dom: NonnullDomain

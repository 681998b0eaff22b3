"""Snapshots of domains."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.limits import DOMAIN_SNAPSHOT_LIST_MAX
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullDomain, NonnullDomainSnapshot
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import (
    DomainFlagsArgs,
    DomainListAllArgs,
    DomainNameFlagsArgs,
    DomainXmlDescFlagsArgs,
    NumRet,
    ResultRet,
    XmlRet,
)
from aiovirt.rpc.wire import xdr


@xdr.struct
class SnapshotRet:
    """A snapshot."""

    snap: NonnullDomainSnapshot


@xdr.struct
class SnapshotFlagsArgs:
    """A snapshot, and flags of the procedure."""

    snap: NonnullDomainSnapshot
    flags: xdr.UInt


@xdr.struct
class DomainSnapshotListNamesArgs:
    """Arguments of DOMAIN_SNAPSHOT_LIST_NAMES. flags: DomainSnapshotListFlags."""

    dom: NonnullDomain
    maxnames: xdr.Int
    flags: xdr.UInt


@xdr.struct
class DomainSnapshotListNamesRet:
    """Result of DOMAIN_SNAPSHOT_LIST_NAMES."""

    names: Annotated[list[str], xdr.Array(xdr.Str, DOMAIN_SNAPSHOT_LIST_MAX)]


@xdr.struct
class DomainSnapshotListChildrenNamesArgs:
    """Arguments of DOMAIN_SNAPSHOT_LIST_CHILDREN_NAMES. flags: DomainSnapshotListFlags."""

    snap: NonnullDomainSnapshot
    maxnames: xdr.Int
    flags: xdr.UInt


@xdr.struct
class DomainSnapshotIsCurrentRet:
    """Result of DOMAIN_SNAPSHOT_IS_CURRENT."""

    current: xdr.Int


@xdr.struct
class DomainSnapshotHasMetadataRet:
    """Result of DOMAIN_SNAPSHOT_HAS_METADATA."""

    metadata: xdr.Int


@xdr.struct
class SnapshotsRet:
    """Snapshots. ret: their number."""

    snapshots: Annotated[
        list[NonnullDomainSnapshot], xdr.Array(NonnullDomainSnapshot, DOMAIN_SNAPSHOT_LIST_MAX)
    ]
    ret: xdr.Int


@xdr.struct
class DomainSnapshotListAllChildrenArgs:
    """Arguments of DOMAIN_SNAPSHOT_LIST_ALL_CHILDREN. need_results: 0 for the number only; flags:
    DomainSnapshotListFlags."""

    snapshot: NonnullDomainSnapshot
    need_results: xdr.Int
    flags: xdr.UInt


DOMAIN_SNAPSHOT_CREATE_XML: Final = REMOTE.procedure(
    185,
    "DOMAIN_SNAPSHOT_CREATE_XML",
    DomainXmlDescFlagsArgs,
    SnapshotRet,
    flags=names("snapshot.DomainSnapshotCreateFlags"),
)
DOMAIN_SNAPSHOT_GET_XML_DESC: Final = REMOTE.procedure(
    186,
    "DOMAIN_SNAPSHOT_GET_XML_DESC",
    SnapshotFlagsArgs,
    XmlRet,
    flags=names("snapshot.DomainSnapshotXMLFlags"),
    reads=True,
    priority=True,
)
DOMAIN_SNAPSHOT_NUM: Final = REMOTE.procedure(
    187,
    "DOMAIN_SNAPSHOT_NUM",
    DomainFlagsArgs,
    NumRet,
    flags=names("snapshot.DomainSnapshotListFlags"),
    reads=True,
    priority=True,
)
DOMAIN_SNAPSHOT_LIST_NAMES: Final = REMOTE.procedure(
    188,
    "DOMAIN_SNAPSHOT_LIST_NAMES",
    DomainSnapshotListNamesArgs,
    DomainSnapshotListNamesRet,
    flags=names("snapshot.DomainSnapshotListFlags"),
    reads=True,
    priority=True,
)
DOMAIN_SNAPSHOT_LOOKUP_BY_NAME: Final = REMOTE.procedure(
    189,
    "DOMAIN_SNAPSHOT_LOOKUP_BY_NAME",
    DomainNameFlagsArgs,
    SnapshotRet,
    reads=True,
    priority=True,
)
DOMAIN_HAS_CURRENT_SNAPSHOT: Final = REMOTE.procedure(
    190, "DOMAIN_HAS_CURRENT_SNAPSHOT", DomainFlagsArgs, ResultRet, reads=True
)
DOMAIN_SNAPSHOT_CURRENT: Final = REMOTE.procedure(
    191, "DOMAIN_SNAPSHOT_CURRENT", DomainFlagsArgs, SnapshotRet, reads=True
)
DOMAIN_REVERT_TO_SNAPSHOT: Final = REMOTE.procedure(
    192,
    "DOMAIN_REVERT_TO_SNAPSHOT",
    SnapshotFlagsArgs,
    xdr.Void,
    flags=names("snapshot.DomainSnapshotRevertFlags"),
)
DOMAIN_SNAPSHOT_DELETE: Final = REMOTE.procedure(
    193,
    "DOMAIN_SNAPSHOT_DELETE",
    SnapshotFlagsArgs,
    xdr.Void,
    flags=names("snapshot.DomainSnapshotDeleteFlags"),
)
DOMAIN_SNAPSHOT_GET_PARENT: Final = REMOTE.procedure(
    244, "DOMAIN_SNAPSHOT_GET_PARENT", SnapshotFlagsArgs, SnapshotRet, reads=True, priority=True
)
DOMAIN_SNAPSHOT_NUM_CHILDREN: Final = REMOTE.procedure(
    246,
    "DOMAIN_SNAPSHOT_NUM_CHILDREN",
    SnapshotFlagsArgs,
    NumRet,
    flags=names("snapshot.DomainSnapshotListFlags"),
    reads=True,
    priority=True,
)
DOMAIN_SNAPSHOT_LIST_CHILDREN_NAMES: Final = REMOTE.procedure(
    247,
    "DOMAIN_SNAPSHOT_LIST_CHILDREN_NAMES",
    DomainSnapshotListChildrenNamesArgs,
    DomainSnapshotListNamesRet,
    flags=names("snapshot.DomainSnapshotListFlags"),
    reads=True,
    priority=True,
)
DOMAIN_SNAPSHOT_IS_CURRENT: Final = REMOTE.procedure(
    271, "DOMAIN_SNAPSHOT_IS_CURRENT", SnapshotFlagsArgs, DomainSnapshotIsCurrentRet, reads=True
)
DOMAIN_SNAPSHOT_HAS_METADATA: Final = REMOTE.procedure(
    272, "DOMAIN_SNAPSHOT_HAS_METADATA", SnapshotFlagsArgs, DomainSnapshotHasMetadataRet, reads=True
)
DOMAIN_LIST_ALL_SNAPSHOTS: Final = REMOTE.procedure(
    274,
    "DOMAIN_LIST_ALL_SNAPSHOTS",
    DomainListAllArgs,
    SnapshotsRet,
    flags=names("snapshot.DomainSnapshotListFlags"),
    reads=True,
    priority=True,
)
DOMAIN_SNAPSHOT_LIST_ALL_CHILDREN: Final = REMOTE.procedure(
    275,
    "DOMAIN_SNAPSHOT_LIST_ALL_CHILDREN",
    DomainSnapshotListAllChildrenArgs,
    SnapshotsRet,
    flags=names("snapshot.DomainSnapshotListFlags"),
    reads=True,
    priority=True,
)

"""Checkpoints of domains, and backups."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.limits import DOMAIN_CHECKPOINT_LIST_MAX
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullDomain, NonnullDomainCheckpoint
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import (
    DomainFlagsArgs,
    DomainListAllArgs,
    DomainNameFlagsArgs,
    DomainXmlDescFlagsArgs,
    XmlRet,
)
from aiovirt.rpc.wire import xdr


@xdr.struct
class CheckpointRet:
    """A checkpoint."""

    checkpoint: NonnullDomainCheckpoint


@xdr.struct
class CheckpointFlagsArgs:
    """A checkpoint, and flags of the procedure."""

    checkpoint: NonnullDomainCheckpoint
    flags: xdr.UInt


@xdr.struct
class CheckpointsRet:
    """Checkpoints. ret: their number."""

    checkpoints: Annotated[
        list[NonnullDomainCheckpoint],
        xdr.Array(NonnullDomainCheckpoint, DOMAIN_CHECKPOINT_LIST_MAX),
    ]
    ret: xdr.Int


@xdr.struct
class DomainCheckpointListAllChildrenArgs:
    """Arguments of DOMAIN_CHECKPOINT_LIST_ALL_CHILDREN. need_results: 0 for the number only; flags:
    DomainCheckpointListFlags."""

    checkpoint: NonnullDomainCheckpoint
    need_results: xdr.Int
    flags: xdr.UInt


@xdr.struct
class DomainCheckpointGetParentRet:
    """Result of DOMAIN_CHECKPOINT_GET_PARENT."""

    parent: NonnullDomainCheckpoint


@xdr.struct
class DomainBackupBeginArgs:
    """Arguments of DOMAIN_BACKUP_BEGIN. flags: DomainBackupBeginFlags."""

    dom: NonnullDomain
    backup_xml: xdr.Str
    checkpoint_xml: xdr.OptStr
    flags: xdr.UInt


DOMAIN_CHECKPOINT_CREATE_XML: Final = REMOTE.procedure(
    411,
    "DOMAIN_CHECKPOINT_CREATE_XML",
    DomainXmlDescFlagsArgs,
    CheckpointRet,
    flags=names("checkpoint.DomainCheckpointCreateFlags"),
)
DOMAIN_CHECKPOINT_GET_XML_DESC: Final = REMOTE.procedure(
    412,
    "DOMAIN_CHECKPOINT_GET_XML_DESC",
    CheckpointFlagsArgs,
    XmlRet,
    flags=names("checkpoint.DomainCheckpointXMLFlags"),
    reads=True,
)
DOMAIN_LIST_ALL_CHECKPOINTS: Final = REMOTE.procedure(
    413,
    "DOMAIN_LIST_ALL_CHECKPOINTS",
    DomainListAllArgs,
    CheckpointsRet,
    flags=names("checkpoint.DomainCheckpointListFlags"),
    reads=True,
    priority=True,
)
DOMAIN_CHECKPOINT_LIST_ALL_CHILDREN: Final = REMOTE.procedure(
    414,
    "DOMAIN_CHECKPOINT_LIST_ALL_CHILDREN",
    DomainCheckpointListAllChildrenArgs,
    CheckpointsRet,
    flags=names("checkpoint.DomainCheckpointListFlags"),
    reads=True,
    priority=True,
)
DOMAIN_CHECKPOINT_LOOKUP_BY_NAME: Final = REMOTE.procedure(
    415,
    "DOMAIN_CHECKPOINT_LOOKUP_BY_NAME",
    DomainNameFlagsArgs,
    CheckpointRet,
    reads=True,
    priority=True,
)
DOMAIN_CHECKPOINT_GET_PARENT: Final = REMOTE.procedure(
    416,
    "DOMAIN_CHECKPOINT_GET_PARENT",
    CheckpointFlagsArgs,
    DomainCheckpointGetParentRet,
    reads=True,
    priority=True,
)
DOMAIN_CHECKPOINT_DELETE: Final = REMOTE.procedure(
    417,
    "DOMAIN_CHECKPOINT_DELETE",
    CheckpointFlagsArgs,
    xdr.Void,
    flags=names("checkpoint.DomainCheckpointDeleteFlags"),
)
DOMAIN_BACKUP_BEGIN: Final = REMOTE.procedure(
    421,
    "DOMAIN_BACKUP_BEGIN",
    DomainBackupBeginArgs,
    xdr.Void,
    flags=names("domain_flags.DomainBackupBeginFlags"),
)
DOMAIN_BACKUP_GET_XML_DESC: Final = REMOTE.procedure(
    422, "DOMAIN_BACKUP_GET_XML_DESC", DomainFlagsArgs, XmlRet, reads=True, priority=True
)

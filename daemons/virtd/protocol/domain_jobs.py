"""Jobs of domains: saving, restoring, dumping, and their progress."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.limits import DOMAIN_JOB_STATS_MAX, DOMAIN_SAVE_PARAMS_MAX
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullDomain
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import DomainArgs, DomainFlagsArgs, ResultRet, XmlRet
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.typedparams import TypedParam


@xdr.struct
class DomainCoreDumpArgs:
    """Arguments of DOMAIN_CORE_DUMP. flags: DomainCoreDumpFlags."""

    dom: NonnullDomain
    to: xdr.Str
    flags: xdr.UInt


@xdr.struct
class DomainRestoreArgs:
    """Arguments of DOMAIN_RESTORE."""

    from_: xdr.Str


@xdr.struct
class DomainSaveArgs:
    """Arguments of DOMAIN_SAVE."""

    dom: NonnullDomain
    to: xdr.Str


@xdr.struct
class DomainGetJobInfoRet:
    """Result of DOMAIN_GET_JOB_INFO."""

    type: Annotated[xdr.Int, names("domain.DomainJobType")]
    timeElapsed: xdr.UHyper
    timeRemaining: xdr.UHyper
    dataTotal: xdr.UHyper
    dataProcessed: xdr.UHyper
    dataRemaining: xdr.UHyper
    memTotal: xdr.UHyper
    memProcessed: xdr.UHyper
    memRemaining: xdr.UHyper
    fileTotal: xdr.UHyper
    fileProcessed: xdr.UHyper
    fileRemaining: xdr.UHyper


@xdr.struct
class DomainGetControlInfoRet:
    """Result of DOMAIN_GET_CONTROL_INFO."""

    state: Annotated[xdr.UInt, names("domain.DomainControlState")]
    details: xdr.UInt
    stateTime: xdr.UHyper


@xdr.struct
class DomainSaveFlagsArgs:
    """Arguments of DOMAIN_SAVE_FLAGS. flags: DomainSaveRestoreFlags."""

    dom: NonnullDomain
    to: xdr.Str
    dxml: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class DomainRestoreFlagsArgs:
    """Arguments of DOMAIN_RESTORE_FLAGS. flags: DomainSaveRestoreFlags."""

    from_: xdr.Str
    dxml: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class DomainSaveImageGetXmlDescArgs:
    """Arguments of DOMAIN_SAVE_IMAGE_GET_XML_DESC. flags: DomainSaveImageXMLFlags."""

    file: xdr.Str
    flags: xdr.UInt


@xdr.struct
class DomainSaveImageDefineXmlArgs:
    """Arguments of DOMAIN_SAVE_IMAGE_DEFINE_XML. flags: DomainSaveRestoreFlags."""

    file: xdr.Str
    dxml: xdr.Str
    flags: xdr.UInt


@xdr.struct
class DomainGetJobStatsRet:
    """Result of DOMAIN_GET_JOB_STATS."""

    type: Annotated[xdr.Int, names("domain.DomainJobType")]
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_JOB_STATS_MAX)]


@xdr.struct
class DomainCoreDumpWithFormatArgs:
    """Arguments of DOMAIN_CORE_DUMP_WITH_FORMAT. flags: DomainCoreDumpFlags."""

    dom: NonnullDomain
    to: xdr.Str
    dumpformat: Annotated[xdr.UInt, names("domain.DomainCoreDumpFormat")]
    flags: xdr.UInt


@xdr.struct
class DomainManagedSaveDefineXmlArgs:
    """Arguments of DOMAIN_MANAGED_SAVE_DEFINE_XML. flags: DomainSaveRestoreFlags."""

    dom: NonnullDomain
    dxml: xdr.OptStr
    flags: xdr.UInt


@xdr.struct
class DomainStartDirtyRateCalcArgs:
    """Arguments of DOMAIN_START_DIRTY_RATE_CALC. flags: DomainDirtyRateCalcFlags."""

    dom: NonnullDomain
    seconds: xdr.Int
    flags: xdr.UInt


@xdr.struct
class DomainSaveParamsArgs:
    """Arguments of DOMAIN_SAVE_PARAMS. flags: DomainSaveRestoreFlags."""

    dom: NonnullDomain
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_SAVE_PARAMS_MAX)]
    flags: xdr.UInt


@xdr.struct
class DomainRestoreParamsArgs:
    """Arguments of DOMAIN_RESTORE_PARAMS. flags: DomainSaveRestoreFlags."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_SAVE_PARAMS_MAX)]
    flags: xdr.UInt


DOMAIN_CORE_DUMP: Final = REMOTE.procedure(
    53,
    "DOMAIN_CORE_DUMP",
    DomainCoreDumpArgs,
    xdr.Void,
    flags=names("domain_flags.DomainCoreDumpFlags"),
)
DOMAIN_RESTORE: Final = REMOTE.procedure(54, "DOMAIN_RESTORE", DomainRestoreArgs, xdr.Void)
DOMAIN_SAVE: Final = REMOTE.procedure(55, "DOMAIN_SAVE", DomainSaveArgs, xdr.Void)
DOMAIN_GET_JOB_INFO: Final = REMOTE.procedure(
    163, "DOMAIN_GET_JOB_INFO", DomainArgs, DomainGetJobInfoRet, reads=True
)
DOMAIN_ABORT_JOB: Final = REMOTE.procedure(164, "DOMAIN_ABORT_JOB", DomainArgs, xdr.Void)
DOMAIN_MANAGED_SAVE: Final = REMOTE.procedure(
    182,
    "DOMAIN_MANAGED_SAVE",
    DomainFlagsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainSaveRestoreFlags"),
)
DOMAIN_HAS_MANAGED_SAVE_IMAGE: Final = REMOTE.procedure(
    183, "DOMAIN_HAS_MANAGED_SAVE_IMAGE", DomainFlagsArgs, ResultRet, reads=True
)
DOMAIN_MANAGED_SAVE_REMOVE: Final = REMOTE.procedure(
    184, "DOMAIN_MANAGED_SAVE_REMOVE", DomainFlagsArgs, xdr.Void
)
DOMAIN_GET_CONTROL_INFO: Final = REMOTE.procedure(
    229,
    "DOMAIN_GET_CONTROL_INFO",
    DomainFlagsArgs,
    DomainGetControlInfoRet,
    reads=True,
    priority=True,
)
DOMAIN_SAVE_FLAGS: Final = REMOTE.procedure(
    232,
    "DOMAIN_SAVE_FLAGS",
    DomainSaveFlagsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainSaveRestoreFlags"),
)
DOMAIN_RESTORE_FLAGS: Final = REMOTE.procedure(
    233,
    "DOMAIN_RESTORE_FLAGS",
    DomainRestoreFlagsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainSaveRestoreFlags"),
)
DOMAIN_SAVE_IMAGE_GET_XML_DESC: Final = REMOTE.procedure(
    235,
    "DOMAIN_SAVE_IMAGE_GET_XML_DESC",
    DomainSaveImageGetXmlDescArgs,
    XmlRet,
    flags=names("domain_flags.DomainSaveImageXMLFlags"),
    priority=True,
)
DOMAIN_SAVE_IMAGE_DEFINE_XML: Final = REMOTE.procedure(
    236,
    "DOMAIN_SAVE_IMAGE_DEFINE_XML",
    DomainSaveImageDefineXmlArgs,
    xdr.Void,
    flags=names("domain_flags.DomainSaveRestoreFlags"),
    priority=True,
)
DOMAIN_GET_JOB_STATS: Final = REMOTE.procedure(
    298,
    "DOMAIN_GET_JOB_STATS",
    DomainFlagsArgs,
    DomainGetJobStatsRet,
    flags=names("domain_flags.DomainGetJobStatsFlags"),
    reads=True,
)
DOMAIN_CORE_DUMP_WITH_FORMAT: Final = REMOTE.procedure(
    334,
    "DOMAIN_CORE_DUMP_WITH_FORMAT",
    DomainCoreDumpWithFormatArgs,
    xdr.Void,
    flags=names("domain_flags.DomainCoreDumpFlags"),
)
DOMAIN_MANAGED_SAVE_GET_XML_DESC: Final = REMOTE.procedure(
    388,
    "DOMAIN_MANAGED_SAVE_GET_XML_DESC",
    DomainFlagsArgs,
    XmlRet,
    flags=names("domain_flags.DomainSaveImageXMLFlags"),
    reads=True,
)
DOMAIN_MANAGED_SAVE_DEFINE_XML: Final = REMOTE.procedure(
    389,
    "DOMAIN_MANAGED_SAVE_DEFINE_XML",
    DomainManagedSaveDefineXmlArgs,
    xdr.Void,
    flags=names("domain_flags.DomainSaveRestoreFlags"),
)
DOMAIN_START_DIRTY_RATE_CALC: Final = REMOTE.procedure(
    427,
    "DOMAIN_START_DIRTY_RATE_CALC",
    DomainStartDirtyRateCalcArgs,
    xdr.Void,
    flags=names("domain_flags.DomainDirtyRateCalcFlags"),
)
DOMAIN_SAVE_PARAMS: Final = REMOTE.procedure(
    440,
    "DOMAIN_SAVE_PARAMS",
    DomainSaveParamsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainSaveRestoreFlags"),
)
DOMAIN_RESTORE_PARAMS: Final = REMOTE.procedure(
    441,
    "DOMAIN_RESTORE_PARAMS",
    DomainRestoreParamsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainSaveRestoreFlags"),
)
DOMAIN_ABORT_JOB_FLAGS: Final = REMOTE.procedure(
    442,
    "DOMAIN_ABORT_JOB_FLAGS",
    DomainFlagsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainAbortJobFlagsValues"),
)

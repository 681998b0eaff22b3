"""Migration of domains, in all generations of its protocol."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.limits import DOMAIN_MIGRATE_PARAM_LIST_MAX, MIGRATE_COOKIE_MAX
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullDomain
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import DomainFlagsArgs
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.typedparams import TypedParam


@xdr.struct
class DomainMigratePrepareArgs:
    """Arguments of DOMAIN_MIGRATE_PREPARE."""

    uri_in: xdr.OptStr
    flags: xdr.UHyper
    dname: xdr.OptStr
    resource: xdr.UHyper


@xdr.struct
class CookieUriRet:
    """A message to the other host, and the URI to migrate to."""

    cookie: Annotated[bytes, xdr.VarOpaque(MIGRATE_COOKIE_MAX)]
    uri_out: xdr.OptStr


@xdr.struct
class DomainMigratePerformArgs:
    """Arguments of DOMAIN_MIGRATE_PERFORM."""

    dom: NonnullDomain
    cookie: Annotated[bytes, xdr.VarOpaque(MIGRATE_COOKIE_MAX)]
    uri: xdr.Str
    flags: xdr.UHyper
    dname: xdr.OptStr
    resource: xdr.UHyper


@xdr.struct
class DomainMigrateFinishArgs:
    """Arguments of DOMAIN_MIGRATE_FINISH."""

    dname: xdr.Str
    cookie: Annotated[bytes, xdr.VarOpaque(MIGRATE_COOKIE_MAX)]
    uri: xdr.Str
    flags: xdr.UHyper


@xdr.struct
class DomainMigratedRet:
    """A domain on its new host."""

    ddom: NonnullDomain


@xdr.struct
class DomainMigratePrepare2Args:
    """Arguments of DOMAIN_MIGRATE_PREPARE2."""

    uri_in: xdr.OptStr
    flags: xdr.UHyper
    dname: xdr.OptStr
    resource: xdr.UHyper
    dom_xml: xdr.Str


@xdr.struct
class DomainMigrateFinish2Args:
    """Arguments of DOMAIN_MIGRATE_FINISH2."""

    dname: xdr.Str
    cookie: Annotated[bytes, xdr.VarOpaque(MIGRATE_COOKIE_MAX)]
    uri: xdr.Str
    flags: xdr.UHyper
    retcode: xdr.Int


@xdr.struct
class DomainMigratePrepareTunnelArgs:
    """Arguments of DOMAIN_MIGRATE_PREPARE_TUNNEL."""

    flags: xdr.UHyper
    dname: xdr.OptStr
    resource: xdr.UHyper
    dom_xml: xdr.Str


@xdr.struct
class DomainMigrateSetMaxDowntimeArgs:
    """Arguments of DOMAIN_MIGRATE_SET_MAX_DOWNTIME."""

    dom: NonnullDomain
    downtime: xdr.UHyper
    flags: xdr.UInt


@xdr.struct
class DomainMigrateSetMaxSpeedArgs:
    """Arguments of DOMAIN_MIGRATE_SET_MAX_SPEED. flags: DomainMigrateMaxSpeedFlags."""

    dom: NonnullDomain
    bandwidth: xdr.UHyper
    flags: xdr.UInt


@xdr.struct
class DomainMigrateBegin3Args:
    """Arguments of DOMAIN_MIGRATE_BEGIN3."""

    dom: NonnullDomain
    xmlin: xdr.OptStr
    flags: xdr.UHyper
    dname: xdr.OptStr
    resource: xdr.UHyper


@xdr.struct
class CookieOutXmlRet:
    """A message to the other host, and the document of the domain."""

    cookie_out: Annotated[bytes, xdr.VarOpaque(MIGRATE_COOKIE_MAX)]
    xml: xdr.Str


@xdr.struct
class DomainMigratePrepare3Args:
    """Arguments of DOMAIN_MIGRATE_PREPARE3."""

    cookie_in: Annotated[bytes, xdr.VarOpaque(MIGRATE_COOKIE_MAX)]
    uri_in: xdr.OptStr
    flags: xdr.UHyper
    dname: xdr.OptStr
    resource: xdr.UHyper
    dom_xml: xdr.Str


@xdr.struct
class CookieOutUriRet:
    """A message to the other host, and the URI to migrate to."""

    cookie_out: Annotated[bytes, xdr.VarOpaque(MIGRATE_COOKIE_MAX)]
    uri_out: xdr.OptStr


@xdr.struct
class DomainMigratePrepareTunnel3Args:
    """Arguments of DOMAIN_MIGRATE_PREPARE_TUNNEL3."""

    cookie_in: Annotated[bytes, xdr.VarOpaque(MIGRATE_COOKIE_MAX)]
    flags: xdr.UHyper
    dname: xdr.OptStr
    resource: xdr.UHyper
    dom_xml: xdr.Str


@xdr.struct
class CookieOutRet:
    """A message to the other host."""

    cookie_out: Annotated[bytes, xdr.VarOpaque(MIGRATE_COOKIE_MAX)]


@xdr.struct
class DomainMigratePerform3Args:
    """Arguments of DOMAIN_MIGRATE_PERFORM3."""

    dom: NonnullDomain
    xmlin: xdr.OptStr
    cookie_in: Annotated[bytes, xdr.VarOpaque(MIGRATE_COOKIE_MAX)]
    dconnuri: xdr.OptStr
    uri: xdr.OptStr
    flags: xdr.UHyper
    dname: xdr.OptStr
    resource: xdr.UHyper


@xdr.struct
class DomainMigrateFinish3Args:
    """Arguments of DOMAIN_MIGRATE_FINISH3."""

    dname: xdr.Str
    cookie_in: Annotated[bytes, xdr.VarOpaque(MIGRATE_COOKIE_MAX)]
    dconnuri: xdr.OptStr
    uri: xdr.OptStr
    flags: xdr.UHyper
    cancelled: xdr.Int


@xdr.struct
class DomainCookieOutRet:
    """A domain, and a message to the other host."""

    dom: NonnullDomain
    cookie_out: Annotated[bytes, xdr.VarOpaque(MIGRATE_COOKIE_MAX)]


@xdr.struct
class DomainMigrateConfirm3Args:
    """Arguments of DOMAIN_MIGRATE_CONFIRM3."""

    dom: NonnullDomain
    cookie_in: Annotated[bytes, xdr.VarOpaque(MIGRATE_COOKIE_MAX)]
    flags: xdr.UHyper
    cancelled: xdr.Int


@xdr.struct
class DomainMigrateGetMaxSpeedRet:
    """Result of DOMAIN_MIGRATE_GET_MAX_SPEED."""

    bandwidth: xdr.UHyper


@xdr.struct
class DomainMigrateGetCompressionCacheRet:
    """Result of DOMAIN_MIGRATE_GET_COMPRESSION_CACHE."""

    cacheSize: xdr.UHyper


@xdr.struct
class DomainMigrateSetCompressionCacheArgs:
    """Arguments of DOMAIN_MIGRATE_SET_COMPRESSION_CACHE."""

    dom: NonnullDomain
    cacheSize: xdr.UHyper
    flags: xdr.UInt


@xdr.struct
class DomainMigrateBegin3ParamsArgs:
    """Arguments of DOMAIN_MIGRATE_BEGIN3_PARAMS."""

    dom: NonnullDomain
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_MIGRATE_PARAM_LIST_MAX)]
    flags: xdr.UInt


@xdr.struct
class DomainMigratePrepare3ParamsArgs:
    """Arguments of DOMAIN_MIGRATE_PREPARE3_PARAMS."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_MIGRATE_PARAM_LIST_MAX)]
    cookie_in: Annotated[bytes, xdr.VarOpaque(MIGRATE_COOKIE_MAX)]
    flags: xdr.UInt


@xdr.struct
class DomainMigratePerform3ParamsArgs:
    """Arguments of DOMAIN_MIGRATE_PERFORM3_PARAMS."""

    dom: NonnullDomain
    dconnuri: xdr.OptStr
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_MIGRATE_PARAM_LIST_MAX)]
    cookie_in: Annotated[bytes, xdr.VarOpaque(MIGRATE_COOKIE_MAX)]
    flags: xdr.UInt


@xdr.struct
class DomainMigrateFinish3ParamsArgs:
    """Arguments of DOMAIN_MIGRATE_FINISH3_PARAMS."""

    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_MIGRATE_PARAM_LIST_MAX)]
    cookie_in: Annotated[bytes, xdr.VarOpaque(MIGRATE_COOKIE_MAX)]
    flags: xdr.UInt
    cancelled: xdr.Int


@xdr.struct
class DomainMigrateConfirm3ParamsArgs:
    """Arguments of DOMAIN_MIGRATE_CONFIRM3_PARAMS."""

    dom: NonnullDomain
    params: Annotated[list[TypedParam], xdr.Array(TypedParam, DOMAIN_MIGRATE_PARAM_LIST_MAX)]
    cookie_in: Annotated[bytes, xdr.VarOpaque(MIGRATE_COOKIE_MAX)]
    flags: xdr.UInt
    cancelled: xdr.Int


@xdr.struct
class DomainMigrateGetMaxDowntimeRet:
    """Result of DOMAIN_MIGRATE_GET_MAX_DOWNTIME."""

    downtime: xdr.UHyper


DOMAIN_MIGRATE_PREPARE: Final = REMOTE.procedure(
    61,
    "DOMAIN_MIGRATE_PREPARE",
    DomainMigratePrepareArgs,
    CookieUriRet,
    flags=names("domain_flags.DomainMigrateFlags"),
)
DOMAIN_MIGRATE_PERFORM: Final = REMOTE.procedure(
    62,
    "DOMAIN_MIGRATE_PERFORM",
    DomainMigratePerformArgs,
    xdr.Void,
    flags=names("domain_flags.DomainMigrateFlags"),
)
DOMAIN_MIGRATE_FINISH: Final = REMOTE.procedure(
    63,
    "DOMAIN_MIGRATE_FINISH",
    DomainMigrateFinishArgs,
    DomainMigratedRet,
    flags=names("domain_flags.DomainMigrateFlags"),
)
DOMAIN_MIGRATE_PREPARE2: Final = REMOTE.procedure(
    108,
    "DOMAIN_MIGRATE_PREPARE2",
    DomainMigratePrepare2Args,
    CookieUriRet,
    flags=names("domain_flags.DomainMigrateFlags"),
)
DOMAIN_MIGRATE_FINISH2: Final = REMOTE.procedure(
    109,
    "DOMAIN_MIGRATE_FINISH2",
    DomainMigrateFinish2Args,
    DomainMigratedRet,
    flags=names("domain_flags.DomainMigrateFlags"),
)
DOMAIN_MIGRATE_PREPARE_TUNNEL: Final = REMOTE.procedure(
    148,
    "DOMAIN_MIGRATE_PREPARE_TUNNEL",
    DomainMigratePrepareTunnelArgs,
    xdr.Void,
    flags=names("domain_flags.DomainMigrateFlags"),
    stream=True,
)
DOMAIN_MIGRATE_SET_MAX_DOWNTIME: Final = REMOTE.procedure(
    166, "DOMAIN_MIGRATE_SET_MAX_DOWNTIME", DomainMigrateSetMaxDowntimeArgs, xdr.Void
)
DOMAIN_MIGRATE_SET_MAX_SPEED: Final = REMOTE.procedure(
    207,
    "DOMAIN_MIGRATE_SET_MAX_SPEED",
    DomainMigrateSetMaxSpeedArgs,
    xdr.Void,
    flags=names("domain_flags.DomainMigrateMaxSpeedFlags"),
)
DOMAIN_MIGRATE_BEGIN3: Final = REMOTE.procedure(
    213,
    "DOMAIN_MIGRATE_BEGIN3",
    DomainMigrateBegin3Args,
    CookieOutXmlRet,
    flags=names("domain_flags.DomainMigrateFlags"),
)
DOMAIN_MIGRATE_PREPARE3: Final = REMOTE.procedure(
    214,
    "DOMAIN_MIGRATE_PREPARE3",
    DomainMigratePrepare3Args,
    CookieOutUriRet,
    flags=names("domain_flags.DomainMigrateFlags"),
)
DOMAIN_MIGRATE_PREPARE_TUNNEL3: Final = REMOTE.procedure(
    215,
    "DOMAIN_MIGRATE_PREPARE_TUNNEL3",
    DomainMigratePrepareTunnel3Args,
    CookieOutRet,
    flags=names("domain_flags.DomainMigrateFlags"),
    stream=True,
)
DOMAIN_MIGRATE_PERFORM3: Final = REMOTE.procedure(
    216,
    "DOMAIN_MIGRATE_PERFORM3",
    DomainMigratePerform3Args,
    CookieOutRet,
    flags=names("domain_flags.DomainMigrateFlags"),
)
DOMAIN_MIGRATE_FINISH3: Final = REMOTE.procedure(
    217,
    "DOMAIN_MIGRATE_FINISH3",
    DomainMigrateFinish3Args,
    DomainCookieOutRet,
    flags=names("domain_flags.DomainMigrateFlags"),
)
DOMAIN_MIGRATE_CONFIRM3: Final = REMOTE.procedure(
    218,
    "DOMAIN_MIGRATE_CONFIRM3",
    DomainMigrateConfirm3Args,
    xdr.Void,
    flags=names("domain_flags.DomainMigrateFlags"),
)
DOMAIN_MIGRATE_GET_MAX_SPEED: Final = REMOTE.procedure(
    242,
    "DOMAIN_MIGRATE_GET_MAX_SPEED",
    DomainFlagsArgs,
    DomainMigrateGetMaxSpeedRet,
    flags=names("domain_flags.DomainMigrateMaxSpeedFlags"),
)
DOMAIN_MIGRATE_GET_COMPRESSION_CACHE: Final = REMOTE.procedure(
    299,
    "DOMAIN_MIGRATE_GET_COMPRESSION_CACHE",
    DomainFlagsArgs,
    DomainMigrateGetCompressionCacheRet,
    reads=True,
)
DOMAIN_MIGRATE_SET_COMPRESSION_CACHE: Final = REMOTE.procedure(
    300, "DOMAIN_MIGRATE_SET_COMPRESSION_CACHE", DomainMigrateSetCompressionCacheArgs, xdr.Void
)
DOMAIN_MIGRATE_BEGIN3_PARAMS: Final = REMOTE.procedure(
    302,
    "DOMAIN_MIGRATE_BEGIN3_PARAMS",
    DomainMigrateBegin3ParamsArgs,
    CookieOutXmlRet,
    flags=names("domain_flags.DomainMigrateFlags"),
)
DOMAIN_MIGRATE_PREPARE3_PARAMS: Final = REMOTE.procedure(
    303,
    "DOMAIN_MIGRATE_PREPARE3_PARAMS",
    DomainMigratePrepare3ParamsArgs,
    CookieOutUriRet,
    flags=names("domain_flags.DomainMigrateFlags"),
)
DOMAIN_MIGRATE_PREPARE_TUNNEL3_PARAMS: Final = REMOTE.procedure(
    304,
    "DOMAIN_MIGRATE_PREPARE_TUNNEL3_PARAMS",
    DomainMigratePrepare3ParamsArgs,
    CookieOutRet,
    flags=names("domain_flags.DomainMigrateFlags"),
    stream=True,
)
DOMAIN_MIGRATE_PERFORM3_PARAMS: Final = REMOTE.procedure(
    305,
    "DOMAIN_MIGRATE_PERFORM3_PARAMS",
    DomainMigratePerform3ParamsArgs,
    CookieOutRet,
    flags=names("domain_flags.DomainMigrateFlags"),
)
DOMAIN_MIGRATE_FINISH3_PARAMS: Final = REMOTE.procedure(
    306,
    "DOMAIN_MIGRATE_FINISH3_PARAMS",
    DomainMigrateFinish3ParamsArgs,
    DomainCookieOutRet,
    flags=names("domain_flags.DomainMigrateFlags"),
)
DOMAIN_MIGRATE_CONFIRM3_PARAMS: Final = REMOTE.procedure(
    307,
    "DOMAIN_MIGRATE_CONFIRM3_PARAMS",
    DomainMigrateConfirm3ParamsArgs,
    xdr.Void,
    flags=names("domain_flags.DomainMigrateFlags"),
)
DOMAIN_MIGRATE_START_POST_COPY: Final = REMOTE.procedure(
    364, "DOMAIN_MIGRATE_START_POST_COPY", DomainFlagsArgs, xdr.Void
)
DOMAIN_MIGRATE_GET_MAX_DOWNTIME: Final = REMOTE.procedure(
    387,
    "DOMAIN_MIGRATE_GET_MAX_DOWNTIME",
    DomainFlagsArgs,
    DomainMigrateGetMaxDowntimeRet,
    reads=True,
)

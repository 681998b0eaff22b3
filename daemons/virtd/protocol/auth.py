"""Authentication, before a client is let in."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.chars import Chars
from aiovirt.daemons.virtd.protocol.limits import AUTH_SASL_DATA_MAX, AUTH_TYPE_LIST_MAX
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.rpc.wire import xdr


@xdr.struct
class AuthListRet:
    """Result of AUTH_LIST. types: ways to authenticate, AuthType."""

    types: Annotated[
        list[int], xdr.Array(Annotated[xdr.Int, names("connect.AuthType")], AUTH_TYPE_LIST_MAX)
    ]


@xdr.struct
class AuthSaslInitRet:
    """Result of AUTH_SASL_INIT. mechlist: the available mechanisms, separated by commas."""

    mechlist: xdr.Str


@xdr.struct
class AuthSaslStartArgs:
    """Arguments of AUTH_SASL_START. mech: the chosen mechanism; nil: 1 if there is no data."""

    mech: xdr.Str
    nil: xdr.Int
    data: Annotated[bytes, Chars(AUTH_SASL_DATA_MAX)]


@xdr.struct
class SaslRet:
    """The server's message. complete: 1 at the end of the negotiation; nil: 1 if there is no data."""

    complete: xdr.Int
    nil: xdr.Int
    data: Annotated[bytes, Chars(AUTH_SASL_DATA_MAX)]


@xdr.struct
class AuthSaslStepArgs:
    """Arguments of AUTH_SASL_STEP. nil: 1 if there is no data."""

    nil: xdr.Int
    data: Annotated[bytes, Chars(AUTH_SASL_DATA_MAX)]


@xdr.struct
class AuthPolkitRet:
    """Result of AUTH_POLKIT. complete: 1 at the end of the negotiation."""

    complete: xdr.Int


AUTH_LIST: Final = REMOTE.procedure(
    66, "AUTH_LIST", xdr.Void, AuthListRet, reads=True, priority=True, needs_auth=False
)
AUTH_SASL_INIT: Final = REMOTE.procedure(
    67, "AUTH_SASL_INIT", xdr.Void, AuthSaslInitRet, reads=True, priority=True, needs_auth=False
)
AUTH_SASL_START: Final = REMOTE.procedure(
    68, "AUTH_SASL_START", AuthSaslStartArgs, SaslRet, reads=True, priority=True, needs_auth=False
)
AUTH_SASL_STEP: Final = REMOTE.procedure(
    69, "AUTH_SASL_STEP", AuthSaslStepArgs, SaslRet, reads=True, priority=True, needs_auth=False
)
AUTH_POLKIT: Final = REMOTE.procedure(
    70, "AUTH_POLKIT", xdr.Void, AuthPolkitRet, reads=True, priority=True, needs_auth=False
)

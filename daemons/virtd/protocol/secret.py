"""Secrets and their values."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.daemons.virtd.protocol.limits import SECRET_LIST_MAX, SECRET_VALUE_MAX
from aiovirt.daemons.virtd.protocol.naming import names
from aiovirt.daemons.virtd.protocol.objects import NonnullSecret
from aiovirt.daemons.virtd.protocol.program import REMOTE
from aiovirt.daemons.virtd.protocol.shapes import (
    CallbackArgs,
    CallbackRet,
    ListAllArgs,
    NumRet,
    UuidArgs,
    XmlFlagsArgs,
    XmlRet,
)
from aiovirt.rpc.wire import xdr


@xdr.struct
class ConnectListSecretsArgs:
    """Arguments of CONNECT_LIST_SECRETS."""

    maxuuids: xdr.Int


@xdr.struct
class ConnectListSecretsRet:
    """Result of CONNECT_LIST_SECRETS."""

    uuids: Annotated[list[str], xdr.Array(xdr.Str, SECRET_LIST_MAX)]


@xdr.struct
class SecretRet:
    """A secret."""

    secret: NonnullSecret


@xdr.struct
class SecretFlagsArgs:
    """A secret, and flags of the procedure."""

    secret: NonnullSecret
    flags: xdr.UInt


@xdr.struct
class SecretSetValueArgs:
    """Arguments of SECRET_SET_VALUE. The value is not part of its printed form."""

    secret: NonnullSecret
    value: Annotated[bytes, xdr.VarOpaque(SECRET_VALUE_MAX)]
    flags: xdr.UInt

    def __repr__(self) -> str:
        return f"SecretSetValueArgs({self.secret!r}, value=<hidden>, flags={self.flags})"


@xdr.struct
class SecretGetValueRet:
    """Result of SECRET_GET_VALUE. The value is not part of its printed form."""

    value: Annotated[bytes, xdr.VarOpaque(SECRET_VALUE_MAX)]

    def __repr__(self) -> str:
        return "SecretGetValueRet(value=<hidden>)"


@xdr.struct
class SecretUndefineArgs:
    """Arguments of SECRET_UNDEFINE."""

    secret: NonnullSecret


@xdr.struct
class SecretLookupByUsageArgs:
    """Arguments of SECRET_LOOKUP_BY_USAGE."""

    usageType: Annotated[xdr.Int, names("secret.SecretUsageType")]
    usageID: xdr.Str


@xdr.struct
class ConnectListAllSecretsRet:
    """Result of CONNECT_LIST_ALL_SECRETS."""

    secrets: Annotated[list[NonnullSecret], xdr.Array(NonnullSecret, SECRET_LIST_MAX)]
    ret: xdr.UInt


@xdr.struct
class ConnectSecretEventRegisterAnyArgs:
    """Arguments of CONNECT_SECRET_EVENT_REGISTER_ANY."""

    eventID: Annotated[xdr.Int, names("secret.SecretEventID")]
    secret: Annotated[NonnullSecret | None, xdr.Optional(NonnullSecret)]


@xdr.struct
class SecretEventLifecycleMsg:
    """Content of the event SECRET_EVENT_LIFECYCLE."""

    callbackID: xdr.Int
    secret: NonnullSecret
    event: Annotated[xdr.Int, names("secret.SecretEventLifecycleType")]
    detail: xdr.Int


@xdr.struct
class SecretEventValueChangedMsg:
    """Content of the event SECRET_EVENT_VALUE_CHANGED."""

    callbackID: xdr.Int
    secret: NonnullSecret


CONNECT_NUM_OF_SECRETS: Final = REMOTE.procedure(
    139, "CONNECT_NUM_OF_SECRETS", xdr.Void, NumRet, reads=True, priority=True
)
CONNECT_LIST_SECRETS: Final = REMOTE.procedure(
    140,
    "CONNECT_LIST_SECRETS",
    ConnectListSecretsArgs,
    ConnectListSecretsRet,
    reads=True,
    priority=True,
)
SECRET_LOOKUP_BY_UUID: Final = REMOTE.procedure(
    141, "SECRET_LOOKUP_BY_UUID", UuidArgs, SecretRet, reads=True, priority=True
)
SECRET_DEFINE_XML: Final = REMOTE.procedure(
    142,
    "SECRET_DEFINE_XML",
    XmlFlagsArgs,
    SecretRet,
    flags=names("secret.SecretDefineFlags"),
    priority=True,
)
SECRET_GET_XML_DESC: Final = REMOTE.procedure(
    143, "SECRET_GET_XML_DESC", SecretFlagsArgs, XmlRet, reads=True, priority=True
)
SECRET_SET_VALUE: Final = REMOTE.procedure(
    144, "SECRET_SET_VALUE", SecretSetValueArgs, xdr.Void, priority=True
)
SECRET_GET_VALUE: Final = REMOTE.procedure(
    145, "SECRET_GET_VALUE", SecretFlagsArgs, SecretGetValueRet, priority=True
)
SECRET_UNDEFINE: Final = REMOTE.procedure(
    146, "SECRET_UNDEFINE", SecretUndefineArgs, xdr.Void, priority=True
)
SECRET_LOOKUP_BY_USAGE: Final = REMOTE.procedure(
    147, "SECRET_LOOKUP_BY_USAGE", SecretLookupByUsageArgs, SecretRet, reads=True, priority=True
)
CONNECT_LIST_ALL_SECRETS: Final = REMOTE.procedure(
    287,
    "CONNECT_LIST_ALL_SECRETS",
    ListAllArgs,
    ConnectListAllSecretsRet,
    flags=names("secret.ConnectListAllSecretsFlags"),
    reads=True,
    priority=True,
)
CONNECT_SECRET_EVENT_REGISTER_ANY: Final = REMOTE.procedure(
    380,
    "CONNECT_SECRET_EVENT_REGISTER_ANY",
    ConnectSecretEventRegisterAnyArgs,
    CallbackRet,
    reads=True,
    priority=True,
)
CONNECT_SECRET_EVENT_DEREGISTER_ANY: Final = REMOTE.procedure(
    381, "CONNECT_SECRET_EVENT_DEREGISTER_ANY", CallbackArgs, xdr.Void, reads=True, priority=True
)
SECRET_EVENT_LIFECYCLE: Final = REMOTE.event(382, "SECRET_EVENT_LIFECYCLE", SecretEventLifecycleMsg)
SECRET_EVENT_VALUE_CHANGED: Final = REMOTE.event(
    383, "SECRET_EVENT_VALUE_CHANGED", SecretEventValueChangedMsg
)

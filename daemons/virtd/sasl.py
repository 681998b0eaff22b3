"""Authentication by SASL, as the remote program has it.

Every refusal has the same text, so that it tells an attacker nothing; the log has the reason.

Source: libvirt's src/remote/remote_daemon_dispatch.c (remoteDispatchAuthSasl*).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server import Client, ClientState, run_blocking, serves
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from aiovirt.rpc.security.sasl import ServerExchange

_log = get_logger("daemons.virtd.sasl")

#: Failed attempts after which a connection is closed.
_ATTEMPTS: Final = 5


#: What a client has begun, until it ends well or badly; and how many times it ended badly.
_EXCHANGE: Final = ClientState["ServerExchange"]("SASL exchange")
_FAILURES: Final = ClientState[int]("failed authentications")


class SaslDispatch:
    """Authenticates clients of services with `sasl`.

    password_file: where the verifiers are, read anew for each attempt, so that a change counts at once;
    allowed: patterns of names, None for any.
    """

    def __init__(self, password_file: str, allowed: tuple[str, ...] | None) -> None:
        self.password_file = password_file
        self.allowed = allowed

    def set(self, changes: Mapping[str, Any]) -> None:
        """Take changed settings."""
        self.password_file = changes.get("sasl_password_file", self.password_file)
        self.allowed = changes.get("sasl_allowed_username_list", self.allowed)

    @serves(protocol.AUTH_SASL_INIT)
    async def init(self, client: Client, args: None) -> protocol.AuthSaslInitRet:
        """Begin an exchange. A coroutine, since the file system may keep the password file waiting."""
        self._require_order(client)
        from aiovirt.rpc.security.sasl import MECHANISMS, Passwords, ServerExchange

        try:
            passwords = await run_blocking(Passwords, self.password_file)
        except (OSError, ValueError) as error:
            _log.error(
                "the file of passwords cannot be used",
                server=client.server.name,
                client=client.id,
                reason=str(error),
            )
            raise self._refused(client, "no passwords") from error
        self._require_order(client)  # it may have sent another INIT meanwhile
        _EXCHANGE.set(client, ServerExchange(passwords))
        return protocol.AuthSaslInitRet(",".join(MECHANISMS))

    def _require_order(self, client: Client) -> None:
        if client.access.auth != "sasl" or client.authenticated or _EXCHANGE.get(client):
            raise self._refused(client, "an INIT out of order")

    @serves(protocol.AUTH_SASL_START)
    def start(self, client: Client, args: protocol.AuthSaslStartArgs) -> protocol.SaslRet:
        exchange = self._exchange(client)
        return self._go(
            client,
            exchange,
            lambda: exchange.start(args.mech, None if args.nil else args.data),
        )

    @serves(protocol.AUTH_SASL_STEP)
    def step(self, client: Client, args: protocol.AuthSaslStepArgs) -> protocol.SaslRet:
        exchange = self._exchange(client)
        return self._go(client, exchange, lambda: exchange.step(args.data))

    def _go(self, client: Client, exchange: ServerExchange, act: Any) -> protocol.SaslRet:
        from aiovirt.rpc.security.sasl import SaslError, allowed

        try:
            answer: bytes = act()
        except SaslError as error:
            raise self._refused(client, str(error)) from error
        if exchange.complete:
            if not allowed(exchange.name, self.allowed):
                raise self._refused(client, f"{exchange.name} is not on sasl_allowed_username_list")
            _EXCHANGE.pop(client)
            client.sasl_name = exchange.name
            client.server.registry.authenticated(client)
            _log.info(
                "client authenticated",
                server=client.server.name,
                client=client.id,
                name=exchange.name,
            )
        return protocol.SaslRet(int(exchange.complete), nil=0, data=answer)

    def _exchange(self, client: Client) -> ServerExchange:
        exchange = _EXCHANGE.get(client)
        if exchange is None:
            raise self._refused(client, "a step before INIT")
        return exchange

    def _refused(self, client: Client, reason: str) -> RpcError:
        _EXCHANGE.pop(client)
        _log.warning(
            "authentication failed", server=client.server.name, client=client.id, reason=reason
        )
        failures = _FAILURES.set(client, (_FAILURES.get(client) or 0) + 1)
        if failures >= _ATTEMPTS:
            client.close_after_reply()
        return RpcError(ErrorCode.AUTH_FAILED, "authentication failed", domain=ErrorDomain.RPC)

"""virtd's administration: rules of faults."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.virtd.faults import protocol
from aiovirt.daemons.virtd.faults.happenings import split
from aiovirt.daemons.virtd.faults.injecting import inject
from aiovirt.daemons.virtd.faults.rules import RuleError
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server import Client, serves
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiovirt.daemons.virtd.faults.striking import ActiveRule, FaultRules
    from aiovirt.daemons.virtd.host.domain import Domain
    from aiovirt.daemons.virtd.host.host import Host

_log = get_logger("daemons.virtd.faults")

#: Seconds between two looks whether the client of a waiting call is still there.
_LOOK: Final = 0.5


class FaultAdminDispatch:
    """Serves the rules of a daemon, and events of its guests.

    Args:
        rules: of the daemon.
        hosts: those that clients share, by the name of their driver.
        private_hosts: returns those of one client each, by name: `test:3`.
    """

    def __init__(
        self,
        rules: FaultRules,
        hosts: Mapping[str, Host],
        private_hosts: Callable[[], Mapping[str, Host]],
    ) -> None:
        self._rules = rules
        self._hosts = hosts
        self._private_hosts = private_hosts
        self._waiting = 0

    @serves(protocol.FAULT_ADD)
    def add(self, client: Client, args: protocol.FaultAddArgs) -> protocol.FaultAddRet:
        if len(self._rules) >= protocol.RULES_MAX:
            raise _invalid(f"there are {protocol.RULES_MAX} rules, which is the most")
        try:
            return protocol.FaultAddRet(self._rules.add(protocol.rule_of(args.rule)))
        except RuleError as error:
            raise _invalid(str(error)) from error

    @serves(protocol.FAULT_LIST)
    def list(self, client: Client, args: protocol.FaultListArgs) -> protocol.FaultListRet:
        return protocol.FaultListRet(
            [
                protocol.FaultInfo(
                    one.id, protocol.to_wire(one.rule), one.seen, one.strikes, one.held
                )
                for one in self._rules
            ]
        )

    @serves(protocol.FAULT_REMOVE)
    def remove(self, client: Client, args: protocol.FaultRemoveArgs) -> None:
        if not self._rules.remove(args.id):
            raise _invalid(f"rule {args.id} does not exist")

    @serves(protocol.FAULT_CLEAR)
    def clear(self, client: Client, args: protocol.FaultListArgs) -> None:
        self._rules.clear()

    @serves(protocol.FAULT_WAIT)
    async def wait(self, client: Client, args: protocol.FaultWaitArgs) -> None:
        one = self._find(args.id)
        most = max(1, client.server.workers.maximum // 2)
        if self._waiting >= most:
            text = f"{self._waiting} calls wait for rules already, the maximum is {most}"
            raise RpcError(ErrorCode.RESOURCE_BUSY, text, domain=ErrorDomain.CONF)
        self._waiting += 1
        try:
            async with asyncio.timeout(args.timeout / 1000 or None):
                await self._struck_or_left(client, one, args.strikes)
        except TimeoutError as error:
            text = f"rule {one.id} has struck {one.strikes} times, not {args.strikes}"
            raise RpcError(ErrorCode.OPERATION_TIMEOUT, text, domain=ErrorDomain.CONF) from error
        finally:
            self._waiting -= 1

    async def _struck_or_left(self, client: Client, one: ActiveRule, strikes: int) -> None:
        """Wait for a rule. Its worker is not kept for a client that may be gone."""
        waiting = asyncio.create_task(one.wait_for(strikes))
        try:
            while not (await asyncio.wait([waiting], timeout=_LOOK))[0]:
                if client.input_over:
                    text = (
                        f"client {client.id} sends nothing more, so its wait for a rule has ended"
                    )
                    raise RpcError(ErrorCode.OPERATION_ABORTED, text, domain=ErrorDomain.CONF)
            await waiting
        finally:
            waiting.cancel()

    @serves(protocol.GUEST_EVENT)
    def guest_event(self, client: Client, args: protocol.GuestEventArgs) -> None:
        domain = self._guest(args.host, args.guest)
        try:
            inject(domain, args.event, split(args.values))
        except RuleError as error:
            raise _invalid(str(error)) from error
        _log.info("event injected", host=domain.host.name, guest=args.guest, name=args.event)

    def _guest(self, host: str, name: str) -> Domain:
        """The guest of a host, or of any. Raises RpcError."""
        hosts = {**self._hosts, **self._private_hosts()}
        if host and host not in hosts:
            raise _invalid(f"'{host}' is not a host; there are {', '.join(hosts)}")
        asked = {host: hosts[host]} if host else hosts
        found = {
            where: domain
            for where, one in asked.items()
            if (domain := one.domains.by_name(name)) is not None
        }
        if len(found) > 1:
            raise _invalid(
                f"domain '{name}' exists on several hosts; name one of {', '.join(found)}"
            )
        if not found:
            raise RpcError.of(ErrorCode.NO_DOMAIN, f"'{name}'", domain=ErrorDomain.CONF)
        return next(iter(found.values()))

    def _find(self, number: int) -> ActiveRule:
        found = self._rules.get(number)
        if found is None:
            raise _invalid(f"rule {number} does not exist")
        return found


def _invalid(text: str) -> RpcError:
    return RpcError(ErrorCode.INVALID_ARG, text, domain=ErrorDomain.CONF)

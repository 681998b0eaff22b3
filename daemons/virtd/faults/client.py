"""The client side of virtd's faults.

    async with admin.client.connect("virtd:///system") as connection:
        faults = FaultAdmin(connection)
        rule = await faults.add(Rule(Action.ERROR, "DOMAIN_CREATE*", code=ErrorCode.NO_MEMORY, times=1))
        ...
        await faults.wait(rule, timeout=5.0)
        await faults.clear()

Errors, from every call: those of `admin.client`; MissingProgram when the daemon is no virtd.
"""

from __future__ import annotations

import json
from typing import Any, NamedTuple, TypeVar

from aiovirt.admin.client import Connection
from aiovirt.daemons.virtd.admin_protocol import VIRT_ADMIN
from aiovirt.daemons.virtd.faults import protocol
from aiovirt.daemons.virtd.faults.rules import DRIVER, Action, Rule, check, check_types
from aiovirt.rpc.wire.program import Procedure
from aiovirt.rpc.wire.xdr import XdrError

__all__ = ["DRIVER", "Action", "FaultAdmin", "Rule", "RuleInfo"]

_ArgsT = TypeVar("_ArgsT")
_ResultT = TypeVar("_ResultT")


class RuleInfo(NamedTuple):
    """A rule with its counts. seen: the calls or events that matched; strikes: those of them that it
    struck; held: calls that it holds now."""

    id: int
    rule: Rule
    seen: int
    strikes: int
    held: int


def _word(key: str, value: object) -> str:
    if key == "return" and not isinstance(value, str):
        value = json.dumps(value)
    return f"{key}={value}"


class FaultAdmin:
    """The faults of a virtd, over an admin connection that was opened by `admin.client.connect`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def add(self, rule: Rule) -> int:
        """Add a rule after the existing ones, and return its id.

        Raises:
            RpcError: INVALID_ARG for a rule that contradicts itself.
            RuleError: a number or the text of the rule is out of range, or of a wrong type.
        """
        check_types(rule)
        args = protocol.FaultAddArgs(protocol.to_wire(rule), flags=0)
        try:
            return (await self._call(protocol.FAULT_ADD, args)).id
        except XdrError:  # it has not left this process
            check(rule)
            raise

    async def list(self) -> list[RuleInfo]:
        """The rules, in the order in which they are asked."""
        answer = await self._call(protocol.FAULT_LIST, protocol.FaultListArgs(flags=0))
        return [
            RuleInfo(one.id, protocol.rule_of(one.rule), one.seen, one.strikes, one.held)
            for one in answer.rules
        ]

    async def remove(self, rule: int) -> None:
        """Remove a rule, and let go the calls that it holds. Raises RpcError INVALID_ARG."""
        await self._call(protocol.FAULT_REMOVE, protocol.FaultRemoveArgs(rule, flags=0))

    async def clear(self) -> None:
        """Remove all rules, and let go the calls that they hold."""
        await self._call(protocol.FAULT_CLEAR, protocol.FaultListArgs(flags=0))

    async def wait(self, rule: int, strikes: int = 1, timeout: float = 0.0) -> None:
        """Wait until a rule has struck.

        Args:
            rule: its id.
            strikes: how often it has to have struck since it was added.
            timeout: seconds to wait at most; 0 without end.

        Raises:
            RpcError: OPERATION_TIMEOUT; INVALID_ARG when it does not exist, or is removed meanwhile;
                OPERATION_ABORTED when the daemon ends or restarts; RESOURCE_BUSY when half of the
                admin server's workers wait already.
        """
        args = protocol.FaultWaitArgs(rule, strikes, round(timeout * 1000), flags=0)
        with self._connection.needing(VIRT_ADMIN, "virtd"):
            await self._connection.call(protocol.FAULT_WAIT, args, takes=timeout or None)

    async def inject(self, guest: str, event: str, host: str = "", /, **values: Any) -> None:
        """Let an event happen to a guest.

        Args:
            guest: the name of the domain.
            event: as in `happenings`: "crash", "io-error" and so on.
            host: its driver, or `test:3` for the host of client 3 alone; empty for the one that has the
                guest.
            values: of the event: `disk="vda"`. The value `return` is a word of Python's, so it is
                `return_` here: JSON as a text, or anything else that JSON can have.

        Raises:
            RpcError: INVALID_ARG, NO_DOMAIN, or the error of the driver for a guest to which that cannot
                happen now.
        """
        words = [_word(key.removesuffix("_"), value) for key, value in values.items()]
        args = protocol.GuestEventArgs(host, guest, event, words, flags=0)
        await self._call(protocol.GUEST_EVENT, args)

    async def _call(self, procedure: Procedure[_ArgsT, _ResultT], args: _ArgsT) -> _ResultT:
        with self._connection.needing(VIRT_ADMIN, "virtd"):
            return await self._connection.call(procedure, args)

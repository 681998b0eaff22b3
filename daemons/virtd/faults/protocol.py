"""The procedures of virtd's administration program for faults."""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from aiovirt.daemons.virtd.admin_protocol import HOST_MAX, VIRT_ADMIN
from aiovirt.daemons.virtd.faults.rules import NAME_MAX, TEXT_MAX, Action, Rule
from aiovirt.rpc.wire import xdr

#: Rules of one daemon; values of an event.
RULES_MAX: Final = 1024
VALUES_MAX: Final = 16

_Name = Annotated[str, xdr.String(NAME_MAX)]
_Text = Annotated[str, xdr.String(TEXT_MAX)]


@xdr.struct
class FaultRule:
    """A rule; docs/faults.md has the actions and conditions.

    action: "error", "delay" and so on; client: an id, 0 for all; delay: in milliseconds; domain: of the
    error, -1 for the one of the client's driver; size: bytes of a cut reply, 0 for half of it.
    """

    action: _Name
    procedure: _Name
    guest: _Name
    client: xdr.UInt
    times: xdr.UInt
    every: xdr.UInt
    probability: xdr.Double
    seed: xdr.UInt
    delay: xdr.UInt
    code: xdr.Int
    domain: xdr.Int
    text: _Text
    size: xdr.UInt


@xdr.struct
class FaultInfo:
    """A rule with its counts. seen: the calls or events that matched; strikes: those of them that it
    struck; held: calls that it holds now."""

    id: xdr.UInt
    rule: FaultRule
    seen: xdr.UHyper
    strikes: xdr.UHyper
    held: xdr.UInt


@xdr.struct
class FaultAddArgs:
    """Arguments of FAULT_ADD."""

    rule: FaultRule
    flags: xdr.UInt


@xdr.struct
class FaultAddRet:
    """Result of FAULT_ADD. id: never given again by this daemon."""

    id: xdr.UInt


@xdr.struct
class FaultListArgs:
    """Arguments of FAULT_LIST and FAULT_CLEAR."""

    flags: xdr.UInt


@xdr.struct
class FaultListRet:
    """The rules, in the order in which they are asked."""

    rules: Annotated[list[FaultInfo], xdr.Array(FaultInfo, RULES_MAX)]


@xdr.struct
class FaultRemoveArgs:
    """Arguments of FAULT_REMOVE."""

    id: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class FaultWaitArgs:
    """Arguments of FAULT_WAIT, which returns when a rule has struck so often.

    timeout: in milliseconds; 0 without end.
    """

    id: xdr.UInt
    strikes: xdr.UHyper
    timeout: xdr.UInt
    flags: xdr.UInt


@xdr.struct
class GuestEventArgs:
    """Arguments of GUEST_EVENT.

    host: by the name of its driver, with the id of a client for the host of that alone (`test:3`); empty
    for the one that has the guest. event, values: as in docs/faults.md, each value as KEY=VALUE.
    """

    host: Annotated[str, xdr.String(HOST_MAX)]
    guest: _Name
    event: _Name
    values: Annotated[list[str], xdr.Array(xdr.String(TEXT_MAX), VALUES_MAX)]
    flags: xdr.UInt


FAULT_ADD: Final = VIRT_ADMIN.procedure(6, "FAULT_ADD", FaultAddArgs, FaultAddRet, flags=0)
FAULT_LIST: Final = VIRT_ADMIN.procedure(
    7, "FAULT_LIST", FaultListArgs, FaultListRet, flags=0, reads=True
)
FAULT_REMOVE: Final = VIRT_ADMIN.procedure(8, "FAULT_REMOVE", FaultRemoveArgs, xdr.Void, flags=0)
FAULT_CLEAR: Final = VIRT_ADMIN.procedure(9, "FAULT_CLEAR", FaultListArgs, xdr.Void, flags=0)
FAULT_WAIT: Final = VIRT_ADMIN.procedure(10, "FAULT_WAIT", FaultWaitArgs, xdr.Void, flags=0)
GUEST_EVENT: Final = VIRT_ADMIN.procedure(11, "GUEST_EVENT", GuestEventArgs, xdr.Void, flags=0)


def rule_of(wire: FaultRule) -> Rule:
    """Return the rule that travelled. Raises RuleError for an action that does not exist."""
    action = Action.of(wire.action)
    fields = {name: getattr(wire, name) for name in Rule.__struct_fields__}
    return Rule(**{**fields, "action": action})


def to_wire(rule: Rule) -> FaultRule:
    """Return a rule as it travels."""
    return FaultRule(*msgspec.structs.astuple(rule))

"""Playing a scenario on a daemon, step by step."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from aiovirt.daemons.virtd.admin_client import WorldAdmin
from aiovirt.daemons.virtd.faults import script
from aiovirt.daemons.virtd.faults.client import FaultAdmin


async def play(
    steps: Sequence[script.Step], faults: FaultAdmin, worlds: WorldAdmin
) -> AsyncIterator[str]:
    """Do the steps in order, and tell after each one what was done.

    Args:
        steps: as `script.parse` returned them.
        faults: of the daemon.
        worlds: of the same daemon.

    Raises:
        RpcError: the daemon refused a step; nothing after it is done.
    """
    ids: dict[str, int] = {}
    for step in steps:
        match step:
            case script.Add(name, rule):
                number = await faults.add(rule)
                if name:
                    ids[name] = number
                yield f"rule {number} added: {rule.action}"
            case script.Wait(name, strikes, timeout):
                await faults.wait(ids[name], strikes, timeout)
                yield f"rule {ids[name]} has struck {strikes} times"
            case script.Remove(name):
                await faults.remove(ids[name])
                yield f"rule {ids.pop(name)} removed"
            case script.Clear():
                await faults.clear()
                ids.clear()
                yield "all rules removed"
            case script.Inject(guest, event, host, values):
                await faults.inject(guest, event, host, **values)
                yield f"event '{event}' injected into domain '{guest}'"
            case script.SetClock(host, now, rate):
                await worlds.set_clock(host, now=now, rate=rate)
                yield f"clock of {f'host {host}' if host else 'all hosts'} changed"
            case script.Pause(seconds):
                await asyncio.sleep(seconds)
                yield f"{seconds:g} seconds passed"

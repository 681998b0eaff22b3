"""A list that comes in pages ends, whatever the daemon says about further pages."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from aiovirt.daemons.lockd import admin_protocol as lockd
from aiovirt.daemons.lockd.client import LockAdmin
from aiovirt.daemons.logd import admin_protocol as logd
from aiovirt.daemons.logd.client import LogAdmin


class Endless:
    """A connection to a daemon whose every page is empty and announces another one."""

    def __init__(self) -> None:
        self.calls = 0

    def needing(self, program: object, daemon: str) -> contextlib.AbstractContextManager[None]:
        return contextlib.nullcontext()

    async def call(self, procedure: Any, args: object) -> Any:
        self.calls += 1
        assert self.calls < 3, "the same page is asked for again and again"
        return {
            logd.LOG_LIST: logd.ListRet([], more=1),
            lockd.LOCKSPACE_LIST: lockd.SpaceListRet([], more=1),
            lockd.LOCK_LIST: lockd.LockListRet([], lockd.Cursor("", "", 0)),
        }[procedure]


@pytest.mark.parametrize("listed", ["logs", "spaces", "locks"])
async def test_an_empty_page_is_the_last_one(listed: str) -> None:
    connection: Any = Endless()
    lists = {
        "logs": LogAdmin(connection).list,
        "spaces": LockAdmin(connection).spaces,
        "locks": LockAdmin(connection).locks,
    }
    assert await lists[listed]() == []

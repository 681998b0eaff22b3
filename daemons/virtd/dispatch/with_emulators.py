"""The procedures whose calls wait for emulators of guests, where guests have them."""

from __future__ import annotations

from typing import Any, Final

from aiovirt.daemons.virtd import protocol
from aiovirt.rpc.wire.program import Procedure

WITH_EMULATORS: Final[tuple[Procedure[Any, Any], ...]] = (
    protocol.DOMAIN_CREATE,
    protocol.DOMAIN_CREATE_WITH_FLAGS,
    protocol.DOMAIN_CREATE_WITH_FILES,
    protocol.DOMAIN_CREATE_XML,
    protocol.DOMAIN_CREATE_XML_WITH_FILES,
    protocol.DOMAIN_SUSPEND,
    protocol.DOMAIN_RESUME,
    protocol.DOMAIN_DESTROY,
    protocol.DOMAIN_DESTROY_FLAGS,
    protocol.DOMAIN_SAVE,
    protocol.DOMAIN_SAVE_FLAGS,
    protocol.DOMAIN_SAVE_PARAMS,
    protocol.DOMAIN_RESTORE,
    protocol.DOMAIN_RESTORE_FLAGS,
    protocol.DOMAIN_RESTORE_PARAMS,
    protocol.DOMAIN_MANAGED_SAVE,
    protocol.DOMAIN_SNAPSHOT_CREATE_XML,
    protocol.DOMAIN_REVERT_TO_SNAPSHOT,
    protocol.DOMAIN_CORE_DUMP,
    protocol.DOMAIN_CORE_DUMP_WITH_FORMAT,
    protocol.DOMAIN_PM_SUSPEND_FOR_DURATION,
    protocol.DOMAIN_ATTACH_DEVICE,
    protocol.DOMAIN_ATTACH_DEVICE_FLAGS,
    protocol.DOMAIN_DETACH_DEVICE,
    protocol.DOMAIN_DETACH_DEVICE_FLAGS,
    protocol.DOMAIN_DETACH_DEVICE_ALIAS,
    protocol.DOMAIN_UPDATE_DEVICE_FLAGS,
    protocol.DOMAIN_MONITOR_COMMAND,
    protocol.DOMAIN_MONITOR_COMMAND_WITH_FILES,
)
"""Each of them may start a guest, let it run on, pause it or end it, or change its disks."""

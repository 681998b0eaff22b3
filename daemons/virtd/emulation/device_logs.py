"""The logs that devices of a guest have at a log manager: what a serial port, a console, a parallel port
or a channel shows is added to the file that its document names.

virtd touches no file of a document itself, so a device has a log only with a log manager.

Source: libvirt's src/qemu/qemu_process.c (qemuProcessPrepareHostBackendChardevFileHelper) and
src/conf/domain_conf.c (virDomainChrDefForeach, virDomainSkipBackcompatConsole).
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

import msgspec

from aiovirt.daemons.virtd.emulation.connecting import refusal
from aiovirt.daemons.virtd.emulation.logs import LogManager
from aiovirt.daemons.virtd.emulation.state import DeviceLogState
from aiovirt.daemons.virtd.host.documents import cached
from aiovirt.daemons.virtd.xml import devices
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.wire.errors import RpcError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from aiovirt.daemons.runtime.component import Keep
    from aiovirt.daemons.virtd.emulation.process import Process

_log = get_logger("daemons.virtd.emulation")

_TAGS: Final = ("serial", "parallel", "channel", "console")


class Wanted(msgspec.Struct, frozen=True):
    """A log that a device has. file: its path; append: whether an earlier content stays."""

    file: str
    append: bool


def wanted(config: str) -> dict[str, Wanted]:
    """Return the logs of devices, by the alias of the device and the part that names the file.

    Args:
        config: the document of a guest; devices without an alias get the one that they will have.
    """
    found = {}
    root = cached("domain", config).root
    has_serial = root.find("devices/serial") is not None
    for tag in _TAGS:
        for number, device in enumerate(root.iterfind(f"devices/{tag}")):
            if tag == "console" and not number and has_serial:
                continue  # the first serial port, by another name
            alias = devices.value(device, "alias/@name") or f"{tag}{number}"
            for part, name in (("source", "path"), ("log", "file")):
                element = device.find(part)
                path = None if element is None else element.get(name)
                if (
                    element is None
                    or not path
                    or (part == "source" and device.get("type") != "file")
                ):
                    continue
                found[f"{alias}-{part}"] = Wanted(path, element.get("append") == "on")
    return found


class DeviceLogs:
    """The logs of one guest's devices.

    Args:
        name: of the guest.
        uuid: of the guest.
        manager: of its logs.
    """

    def __init__(self, name: str, uuid: bytes, manager: LogManager) -> None:
        self._name = name
        self._uuid = uuid
        self._manager = manager
        #: By key; see `wanted`.
        self._all: dict[str, DeviceLogState] = {}
        #: Keys of logs that end if they cannot be opened again.
        self._lost: set[str] = set()

    def lacks(self, config: str) -> bool:
        """Return whether a document has logs that are not open. config: the document."""
        return any(self._file(key) != one.file for key, one in wanted(config).items())

    def _file(self, key: str) -> str | None:
        found = self._all.get(key)
        return None if found is None else found.file

    async def update(self, config: str, process: Process | None) -> None:
        """Have the logs of a document open, and no others.

        Args:
            config: the document.
            process: that holds their pipes, so that they outlive virtd, if it takes orders.

        Raises:
            RpcError: the log manager refuses; logs that were open stay open.
        """
        logs = wanted(config)
        for key in [
            key for key in self._all if key not in logs or logs[key].file != self._file(key)
        ]:
            self._end(key, process)
        opened = []
        try:
            for key, one in logs.items():
                if key in self._lost:
                    await self._reopen(key, one, process)
                elif key not in self._all:
                    self._all[key] = await self._open(key, one, process)
                    opened.append(key)
        except (RpcError, OSError) as error:
            for key in opened:
                self._end(key, process)
            raise refusal(error, self._manager.path) from error

    def _end(self, key: str, process: Process | None) -> None:
        """End a log, which the log manager notices when the last copy of its pipe is closed."""
        found = self._all.pop(key)
        self._close(found)
        if process is not None:
            process.drop(found.held)

    async def _reopen(self, key: str, one: Wanted, process: Process | None) -> None:
        """Open a log that has ended with an earlier virtd; what it has stays."""
        self._lost.discard(key)
        try:
            self._all[key] = await self._open(key, Wanted(one.file, append=True), process)
        except (RpcError, OSError) as error:
            _log.warning("the log has ended", guest=self._name, file=one.file, reason=str(error))
            self._all[key] = DeviceLogState(key, one.file)

    async def _open(self, key: str, one: Wanted, process: Process | None) -> DeviceLogState:
        pipe = await self._manager.open_file(
            one.file, self._name, self._uuid, truncate=not one.append
        )
        held = -1
        if process is not None and process.control is not None:
            try:
                held = await process.hold(pipe)
            except OSError:
                os.close(pipe)
                raise
        return DeviceLogState(key, one.file, pipe, held)

    def write(self, device: str, data: bytes) -> None:
        """Add what a device shows to its logs.

        Args:
            device: its alias.
            data: what the guest wrote; what the log manager is too slow for is lost.
        """
        for part in ("source", "log"):
            found = self._all.get(f"{device}-{part}")
            if found is None or found.pipe < 0:
                continue
            try:
                os.write(found.pipe, data)
            except BlockingIOError:
                pass  # the log manager does not keep up
            except OSError as error:
                _log.warning(
                    "the log has ended", guest=self._name, file=found.file, reason=error.strerror
                )
                self._close(found)

    @staticmethod
    def _close(one: DeviceLogState) -> None:
        if one.pipe >= 0:
            os.close(one.pipe)
            one.pipe = -1

    def close(self) -> None:
        """Close virtd's copies of the pipes."""
        for one in self._all.values():
            self._close(one)

    def took_over(self) -> None:
        """Keep the pipes from the processes of other guests; a new program inherited them."""
        for one in self._all.values():
            if one.pipe >= 0:
                os.set_inheritable(one.pipe, False)

    def save(self, keep: Keep | None) -> list[DeviceLogState]:
        """Write them down. keep: notes each descriptor; None for a next daemon that inherits none."""
        states = []
        for one in self._all.values():
            pipe = keep(one.pipe) if keep is not None and one.pipe >= 0 else -1
            states.append(DeviceLogState(one.key, one.file, pipe, one.held))
        return states

    def restore(self, states: list[DeviceLogState], pipes: Mapping[str, int] | None = None) -> None:
        """Take back what `save` wrote down.

        Args:
            states: of all logs.
            pipes: the pipes that were found again, by key; None if the states have them. A log that no
                process held, as one of a device that was attached later, is opened again by `update`.
        """
        for one in states:
            if pipes is None:
                self._all[one.key] = one
            elif one.held >= 0:
                self._all[one.key] = DeviceLogState(
                    one.key, one.file, pipes.get(one.key, -1), one.held
                )
            else:
                self._lost.add(one.key)

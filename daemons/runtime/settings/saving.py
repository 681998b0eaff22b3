"""Saving settings: a change of the settings file, tried first and then made. Everything here blocks."""

from __future__ import annotations

from collections.abc import Mapping

from aiovirt.admin.conf_file import SIZE_MAX, ConfError
from aiovirt.daemons.runtime.settings.declaration import SettingsError, Value
from aiovirt.daemons.runtime.settings.edit import EditError, edited
from aiovirt.daemons.runtime.settings.file import BOUNDS, Loaded, understood
from aiovirt.daemons.runtime.settings.replace import replace
from aiovirt.rpc.security.regular import read_regular
from aiovirt.rpc.wire.errors import ErrorCode, RpcError


class Saving:
    """One change of a settings file.

    Args:
        loaded: a reading of the file.
        changes: the new values; None takes a setting out of the file.

    Attributes:
        saved: the old and the new value of each setting that has changed in the file; None for not set.

    Raises:
        RpcError: the daemon has no settings file.
    """

    def __init__(self, loaded: Loaded, changes: Mapping[str, Value]) -> None:
        if loaded.path is None:
            raise RpcError.of(ErrorCode.OPERATION_INVALID, "the daemon has no settings file")
        self.path = loaded.path
        self.saved: dict[str, tuple[Value, Value]] = {}
        self._settings = loaded.settings
        self._changes = changes

    def rehearse(self) -> Loaded:
        """Return what the file would say. Raises RpcError for a change that cannot be made."""
        try:
            data = read_regular(self.path, SIZE_MAX)
        except FileNotFoundError:
            data = b""
        except OSError as error:
            raise self._unusable(error) from error
        return self._after(self._edited(data))

    def save(self) -> None:
        """Change the file. Raises RpcError, and then it is as it was."""
        try:
            replace(self.path, SIZE_MAX, self._edited)
        except OSError as error:
            raise self._unusable(error) from error

    def _edited(self, data: bytes) -> bytes:
        try:
            before = understood(self._settings, self.path, data)
        except SettingsError:
            before = None  # the change may be what mends it
        try:
            text = edited(data, self._settings, self._changes)
        except ConfError as error:
            raise RpcError.of(
                ErrorCode.CONF_SYNTAX, f"{self.path}:{error.line}: {error}"
            ) from error
        except EditError as error:
            raise RpcError.of(ErrorCode.INVALID_ARG, str(error)) from error
        after = self._after(text)
        for least, most in BOUNDS:
            if least in after.lowered and {least, most} & self._changes.keys():
                raise RpcError.of(ErrorCode.INVALID_ARG, f"{after.lowered[least]}: set both")
        self.saved = {
            name: (_given(before, name), _given(after, name))
            for name in self._changes
            if _given(before, name) != _given(after, name)
        }
        return text

    def _after(self, text: bytes) -> Loaded:
        try:
            return understood(self._settings, self.path, text)
        except SettingsError as error:
            raise RpcError.of(ErrorCode.INVALID_ARG, str(error)) from error

    def _unusable(self, error: OSError) -> RpcError:
        return RpcError.of(
            ErrorCode.SYSTEM_ERROR,
            f"the settings file {self.path} cannot be changed: {error.strerror or error}",
        )


def _given(loaded: Loaded | None, name: str) -> Value:
    return loaded.values[name] if loaded is not None and name in loaded.given else None

"""The description of a setting, as the admin API gives it."""

from __future__ import annotations

import msgspec

from aiovirt.admin.extension.protocol.settings import Effect, Origin, SettingInfo
from aiovirt.daemons.runtime.settings.declaration import (
    Choice,
    Fixed,
    Flag,
    Integer,
    Permissions,
    Setting,
    Texts,
    Value,
    ValueKind,
)
from aiovirt.daemons.runtime.settings.sizes import Size
from aiovirt.daemons.runtime.settings.text import to_text


class Found(msgspec.Struct, frozen=True):
    """The values of a setting. in_file: None if the file does not set it."""

    in_force: Value
    in_file: Value
    default: Value
    origin: Origin


def describe(file: str, setting: Setting, found: Found) -> SettingInfo:
    """Describe a setting.

    Args:
        file: the name of the settings file, as it stands before the setting's name.
        setting: the declaration.
        found: its values.
    """
    lowest, highest = _range(setting.kind)
    effect, reason = Effect.AT_ONCE, ""
    if isinstance(setting.change, Fixed):
        effect, reason = Effect.RESTART, setting.change.why
    elif setting.change.existing:
        effect, reason = Effect.NEW_CONNECTIONS, setting.change.existing
    return SettingInfo(
        name=f"{file}/{setting.name}",
        type=_type(setting.kind),
        lowest=lowest,
        highest=highest,
        words=list(setting.kind.words) if isinstance(setting.kind, Choice) else [],
        allowed=setting.kind.allowed,
        unit=setting.unit,
        default=to_text(setting, found.default),
        in_force=to_text(setting, found.in_force),
        in_file=to_text(setting, found.in_file),
        origin=found.origin,
        effect=effect,
        reason=reason,
        ours=setting.ours,
        group=setting.group,
        description=setting.doc,
    )


def _range(kind: ValueKind) -> tuple[int, int]:
    if isinstance(kind, Integer):
        return kind.lowest, kind.highest
    if isinstance(kind, Size):
        return 0, kind.highest
    return (0, 1) if isinstance(kind, Flag) else (0, 0)


def _type(kind: ValueKind) -> str:
    names: tuple[tuple[type, str], ...] = (
        (Integer, "number"),
        (Size, "size"),
        (Flag, "flag"),
        (Choice, "word"),
        (Permissions, "mode"),
        (Texts, "list"),
    )
    return next((name for known, name in names if isinstance(kind, known)), "text")

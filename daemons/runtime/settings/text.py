"""Values of settings as text: as a settings file has them, and as an administrator types them."""

from __future__ import annotations

from aiovirt.admin.conf_file import ConfError, parse
from aiovirt.daemons.runtime.process.failure import one_line, quoted
from aiovirt.daemons.runtime.settings.declaration import Flag, Integer, Setting, Texts, Value


def to_value(setting: Setting, text: str) -> Value:
    """Read a value that stands for itself: as a settings file has it, or a string without its quotes.

    Args:
        setting: whose value it is.
        text: the value.

    Raises:
        ValueError: the text says what is allowed.
    """
    because = ""
    try:
        return setting.kind.check(_as_in_a_file(setting.name, text))
    except ValueError as error:
        because = str(error)
    if not isinstance(setting.kind, Integer | Flag | Texts):
        try:
            return setting.kind.check(text)
        except ValueError as error:
            because = str(error) or because
    raise ValueError(
        f"{setting.name} = {quoted(text)} is not possible: it has to be {setting.kind.allowed}"
        + (f": {one_line(because, 200)}" if because else "")
    )


def _as_in_a_file(name: str, text: str) -> object:
    try:
        found = parse(f"{name} = {text}\n".encode())
    except ConfError:
        raise ValueError from None  # its text speaks of lines
    if list(found.entries) != [name] or found.repeated:
        raise ValueError
    return found.entries[name].value


def to_text(setting: Setting, value: Value) -> str | None:
    """Write a value as a settings file has it; None for a value that is not set."""
    if value is None:
        return None
    try:
        return spelling(setting, value)
    except ValueError:
        return setting.kind.show(value)


def spelling(setting: Setting, value: Value, *, toml: bool = False) -> str:
    """Write a value so that a settings file means it.

    Args:
        setting: whose value it is.
        value: any that the setting can have; not None.
        toml: whether the file follows TOML's rules only, where a backslash escapes.

    Raises:
        ValueError: the syntax of the file cannot express the value.
    """
    if isinstance(value, tuple):
        return f"[{', '.join(_quoted(one, toml=toml) for one in value)}]"
    if isinstance(value, str):
        return _quoted(value, toml=toml)
    return setting.kind.show(value)


def _quoted(text: str, *, toml: bool) -> str:
    if toml:
        import json  # late: few starts need it

        plain = text.isprintable() and "'" not in text
        return f"'{text}'" if "\\" in text and plain else json.dumps(text, ensure_ascii=False)
    one_liner = "\n" not in text and "\r" not in text
    if one_liner and '"' not in text:
        return f'"{text}"'
    if one_liner and "'" not in text:
        return f"'{text}'"
    if '"""' not in text and not text.endswith('"'):
        return f'"""{text}"""'
    raise ValueError(f"a settings file cannot hold {quoted(text)}: it has both kinds of quotes")

"""Checks of the arguments that a caller of the API passes, made before anything is sent.

Every check returns the value, or raises TypeError or ValueError with the value and the rule.
"""

from __future__ import annotations

from typing import Any

from aiovirt.rpc.wire.program import Procedure


def seconds(timeout: float | None) -> float | None:
    """Check a timeout: a positive number of seconds, or None for ever."""
    if timeout is None:
        return None
    if isinstance(timeout, bool) or not isinstance(timeout, int | float):
        raise TypeError(f"a timeout is a number of seconds or None, not {timeout!r}")
    if not 0 < timeout < float("inf"):
        raise ValueError(f"a timeout is a positive number of seconds or None, not {timeout!r}")
    return float(timeout)


def check_call(procedure: Procedure[Any, Any], args: object, *, stream: bool) -> None:
    """Check that a procedure is called as it is declared.

    Args:
        procedure: what is called.
        args: its arguments.
        stream: whether the caller expects a stream.
    """
    if not isinstance(procedure, Procedure):
        raise TypeError(f"a procedure of a program's table is called, not {procedure!r}")
    if procedure.stream != stream:
        how = "open_stream" if procedure.stream else "call"
        raise TypeError(f"{procedure.name} is called with {how}")
    expected = procedure.args
    if isinstance(expected, type) and not isinstance(args, expected):
        raise TypeError(
            f"{procedure.name} takes a {expected.__name__}, not a {type(args).__name__}"
        )


def whole_number(what: str, value: int, maximum: int) -> int:
    """Check a whole number from 0 to `maximum`; `what` names it in errors."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"{what} is a whole number, not {value!r}")
    if not 0 <= value <= maximum:
        raise ValueError(f"{what} is {value}; it has to be from 0 to {maximum}")
    return value


def text(what: str, value: str) -> str:
    """Check a string; `what` names it in errors."""
    if not isinstance(value, str):
        raise TypeError(f"{what} is a str, not {value!r}")
    return value


def optional_text(what: str, value: str | None) -> str | None:
    """Check a string, or None; `what` names it in errors."""
    return None if value is None else text(what, value)


def settable_filters(text: str) -> str:
    """Turn log filters as a daemon shows them into a text that sets the same ones."""
    return " ".join(_settable(word) for word in text.split())


def _settable(word: str) -> str:
    level, colon, match = word.partition(":")
    if len(match) > 2 and match.startswith("*") and match.endswith("*"):
        match = match[1:-1]
    return f"{level}{colon}{match}"

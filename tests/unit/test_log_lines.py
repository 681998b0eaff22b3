"""Log lines use one key for one thing, in all of the source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

_ROOT = Path(__file__).parents[2]
_LEVELS = frozenset(("debug", "info", "warning", "error", "exception"))


def _calls() -> Iterator[tuple[str, set[str]]]:
    """Where a line is logged, and the keys that it has."""
    for folder in ("rpc", "admin", "daemons"):
        for path in sorted((_ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                    owner = getattr(node.func.value, "id", "")
                    if node.func.attr in _LEVELS and owner in ("_log", "CALLS"):
                        keys = {keyword.arg for keyword in node.keywords if keyword.arg}
                        yield f"{path.relative_to(_ROOT)}:{node.lineno}", keys


def test_the_reason_of_a_thing_is_called_reason() -> None:
    others = {"because", "error", "cause", "problem", "why"}
    assert {where: keys & others for where, keys in _calls() if keys & others} == {}


def test_a_line_about_a_client_names_its_server() -> None:
    assert [where for where, keys in _calls() if "client" in keys and "server" not in keys] == []


def test_lines_are_found() -> None:
    assert len(list(_calls())) > 80

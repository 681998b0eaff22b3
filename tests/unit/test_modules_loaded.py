"""A daemon that is ready has loaded everything that it can need, so that its code may be replaced.

The judge is the source: every import statement that can be reached from a daemon's package, also
those in functions, without those that are for type checkers.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiovirt.daemons.runtime.handover.modules import _EMULATION, _SASL, _TLS
from tests import harness

#: Modules that an ephemeral daemon needs before it is ready, and never after that.
_BEFORE = {"aiovirt.admin.pki"}

_READY = """
import importlib, os, signal, sys
from aiovirt.daemons.runtime import entry, lifecycle
name, folder = sys.argv[1:]
kind = importlib.import_module(f"aiovirt.daemons.{name}").KIND
ready = lifecycle._Process._ready
def noted(self):
    ready(self)
    with open(f"{folder}/modules", "w") as file:
        file.write("\\n".join(sys.modules))
    os.kill(os.getpid(), signal.SIGTERM)
lifecycle._Process._ready = noted
sys.exit(entry.run(kind, ["--rundir", folder, "-f", f"{folder}/conf"]))
"""


def _loaded(name: str, folder: Path, settings: harness.Settings) -> set[str]:
    """The modules that a daemon has when it says that it is ready."""
    harness.write_settings(folder / "conf", settings)
    subprocess.run([sys.executable, "-c", _READY, name, str(folder)], check=True, timeout=60)
    return set((folder / "modules").read_text().splitlines())


def _reachable(package: str) -> set[str]:
    """The modules of ours that a daemon can come to import."""
    found: set[str] = set()
    others = {f"aiovirt.daemons.{one}" for one in harness.OURS} - {package}
    wanted = [package, "aiovirt.daemons.runtime.lifecycle"]
    while wanted:
        name = wanted.pop()
        file = _file(name)
        if file is None or name in found:
            continue
        found.add(name)
        if name in others or name in _EMULATION:  # of a package, one module without imports
            continue
        wanted += [name.rpartition(".")[0], *_imports(ast.parse(file.read_text()))]
    return found - {"aiovirt"}


def _file(name: str) -> Path | None:
    path = harness.ROOT / "src" / Path(*name.split("."))
    candidates = (path / "__init__.py", path.with_suffix(".py"))
    return next((one for one in candidates if one.is_file()), None)


def _imports(node: ast.AST) -> Iterator[str]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and ast.unparse(child.test) == "TYPE_CHECKING":
            continue
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom) and child.module:
            yield child.module
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        yield from _imports(child)


@pytest.mark.parametrize("name", harness.OURS)
def test_everything_that_can_be_reached_is_loaded_when_a_daemon_is_ready(
    name: str, tmp_path: Path
) -> None:
    missing = _reachable(f"aiovirt.daemons.{name}") - _loaded(name, tmp_path, {}) - _BEFORE
    assert missing == _TLS | (_SASL | _EMULATION) & _reachable(f"aiovirt.daemons.{name}")


def test_sasl_is_loaded_where_a_service_asks_for_it(tmp_path: Path) -> None:
    loaded = _loaded("virtd", tmp_path, {"auth_unix_rw": "sasl"})
    assert loaded >= _SASL


def test_what_emulators_need_is_loaded_where_guests_have_them(tmp_path: Path) -> None:
    loaded = _loaded("virtd", tmp_path, {"stdio_handler": "logd"})
    assert loaded >= _EMULATION

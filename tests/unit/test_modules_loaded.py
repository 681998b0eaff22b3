"""A daemon loads everything that it can need, so that its code may be replaced, and little before that.

The judge of the first is the source: every import statement that can be reached from a daemon's package,
also those in functions, without those that are for type checkers. The second is held by numbers and
names: they do not depend on the machine, as a time would.
"""

from __future__ import annotations

import ast
import asyncio
import errno
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from aiovirt.daemons.runtime.handover import modules
from aiovirt.daemons.runtime.handover.modules import (
    _EMULATION,
    _SASL,
    _STANDARD,
    _TLS,
)
from tests import harness

#: Modules that an ephemeral daemon needs before it is ready, and never after that.
_BEFORE = {"aiovirt.admin.pki"}

#: The calling side of virtd, which is loaded with the first migration from peer to peer; it takes 60 ms.
_CALLING: Final = "aiovirt.daemons.virtd.client"
#: Modules that no start needs; those that functions import are loaded a moment later.
_HEAVY: Final = {
    "structlog",
    "aiovirt.admin.client",
    "aiovirt.rpc.client",
    "cryptography",
    "importlib.resources",
    "multiprocessing",
    "pathlib",
    "pickle",
    "scramp",
    "shutil",
    "zipfile",
    *_STANDARD,
} - {"grp", "pwd", "json"}
#: The most modules, of ours and of others, that a daemon may have loaded when it says that it is ready.
#: A module costs 0.2 ms and more. Raise a bound only for a module that every start needs.
_MOST: Final = {"virtd": (422, 210), "lockd": (165, 190), "logd": (165, 190)}
#: Classes of the API that are dataclasses, for `dataclasses.replace`. One costs 0.3 ms; `records.frozen`
#: and msgspec.Struct cost 0.03.
_DATACLASSES: Final = {
    "aiovirt.daemons.runtime.kind.DaemonKind",
    "aiovirt.rpc.server.access.Access",
    "aiovirt.rpc.server.options.ServerOptions",
    "aiovirt.rpc.wire.message.Message",
}

_RUN: Final = """
import importlib, json, os, re, signal, sys
from aiovirt.daemons.runtime import entry, lifecycle
from aiovirt.daemons.runtime.handover import modules
name, folder = sys.argv[1:]
kind = importlib.import_module(f"aiovirt.daemons.{name}").KIND
ready, load_rest = lifecycle._Process._ready, modules.load_rest
def write(what, found):
    with open(f"{folder}/{what}.json", "w") as file:
        json.dump(sorted(found), file)
def noted_ready(self):
    ready(self)
    write("ready", sys.modules)
    ours = [vars(sys.modules[one]) for one in sys.modules if one.startswith("aiovirt.")]
    made = {(name, id(one)): one for found in ours for name, one in found.items()}.values()
    write("dataclasses", {
        f"{one.__module__}.{one.__qualname__}" for one in made
        if isinstance(one, type) and "__dataclass_fields__" in vars(one)
    })
    write("patterns", {one.pattern for one in made if isinstance(one, re.Pattern)})
async def noted_rest():
    await load_rest()
    write("rest", sys.modules)
    os.kill(os.getpid(), signal.SIGTERM)
lifecycle._Process._ready, modules.load_rest = noted_ready, noted_rest
sys.exit(entry.run(kind, ["--rundir", folder, "-f", f"{folder}/conf"]))
"""


def _run(name: str, folder: Path, settings: harness.Settings) -> None:
    """Run a daemon until it has loaded everything; its folder has then what it had when it was ready."""
    harness.write_settings(folder / "conf", settings)
    subprocess.run([sys.executable, "-c", _RUN, name, str(folder)], check=True, timeout=60)


#: The same, but that whatever descriptors there are go to others as soon as it is ready.
_CROWDED: Final = _RUN.replace(
    "async def noted_rest():\n    await load_rest()\n",
    """
import resource
from aiovirt.rpc import logs
async def noted_rest():
    had = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, had[1]))
    try:
        while True:
            os.open("/dev/null", os.O_RDONLY)
    except OSError:
        logs.get_logger("crowd").warning("nothing is left", of=64)
    await load_rest()
    resource.setrlimit(resource.RLIMIT_NOFILE, had)
""",
)


def _noted(folder: Path, what: str) -> list[str]:
    found: list[str] = json.loads((folder / f"{what}.json").read_text())
    return found


def _loaded(name: str, folder: Path, settings: harness.Settings) -> set[str]:
    """The modules that a daemon has when it has loaded everything."""
    _run(name, folder, settings)
    return set(_noted(folder, "rest"))


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
        if name in others or name in {
            *_EMULATION,
            _CALLING,
        }:  # of a package, one module without imports
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
def test_everything_that_can_be_reached_is_loaded_a_moment_after_the_start(
    name: str, tmp_path: Path
) -> None:
    missing = _reachable(f"aiovirt.daemons.{name}") - _loaded(name, tmp_path, {}) - _BEFORE
    assert missing == _TLS | (_SASL | _EMULATION | {_CALLING}) & _reachable(
        f"aiovirt.daemons.{name}"
    )


def test_sasl_is_loaded_where_a_service_asks_for_it(tmp_path: Path) -> None:
    loaded = _loaded("virtd", tmp_path, {"auth_unix_rw": "sasl"})
    assert loaded >= _SASL


def test_what_emulators_need_is_loaded_where_guests_have_them(tmp_path: Path) -> None:
    loaded = _loaded("virtd", tmp_path, {"stdio_handler": "logd"})
    assert loaded >= _EMULATION


@pytest.mark.parametrize("name", harness.OURS)
def test_a_start_loads_no_more_than_it_needs(name: str, tmp_path: Path) -> None:
    _run(name, tmp_path, {})
    ready = set(_noted(tmp_path, "ready"))
    assert ready & _HEAVY == set()
    assert set(_noted(tmp_path, "rest")) >= {*_STANDARD, "structlog"}
    ours = sum(one.startswith("aiovirt") for one in ready)
    assert ours <= _MOST[name][0]
    assert len(ready) - ours <= _MOST[name][1]
    assert set(_noted(tmp_path, "dataclasses")) <= _DATACLASSES
    assert _noted(tmp_path, "patterns") == []


class _Imports:
    """Stands in for the import of modules. problems: raised one after the other."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *problems: Exception) -> None:
        self.tried: list[str] = []
        self._problems = list(problems)
        for pause in ("_CALM", "_BETWEEN", "_AGAIN"):
            monkeypatch.setattr(modules, pause, 0)
        monkeypatch.setattr(modules, "_STANDARD", ("first", "second"))
        monkeypatch.setattr(modules.importlib, "import_module", self._load)

    def _load(self, name: str) -> None:
        if name in ("first", "second"):
            self.tried.append(name)
            if self._problems:
                raise self._problems.pop(0)


def test_a_module_is_tried_again_when_no_descriptor_was_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    imports = _Imports(
        monkeypatch, OSError(errno.EMFILE, "too many"), OSError(errno.EMFILE, "again")
    )
    asyncio.run(modules.load_rest())
    assert imports.tried == ["first", "first", "first", "second"]


@pytest.mark.parametrize("name", ["virtd", "lockd", "logd"])
def test_clients_that_take_all_descriptors_keep_no_module_and_no_record_away(
    name: str, tmp_path: Path
) -> None:
    settings: harness.Settings = {"log_outputs": f"1:file:{tmp_path}/log", "log_level": 3}
    harness.write_settings(tmp_path / "conf", settings)
    subprocess.run([sys.executable, "-c", _CROWDED, name, str(tmp_path)], check=True, timeout=60)
    assert "crowd: nothing is left of=64" in (tmp_path / "log").read_text()
    assert {"aiovirt.rpc.logs.capture", "tomllib", "structlog"} <= set(_noted(tmp_path, "rest"))


def test_a_module_that_cannot_be_loaded_is_logged_and_the_others_are_loaded(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    imports = _Imports(monkeypatch, ImportError("no such library"))
    asyncio.run(modules.load_rest())
    assert imports.tried == ["first", "second"]
    assert "a module cannot be loaded" in capfd.readouterr().err

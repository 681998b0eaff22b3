"""The code in the documents compiles and runs, and docs/api.md names the whole API."""

from __future__ import annotations

import ast
import asyncio
import inspect
import os
import re
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

import aiovirt
from aiovirt.admin import client as admin_client
from aiovirt.daemons.lockd import client as lockd_client
from aiovirt.daemons.logd import client as logd_client
from aiovirt.daemons.virtd import client as virtd_client
from tests.conftest import StartDaemon

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
#: Where this `aiovirt` was imported from, for processes that are started here.
_IMPORTED: Final = str(Path(next(iter(aiovirt.__path__))).parent)
MODULES: Final = (admin_client, lockd_client, logd_client, virtd_client)


def blocks(path: Path, before: str = "") -> list[tuple[int, str]]:
    """The Python blocks of a document, each with the number of its first line.

    Args:
        path: the document.
        before: a line; only the blocks before it are taken.
    """
    text = path.read_text(encoding="utf-8")
    if before:
        text = text[: text.index(f"\n{before}\n")]
    return [
        (text.count("\n", 0, found.start(1)) + 1, found[1])
        for found in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]


def run_blocks(
    document: str, monkeypatch: pytest.MonkeyPatch, *, before: str = ""
) -> dict[str, Any]:
    """Run the Python blocks of a document one after the other, as one module: what it defines."""
    module = ModuleType(document.partition(".")[0])
    monkeypatch.setitem(sys.modules, module.__name__, module)
    path = ROOT / "docs" / document
    for line, code in blocks(path, before):
        exec(
            compile("\n" * (line - 1) + code, str(path), "exec", dont_inherit=True),
            module.__dict__,
        )
    return vars(module)


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_python_code_of_a_document_compiles(path: Path) -> None:
    for line, code in blocks(path):
        compile("\n" * (line - 1) + code, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def test_readme_lists_every_document() -> None:
    listed = re.findall(r"^\| \[(docs/[\w.-]+)\]", DOCUMENTS[0].read_text(), re.MULTILINE)
    assert sorted(listed) == [f"docs/{path.name}" for path in DOCUMENTS[1:]]


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_links_of_a_document_lead_somewhere(path: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", path.read_text(), flags=re.MULTILINE | re.DOTALL)
    for target, anchor in re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", text):
        found = path.parent / target if target else path
        assert found.exists(), target
        headings = re.findall(r"^#+ (.*)$", found.read_text(), re.MULTILINE)
        anchors = {re.sub(r"[^\w -]", "", one).lower().replace(" ", "-") for one in headings}
        assert not anchor or anchor in anchors, f"{target}#{anchor}"


# docs/api.md -------------------------------------------------------------------------------------


def _public(module: ModuleType) -> Iterator[str]:
    """The public names of a module, and the methods, properties and fields of its classes."""
    for name in module.__all__:
        yield name
        found = getattr(module, name)
        if not inspect.isclass(found) or issubclass(found, tuple | Exception | int):
            continue
        yield from (f"{name}.{field}" for field in getattr(found, "__match_args__", ()))
        for member, value in vars(found).items():
            is_method = callable(value) or isinstance(value, property)
            if is_method and not member.startswith("_") and member != "from_params":
                yield f"{name}.{member}"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_the_api_document_names_everything_public(module: ModuleType) -> None:
    text = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
    text = re.sub(r"^```python\n.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)
    common = text.partition("\n# ")[0]
    part = text.partition(f"\n# {module.__name__}\n")[2].partition("\n# ")[0]
    named = set(re.findall(r"\w+", " ".join(re.findall(r"`[^`]+`", common + part))))
    assert sorted(one for one in _public(module) if one.rpartition(".")[2] not in named) == []


def test_the_examples_of_administration_run(
    start_daemon: StartDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = run_blocks("api.md", monkeypatch)
    lockd, logd = start_daemon("lockd"), start_daemon("logd")

    async def run() -> str:
        assert await code["connecting"](lockd.uri)
        async with admin_client.connect(lockd.uri) as connection:
            await code["list_locks"](connection)
        async with admin_client.connect(logd.uri) as connection:
            await code["list_logs"](connection)
            await code["daemon_wide"](connection)
            server = await connection.lookup_server("logd")
            await code["one_server"](server)
            await code["local_clients"](await connection.lookup_server("admin"))
            with pytest.raises(admin_client.RpcError, match="no client"):
                await code["disconnect"](server, 77)
            return str(await code["shutting_down"](connection))

    assert asyncio.run(run())


def test_the_example_of_a_remote_connection_runs(
    start_daemon: StartDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    virtd = start_daemon("virtd")
    asyncio.run(run_blocks("api.md", monkeypatch)["open_remote"](virtd.socket))


def test_the_first_example_of_the_readme_is_a_test_that_passes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = os.path.dirname(sys.executable)
    monkeypatch.setenv("PATH", programs, prepend=os.pathsep)
    (tmp_path / "test_guest.py").write_text(blocks(DOCUMENTS[0])[0][1])
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(tmp_path), "test_guest.py"]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


# docs/rpc.md -------------------------------------------------------------------------------------

_HEARD: Final = ["HELLO ADA", "HELLO ADA", "again", "again", "hello Bob"]


def test_the_example_of_a_server_and_a_client_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = run_blocks("rpc.md", monkeypatch, before="## A daemon")
    path = str(tmp_path / "greeter-sock")

    async def run() -> list[str]:
        ready = asyncio.Event()
        serving = asyncio.create_task(code["serve_greetings"](path, ready))
        await asyncio.wait(
            [serving, asyncio.create_task(ready.wait())], return_when="FIRST_COMPLETED"
        )
        heard: list[str] = await code["use_greetings"](path)
        serving.cancel()
        await asyncio.wait([serving])
        return heard

    assert sorted(asyncio.run(run())) == sorted(_HEARD)


def test_the_example_of_a_daemon_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code = run_blocks("rpc.md", monkeypatch)
    program, settings = tmp_path / "greeter.py", tmp_path / "greeterd.conf"
    program.write_text("\n\n".join(code for _, code in blocks(ROOT / "docs" / "rpc.md")))
    settings.write_text(f'max_greetings = 7\nlog_outputs = "1:file:{tmp_path}/log"\n')
    command = [sys.executable, str(program), "-d", "-f", str(settings), "--rundir", str(tmp_path)]
    subprocess.run(command, check=True, timeout=30, env={**os.environ, "PYTHONPATH": _IMPORTED})
    daemon = os.pidfd_open(int((tmp_path / "greeterd.pid").read_text()))
    try:
        assert asyncio.run(code["version_of"](f"{tmp_path}/greeterd-admin-sock")) > 9_000_000 - 1
        assert sorted(asyncio.run(code["use_greetings"](f"{tmp_path}/greeterd-sock"))) == sorted(
            _HEARD
        )
    finally:
        signal.pidfd_send_signal(daemon, signal.SIGTERM)
        assert select.select([daemon], [], [], 30)[0]
        os.close(daemon)

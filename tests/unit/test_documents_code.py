"""The code in the documents compiles, the examples of docs/api.md run, and it names the whole API."""

from __future__ import annotations

import ast
import asyncio
import dataclasses
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import pytest

from aiovirt.admin import client as admin_client
from aiovirt.daemons.lockd import client as lockd_client
from aiovirt.daemons.logd import client as logd_client
from aiovirt.daemons.virtd import client as virtd_client
from tests.conftest import StartDaemon

ROOT: Final = Path(__file__).parents[2]
DOCUMENTS: Final = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
MODULES: Final = (admin_client, lockd_client, logd_client, virtd_client)


def blocks(path: Path) -> list[tuple[int, str]]:
    """The Python blocks of a document, each with the number of its first line."""
    text = path.read_text(encoding="utf-8")
    return [
        (text.count("\n", 0, found.start(1)) + 1, found[1])
        for found in re.finditer(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    ]


def namespace(document: str) -> dict[str, Any]:
    """What the Python blocks of a document define, run one after the other."""
    defined: dict[str, Any] = {"__name__": document}
    path = ROOT / "docs" / document
    for line, code in blocks(path):
        exec(compile("\n" * (line - 1) + code, str(path), "exec"), defined)
    return defined


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_the_python_code_of_a_document_compiles(path: Path) -> None:
    for line, code in blocks(path):
        compile("\n" * (line - 1) + code, str(path), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


# docs/api.md -------------------------------------------------------------------------------------


def _public(module: ModuleType) -> Iterator[str]:
    """The public names of a module, and the methods, properties and fields of its classes."""
    for name in module.__all__:
        yield name
        found = getattr(module, name)
        if not inspect.isclass(found) or issubclass(found, tuple | Exception | int):
            continue
        if dataclasses.is_dataclass(found):
            yield from (f"{name}.{field.name}" for field in dataclasses.fields(found))
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


def test_the_examples_of_administration_run(start_daemon: StartDaemon) -> None:
    code = namespace("api.md")
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


def test_the_example_of_a_remote_connection_runs(start_daemon: StartDaemon) -> None:
    virtd = start_daemon("virtd")
    asyncio.run(namespace("api.md")["open_remote"](virtd.socket))

"""docs/testing.md, word for word: its files are a project, and its commands run there."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests import harness

GUIDE: Final = (harness.ROOT / "docs" / "testing.md").read_text()
WORKFLOW: Final = (harness.ROOT / "examples" / "ci" / "tests.yml").read_text()
PATIENCE: Final = 240.0
GOPATH: Final = Path("/usr/share/gocode")

#: What makes Debian's binding visible to this Python, which has its own folder of packages.
BINDING: Final = "import sys\nsys.path.append('/usr/lib/python3/dist-packages')\n"


def part(heading: str) -> str:
    """The text of the guide below a heading, as far as the next one of its level."""
    return re.split(rf"^{heading}\n", GUIDE, flags=re.MULTILINE)[1].partition("\n## ")[0]


def files(text: str) -> dict[str, str]:
    """The files in a part of the guide: each is named before its block."""
    return dict(re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)^```$", text, re.MULTILINE | re.DOTALL))


def commands(text: str) -> list[str]:
    """The commands in a part of the guide."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def project(folder: Path, text: str) -> list[str]:
    """Write the files of a part, and return their names."""
    found = files(text)
    for name, content in found.items():
        (folder / name).write_text(content)
    return sorted(found)


def run(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Run a command of the guide. Returns what it wrote."""
    kept = {key: os.environ[key] for key in os.environ if not key.startswith("PYTEST")}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["sh", "-c", command],
        cwd=folder,
        env={**kept, "PATH": path, **environment},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_guide_for_python_runs(tmp_path: Path) -> None:
    if subprocess.run(
        [sys.executable, "-c", f"{BINDING}import libvirt"], capture_output=True, check=False
    ).returncode:
        harness.missing(f"python3-libvirt is not installed for {sys.executable}")
    text = part("## Python")
    names = project(tmp_path, text)
    assert [name for name in names if name.startswith("test_")] == [
        "test_asyncio.py",
        "test_guests.py",
        "test_shared.py",
    ]
    (tmp_path / "conftest.py").write_text(BINDING + files(text)["conftest.py"])
    command = commands(text)[0]
    assert command == "python -m pytest -n 4"
    tests = sum(content.count("def test_") for content in files(text).values()) + 19
    assert f"{tests} passed" in run(command, tmp_path, {})


def test_the_workflow_runs_the_same_command() -> None:
    assert f"- run: {commands(part('## Python'))[0]}\n" in WORKFLOW


def test_bytecode_is_compiled_by_the_command_of_the_guide(tmp_path: Path) -> None:
    command = commands(part("## Python"))[-1]
    assert "compileall" in command
    assert run(command.replace("-q", "-l -q"), tmp_path, {}) == ""


def test_the_guide_for_go_runs(tmp_path: Path) -> None:
    if shutil.which("go") is None:
        harness.missing("Go is not installed")
    if not (GOPATH / "src/github.com/digitalocean/go-libvirt").is_dir():
        harness.missing("go-libvirt is not installed")
    text = part("## Go")
    assert project(tmp_path, text) == ["guests_test.go", "virtd_test.go"]
    variables = re.search(r"needs `(GO111MODULE=off) (GOPATH=\S+)`", text)
    assert variables
    environment = dict(one.split("=") for one in variables.groups())
    home = {"HOME": str(tmp_path), "GOCACHE": str(tmp_path / "cache"), "GOFLAGS": "-p=2"}
    said = run(commands(text)[0], tmp_path, {**environment, **home})
    assert set(re.findall(r"^--- PASS: (\w+)", said, re.MULTILINE)) == set(
        re.findall(r"^func (Test\w+)", text, re.MULTILINE)
    )

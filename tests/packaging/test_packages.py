"""From a source tree to an sdist, from that to a wheel, from that to an environment where it works.

These tests need a package index, for setuptools and for what the package depends on, and take half a
minute. They run in CI (CI=true); elsewhere say `CI=true make test ARGS=tests/packaging`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from collections.abc import Iterator
from pathlib import Path, PurePath
from typing import NamedTuple

import pytest

from aiovirt import __version__
from aiovirt.daemons.discovery import kinds
from aiovirt.daemons.playground import end
from tests import harness

pytestmark = pytest.mark.skipif(
    os.environ.get("CI") != "true", reason="builds packages from an index: only with CI=true"
)

ROOT = harness.ROOT
DAEMONS = [kind.name for kind in kinds()]
_LEFT_OUT = shutil.ignore_patterns("*.egg-info", "__pycache__")
_LEFT_OUT_AT_THE_TOP = shutil.ignore_patterns(".git", ".venv", ".*_cache", "run", "build", "dist")

#: What the package installs beside its modules: folder below the prefix -> files in conf/.
DATA = {
    "share/aiovirt": "*.conf",
    "share/aiovirt/systemd": "*.s*",
    "share/aiovirt/grafana": "grafana/*",
    "share/man/man1": "man/*.1",
    "share/man/man5": "man/*.5",
    "share/man/man8": "man/*.8",
    "share/bash-completion/completions": "completion/bash/*",
    "share/zsh/site-functions": "completion/zsh/*",
    "share/fish/vendor_completions.d": "completion/fish/*",
}


def _left_out(folder: str, names: list[str]) -> set[str]:
    """What is in the folder of a checkout, but not of its source."""
    left_out = _LEFT_OUT(folder, names)
    return left_out | _LEFT_OUT_AT_THE_TOP(folder, names) if folder == str(ROOT) else left_out


class Packages(NamedTuple):
    """A checkout of its own, and what was built from it."""

    checkout: Path
    sdist: Path
    wheel: Path


class Environment:
    """A bare virtual environment, used from a folder without any source in it."""

    def __init__(self, folder: Path) -> None:
        self.prefix = folder / "venv"
        self.elsewhere = folder / "elsewhere"
        self.elsewhere.mkdir()
        subprocess.run([sys.executable, "-m", "venv", str(self.prefix)], check=True)

    def run(self, program: str, *words: str) -> str:
        """Run one of the environment's programs; what it printed."""
        ran = subprocess.run(
            [str(self.prefix / "bin" / program), *words],
            cwd=self.elsewhere,
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def pip(self, *words: str) -> str:
        return self.run("python", "-m", "pip", "--quiet", *words)

    def contents(self) -> set[Path]:
        """Everything in it but what any run of Python leaves."""
        return {path for path in self.prefix.rglob("*") if "__pycache__" not in path.parts}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    folder = tmp_path_factory.mktemp("packages")
    checkout, built = folder / "checkout", folder / "built"
    shutil.copytree(ROOT, checkout, symlinks=True, ignore=_left_out)
    subprocess.run(
        [sys.executable, "-m", "build", "--outdir", str(built), str(checkout)],
        check=True,
        capture_output=True,
    )
    (sdist,) = built.glob("*.tar.gz")
    (wheel,) = built.glob("*.whl")
    return Packages(checkout, sdist, wheel)


@pytest.fixture(scope="module")
def environment(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the dependencies, without the package."""
    environment = Environment(tmp_path_factory.mktemp("bare"))
    environment.pip("install", str(packages.wheel))
    environment.pip("uninstall", "--yes", "aiovirt")
    return environment


@pytest.fixture
def installed(packages: Packages, environment: Environment) -> Iterator[Environment]:
    """The same environment with the wheel."""
    environment.pip("install", "--no-deps", str(packages.wheel))
    yield environment
    environment.pip("uninstall", "--yes", "aiovirt")


def test_an_sdist_has_everything_once(packages: Packages) -> None:
    with tarfile.open(packages.sdist) as archive:
        members = archive.getmembers()
    assert {member.type for member in members} == {tarfile.REGTYPE, tarfile.DIRTYPE}
    names = [str(PurePath(*PurePath(member.name).parts[1:])) for member in members]
    assert len(names) == len(set(names))
    tops = {name.partition("/")[0] for name in names}
    assert {"src", "tests", "docs", "conf", "Makefile", "LICENSE", ".ci"} <= tops
    assert not {"rpc", "admin", "daemons", ".venv", "run"} & tops
    for folder in ("rpc", "admin", "daemons"):
        ours = {
            str(path.relative_to(ROOT)) for path in (ROOT / "src/aiovirt" / folder).rglob("*.py")
        }
        assert ours
        assert ours <= set(names)


def test_a_wheel_has_the_package_and_its_data_only(packages: Packages) -> None:
    with zipfile.ZipFile(packages.wheel) as archive:
        names = archive.namelist()
    data = f"aiovirt-{__version__}.data/data/"
    assert {name.partition("/")[0] for name in names} == {
        "aiovirt",
        f"aiovirt-{__version__}.dist-info",
        f"aiovirt-{__version__}.data",
    }
    shipped = {name.removeprefix(data) for name in names if name.startswith(data)}
    assert shipped == {
        f"{folder}/{path.name}"
        for folder, files in DATA.items()
        for path in ROOT.glob(f"conf/{files}")
    }


def test_tests_of_others_use_it_where_there_is_no_source(installed: Environment) -> None:
    code = (
        "from aiovirt.testing import running; daemon = running('virtd', tls=True).__enter__();"
        " print(daemon.qemu_tls_uri); daemon.close()"
    )
    assert installed.run("python", "-c", code).startswith("qemu+tls://127.0.0.1:")
    ask = (
        "from importlib.metadata import entry_points; from importlib.util import find_spec;"
        " (one,) = entry_points(group='pytest11', name='aiovirt'); print(find_spec(one.module).origin)"
    )
    assert installed.run("python", "-c", ask).startswith(str(installed.prefix))


def test_the_commands_work_where_there_is_no_source(installed: Environment) -> None:
    for name in DAEMONS:
        told = f"{name} (aiovirt) {__version__}\n"
        assert installed.run(name, "--version") == told
        assert installed.run("python", "-m", f"aiovirt.daemons.{name}", "--version") == told
    assert __version__ in installed.run("virtadm", "-V")
    where = installed.run("python", "-c", "import aiovirt; print(aiovirt.__path__[0])").strip()
    assert where.startswith(str(installed.prefix))
    assert Path(where, "py.typed").exists()


def test_an_installed_daemon_serves_and_ends(installed: Environment) -> None:
    for name in DAEMONS:
        rundir = installed.elsewhere / name
        assert len(str(rundir)) < 80, "a socket's path may have 107 bytes"
        installed.run(name, "-d", "--rundir", str(rundir))
        pid = int((rundir / f"{name}.pid").read_text())
        try:
            uri = f"{name}:///?socket={rundir}/{name}-admin-sock"
            assert f" 1    {name}\n" in installed.run("virtadm", "-c", uri, "server-list")
        finally:
            ended = end(pid)
        assert ended


def test_data_files_are_as_in_the_source_tree(installed: Environment) -> None:
    for folder, files in DATA.items():
        for path in ROOT.glob(f"conf/{files}"):
            assert (installed.prefix / folder / path.name).read_bytes() == path.read_bytes()


def test_installing_twice_and_uninstalling_leaves_nothing(
    packages: Packages, environment: Environment
) -> None:
    before = environment.contents()
    assert not [path for path in environment.prefix.glob("share/**/*") if path.is_file()]
    assert not [*environment.prefix.rglob("*aiovirt*"), *environment.prefix.glob("bin/*virt*")]
    environment.pip("install", "--no-deps", str(packages.wheel))
    once = environment.contents()
    environment.pip("install", "--no-deps", "--force-reinstall", str(packages.wheel))
    assert environment.contents() == once
    assert environment.run("virtadm", "echo", "a") == "a\n"
    environment.pip("uninstall", "--yes", "aiovirt")
    assert environment.contents() == before


def test_another_package_with_our_folders_names_changes_nothing(
    installed: Environment, tmp_path: Path
) -> None:
    wheel = tmp_path / "clash-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name in ("rpc", "admin", "daemons"):
            archive.writestr(f"{name}/__init__.py", "raise ImportError('the other package')\n")
        info = "clash-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: clash\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")
    installed.pip("install", "--no-deps", str(wheel))
    assert installed.run("lockd", "--version") == f"lockd (aiovirt) {__version__}\n"
    assert "lock-list" in installed.run("virtadm", "help")
    installed.run("python", "-c", "import aiovirt.admin.client, aiovirt.rpc.server")
    installed.pip("uninstall", "--yes", "clash")


def test_an_editable_installation_is_the_checkout_itself(
    packages: Packages, environment: Environment
) -> None:
    before = environment.contents()
    environment.pip("install", "--no-deps", "--editable", str(packages.checkout))
    ask = "import aiovirt.rpc as package; print(package.__path__[0])"
    place = Path(environment.run("python", "-c", ask).strip())
    assert place.resolve() == (packages.checkout / "src/aiovirt/rpc").resolve()
    assert environment.run("lockd", "--version") == f"lockd (aiovirt) {__version__}\n"
    environment.pip("uninstall", "--yes", "aiovirt")
    assert environment.contents() == before

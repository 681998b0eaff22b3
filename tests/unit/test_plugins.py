"""Which daemons and commands are found: this package's without looking further, then strangers'."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from aiovirt.admin import plugins
from aiovirt.admin.uri import AdminUri, Directories, UriError

ROOT = Path(__file__).parents[2]

STRANGER = """
from aiovirt.admin.cli.table import Command, Group
from aiovirt.daemons.runtime.kind import DaemonKind

KIND = DaemonKind("mined", "A daemon of somebody else.")


async def _dig(session, command):
    session.terminal.write("dug\\n")


GROUP = Group("Mining", "mining", (Command("mine-dig", _dig, "dig", connected=False),))
"""


class Site:
    """A folder for packages as an installer leaves them, and programs that see it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def install(self, name: str, source: str, entry_points: str) -> None:
        (self.folder / f"{name}.py").write_text(source)
        info = self.folder / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(entry_points)

    def python(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, *words],
            env={
                "PATH": os.environ["PATH"],
                "PYTHONPATH": str(self.folder),
                "HOME": "/nonexistent",
            },
            cwd=self.folder,
            capture_output=True,
            text=True,
            check=False,
        )

    def virtadm(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.python("-m", "aiovirt.admin.cli", *words)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture
def mined(site: Site) -> Site:
    site.install(
        "mined",
        STRANGER,
        "[aiovirt.virtadm]\nmined = mined:GROUP\n[aiovirt.daemons]\nmined = mined:KIND\n",
    )
    return site


def test_our_daemons_are_the_subpackages_but_for_the_one_they_are_built_on() -> None:
    packages = {path.parent.name for path in (ROOT / "src/aiovirt/daemons").glob("*/__init__.py")}
    assert set(plugins.own_daemons()) == packages - {"runtime"}


def test_a_command_of_our_daemon_needs_neither_metadata_nor_other_daemons(site: Site) -> None:
    ran = site.python(
        "-c",
        "import sys; from aiovirt.admin.cli import main; main(['virtadm', 'lock-list', '--help']);"
        "print(sorted(m for m in sys.modules if m.startswith(('aiovirt.daemons.', 'importlib.me'))))",
    )
    assert ran.stderr == ""
    loaded = ran.stdout.splitlines()[-1]
    assert "'aiovirt.daemons.lockd.commands'" in loaded
    assert "importlib.metadata" not in loaded
    assert "aiovirt.daemons.logd" not in loaded


def test_a_strangers_command_runs_and_is_listed(mined: Site) -> None:
    assert mined.virtadm("mine-dig").stdout == "dug\n\n"
    assert "    mine-dig                       dig\n" in mined.virtadm("help", "mining").stdout
    assert "Mining (help keyword 'mining')" in mined.virtadm("--help").stdout


def test_a_strangers_scheme_leads_to_its_socket_beside_ours(mined: Site) -> None:
    ask = (
        "from aiovirt.admin.uri import AdminUri; import sys;"
        "print(AdminUri.parse(sys.argv[1]).socket_path())"
    )
    assert mined.python("-c", ask, "mined:///system").stdout == "/run/aiovirt/mined-admin-sock\n"
    refused = mined.python("-c", ask, "minded:///system").stderr
    assert "or one of lockd, logd, virtd, mined" in refused


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import nothing_of_this_name\n", "ModuleNotFoundError: No module named"),
        ("GROUP = 7\n", "has to name a Group of commands, not a int"),
        ("", "AttributeError"),
        (STRANGER.replace("mine-dig", "uri"), "command 'uri' of group 'Mining' exists already"),
    ],
)
def test_a_broken_stranger_is_named_and_stops_nothing(site: Site, source: str, reason: str) -> None:
    site.install("bad", source, "[aiovirt.virtadm]\nbad = bad:GROUP\n")
    helped = site.virtadm("help")
    assert helped.returncode == 0
    assert "lock-list" in helped.stdout
    assert helped.stderr.startswith("error: ")
    assert reason in helped.stderr
    unknown = site.virtadm("nosuch")
    assert unknown.returncode == 1
    assert unknown.stderr.splitlines()[0] == "error: unknown command: 'nosuch'"
    assert reason in unknown.stderr.splitlines()[1]
    assert site.virtadm("echo", "a").stderr == ""


@pytest.mark.parametrize(
    "scheme", ["runtime", "reference", "lockd.commands", "LOCKD", "__pycache__"]
)
def test_what_is_no_daemon_of_ours_is_no_scheme(scheme: str) -> None:
    where = Directories(True, "/root", "/run/user/0", "/root/.config", "/root/.cache")
    with pytest.raises(UriError):
        AdminUri(scheme, None, None, 0, "/system", None, None).socket_path(where)

"""Completion in bash, zsh and fish, driven as the shells drive it."""

from __future__ import annotations

import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import harness
from tests.conftest import StartDaemon

DRIVER = """
source "$1"; program=$2; COMP_LINE=$3; COMP_POINT=${#COMP_LINE}; shift 3
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
function=$(complete -p "$program"); function=${function##*-F }; "${function%% *}" "$program"
printf '%s\\n' ${COMPREPLY[@]+"${COMPREPLY[@]}"}
"""


def complete(line: str, cwd: Path, **environment: str) -> set[str]:
    """What bash offers for the end of a line."""
    # As bash separates words: at blanks, and `=` and `:` are words of their own.
    words = re.findall(r"[^\s=:]+|[=:]+", line) + [""] * line.endswith(" ")
    program = words[0]
    script = harness.ROOT / "conf/completion/bash" / program
    ran = subprocess.run(
        [harness.require("bash"), "-uc", DRIVER, "bash", str(script), program, line, *words],
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(cwd),
            "XDG_RUNTIME_DIR": str(cwd),
            "LIBVIRT_ADMIN_DEFAULT_URI": f"virtd:///?socket={cwd}/none",
            **environment,
        },
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stderr == ""
    return set(ran.stdout.split("\n")) - {""}


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("virtadm --co", {"--connect"}),
        ("virtadm -q --v", {"--version"}),
        ("virtadm -o ", {"json", "text"}),
        ("virtadm --output=j", {"json"}),
        ("virtadm -c lock", {"lockd:///"}),
        ("virtadm -c al", {"all"}),
        # bash replaces what follows the colon only.
        ("virtadm -c libvirtd:///s", {"///system", "///session"}),
        ("virtadm --connect=virtd:", {"///"}),
        ("virtadm -l ", set()),
        ("virtadm log-", {"log-list", "log-rotate", "log-follow"}),
        ("virtadm -q -o json server-li", {"server-list"}),
        ("virtadm server-threadpool-set --m", {"--min-workers", "--max-workers"}),
        ("virtadm -c virtd:///?socket=/nosuch server-li", {"server-list"}),
        ("virtadm daemon-log-follow --output j", {"json"}),
        ("virtadm exporter --connect al", {"all"}),
        ("virtadm help client-l", {"client-list"}),
        ("virtadm nosuch", set()),
        ("lockd --s", {"--settings", "--socket"}),
        ("lockd -t ", set()),
        ("lockd --config=x", {"x.conf"}),
        ("lockd -d -f x", {"x.conf"}),
        ("virtd --rundir ", {"sub dir"}),
    ],
)
def test_what_needs_no_daemon_is_offered_without_one(
    line: str, offered: set[str], tmp_path: Path
) -> None:
    (tmp_path / "x.conf").touch()
    (tmp_path / "sub dir").mkdir()
    assert complete(line, tmp_path) == offered


def test_what_a_daemon_knows_it_is_asked(start_daemon: StartDaemon, tmp_path: Path) -> None:
    daemon = start_daemon("lockd")
    uri = f"lockd:///?socket={daemon.admin_socket}"
    start = f"virtadm -c {uri}"
    assert complete(f"{start} server-threadpool-info l", tmp_path) == {"lockd"}
    assert complete(f"{start} server-threadpool-info --server=", tmp_path) == {"admin", "lockd"}
    assert complete(f"{start} server-threadpool-info --server l", tmp_path) == {"lockd"}
    assert complete(f"{start} server-threadpool-set lockd --m", tmp_path) == {
        "--min-workers",
        "--max-workers",
    }
    assert complete("virtadm client-info l", tmp_path, LIBVIRT_ADMIN_DEFAULT_URI=uri) == {"lockd"}


ZSH_DRIVER = """
fpath=(conf/completion/zsh $fpath)
autoload -Uz compinit
compinit -u -D
# Every match is noted before it is shown.
compadd() {
    local -a __found
    [[ ${@[1,(i)(-|--)]} == *-(O|A|D)\\ * ]] || builtin compadd -O __found "$@"
    (($#__found)) && print -rl -- "$IPREFIX${^__found[@]}" >>"$FOUND"
    builtin compadd "$@"
}
finish() { zle complete-word; : >"$FOUND.done"; }
zle -N finish
bindkey '^I' finish
cd "$WHERE"
PS1='ready> '
"""


def environment(home: Path, more: dict[str, str]) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(home),
        "XDG_RUNTIME_DIR": str(home),
        "TERM": "dumb",
        "LC_ALL": "C.UTF-8",
        "LIBVIRT_ADMIN_DEFAULT_URI": f"virtd:///?socket={home}/none",
        **more,
    }


def in_zsh(line: str, cwd: Path, home: Path, **more: str) -> set[str]:
    """What zsh offers for the end of a line that is typed at its prompt."""
    zsh = harness.require("zsh")
    driver, found = home / "driver", home / "found"
    driver.write_text(ZSH_DRIVER)
    variables = {**environment(home, more), "FOUND": str(found), "WHERE": str(cwd)}
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(harness.ROOT)
        os.execve(zsh, [zsh, "-f", "-i"], variables)
    try:
        os.write(terminal, f"source {driver}\n".encode())
        read_until(terminal, lambda seen: b"ready> " in seen)
        os.write(terminal, f"{line}\t".encode())
        read_until(terminal, lambda seen: Path(f"{found}.done").exists())
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(terminal)
    return set(found.read_text().splitlines()) if found.exists() else set()


def read_until(terminal: int, done: Callable[[bytes], bool]) -> None:
    seen, deadline = b"", time.monotonic() + harness.PATIENCE
    while not done(seen):
        assert time.monotonic() < deadline, seen
        if select.select([terminal], [], [], 0.05)[0]:
            seen += os.read(terminal, 4096)


FISH_DRIVER = 'source "$argv[1]"; complete -C "$argv[2]"'


def in_fish(line: str, cwd: Path, home: Path, **more: str) -> set[str]:
    """What fish offers for the end of a line."""
    script = harness.ROOT / f"conf/completion/fish/{line.split()[0]}.fish"
    ran = subprocess.run(
        [harness.require("fish"), "-N", "-c", FISH_DRIVER, str(script), line],
        env=environment(home, more),
        cwd=cwd,
        capture_output=True,
        text=True,
        check=True,
        timeout=harness.PATIENCE,
    )
    assert ran.stderr == ""
    return {offer.split("\t")[0] for offer in ran.stdout.splitlines()}


SHELLS = {"zsh": in_zsh, "fish": in_fish}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.mark.parametrize("shell", SHELLS)
@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("virtadm --co", {"--connect"}),
        ("virtadm -q -o ", {"json", "text"}),
        ("virtadm --output=j", {"--output=json"}),
        ("virtadm -c lock", {"lockd:///"}),
        ("virtadm -c libvirtd:///s", {"libvirtd:///system", "libvirtd:///session"}),
        ("virtadm -c al", {"all"}),
        ("virtadm -l x", {"x.conf"}),
        ("virtadm -q -o json server-li", {"server-list"}),
        ("virtadm server-threadpool-set --m", {"--min-workers", "--max-workers"}),
        ("virtadm -c virtd:///?socket=/nosuch server-li", {"server-list"}),
        ("virtadm nosuch", set()),
        ("lockd --config=x", {"--config=x.conf"}),
        ("lockd -d -f x", {"x.conf"}),
    ],
)
def test_other_shells_offer_names_without_a_daemon(
    shell: str, line: str, offered: set[str], tmp_path: Path, home: Path
) -> None:
    (tmp_path / "x.conf").touch()
    assert SHELLS[shell](line, tmp_path, home) == offered


@pytest.mark.parametrize("shell", SHELLS)
def test_other_shells_ask_the_daemon_what_it_knows(
    shell: str, start_daemon: StartDaemon, tmp_path: Path, home: Path
) -> None:
    daemon = start_daemon("lockd")
    uri = f"lockd:///?socket={daemon.admin_socket}"
    start = f"virtadm -c '{uri}' server-threadpool-info"
    assert SHELLS[shell](f"{start} l", tmp_path, home) == {"lockd"}
    (tmp_path / "second").mkdir()
    assert SHELLS[shell](f"{start} --server=l", tmp_path, tmp_path / "second") == {"--server=lockd"}


@pytest.mark.parametrize("shell", ["bash", *SHELLS])
def test_the_daemons_of_the_host_are_offered_by_their_sockets(
    shell: str, tmp_path: Path, home: Path
) -> None:
    (home / "libvirt").mkdir()
    (home / "libvirt/virtnoded-admin-sock").touch()  # nobody has to listen there
    line = "virtadm -c virtnod"
    if shell == "bash":
        offered = complete(line, tmp_path, XDG_RUNTIME_DIR=str(home))
    else:
        offered = SHELLS[shell](line, tmp_path, home)
    assert offered == {"virtnoded:///session"}

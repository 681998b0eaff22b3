"""Starts and ends the daemons that tests talk to: libvirt's own and ours, each in its own folder.

This is the only file of the tests that knows how a daemon is started. Nothing outside the
daemon's folder is touched: libvirt's daemons have fixed paths under /run, /etc and /var, so as
root they get a mount namespace in which those are temporary folders. As an ordinary user they
run as that user's session daemons, with a runtime folder of their own.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NoReturn

import pytest

ROOT = Path(__file__).resolve().parent.parent

_HOME = tempfile.TemporaryDirectory(prefix="av-home-")
#: For programs of others, which keep histories and caches in it; it is removed with this process.
HOME = _HOME.name
"""The top folder of the project, to be found whatever the current directory is."""

OURS = ("virtd", "lockd", "logd")
REAL = ("libvirtd", "virtlogd", "virtlockd")

LIBVIRT = os.environ.get("AIOVIRT_LIBVIRT", "")
"""The folder of another libvirt than the installed one: its programs, or its bin and sbin."""

_LIBVIRTS = (*REAL, "virt-admin", "virsh", "virt-pki-validate")
_PLACES = ("", "bin", "sbin", "usr/bin", "usr/sbin")
_LIBRARIES = ("lib", "lib64", f"lib/{os.uname().machine}-linux-gnu", "usr/lib", "usr/lib64")

Settings = Mapping[str, "str | int | Sequence[str]"]

PATIENCE = 30.0
"""Seconds that a daemon may take to start or to end before a test gives up on it."""

_PING = struct.pack(">IIIiiIi", 28, 0x6B656570, 1, 1, 2, 0, 0)
_HIDDEN = ("/etc/libvirt", "/var/lib/libvirt", "/var/cache/libvirt", "/var/log/libvirt")


class DaemonFailed(Exception):
    """A daemon did not start, or did not end, as it should; the text ends with its log."""


@dataclass
class RunningDaemon:
    """One daemon that was started here and is ended here."""

    name: str
    folder: Path
    conf: Path
    log: Path
    socket: str
    admin_socket: str
    process: subprocess.Popen[bytes] = field(repr=False)

    @property
    def is_real(self) -> bool:
        """Whether it is libvirt's."""
        return self.name in REAL

    @property
    def pid(self) -> int:
        """Its process id, not that of a wrapper."""
        return self.process.pid

    @property
    def uri(self) -> str:
        """What to give to `virt-admin --connect`."""
        return admin_uri(self.admin_socket)

    @property
    def alive(self) -> bool:
        """Whether the process is still there."""
        return self.process.poll() is None

    def kill(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, and return the exit status (negative: a signal).

        A daemon that has ended already is left alone. One that outlives the wait is ended with
        SIGKILL and reported: raises DaemonFailed.
        """
        if self.alive:
            self.process.send_signal(number)
        return self.wait()

    def wait(self) -> int:
        """Wait for the end of the process and return its exit status."""
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            raise DaemonFailed(self._story(f"did not end in {PATIENCE} s")) from None

    def wait_ready(self) -> None:
        """Return as soon as the admin socket answers a ping; raises DaemonFailed if none comes."""
        deadline = time.monotonic() + PATIENCE
        while not _answers(self.admin_socket):
            # Waiting for its death is the pause between two tries: a dead one is seen at once.
            with contextlib.suppress(subprocess.TimeoutExpired):
                status = self.process.wait(0.01)
                raise DaemonFailed(self._story(f"ended with {status} before it was ready"))
            if time.monotonic() > deadline:
                self.process.kill()
                self.process.wait()
                raise DaemonFailed(self._story(f"was not ready in {PATIENCE} s"))

    def _story(self, what: str) -> str:
        return f"{self.name} {what}:\n{self.log.read_text(errors='replace')[-4000:]}"


@contextlib.contextmanager
def running(
    name: str,
    settings: Settings | None = None,
    arguments: Sequence[str] = (),
    *,
    user: int | None = None,
    host: Path | None = None,
) -> Iterator[RunningDaemon]:
    """Run a daemon in a new temporary folder for the length of a `with`; see `start`."""
    # Short on purpose: the path of a UNIX socket may have 107 bytes.
    folder = Path(tempfile.mkdtemp(prefix="av-"))
    try:
        daemon = start(name, folder, settings, arguments, user=user, host=host)
        try:
            yield daemon
        finally:
            daemon.kill()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def start(
    name: str,
    folder: Path,
    settings: Settings | None = None,
    arguments: Sequence[str] = (),
    *,
    ready: bool = True,
    user: int | None = None,
    host: Path | None = None,
) -> RunningDaemon:
    """Start a daemon with its files in `folder` and, if `ready`, wait until it answers.

    `settings` go into its configuration file; logs go to its standard error, which is the file
    `.log`. `user` is the id of the ordinary user to run it as, for which we have to be root. `host` is
    the folder of a real daemon whose /run, /etc and /var it shares, for which we have to be root, too.
    The caller ends it. A real daemon that is not installed skips the test, or fails it where CI=true.
    """
    start_it = _start_ours if name in OURS else _start_real
    return start_it(name, folder, settings or {}, arguments, user, host, ready)


def require(program: str) -> str:
    """The path of an installed program; without it the test is skipped, or failed in CI.

    Where AIOVIRT_LIBVIRT names another libvirt, its programs are taken from there and nowhere else.
    """
    path = find(program)
    if path is None:
        where = f"in {LIBVIRT}" if LIBVIRT and program in _LIBVIRTS else "installed"
        missing(f"{program} is not {where}")
    return path


def find(program: str) -> str | None:
    """The path of a program, if it is there; see `require`."""
    if LIBVIRT and program in _LIBVIRTS:
        folders = [os.path.abspath(os.path.join(LIBVIRT, place)) for place in _PLACES]
        return shutil.which(program, path=os.pathsep.join(folders))
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")


def libraries() -> dict[str, str]:
    """The environment in which the programs of another libvirt find their libraries."""
    folders = [os.path.abspath(os.path.join(LIBVIRT, place)) for place in _LIBRARIES]
    found = [folder for folder in folders if LIBVIRT and glob.glob(f"{folder}/libvirt*.so*")]
    found += filter(None, [os.environ.get("LD_LIBRARY_PATH")])
    return {"LD_LIBRARY_PATH": os.pathsep.join(found)} if found else {}


@cache
def libvirt_version(program: str = "libvirtd") -> tuple[int, int, int]:
    """The version of a program of libvirt; without it the test is skipped, or failed in CI."""
    ran = subprocess.run(
        [require(program), "--version"],
        env={**os.environ, **libraries()},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    match = re.search(r"(\d+)\.(\d+)\.(\d+)", ran.stdout)
    assert match, f"{program} --version says {ran.stdout!r} {ran.stderr!r}"
    return int(match[1]), int(match[2]), int(match[3])


def libvirt_version_text(program: str = "libvirtd") -> str:
    """The version of a program of libvirt as it is written."""
    return ".".join(map(str, libvirt_version(program)))


def has_daemon_shutdown() -> bool:
    """Whether the real daemons have procedure 20 of the admin program, as since libvirt 11.2.0."""
    return find("libvirtd") is not None and libvirt_version() >= (11, 2, 0)


def missing(reason: str) -> NoReturn:
    """Skip visibly; where CI=true, or another libvirt was asked for, nothing may be missing, so fail."""
    if LIBVIRT or os.environ.get("CI") == "true":
        pytest.fail(f"{reason}, and that may not be here")
    pytest.skip(reason)


def admin_uri(path: str) -> str:
    """The URI under which virt-admin finds the admin socket at `path`."""
    return f"libvirtd:///{'system' if os.geteuid() == 0 else 'session'}?socket={path}"


def virt_admin(
    admin_socket: str, *arguments: str, stdin: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run libvirt's virt-admin against an admin socket, in the C locale, without settings."""
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(
            [require("virt-admin"), "--connect", admin_uri(admin_socket), *arguments],
            env={
                **libraries(),
                "PATH": os.environ["PATH"],
                "LC_ALL": "C",
                "TZ": "UTC",
                "HOME": home,
            },
            input=stdin,
            stdin=subprocess.DEVNULL if stdin is None else None,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )


def free_port() -> int:
    """A port of 127.0.0.1 that nobody uses."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def tls_settings(folder: str, port: int) -> dict[str, str | int | Sequence[str]]:
    """What a daemon with TLS on loopback needs, with files named as by `admin.pki.create`."""
    return {
        "listen_tls": 1,
        "listen_addr": "127.0.0.1",
        "tls_port": str(port),
        "ca_file": f"{folder}/cacert.pem",
        "crl_file": f"{folder}/cacrl.pem",
        "cert_file": f"{folder}/servercert.pem",
        "key_file": f"{folder}/serverkey.pem",
    }


def write_settings(path: Path, settings: Settings) -> None:
    """Write a configuration file: strings, whole numbers and lists are the same for libvirt's
    daemons and for ours."""
    path.write_text("".join(f"{key} = {json.dumps(value)}\n" for key, value in settings.items()))


def _start_ours(
    name: str,
    folder: Path,
    settings: Settings,
    arguments: Sequence[str],
    user: int | None,
    host: Path | None,
    ready: bool,
) -> RunningDaemon:
    conf = folder / f"{name}.conf"
    write_settings(conf, {"log_outputs": "3:stderr", **settings})
    command = [
        sys.executable,
        "-m",
        f"aiovirt.daemons.{name}",
        "--rundir",
        str(folder),
        "-f",
        str(conf),
    ]
    environment = {**os.environ, "PYTHONPATH": _python_path()}
    sockets = (f"{folder}/{name}-sock", f"{folder}/{name}-admin-sock")
    command = [*_as_user(user, folder), *command, *arguments]
    if user is not None:
        # An interpreter may well lie in a folder that only root may enter.
        probe = [*_as_user(user, folder), sys.executable, "-c", "import uvloop, structlog"]
        if subprocess.run(probe, capture_output=True, check=False).returncode:
            pytest.skip(f"user {user} may not run {sys.executable}")
    if host is not None:
        command = _in_namespace(command, host)
    return _launch(name, folder, conf, sockets, command, environment, ready)


def _python_path() -> str:
    """Where our packages are found, before what the tests themselves were started with."""
    return os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))


def _start_real(
    name: str,
    folder: Path,
    settings: Settings,
    arguments: Sequence[str],
    user: int | None,
    host: Path | None,
    ready: bool,
) -> RunningDaemon:
    conf = folder / f"{name}.conf"
    base = "libvirt" if name == "libvirtd" else name
    command = [require(name), "-f", str(conf), "-p", f"{folder}/{name}.pid", *arguments]
    defaults: dict[str, str | int | Sequence[str]] = {"log_outputs": "3:stderr"}
    environment = {**os.environ, **libraries()}
    if os.geteuid() != 0 or user is not None:
        place = folder / "libvirt"
        environment = {**libraries(), "PATH": os.environ["PATH"], "HOME": str(folder)}
        environment["XDG_RUNTIME_DIR"] = str(folder)
        command = [*_as_user(user, folder), *command]
    else:
        host = host or folder
        place = host / "run" / "libvirt"
        place.mkdir(parents=True, exist_ok=True)
        if not _may_mount():
            missing("libvirt's daemons need a mount namespace, and this root may not make one")
        command = _in_namespace(command, host)
        if name == "libvirtd":
            defaults["auth_unix_rw"] = "none"
    write_settings(conf, {**defaults, **settings})
    sockets = (f"{place}/{base}-sock", f"{place}/{base}-admin-sock")
    return _launch(name, folder, conf, sockets, command, environment, ready)


def _as_user(user: int | None, folder: Path) -> list[str]:
    """What to put before a command so that it runs as this user, to whom the folder then goes."""
    if user is None:
        return []
    os.chown(folder, user, user)
    return ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups"]


def _in_namespace(command: list[str], folder: Path) -> list[str]:
    """The command that runs `command` where the folders that libvirt writes to are ours.

    Everything execs, so the process id is the daemon's.
    """
    binds = [("run", "/run")]
    binds += [(path.strip("/").replace("/", "-"), path) for path in _HIDDEN if Path(path).is_dir()]
    script = []
    for inside, path in binds:
        (folder / inside).mkdir(exist_ok=True)
        script.append(f"mount --bind '{folder}/{inside}' {path}")
    return ["unshare", "--mount", "sh", "-c", " && ".join([*script, 'exec "$@"']), "sh", *command]


@cache
def _may_mount() -> bool:
    tried = subprocess.run(
        ["unshare", "--mount", "mount", "--bind", "/run", "/run"], capture_output=True, check=False
    )
    return tried.returncode == 0


def _launch(
    name: str,
    folder: Path,
    conf: Path,
    sockets: tuple[str, str],
    command: list[str],
    environment: dict[str, str],
    ready: bool,
) -> RunningDaemon:
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environment,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )
    daemon = RunningDaemon(name, folder, conf, log, *sockets, process)
    if ready:
        daemon.wait_ready()
    return daemon


def _answers(path: str) -> bool:
    """Whether a ping sent to the socket comes back, or the daemon has looked at us and does not
    want us; False when nobody listens yet."""
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(PATIENCE)
        try:
            link.connect(path)
        except OSError:
            return False
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            link.sendall(_PING)
            link.recv(28)
        return True

"""libvirt's own virsh connects to virtd, over a UNIX socket and over TLS, and is let in or not."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from aiovirt.admin import client as admin_client
from aiovirt.rpc.security.sasl import Passwords
from tests import harness
from tests.certificates_maker import GOOD, GOOD_CA, Made, key_pem, make, make_crl, pem

_ENVIRONMENT = {"PATH": os.environ["PATH"], "LC_ALL": "C", "HOME": "/dev/null"}


class Site:
    """A virtd with TLS on loopback, and what its clients need."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = make(GOOD_CA)
        self.server = make(replace(GOOD, name="localhost", hosts=("localhost",)), self.ca)
        self.revoked = make(replace(GOOD, name="revoked"), self.ca)
        (folder / "cacert.pem").write_bytes(pem(self.ca))
        (folder / "servercert.pem").write_bytes(pem(self.server))
        (folder / "serverkey.pem").write_bytes(key_pem(self.server.key))
        (folder / "cacrl.pem").write_bytes(pem(make_crl(self.ca, [self.revoked])))
        self.port = harness.free_port()

    def settings(self) -> harness.Settings:
        return {
            **harness.tls_settings(str(self.folder), self.port),
            "tls_allowed_dn_list": ["CN=client*", "CN=revoked"],
        }

    def client(self, name: str, made: Made | None, ca: Made | None = None) -> str:
        """A folder for `pkipath`, and the URI with it."""
        folder = self.folder / f"client-{name}"
        folder.mkdir(exist_ok=True)
        (folder / "cacert.pem").write_bytes(pem(ca or self.ca))
        if made is not None:
            (folder / "clientcert.pem").write_bytes(pem(made))
            (folder / "clientkey.pem").write_bytes(key_pem(made.key))
        return f"qemu+tls://localhost:{self.port}/system?pkipath={folder}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, harness.RunningDaemon]]:
    site = Site(tmp_path_factory.mktemp("site"))
    with harness.running("virtd", site.settings()) as daemon:
        yield site, daemon


def virsh(uri: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [harness.require("virsh"), "-q", "-c", uri, *words],
        env=_ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def _said(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize("kind", ["unix", "tls"])
def test_what_virsh_asks_first(site: tuple[Site, harness.RunningDaemon], kind: str) -> None:
    here, daemon = site
    uri = (
        f"qemu+unix:///system?socket={daemon.socket}"
        if kind == "unix"
        else here.client("good", make(replace(GOOD, name="client one"), here.ca))
    )
    assert _said(virsh(uri, "hostname")) == socket.gethostname()
    assert _said(virsh(uri, "uri")) == uri
    assert f"Using API: QEMU {harness.libvirt_version_text('virsh')}" in _said(
        virsh(uri, "version")
    )
    assert _said(virsh(uri, "connect; hostname")) == socket.gethostname()
    assert _said(virsh(uri, "-r", "hostname")) == socket.gethostname()


@pytest.mark.parametrize("driver", ["test", "qemu"])
def test_drivers(site: tuple[Site, harness.RunningDaemon], driver: str) -> None:
    path = {"test": "default", "qemu": "session"}[driver]
    uri = f"{driver}+unix:///{path}?socket={site[1].socket}"
    assert f"Using API: {driver.upper()}" in _said(virsh(uri, "version"))


@pytest.fixture(scope="module")
def libvirtd() -> Iterator[harness.RunningDaemon]:
    with harness.running("libvirtd") as daemon:
        yield daemon


@pytest.mark.parametrize(
    "words",
    [
        ("hostname",),
        ("uri",),
        ("version",),
        ("version", "--daemon"),
        ("-r", "hostname"),
        ("-r", "uri"),
        ("-r", "version", "--daemon"),
        ("-k", "1", "-K", "2", "hostname"),
        ("connect; uri",),
        ("connect --readonly; uri",),
    ],
    ids=" ".join,
)
def test_virsh_prints_the_same_from_libvirtd(
    site: tuple[Site, harness.RunningDaemon],
    libvirtd: harness.RunningDaemon,
    words: tuple[str, ...],
) -> None:
    printed = [
        _said(virsh(f"test+unix:///default?socket={daemon.socket}", *words)).replace(
            daemon.socket, "SOCKET"
        )
        for daemon in (libvirtd, site[1])
    ]
    assert printed[0]
    assert printed[1] == printed[0]


def test_one_virsh_goes_from_one_driver_to_another(
    site: tuple[Site, harness.RunningDaemon],
) -> None:
    query = f"?socket={site[1].socket}"
    said = _said(
        virsh(f"qemu+unix:///system{query}", f"connect test+unix:///default{query}; version")
    )
    assert f"Using API: TEST {harness.libvirt_version_text('virsh')}" in said


def test_the_daemon_chooses_where_no_driver_is_named(
    site: tuple[Site, harness.RunningDaemon],
) -> None:
    uri = f"remote+unix:///?socket={site[1].socket}"
    assert f"Using API: QEMU {harness.libvirt_version_text('virsh')}" in _said(
        virsh(uri, "version")
    )


@pytest.mark.parametrize(
    ("uri", "because"),
    [
        ("xen+unix:///system", "no driver for xen:///system"),
        ("qemu+unix:///nowhere", "'/nowhere' in the URI qemu:///nowhere"),
    ],
)
def test_virsh_shows_why_nothing_was_opened(
    site: tuple[Site, harness.RunningDaemon], uri: str, because: str
) -> None:
    done = virsh(f"{uri}?socket={site[1].socket}", "hostname")
    assert done.returncode == 1
    assert because in done.stderr


async def _is_reader(daemon: harness.RunningDaemon) -> bool:
    """Whether the administrator sees the latest client as one that only reads."""
    async with admin_client.connect(daemon.uri) as connection:
        *_, client = await (await connection.lookup_server("virtd")).list_clients()
        return (await client.get_info()).readonly


@pytest.mark.parametrize(("option", "reader"), [((), False), (("-r",), True)])
def test_a_reader_is_one_for_the_administrator(
    site: tuple[Site, harness.RunningDaemon], option: tuple[str, ...], reader: bool
) -> None:
    """virsh stays for as long as its input does."""
    daemon = site[1]
    process = subprocess.Popen(
        [
            *(harness.require("virsh"), "-q", *option),
            *("-c", f"test+unix:///default?socket={daemon.socket}"),
        ],
        env=_ENVIRONMENT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(b"hostname\n")
        process.stdin.flush()
        while socket.gethostname().encode() not in (line := process.stdout.readline()):
            assert line, "virsh ended before it had connected"
        assert asyncio.run(_is_reader(daemon)) is reader
        process.communicate(timeout=harness.PATIENCE)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


def test_what_is_not_served_is_said(site: tuple[Site, harness.RunningDaemon]) -> None:
    done = virsh(f"test+unix:///default?socket={site[1].socket}", "secret-list")
    assert done.returncode == 1
    assert "not supported by the connection driver: virConnectNumOfSecrets" in done.stderr


@pytest.mark.parametrize(
    "why",
    ["another CA", "expired", "not yet valid", "revoked", "not on the list", "none", "its own"],
)
def test_who_is_refused(site: tuple[Site, harness.RunningDaemon], why: str) -> None:
    here, daemon = site
    good = replace(GOOD, name="client two")
    shown = {
        "another CA": lambda: make(good, make(replace(GOOD_CA, name="another CA"))),
        "expired": lambda: make(replace(good, starts=-9, ends=-1), here.ca),
        "not yet valid": lambda: make(replace(good, starts=5, ends=9), here.ca),
        "revoked": lambda: here.revoked,
        "not on the list": lambda: make(replace(good, name="stranger"), here.ca),
        "none": lambda: None,
        "its own": lambda: make(good),
    }[why]()
    done = virsh(here.client(why.replace(" ", "-"), shown), "hostname")
    assert done.returncode == 1
    assert "error: failed to connect" in done.stderr
    assert daemon.alive


@pytest.fixture(scope="module")
def guarded(
    site: tuple[Site, harness.RunningDaemon], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Site, harness.RunningDaemon]]:
    """A virtd whose clients need a password as well, and joe's is secret."""
    folder = tmp_path_factory.mktemp("guarded")
    here = Site(folder)
    passwords = Passwords(str(folder / "passwords"))
    passwords.set("joe", "secret")
    passwords.write()
    settings: harness.Settings = {
        **here.settings(),
        "auth_tls": "sasl",
        "auth_unix_rw": "sasl",
        "sasl_password_file": passwords.path,
    }
    with harness.running("virtd", settings) as daemon:
        yield here, daemon


@pytest.mark.parametrize("kind", ["unix", "tls"])
@pytest.mark.parametrize(
    ("name", "password", "comes_in"),
    [("joe", "secret", True), ("joe", "wrong", False), ("jane", "secret", False)],
)
def test_passwords(
    guarded: tuple[Site, harness.RunningDaemon],
    tmp_path: Path,
    kind: str,
    name: str,
    password: str,
    comes_in: bool,
) -> None:
    here, daemon = guarded
    authentication = tmp_path / "auth.conf"
    authentication.write_text(
        f"[credentials-it]\nauthname={name}\npassword={password}\n"
        "[auth-libvirt-default]\ncredentials=it\n"
    )
    if kind == "tls":
        uri = here.client("one", make(replace(GOOD, name="client one"), here.ca))
    else:
        uri = f"qemu+unix:///system?socket={daemon.socket}"
    done = virsh(f"{uri}&authfile={authentication}", "hostname")
    if comes_in:
        assert _said(done) == socket.gethostname()
    else:
        assert done.returncode == 1
        assert "authentication failed" in done.stderr


def test_a_read_only_socket(guarded: tuple[Site, harness.RunningDaemon]) -> None:
    _, daemon = guarded
    uri = f"qemu+unix:///system?socket={daemon.socket}-ro"
    assert _said(virsh(uri, "-r", "hostname")) == socket.gethostname()


def test_virsh_refuses_a_server_of_another_ca(site: tuple[Site, harness.RunningDaemon]) -> None:
    here, _ = site
    uri = here.client("wary", make(replace(GOOD, name="client"), here.ca), ca=make(GOOD_CA))
    done = virsh(uri, "hostname")
    assert done.returncode == 1
    assert "certificate" in done.stderr

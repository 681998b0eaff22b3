"""Where a URI leads, for the client of the remote program."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiovirt.admin.ssh import Route
from aiovirt.admin.uri import Directories, UriError
from aiovirt.daemons.virtd.client.uri import RemoteUri
from aiovirt.rpc.security.certificates import TlsFiles

ROOT = Directories(root=True, home="/root", runtime="/run/user/0", config="", cache="")


def user(home: Path) -> Directories:
    """An ordinary user, whose folders are all in one."""
    return Directories(root=False, home=str(home), runtime=f"{home}/run", config="", cache="")


def test_a_local_uri_leads_to_the_socket_of_libvirtd() -> None:
    uri = RemoteUri.parse("qemu:///system", where=ROOT)
    assert (uri.transport, uri.socket, uri.name, uri.host) == (
        "unix",
        "/run/libvirt/libvirt-sock",
        "qemu:///system",
        None,
    )
    assert RemoteUri.parse("test:///default", where=ROOT).socket == "/run/libvirt/libvirt-sock"


def test_a_reader_has_another_socket() -> None:
    uri = RemoteUri.parse("qemu:///system", readonly=True, where=ROOT)
    assert uri.socket == "/run/libvirt/libvirt-sock-ro"


def test_a_session_is_the_users_own(tmp_path: Path) -> None:
    uri = RemoteUri.parse("qemu:///session", where=user(tmp_path), readonly=True)
    assert uri.socket == f"{tmp_path}/run/libvirt/libvirt-sock"


def test_the_daemon_of_the_driver_comes_first_if_it_is_there(tmp_path: Path) -> None:
    where = user(tmp_path)
    folder = tmp_path / "run" / "libvirt"
    folder.mkdir(parents=True)
    assert RemoteUri.parse("qemu:///session", where=where).socket.endswith("/libvirt-sock")
    (folder / "virtqemud-sock").touch()
    assert RemoteUri.parse("qemu:///session", where=where).socket.endswith("/virtqemud-sock")
    legacy = RemoteUri.parse("qemu:///session?mode=legacy", where=where)
    assert legacy.socket.endswith("/libvirt-sock")
    direct = RemoteUri.parse("test:///default?mode=direct", where=where)
    assert direct.socket.endswith("/virttestd-sock")


@pytest.mark.parametrize(
    ("text", "transport", "host", "port", "name"),
    [
        ("qemu://far/system", "tls", "far", 16514, "qemu:///system"),
        ("qemu+tls://far:99/system", "tls", "far", 99, "qemu:///system"),
        ("qemu+tcp://me@far/system?x=a%20b", "tcp", "far", 16509, "qemu:///system?x=a%20b"),
        ("qemu+tcp://[::1]/system#f", "tcp", "::1", 16509, "qemu:///system#f"),
        ("test+unix:///default?socket=/s&name=test:///x", "unix", None, 0, "test:///x"),
        (
            "qemu+tls://far/system?authfile=/a&No_Verify=1&x=1",
            "tls",
            "far",
            16514,
            "qemu:///system?x=1",
        ),
        ("qemu+libssh2://far/system", "ssh", "far", 0, "qemu:///system"),
    ],
)
def test_the_daemon_gets_a_uri_without_the_way(
    text: str, transport: str, host: str | None, port: int, name: str
) -> None:
    uri = RemoteUri.parse(text, where=ROOT)
    assert (uri.transport, uri.host, uri.port, uri.name) == (transport, host, port, name)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("///system", "names no driver"),
        ("qemu+pigeon://far/system", "none of unix, tcp, tls, ssh"),
        ("qemu+tcp:///system", "needs a host"),
        ("qemu+ssh://far/session", "needs the parameter socket"),
        ("qemu+tcp://far:65536/system", "a port is at most 65535, not 65536"),
        ("qemu+tls://far/system?pkipath=%00", "no NUL character"),
        ("qemu:///system?x=%00", "no NUL character"),
        ("qemu:///system?mode=x", "one of auto, direct, legacy"),
        ("qemu:///%zz", "Unable to parse"),
    ],
)
def test_a_uri_that_leads_nowhere_is_refused(text: str, why: str) -> None:
    with pytest.raises(UriError, match=why):
        RemoteUri.parse(text, where=ROOT)


def test_a_switch_is_a_number() -> None:
    uri = RemoteUri.parse("qemu://far/system?no_verify=1&no_sanity=x", where=ROOT)
    assert uri.switch("no_verify")
    assert not uri.switch("no_tty")
    assert RemoteUri.parse("qemu://far/system?NO_VERIFY=-1", where=ROOT).switch("no_verify")
    with pytest.raises(UriError, match="'no_sanity' is 0 or 1"):
        uri.switch("no_sanity")


def test_ssh_gets_the_socket_and_its_own_parameters() -> None:
    uri = RemoteUri.parse("qemu+ssh://me@far:22/system?keyfile=/k&no_verify=1", where=ROOT)
    route = Route.of(uri.ssh_uri())
    assert route.socket == "/run/libvirt/libvirt-sock"
    assert route.options[:4] == ("-p", "22", "-l", "me")
    assert 'IdentityFile="/k"' in route.options
    named = RemoteUri.parse("qemu+ssh://far/session?socket=/my%20sock", where=ROOT)
    assert Route.of(named.ssh_uri()).socket == "/my sock"


class TestFilesForTls:
    def test_pkipath_names_a_folder(self) -> None:
        uri = RemoteUri.parse("qemu://far/system?pkipath=/pki", where=ROOT)
        expected = (
            "/pki/cacert.pem",
            "/pki/clientcert.pem",
            "/pki/clientkey.pem",
            "/pki/cacrl.pem",
        )
        assert uri.tls_files() == TlsFiles(*expected[:3], crl=expected[3])

    def test_those_of_a_user_replace_those_of_the_system(self, tmp_path: Path) -> None:
        uri = RemoteUri.parse("qemu://far/system", where=ROOT)
        own = tmp_path / ".pki" / "libvirt"
        own.mkdir(parents=True)
        (own / "clientcert.pem").touch()
        assert uri.tls_files(user(tmp_path)).cert == "/etc/pki/libvirt/clientcert.pem"
        (own / "clientkey.pem").touch()
        found = uri.tls_files(user(tmp_path))
        assert (found.cert, found.ca) == (f"{own}/clientcert.pem", "/etc/pki/CA/cacert.pem")

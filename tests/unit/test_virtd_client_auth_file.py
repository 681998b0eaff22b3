"""The name and password that the client of the remote program has from libvirt's file for them."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiovirt.admin.uri import Directories, UriError
from aiovirt.daemons.virtd.client import RpcError, connect
from aiovirt.daemons.virtd.client.auth_file import credentials_of
from aiovirt.rpc.security.sasl import ITERATIONS_MAX, ClientExchange, Passwords, SaslError
from aiovirt.rpc.wire.errors import ErrorCode
from tests import harness

JOE = "[credentials-it]\nauthname = joe\npassword=secret\n"
DEFAULT = "[auth-libvirt-default]\ncredentials=it\n"


@pytest.fixture
def where(tmp_path: Path) -> Directories:
    """The folders of a user who has a file."""
    folder = tmp_path / "config" / "libvirt"
    folder.mkdir(parents=True)
    (folder / "auth.conf").write_text(JOE + DEFAULT)
    return Directories(
        root=False, home=str(tmp_path), runtime="", config=f"{tmp_path}/config", cache=""
    )


def found(tmp_path: Path, text: str, host: str | None = None) -> tuple[str, str]:
    """The credentials in a file that the URI names."""
    path = tmp_path / "named.conf"
    path.write_text(text)
    return credentials_of(host, str(path), environ={})


def test_the_host_has_a_section_of_its_own_or_the_default_one(tmp_path: Path) -> None:
    text = (
        f"# a comment\n\n{JOE}[credentials-far]\nauthname=ann\npassword=a\\sb\\\\=c \n{DEFAULT}"
        "[auth-libvirt-far]\ncredentials=far\n[auth-esx-default]\ncredentials=none\n"
    )
    assert found(tmp_path, text) == ("joe", "secret")
    assert found(tmp_path, text, "elsewhere") == ("joe", "secret")
    assert found(tmp_path, text, "far") == ("ann", "a b\\=c")
    assert found(tmp_path, f"{JOE}[auth-libvirt-localhost]\ncredentials=it\n") == ("joe", "secret")
    assert found(tmp_path, f"{JOE}[auth-libvirt-localhost]\ncredentials=it\n", "far") == ("", "")
    assert found(tmp_path, "") == ("", "")


def test_the_environment_comes_before_the_uri_and_both_before_the_user(
    tmp_path: Path, where: Directories
) -> None:
    for name in ("environment", "uri"):
        (tmp_path / name).write_text(f"[credentials-it]\nauthname={name}\n{DEFAULT}")
    environ = {"LIBVIRT_AUTH_FILE": f"{tmp_path}/environment"}
    named = f"{tmp_path}/uri"
    assert credentials_of(None, named, environ=environ, where=where)[0] == "environment"
    assert credentials_of(None, named, environ={}, where=where)[0] == "uri"
    assert credentials_of(None, environ={}, where=where) == ("joe", "secret")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("hello", r"named.conf:1: the line is neither"),
        ("[auth-libvirt-default]\nhello", r"named.conf:2: the line is neither"),
        ("[auth-libvirt-default]", "needs the line credentials=NAME"),
        (DEFAULT, r"names \[credentials-it\], which is missing"),
        ("#" * (1 << 20) + "\n", "more than"),
    ],
)
def test_a_mistake_in_the_file_is_named(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(UriError, match=why):
        found(tmp_path, text)


def test_a_file_that_is_none_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    for name, why in (("fifo", "a FIFO"), ("missing", "No such file"), (".", "a directory")):
        with pytest.raises(UriError, match=why):
            credentials_of(None, str(tmp_path / name), environ={})


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URI of a virtd that asks for a password."""
    passwords = Passwords(str(tmp_path_factory.mktemp("guarded") / "passwords"))
    passwords.set("joe", "secret")
    passwords.write()
    settings: harness.Settings = {"auth_unix_rw": "sasl", "sasl_password_file": passwords.path}
    with harness.running("virtd", settings) as daemon:
        yield f"test+unix:///default?socket={daemon.socket}"


async def test_a_daemon_that_asks_gets_what_the_file_has(guarded: str, tmp_path: Path) -> None:
    good, bad = tmp_path / "good", tmp_path / "bad"
    good.write_text(JOE + DEFAULT)
    bad.write_text(JOE.replace("secret", "wrong") + DEFAULT)
    async with connect(f"{guarded}&authfile={good}", timeout=20) as host:
        assert await host.hostname() == socket.gethostname()
    async with connect(
        f"{guarded}&authfile={bad}", name="joe", password="secret", timeout=20
    ):  # the test's own
        pass  # what is given counts
    with pytest.raises(RpcError, match="authentication failed"):
        await connect(f"{guarded}&authfile={bad}", timeout=20)


async def test_without_a_name_the_error_says_what_is_missing(guarded: str, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    with pytest.raises(RpcError, match="asks for a name and a password") as refused:
        await connect(f"{guarded}&authfile={tmp_path}/empty", timeout=20)
    assert refused.value.code == ErrorCode.AUTH_FAILED


def test_a_server_cannot_have_a_client_hash_without_end() -> None:
    exchange = ClientExchange("SCRAM-SHA-256", "joe", "secret")
    nonce = exchange.first().decode().partition("r=")[2]
    with pytest.raises(SaslError, match="at most"):
        exchange.step(f"r={nonce}x,s=c2FsdA==,i={ITERATIONS_MAX + 1}".encode())
    with pytest.raises(SaslError):
        ClientExchange("SCRAM-SHA-256", "", "secret")

"""`virtadm pki-init` and `pki-check`: what they make, and what they find."""

from __future__ import annotations

import io
import ipaddress
import json as json_module
import os
import shutil
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509

from aiovirt.admin import pki
from aiovirt.admin.cli.commands import command_table
from aiovirt.admin.cli.parser import ArgumentWords, parse
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.terminal import Terminal
from aiovirt.rpc.security.certificates import CertificateError, distinguished_name, load
from tests.certificates_maker import CLIENT, GOOD, GOOD_CA, SERVER, key_pem, make, make_crl, pem

TABLE = command_table()


class Said(NamedTuple):
    succeeded: bool
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json_module.loads(self.out)


async def virtadm(*words: str | Path, json: bool = False) -> Said:
    out, err = io.StringIO(), io.StringIO()
    terminal = Terminal("virtadm", out=out, err=err)
    terminal.json = json
    session = AdminSession(TABLE, terminal)
    try:
        succeeded = await session.run(parse(ArgumentWords([str(word) for word in words]), TABLE))
    finally:
        await session.close()
    return Said(succeeded, out.getvalue(), err.getvalue())


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if not path.is_dir()]


@pytest.fixture(autouse=True)
def known_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "here.example")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "pki"
    pki.create(made, hosts=pki.default_hosts())
    return made


@pytest.fixture
def strict_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


# --- what is made


async def test_what_is_made_is_found_good(tmp_path: Path) -> None:
    made = tmp_path / "new" / "pki"
    said = await virtadm("pki-init", made)
    assert said == (
        True,
        f"PKI for here.example, localhost, 127.0.0.1, ::1 made in '{made}'\n\n",
        "",
    )
    checked = await virtadm("pki-check", made, json=True)
    assert checked.succeeded
    assert (checked.data["ok"], checked.data["warnings"]) == (True, [])
    for files, server in ((pki.server_files(made), True), (pki.client_files(made), False)):
        found = load(files, server=server)
        assert found.warnings == []
        assert len(found.crls) == 1


def test_the_server_is_good_for_its_hosts(folder: Path) -> None:
    certificate = load(pki.server_files(folder), server=True).chain[0]
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["here.example", "localhost"]
    addresses = [ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1")]
    assert names.get_values_for_type(x509.IPAddress) == addresses
    assert distinguished_name(certificate) == "O=Development,CN=here.example"


def test_server_and_client_are_not_taken_for_each_other(folder: Path) -> None:
    for files, server in ((pki.server_files(folder), False), (pki.client_files(folder), True)):
        with pytest.raises(CertificateError) as caught:
            load(files, server=server)
        assert caught.value.rule == "purpose"


def test_a_host_name_that_is_none_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: "my box")
    assert pki.default_hosts() == ["localhost", "127.0.0.1", "::1"]
    monkeypatch.setattr(socket, "gethostname", lambda: "localhost")
    assert pki.default_hosts() == ["localhost", "127.0.0.1", "::1"]


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
async def test_modes_are_those_that_libvirt_asks_for_whatever_the_umask(
    tmp_path: Path, umask: int
) -> None:
    before = os.umask(umask)
    try:
        for layout, words in ((pki.PRIVATE, ()), (pki.SYSTEM, ("--system",))):
            made = tmp_path / f"pki{len(words)}"
            assert (await virtadm("pki-init", made, *words)).succeeded
            # tools/virt-pki-validate.c of libvirt 11 and later: 0700 and 0600, or 0755 and 0644.
            for name, mode in {**layout.folders, **layout.files}.items():
                assert stat.S_IMODE((made / name).stat().st_mode) == mode, name
    finally:
        os.umask(before)


async def test_the_systems_layout_is_found_good(tmp_path: Path) -> None:
    made = tmp_path / "pki"
    assert (await virtadm("pki-init", made, "--system")).succeeded
    checked = await virtadm("pki-check", made, json=True)
    assert checked.succeeded
    assert [text.split(" (")[0] for text in checked.data["warnings"]] == [
        f"The client key {made}/libvirt/private/clientkey.pem"  # for all users, as libvirt has it
    ]


def test_a_folder_that_exists_keeps_its_mode(tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    pki.create(tmp_path, hosts=["a.example"])
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o750


@pytest.mark.usefixtures("strict_umask")
def test_keys_were_never_anybody_elses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Opened with that mode, not changed to it: there is no moment between.
    opened = []
    real = os.open

    def seen(path: Any, flags: int, mode: int = 0o777, **more: Any) -> int:
        opened.append((Path(path).name, mode))
        return real(path, flags, mode, **more)

    monkeypatch.setattr(os, "open", seen)
    pki.create(tmp_path, hosts=["a.example"], force=True)
    assert all(mode == 0o600 for name, mode in opened if "key" in name)
    assert len([name for name, _ in opened if "key" in name]) == 3


def test_libvirt_finds_all_in_one_folder(folder: Path) -> None:
    for name in ("cacert", "cacrl", "servercert", "clientcert", "serverkey", "clientkey"):
        assert (folder / f"{name}.pem").read_bytes()
    assert os.readlink(folder / "clientkey.pem") == "private/clientkey.pem"
    moved = shutil.copytree(folder, folder.parent / "moved", symlinks=True)
    assert (moved / "clientkey.pem").read_bytes() == (folder / "clientkey.pem").read_bytes()


async def test_hosts_and_days_may_be_given(tmp_path: Path) -> None:
    made = tmp_path / "pki"
    words = ("--days", "7", "--host", "a.example", "--host=10.0.0.1")
    said = await virtadm("pki-init", made, *words, json=True)
    assert said.data["hosts"] == ["a.example", "10.0.0.1"]
    assert sorted(said.data["files"]) == sorted(str(path) for path in files_in(made))
    found = load(pki.server_files(made), server=True)
    valid = found.expires() - found.chain[0].not_valid_before_utc
    assert valid == timedelta(days=7, hours=1)
    assert found.crl_due() == found.expires()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("--host", "a b"), "'a b' is neither a host name nor an IP address"),
        (("--host", "jürgen"), "'jürgen' is neither a host name nor an IP address"),
        (("--host", "a..b"), "'a..b' is neither a host name nor an IP address"),
        (("--host", ""), "'' is neither a host name nor an IP address"),
        (("--host", "a\n"), "'a\n' is neither a host name nor an IP address"),
        (("--days", "0"), "0 days: certificates are made for 1 to 36500 days"),
        (("--days", "36501"), "36501 days: certificates are made for 1 to 36500 days"),
    ],
)
async def test_what_cannot_be_is_refused(
    words: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    made = tmp_path / "pki"
    said = await virtadm("pki-init", made, *words)
    assert not said.succeeded
    assert said.err == f"error: No PKI made in '{made}'\nerror: {complaint}\n"
    assert not made.exists()


def test_a_long_host_name_is_only_an_alternative(tmp_path: Path) -> None:
    host = ".".join(["a" * 60] * 4)
    pki.create(tmp_path, hosts=[host])
    certificate = load(pki.server_files(tmp_path), server=True).chain[0]
    assert distinguished_name(certificate) == "O=Development,CN=server"


async def test_nothing_is_overwritten_unless_forced(folder: Path) -> None:
    for path in files_in(folder):
        if path != folder / "clientkey.pem":
            path.unlink()
    before = os.readlink(folder / "clientkey.pem")
    said = await virtadm("pki-init", folder)
    assert not said.succeeded
    assert f"{folder}/clientkey.pem: nothing is overwritten" in said.err
    assert files_in(folder) == [folder / "clientkey.pem"]
    assert os.readlink(folder / "clientkey.pem") == before
    assert (await virtadm("pki-init", folder, "--force")).succeeded
    assert (await virtadm("pki-init", folder, "--force")).succeeded
    assert (await virtadm("pki-check", folder)).succeeded
    assert len(files_in(folder)) == 9


def test_what_came_meanwhile_is_not_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = pki._contents

    def slow(*arguments: Any) -> list[bytes]:
        (tmp_path / "cacert.pem").write_text("mine")
        return real(*arguments)

    monkeypatch.setattr(pki, "_contents", slow)
    with pytest.raises(FileExistsError):
        pki.create(tmp_path, hosts=["a.example"])
    assert (tmp_path / "cacert.pem").read_text() == "mine"
    assert not list(tmp_path.rglob(".*"))


async def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    said = await virtadm("pki-init", tmp_path / "file" / "pki")
    assert not said.succeeded
    assert "Not a directory" in said.err


# --- what is found


async def test_a_table_shows_what_there_is(folder: Path) -> None:
    said = await virtadm("pki-check", folder)
    assert said.succeeded
    lines = said.out.splitlines()
    assert lines[0].split() == [
        "What",
        "File",
        "Name",
        "Valid",
        "until",
        "Days",
        "left",
        "Good",
        "for",
    ]
    assert [line.split(f"{folder}/")[0].strip() for line in lines[2:-1]] == [
        "server certificate",
        "CA certificate",
        "revocation list",
        "server key",
        "client certificate",
        "client key",
    ]
    assert "here.example, localhost, 127.0.0.1, ::1" in lines[2]
    assert "364" in lines[2]
    assert "0 revoked" in lines[4]
    assert "mode 0600" in lines[5]


async def test_json_tells_the_same(folder: Path) -> None:
    report = (await virtadm("pki-check", folder, "--client", json=True)).data
    found = load(pki.client_files(folder), server=False)
    own, authority, crl, key = report["files"]
    assert own == {
        "what": "client certificate",
        "file": f"{folder}/clientcert.pem",
        "name": "O=Development,CN=client",
        "since": int(found.chain[0].not_valid_before_utc.timestamp()),
        "until": int(found.chain[0].not_valid_after_utc.timestamp()),
        "days_left": 364,
        "hosts": [],
    }
    assert authority["name"] == crl["name"] == distinguished_name(found.ca[0])
    assert crl["revoked"] == 0
    assert key == {
        "what": "client key",
        "file": f"{folder}/private/clientkey.pem",
        "mode": "0600",
        "owner": os.geteuid(),
    }


async def test_a_flaw_fails_the_check(folder: Path) -> None:
    other = folder.parent / "other"
    pki.create(other, hosts=["here.example"])
    shutil.copy(other / "cacert.pem", folder)
    said = await virtadm("pki-check", folder, json=True)
    assert not said.succeeded
    assert not said.data["ok"]
    problems = said.data["problems"]
    assert [problem["rule"] for problem in problems] == ["chain", "chain"]
    assert [problem["file"] for problem in problems] == [
        f"{folder}/servercert.pem",
        f"{folder}/clientcert.pem",
    ]
    assert said.err == "".join(f"error: {problem['message']}\n" for problem in problems)


async def test_what_is_wrong_for_both_is_said_once(folder: Path) -> None:
    (folder / "cacert.pem").write_text("nothing of the kind")
    said = await virtadm("pki-check", folder, json=True)
    (problem,) = said.data["problems"]
    assert (problem["rule"], problem["file"]) == ("unreadable", f"{folder}/cacert.pem")


@pytest.mark.parametrize(
    ("name", "mode", "rule", "words"),
    [
        ("serverkey", 0o640, "key-mode", "is not for its owner alone; chmod 600"),
        ("serverkey", 0o604, "key-mode", "is not for its owner alone; chmod 600"),
        ("serverkey", 0o400, "", ""),
        ("clientkey", 0o620, "key-mode", "can be replaced by others; chmod go-w"),
        ("clientkey", 0o644, "", "can be read by every user"),
        ("clientkey", 0o640, "", ""),
    ],
)
async def test_who_may_use_a_key_is_checked(
    folder: Path, name: str, mode: int, rule: str, words: str
) -> None:
    (folder / "private" / f"{name}.pem").chmod(mode)
    report = await virtadm("pki-check", folder, json=True)
    assert report.succeeded is not bool(rule)
    assert [problem["rule"] for problem in report.data["problems"]] == [rule] * bool(rule)
    told = [problem["message"] for problem in report.data["problems"]] + report.data["warnings"]
    assert len(told) == bool(words)
    assert words in "".join(told)


async def test_one_of_two_roles_is_enough(folder: Path) -> None:
    (folder / "clientcert.pem").unlink()
    for key in (folder / "clientkey.pem", folder / "private" / "clientkey.pem"):
        key.unlink()
    said = await virtadm("pki-check", folder)
    assert said.succeeded
    assert said.out.startswith("no client certificate: this is no client\n")
    said = await virtadm("pki-check", folder, "--client")
    assert not said.succeeded
    assert said.err == f"error: There is no client certificate {folder}/clientcert.pem\n"
    assert (await virtadm("pki-check", folder, "--server")).succeeded
    shutil.rmtree(folder)
    said = await virtadm("pki-check", folder)
    assert not said.succeeded
    assert said.err == f"error: There is no server's or client's certificate in '{folder}'\n"


async def test_a_key_alone_is_half_of_it(folder: Path) -> None:
    (folder / "clientcert.pem").unlink()
    said = await virtadm("pki-check", folder, json=True)
    assert [problem["rule"] for problem in said.data["problems"]] == ["missing"]


async def test_files_may_be_named(folder: Path) -> None:
    files = {
        name: f"{folder}/{name}.pem" for name in ("cacert", "servercert", "serverkey", "cacrl")
    }
    words = ("--ca", files["cacert"], "--cert", files["servercert"], "--key", files["serverkey"])
    report = (await virtadm("pki-check", *words, json=True)).data
    assert (report["ok"], len(report["files"])) == (True, 3)
    report = (await virtadm("pki-check", *words, "--crl", files["cacrl"], json=True)).data
    assert (report["ok"], len(report["files"])) == (True, 4)
    assert "is not meant for a TLS client" in (await virtadm("pki-check", *words, "--client")).err
    assert (
        "The server key (no file named) is missing" in (await virtadm("pki-check", *words[:4])).err
    )
    assert (await virtadm("pki-check", *words[:2])).succeeded


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (("/x", "--ca", "/y"), "Either a directory is checked, or the files that are named"),
        (("--server", "--client"), "Options --server and --client are mutually exclusive"),
    ],
)
async def test_contradictions_are_refused(words: tuple[str, ...], complaint: str) -> None:
    assert (await virtadm("pki-check", *words)).err == f"error: {complaint}\n"


async def test_the_layout_of_etc_pki_is_known(folder: Path) -> None:
    tree = folder.parent / "tree"
    (tree / "CA").mkdir(parents=True)
    (tree / "libvirt").mkdir()
    shutil.copy(folder / "cacert.pem", tree / "CA")
    shutil.copy(folder / "servercert.pem", tree / "libvirt")
    shutil.copytree(folder / "private", tree / "libvirt" / "private")
    said = await virtadm("pki-check", tree, "--server", json=True)
    assert said.succeeded
    assert [row["file"].removeprefix(f"{tree}/") for row in said.data["files"]] == [
        "libvirt/servercert.pem",
        "CA/cacert.pem",
        "libvirt/private/serverkey.pem",
    ]


async def test_a_near_end_is_warned_of(tmp_path: Path) -> None:
    pki.create(tmp_path, hosts=["here.example"], days=30)
    said = await virtadm("pki-check", tmp_path)
    assert said.succeeded
    assert said.out.count("expires in 29 days") == 3
    assert "\nwarning: The server certificate " in said.out


@pytest.mark.parametrize(
    ("hosts", "words"),
    [
        (("here.example",), ""),
        (("HERE.example",), ""),
        (("*.example",), ""),
        (("here",), ""),
        (("there.example",), "is not for this host's name, 'here.example'"),
        ((), "has no alternative names"),
    ],
)
async def test_a_server_should_have_this_hosts_name(
    hosts: tuple[str, ...], words: str, tmp_path: Path
) -> None:
    authority = make(replace(GOOD_CA, ends=24 * 99))
    own = make(replace(GOOD, ends=24 * 99, hosts=hosts), authority)
    (tmp_path / "cacert.pem").write_bytes(pem(authority))
    (tmp_path / "servercert.pem").write_bytes(pem(own))
    (tmp_path / "serverkey.pem").write_bytes(key_pem(own.key))
    (tmp_path / "serverkey.pem").chmod(0o600)
    report = await virtadm("pki-check", tmp_path, json=True)
    assert report.succeeded
    assert len(report.data["warnings"]) == bool(words)
    assert words in "".join(report.data["warnings"])


async def test_warnings_and_chains_are_shown(tmp_path: Path) -> None:
    authority = make(GOOD_CA)
    between = make(replace(GOOD_CA, name="between"), authority)
    own = make(replace(GOOD, purposes=(SERVER,), purposes_critical=False), between)
    revoked = make(replace(GOOD, purposes=(CLIENT,)), authority)
    (tmp_path / "cacert.pem").write_bytes(pem(authority))
    (tmp_path / "cacrl.pem").write_bytes(pem(make_crl(authority, [revoked])))
    (tmp_path / "clientcert.pem").write_bytes(pem(own, between))
    (tmp_path / "clientkey.pem").write_bytes(key_pem(own.key))
    (tmp_path / "clientkey.pem").chmod(0o600)
    report = await virtadm("pki-check", tmp_path, json=True)
    assert report.succeeded
    assert [row["what"] for row in report.data["files"]] == [
        "client certificate",
        "CA between",
        "CA certificate",
        "revocation list",
        "client key",
    ]
    assert report.data["files"][3]["revoked"] == 1
    assert "is not meant for a TLS client" in "".join(report.data["warnings"])


def test_other_commands_do_not_load_what_reads_certificates() -> None:
    find = "aiovirt.admin.cli.commands as c; c.command_table().find('pki-check')"
    script = f"import sys, {find}; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True)
    loaded = ran.stdout.split()
    assert "aiovirt.admin.cli.pki" in loaded
    assert not [
        name
        for name in loaded
        if name.startswith(("cryptography", "aiovirt.rpc.security", "aiovirt.admin.pki"))
    ]

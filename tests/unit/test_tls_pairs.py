"""A server with several certificates: all are checked, and each client is shown the one for it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from aiovirt.daemons.runtime.settings.declaration import SettingsError
from aiovirt.daemons.runtime.settings.file import load as load_settings
from aiovirt.daemons.virtd.settings import SETTINGS
from aiovirt.rpc.security.certificates import CertificateError, TlsFiles
from aiovirt.rpc.security.tls import ServerTls, TlsPolicy
from tests.certificates_maker import GOOD, GOOD_CA, Made, key_pem, make, make_crl, new_key, pem
from tests.unit.house import PATIENCE

RSA, ECDSA, EDWARDS = "rsa_pss_rsae_sha256", "ecdsa_secp256r1_sha256", "ed25519"


class Pairs:
    """A folder with a CA and a server's certificates, by the kind of their keys."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = make(GOOD_CA)
        (folder / "ca.pem").write_bytes(pem(self.ca))

    def put(self, name: str, kind: str) -> Made:
        made = make(replace(GOOD, name=name, hosts=("localhost",), kind=kind), self.ca)
        (self.folder / f"{name}.pem").write_bytes(pem(made))
        (self.folder / f"{name}-key.pem").write_bytes(key_pem(made.key))
        return made

    def files(self, *names: str) -> TlsFiles:
        return TlsFiles(
            f"{self.folder}/ca.pem",
            "/nowhere/cert.pem",
            "/nowhere/key.pem",
            f"{self.folder}/crl.pem",
            certs=tuple(f"{self.folder}/{name}.pem" for name in names),
            keys=tuple(f"{self.folder}/{name}-key.pem" for name in names),
        )


@pytest.fixture
def pairs(tmp_path: Path) -> Pairs:
    one = Pairs(tmp_path)
    one.put("rsa", "rsa")
    one.put("ec", "ec")
    return one


async def shown(server: ServerTls, algorithm: str) -> str:
    """The name in the certificate that a client sees which knows one kind of signature."""
    service = await asyncio.start_server(
        lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=server.context
    )
    port = service.sockets[0].getsockname()[1]
    command = ("openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-sigalgs", algorithm)
    async with asyncio.timeout(PATIENCE), service:
        client = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        output, _ = await client.communicate()
    lines = [line for line in output.decode().splitlines() if line.startswith("subject=")]
    return lines[0].replace(" ", "").removeprefix("subject=CN=") if lines else ""


async def test_each_client_is_shown_the_certificate_that_it_can_verify(pairs: Pairs) -> None:
    pairs.put("edwards", "ed25519")
    server = ServerTls(pairs.files("rsa", "ec", "edwards"), TlsPolicy(verify=False))
    assert await shown(server, RSA) == "rsa"
    assert await shown(server, ECDSA) == "ec"
    assert await shown(server, EDWARDS) == "edwards"


async def test_of_two_keys_of_one_kind_the_first_certificate_is_used(pairs: Pairs) -> None:
    pairs.put("second", "ec")
    told: list[str] = []
    files = pairs.files("ec", "second", "rsa")
    server = ServerTls(files, TlsPolicy(verify=False), told.append)
    assert await shown(server, ECDSA) == "ec"
    assert await shown(server, RSA) == "rsa"
    (warning,) = (text for text in told if "is not used" in text)
    assert f"{pairs.folder}/second.pem" in warning
    assert f"{pairs.folder}/ec.pem" in warning


async def test_new_files_are_shown_after_a_reload(pairs: Pairs) -> None:
    server = ServerTls(pairs.files("rsa", "ec"), TlsPolicy(verify=False))
    made = make(replace(GOOD, name="renewed", hosts=("localhost",)), pairs.ca)
    (pairs.folder / "ec.pem").write_bytes(pem(made))
    (pairs.folder / "ec-key.pem").write_bytes(key_pem(made.key))
    server.reload()
    assert await shown(server, ECDSA) == "renewed"
    assert await shown(server, RSA) == "rsa"


def _other_key(pairs: Pairs) -> None:
    (pairs.folder / "ec-key.pem").write_bytes(key_pem(new_key()))


def _expired(pairs: Pairs) -> None:
    made = make(replace(GOOD, name="ec", starts=-9, ends=-1), pairs.ca)
    (pairs.folder / "ec.pem").write_bytes(pem(made))
    (pairs.folder / "ec-key.pem").write_bytes(key_pem(made.key))


def _revoked(pairs: Pairs) -> None:
    (pairs.folder / "crl.pem").write_bytes(pem(make_crl(pairs.ca, [pairs.put("ec", "ec")])))


def _of_another_ca(pairs: Pairs) -> None:
    pairs.ca, ca = make(replace(GOOD_CA, name="another")), pairs.ca
    pairs.put("ec", "ec")
    pairs.ca = ca


@pytest.mark.parametrize(
    ("spoil", "rule", "file"),
    [
        (lambda pairs: (pairs.folder / "ec.pem").unlink(), "missing", "ec"),
        (lambda pairs: (pairs.folder / "ec-key.pem").unlink(), "missing", "ec-key"),
        (lambda pairs: (pairs.folder / "ec.pem").write_bytes(b"x"), "unreadable", "ec"),
        (_other_key, "key-mismatch", "ec-key"),
        (_expired, "expired", "ec"),
        (_revoked, "revoked", "ec"),
        (_of_another_ca, "chain", "ec"),
    ],
)
def test_every_pair_is_checked_and_one_bad_pair_changes_nothing(
    pairs: Pairs, spoil: Callable[[Pairs], object], rule: str, file: str
) -> None:
    server = ServerTls(pairs.files("rsa", "ec"), TlsPolicy())
    context = server.context
    spoil(pairs)
    with pytest.raises(CertificateError) as refused:
        server.reload()
    assert (refused.value.rule, refused.value.file) == (rule, f"{pairs.folder}/{file}.pem")
    assert server.context is context


def test_every_pair_has_to_be_strong_enough(pairs: Pairs) -> None:
    with pytest.raises(CertificateError, match="key of 2048 bits") as refused:
        ServerTls(pairs.files("ec", "rsa"), TlsPolicy(verify=False, priority="SECURE128"))
    assert refused.value.file == f"{pairs.folder}/rsa.pem"


def test_lists_of_different_lengths_are_refused(pairs: Pairs) -> None:
    files = pairs.files("rsa", "ec")
    for uneven in (replace(files, keys=("/a.pem",)), replace(files, keys=None)):
        with pytest.raises(CertificateError, match="name one key for each certificate"):
            ServerTls(uneven, TlsPolicy())


def test_a_post_quantum_key_is_refused_where_openssl_does_not_know_it(
    pairs: Pairs, monkeypatch: pytest.MonkeyPatch
) -> None:
    mldsa = pytest.importorskip("cryptography.hazmat.primitives.asymmetric.mldsa")
    monkeypatch.setattr(ssl, "OPENSSL_VERSION_INFO", (3, 4, 0, 0, 0))
    made = make(replace(GOOD, name="quantum"), pairs.ca, key=mldsa.MLDSA65PrivateKey.generate())
    (pairs.folder / "quantum.pem").write_bytes(pem(made))
    (pairs.folder / "quantum-key.pem").write_bytes(key_pem(made.key))
    with pytest.raises(CertificateError, match=r"kind MLDSA65.* OpenSSL 3\.5 is needed") as refused:
        ServerTls(pairs.files("quantum", "rsa"), TlsPolicy())
    assert refused.value.file == f"{pairs.folder}/quantum.pem"


@pytest.mark.parametrize("name", ["cert", "key"])
def test_a_file_with_both_forms_is_refused(tmp_path: Path, name: str) -> None:
    conf = tmp_path / "virtd.conf"
    conf.write_text(f'{name}_file = "/a.pem"\n{name}_files = ["/a.pem", "/b.pem"]\n')
    with pytest.raises(SettingsError) as refused:
        load_settings(SETTINGS, str(conf))
    assert str(refused.value) == (
        f"{conf}:2: {name}_files and {name}_file are not possible together: keep one of them"
    )


def test_the_lists_hold_absolute_paths(tmp_path: Path) -> None:
    conf = tmp_path / "virtd.conf"
    conf.write_text('cert_files = ["/a.pem", "b.pem"]\nkey_files = ["/a.pem", "/b.pem"]\n')
    with pytest.raises(SettingsError, match="it does not begin with a slash"):
        load_settings(SETTINGS, str(conf))

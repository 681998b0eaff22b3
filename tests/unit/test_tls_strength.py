"""Keys and signatures that TLS cannot use are refused when the files are read, with the file's name."""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from aiovirt.rpc.security.certificates import CertificateError, TlsFiles, load
from aiovirt.rpc.security.tls import ServerTls, TlsPolicy, client_context
from tests.certificates_maker import GOOD, GOOD_CA, Key, make, pem

SHA256, SHA384, SHA512 = hashes.SHA256(), hashes.SHA384(), hashes.SHA512()


def key_of(kind: str) -> Key:
    curves = {
        "P-256": ec.SECP256R1,
        "P-384": ec.SECP384R1,
        "P-521": ec.SECP521R1,
        "P-224": ec.SECP224R1,
        "secp256k1": ec.SECP256K1,
        "brainpool": ec.BrainpoolP256R1,
    }
    if kind in curves:
        return ec.generate_private_key(curves[kind]())
    if kind.startswith("RSA"):
        return rsa.generate_private_key(65537, int(kind.removeprefix("RSA ")))
    if kind == "DSA":
        return dsa.generate_private_key(2048)  # type: ignore[return-value]  # not one of the usual
    if kind == "Ed448":
        return ed448.Ed448PrivateKey.generate()  # type: ignore[return-value]  # not one of the usual
    return ed25519.Ed25519PrivateKey.generate()


def files_of(folder: Path, ca: str, own: str, digest: hashes.HashAlgorithm = SHA256) -> TlsFiles:
    """A CA and a server's certificate for localhost, with keys of these kinds."""
    by = make(replace(GOOD_CA, digest=None if ca[:2] == "Ed" else digest), key=key_of(ca))
    recipe = replace(
        GOOD, name="localhost", hosts=("localhost",), digest=None if own[:2] == "Ed" else digest
    )
    made = make(recipe, by, key=key_of(own))
    encoding = serialization.Encoding.PEM
    form, secret = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    (folder / "ca.pem").write_bytes(pem(by))
    (folder / "cert.pem").write_bytes(pem(made))
    (folder / "key.pem").write_bytes(made.key.private_bytes(encoding, form, secret))
    return TlsFiles(f"{folder}/ca.pem", f"{folder}/cert.pem", f"{folder}/key.pem")


def shake_hands(server: ssl.SSLContext, client: ssl.SSLContext) -> None:
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(back, there, server_hostname="localhost"),
        server.wrap_bio(there, back, server_side=True),
    ]
    for _ in range(8):
        for end in tuple(ends):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            ends.remove(end)
    assert not ends


@pytest.mark.parametrize(
    ("ca", "own", "digest", "priority"),
    [
        ("P-256", "RSA 2048", SHA256, ""),
        ("P-256", "RSA 3072", SHA256, "SECURE128"),
        ("P-256", "P-256", SHA256, "SECURE128"),
        ("P-384", "P-384", SHA384, "SECURE192"),
        ("P-521", "P-521", SHA512, "SECURE256"),
        ("P-256", "Ed25519", SHA256, ""),
        ("Ed25519", "Ed25519", SHA256, "SECURE128"),
        ("Ed448", "Ed448", SHA256, "SECURE192"),
        ("secp256k1", "P-256", SHA256, ""),  # it signs certificates, not handshakes
    ],
)
def test_what_is_accepted_works(
    tmp_path: Path, ca: str, own: str, digest: hashes.HashAlgorithm, priority: str
) -> None:
    files = files_of(tmp_path, ca, own, digest)
    server = ServerTls(files, TlsPolicy(verify=False, priority=priority))
    shake_hands(server.context, client_context(replace(files, cert="", key=""), priority=priority))


@pytest.mark.parametrize(
    ("own", "problem"),
    [
        ("secp256k1", "has a key on the curve secp256k1, which cannot be used for TLS here"),
        ("brainpool", "has a key on the curve brainpoolP256r1"),
        ("P-224", "has a key on the curve secp224r1"),
        ("DSA", "has a key of the kind DSA"),
    ],
)
@pytest.mark.parametrize("sanity", [True, False])
def test_a_kind_of_key_that_tls_cannot_use(
    tmp_path: Path, own: str, problem: str, sanity: bool
) -> None:
    files = files_of(tmp_path, "P-256", own)
    for server in (True, False):
        with pytest.raises(CertificateError, match=problem) as refused:
            load(files, server=server, sanity=sanity)
        assert (refused.value.rule, refused.value.file) == ("algorithm", files.cert)


def test_an_rsa_pss_key(tmp_path: Path) -> None:
    files = files_of(tmp_path, "P-256", "P-256")
    for command in (
        f"genpkey -algorithm RSA-PSS -pkeyopt rsa_keygen_bits:2048 -out {files.key}",
        f"req -x509 -key {files.key} -subj /CN=localhost -days 2 -out {files.cert}",
    ):
        subprocess.run(["openssl", *command.split()], check=True, capture_output=True)
    with pytest.raises(CertificateError, match="has an RSA-PSS key, which cannot be") as refused:
        load(files, server=True, sanity=False)
    assert (refused.value.rule, refused.value.file) == ("algorithm", files.cert)


@pytest.mark.parametrize(
    ("ca", "own", "digest", "priority", "whose", "problem"),
    [
        (
            "P-256",
            "RSA 2048",
            SHA256,
            "SECURE128",
            "cert",
            "a key of 2048 bits.* 3072 bits or more",
        ),
        ("P-521", "RSA 2048", SHA512, "SECURE256", "cert", "2048 bits.* issue one with 15360 bits"),
        ("P-384", "P-256", SHA384, "SECURE192", "cert", "secp256r1, which .*issue one on P-384"),
        ("P-384", "P-384", SHA256, "SECURE192", "cert", "signed with sha256.* with sha384"),
        ("P-521", "P-521", SHA384, "SECURE256", "cert", "signed with sha384.* with sha512"),
        ("Ed25519", "Ed25519", SHA256, "SECURE192", "cert", "an Ed25519 key.* on P-384"),
        ("P-256", "P-521", SHA512, "SECURE256", "ca", "secp256r1.* issue one on P-521"),
        ("RSA 2048", "P-256", SHA256, "SECURE128", "ca", "a key of 2048 bits"),
    ],
)
def test_what_a_priority_does_not_accept(
    tmp_path: Path,
    ca: str,
    own: str,
    digest: hashes.HashAlgorithm,
    priority: str,
    whose: str,
    problem: str,
) -> None:
    files = files_of(tmp_path, ca, own, digest)
    with pytest.raises(CertificateError, match=rf"{problem}") as refused:
        ServerTls(files, TlsPolicy(priority=priority))
    assert f"tls_priority '{priority}' does not accept" in str(refused.value)
    assert (refused.value.rule, refused.value.file) == ("algorithm", getattr(files, whose))
    ServerTls(files, TlsPolicy())  # the usual priority takes all of them

"""The sanity checks of certificates, case by case, and names as GnuTLS writes them."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.name import _ASN1Type

from aiovirt.rpc.security.certificates import (
    CertificateError,
    TlsFiles,
    check_peer,
    distinguished_name,
    load,
    name_is_allowed,
)
from aiovirt.rpc.security.names import name_text
from tests.certificates_maker import (
    ANY,
    CASES,
    CLIENT,
    CODE_SIGNING,
    GOOD,
    GOOD_CA,
    SERVER,
    Case,
    Made,
    Recipe,
    key_pem,
    make,
    make_crl,
    name_of,
    new_key,
    pem,
)


class Folder:
    """A good CA's and a good server's files, of which a test spoils one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ca = make(GOOD_CA)
        self.own = make(GOOD, self.ca)
        self.files = TlsFiles(*(str(path / f"{name}.pem") for name in ("ca", "cert", "key", "crl")))
        self.put("ca", pem(self.ca))
        self.put("cert", pem(self.own))
        self.put("key", key_pem(self.own.key))

    def put(self, name: str, content: bytes) -> None:
        (self.path / f"{name}.pem").write_bytes(content)

    def refusal(self, *, server: bool = True, sanity: bool = True) -> CertificateError:
        with pytest.raises(CertificateError) as caught:
            load(self.files, server=server, sanity=sanity)
        return caught.value


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.role}: {case.about}")
def test_a_certificate_is_accepted_or_refused_by_its_rule(case: Case, tmp_path: Path) -> None:
    case.write(tmp_path)
    cert, key = tmp_path / f"{case.role}cert.pem", tmp_path / f"{case.role}key.pem"
    files = TlsFiles(str(tmp_path / "cacert.pem"), str(cert), str(key), "")
    server = case.role == "server"
    if case.rule:
        with pytest.raises(CertificateError) as caught:
            load(files, server=server)
        error = caught.value
        assert error.rule == case.rule
        assert error.file in (files.ca, files.cert)
        assert error.file in str(error)
        assert error.certificate
        assert error.certificate in str(error)
        assert "; " in str(error), "it says what to do"
    else:
        warnings = load(files, server=server).warnings
        assert len(warnings) == bool(case.warns), warnings
        assert case.warns in "".join(warnings)
    if case.about == "a short EC key":  # TLS can do nothing with that curve at all
        return
    # Who does not want these checks does not get them.
    assert load(files, server=server, sanity=False).warnings == []


def test_the_matrix_is_as_large_as_it_should_be() -> None:
    assert len(CASES) >= 100
    assert len({(case.role, case.about) for case in CASES}) == len(CASES)


def test_what_was_read_is_given(folder: Folder) -> None:
    folder.put("crl", pem(make_crl(folder.ca)))
    found = load(folder.files, server=True)
    assert found.ca == [folder.ca.certificate]
    assert found.chain == [folder.own.certificate]
    assert len(found.crls) == 1
    assert found.ca_pem == pem(folder.ca)
    assert found.own[0].chain_pem == pem(folder.own)
    assert found.own[0].key_pem == key_pem(folder.own.key)
    assert found.crl_pem == (folder.path / "crl.pem").read_bytes()
    assert found.own[0].key_pem.decode() not in repr(found)


def test_only_what_was_checked_is_given(folder: Folder) -> None:
    odd = b"some words\n-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n"
    folder.put("cert", odd + pem(folder.own) + b"more words\n")
    assert load(folder.files, server=True).own[0].chain_pem == pem(folder.own)


@pytest.mark.parametrize("server", [True, False])
def test_the_own_certificate_with_its_chain_comes_first(folder: Folder, server: bool) -> None:
    between = make(replace(GOOD_CA, name="between", ends=7), folder.ca)
    own = make(GOOD, between)
    folder.put("cert", pem(own, between, folder.ca))
    folder.put("key", key_pem(own.key))
    found = load(folder.files, server=server)
    assert found.chain == [own.certificate, between.certificate, folder.ca.certificate]
    assert found.expires() == between.certificate.not_valid_after_utc
    assert found.crl_due() is None


def test_the_ca_counts_for_the_end_of_validity(folder: Folder) -> None:
    ca = make(replace(GOOD_CA, ends=2))
    folder.put("ca", pem(folder.ca, ca))
    found = load(folder.files, server=True)
    assert found.expires() == ca.certificate.not_valid_after_utc
    assert found.expires().tzinfo is UTC


def test_the_time_may_be_another(folder: Folder) -> None:
    later = datetime.now(UTC) + timedelta(hours=25)
    with pytest.raises(CertificateError) as caught:
        load(folder.files, server=True, now=later)
    assert caught.value.rule == "expired"


@pytest.mark.parametrize(
    ("seconds", "rule"), [(-1, "not-yet-valid"), (0, ""), (3600, ""), (3601, "expired")]
)
def test_both_ends_of_its_time_count_as_valid(seconds: int, rule: str) -> None:
    start = datetime(2030, 1, 1, tzinfo=UTC)
    own = make(replace(GOOD, starts=0, ends=1), now=start)
    at = start + timedelta(seconds=seconds, microseconds=999999)
    if not rule:
        assert check_peer(own.certificate, server=True, now=at) == []
        return
    with pytest.raises(CertificateError) as caught:
        check_peer(own.certificate, server=True, now=at)
    assert caught.value.rule == rule


# --- files


@pytest.mark.parametrize("name", ["ca", "cert", "key"])
@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "PEM"),
        (b"nothing of the kind\n", "PEM"),
        (b"\xff\0\xfe", "PEM"),
        (b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n", "PEM"),
        (b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n", "PEM"),
        (b"#" * ((64 << 10) + 1), "longer than 65536 bytes"),
    ],
)
@pytest.mark.parametrize("sanity", [True, False])
def test_a_file_of_something_else_is_unreadable(
    folder: Folder, name: str, content: bytes, words: str, sanity: bool
) -> None:
    folder.put(name, content)
    error = folder.refusal(sanity=sanity)
    assert error.rule == "unreadable"
    assert error.file == f"{folder.path}/{name}.pem"
    assert error.file in str(error)
    assert words in str(error)


@pytest.mark.parametrize("name", ["ca", "cert", "key"])
def test_a_file_that_is_not_there_is_missing(folder: Folder, name: str) -> None:
    (folder.path / f"{name}.pem").unlink()
    error = folder.refusal()
    assert (error.rule, error.file) == ("missing", f"{folder.path}/{name}.pem")
    error = folder.refusal(server=False)
    assert (error.rule, error.file) == ("missing", f"{folder.path}/{name}.pem")
    folder.files = replace(folder.files, **{name: ""})
    assert folder.refusal().rule == "missing"


def test_a_client_may_have_no_certificate(folder: Folder) -> None:
    (folder.path / "cert.pem").unlink()
    (folder.path / "key.pem").unlink()
    found = load(folder.files, server=False)
    assert (found.own, found.chain) == ([], [])
    assert found.expires() == folder.ca.certificate.not_valid_after_utc
    assert folder.refusal(server=True).rule == "missing"


def test_a_pipe_or_folder_is_not_waited_for(folder: Folder) -> None:
    (folder.path / "key.pem").unlink()
    os.mkfifo(folder.path / "key.pem")
    assert folder.refusal().rule == "unreadable"
    (folder.path / "key.pem").unlink()
    (folder.path / "key.pem").mkdir()
    assert folder.refusal().rule == "unreadable"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_unreadable(folder: Folder) -> None:
    (folder.path / "key.pem").chmod(0)
    error = folder.refusal()
    assert error.rule == "unreadable"
    assert "Permission denied" in str(error)


@pytest.mark.parametrize("sanity", [True, False])
def test_the_key_must_be_the_certificates(folder: Folder, sanity: bool) -> None:
    folder.put("key", key_pem(new_key()))
    error = folder.refusal(sanity=sanity)
    assert (error.rule, error.file, error.certificate) == (
        "key-mismatch",
        folder.files.key,
        "CN=somebody",
    )
    assert folder.files.cert in str(error)


def test_a_chain_in_the_wrong_order_is_told_by_the_key(folder: Folder) -> None:
    folder.put("cert", pem(folder.ca, folder.own))
    assert "has to be the first" in str(folder.refusal())


def test_a_key_with_a_password_is_unreadable(folder: Folder) -> None:
    folder.put("key", key_pem(folder.own.key, b"secret"))
    error = folder.refusal()
    assert error.rule == "unreadable"
    assert "password" in str(error)


def test_words_and_parameters_may_stand_before_a_key(folder: Folder) -> None:
    parameters = b"-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n"
    traditional = folder.own.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    folder.put("key", b"Public Key Info: EC\n" + parameters + traditional)
    assert load(folder.files, server=True).own[0].key_pem == key_pem(folder.own.key)


def test_a_signature_by_another_ca_of_that_name_is_told(folder: Folder) -> None:
    folder.put("ca", pem(make(GOOD_CA)))
    error = folder.refusal()
    assert (error.rule, error.file, error.certificate) == (
        "chain",
        folder.files.cert,
        "CN=somebody",
    )
    assert "another CA of that name" in str(error)


#: From openssl, as newer libraries refuse to make such: a CA, and a certificate signed with SHA-1.
OLD_CA = b"""\
-----BEGIN CERTIFICATE-----
MIIBcTCCARegAwIBAgIUQBgF44I1WZPaf/pYqkpGMGeiICQwCgYIKoZIzj0EAwIw
DTELMAkGA1UEAwwCQ0EwIBcNMjYxMTIzMTU0NzIzWhgPMjEyNjEwMzAxNTQ3MjNa
MA0xCzAJBgNVBAMMAkNBMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEOijDVyFi
v5BgMgL1owz+iTX0m+Y8nevY2UywZz1irKCZ3r/xKVq2RW7Xz5CkuQgXnulZYeK5
6dfCBMR/M/aK6aNTMFEwHQYDVR0OBBYEFDsV3ou+HF26qZVhH35FKeHbsjbeMB8G
A1UdIwQYMBaAFDsV3ou+HF26qZVhH35FKeHbsjbeMA8GA1UdEwEB/wQFMAMBAf8w
CgYIKoZIzj0EAwIDSAAwRQIhAK5wuu056d8u9H0K74ZsqAVUEJP1BrKF+Ph6B5Yx
ZgrjAiAnc7gsMDWQ+NR+dCy16phbT5afGg7jGtZ0Vuip+Lu+QA==
-----END CERTIFICATE-----
"""
OLD_CERT = b"""\
-----BEGIN CERTIFICATE-----
MIIBFjCBvQIUVjrGlR14HX9Sp2h2dmbG+ohjSqYwCQYHKoZIzj0EATANMQswCQYD
VQQDDAJDQTAgFw0yNjExMjMxNTQ3MjNaGA8yMTI2MTAzMDE1NDcyM1owDjEMMAoG
A1UEAwwDb2xkMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAETSxZcrHJOP5ka07R
VeHrZebbwuXAbla6b+C8muQsg9/+htFpz4we42GCCH99j9kpejL0AlLOt2cd60Ox
pNXFfTAJBgcqhkjOPQQBA0kAMEYCIQDPxB3bovIe88ZaaAU9gIC186/fnPoHOHnd
anz1PTmhBQIhAOy9MwyslwhWMKrGvv9eY/bYAVlkUhi2bD9wry4hZnNN
-----END CERTIFICATE-----
"""
OLD_KEY = b"""\
-----BEGIN EC PRIVATE KEY-----
MHcCAQEEIHTkgrj7+Gs3JwFhoNxgJjLFIu3zFAFd1Ru+Q7n+dt1PoAoGCCqGSM49
AwEHoUQDQgAETSxZcrHJOP5ka07RVeHrZebbwuXAbla6b+C8muQsg9/+htFpz4we
42GCCH99j9kpejL0AlLOt2cd60OxpNXFfQ==
-----END EC PRIVATE KEY-----
"""


def test_a_signature_with_a_broken_digest_is_refused(folder: Folder) -> None:
    for name, content in {"ca": OLD_CA, "cert": OLD_CERT, "key": OLD_KEY}.items():
        folder.put(name, content)
    now = datetime(2030, 1, 1, tzinfo=UTC)
    with pytest.raises(CertificateError) as caught:
        load(folder.files, server=True, now=now)
    error = caught.value
    assert (error.rule, error.file, error.certificate) == ("algorithm", folder.files.cert, "CN=old")
    assert load(folder.files, server=True, now=now, sanity=False).chain


def test_an_unknown_issuer_is_named(folder: Folder) -> None:
    folder.put("ca", pem(make(replace(GOOD_CA, name="another"))))
    error = folder.refusal()
    assert error.rule == "chain"
    assert "'CN=the CA'" in str(error)


def test_a_renewed_ca_beside_the_old_one_is_found(folder: Folder) -> None:
    others = [make(GOOD_CA) for _ in range(3)]
    folder.put("ca", pem(*others, folder.ca))
    assert load(folder.files, server=True).warnings == []


def test_certificates_that_sign_each_other_lead_nowhere(folder: Folder) -> None:
    one, other = new_key(), new_key()
    first = make(replace(GOOD_CA, name="one"), key=one)
    second = make(replace(GOOD_CA, name="other"), first, key=other)
    first = make(replace(GOOD_CA, name="one"), second, key=one)
    own = make(GOOD, first)
    folder.put("cert", pem(own, first, second))
    folder.put("key", key_pem(own.key))
    assert folder.refusal().rule == "chain"


def test_an_extension_that_is_given_twice_is_not_understood(folder: Folder) -> None:
    builder = (
        x509.CertificateBuilder()
        .issuer_name(name_of("the CA"))
        .subject_name(name_of("twice"))
        .public_key(folder.own.key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC))
        .not_valid_after(datetime.now(UTC) + timedelta(1))
    )
    for oid in ("1.2.3.4.5", "1.2.3.4.6"):
        unknown = x509.UnrecognizedExtension(x509.ObjectIdentifier(oid), b"\x05\x00")
        builder = builder.add_extension(unknown, critical=False)
    der = builder.sign(folder.ca.key, folder.ca.digest).public_bytes(serialization.Encoding.DER)  # type: ignore[arg-type]
    twice = x509.load_der_x509_certificate(der.replace(b"\x2a\x03\x04\x06", b"\x2a\x03\x04\x05"))
    folder.put("cert", pem(twice))
    error = folder.refusal(sanity=False)
    assert (error.rule, error.file) == ("unreadable", folder.files.cert)
    with pytest.raises(CertificateError, match=r"\[session\]"):
        check_peer(twice, server=True)


# --- revocation lists


@pytest.mark.parametrize("sanity", [True, False])
def test_a_revoked_certificate_is_told(folder: Folder, sanity: bool) -> None:
    other = make(replace(GOOD, name="other"), folder.ca)
    folder.put("crl", pem(make_crl(folder.ca, [other])))
    found = load(folder.files, server=True, sanity=sanity)
    assert found.revoked(other.certificate)
    assert not found.revoked(folder.own.certificate)
    # The same number from another CA is another certificate.
    number = other.certificate.serial_number
    foreign = make(GOOD, make(replace(GOOD_CA, name="x")), number=number)
    assert not found.revoked(foreign.certificate)
    assert found.revoked(make(GOOD, folder.ca, number=number).certificate)


@pytest.mark.parametrize("server", [True, False])
def test_the_own_certificate_must_not_be_revoked(folder: Folder, server: bool) -> None:
    folder.put("crl", pem(make_crl(folder.ca, [folder.own])))
    error = folder.refusal(server=server)
    assert (error.rule, error.file, error.certificate) == (
        "revoked",
        folder.files.cert,
        "CN=somebody",
    )
    assert folder.files.crl in str(error)
    assert load(folder.files, server=server, sanity=False).revoked(folder.own.certificate)


def test_a_ca_of_the_own_chain_must_not_be_revoked(folder: Folder) -> None:
    between = make(replace(GOOD_CA, name="between"), folder.ca)
    own = make(GOOD, between)
    folder.put("cert", pem(own, between))
    folder.put("key", key_pem(own.key))
    folder.put("crl", pem(make_crl(between), make_crl(folder.ca, [between])))
    error = folder.refusal()
    assert (error.rule, error.certificate) == ("revoked", "CN=between")


def test_every_list_of_the_file_counts(folder: Folder) -> None:
    other = make(replace(GOOD_CA, name="other"))
    folder.put("ca", pem(folder.ca, other))
    folder.put("crl", pem(make_crl(other, ends=3), make_crl(folder.ca, [folder.own], ends=2)))
    assert folder.refusal().rule == "revoked"
    found = load(folder.files, server=True, sanity=False)
    assert len(found.crls) == 2
    assert found.crl_due() == found.crls[1].next_update_utc


def test_a_list_that_nobody_signed_is_refused(folder: Folder) -> None:
    stranger = make(replace(GOOD_CA, name="stranger"))
    for crl in (
        make_crl(stranger),
        make_crl(stranger, name=folder.ca.certificate.subject),
        make_crl(folder.ca, name=stranger.certificate.subject),
    ):
        folder.put("crl", pem(crl))
        error = folder.refusal()
        assert (error.rule, error.file) == ("crl", folder.files.crl)
        assert load(folder.files, server=True, sanity=False).crls


def test_a_list_past_its_time_is_warned_of_and_still_counts(folder: Folder) -> None:
    folder.put("crl", pem(make_crl(folder.ca, starts=-3, ends=-1)))
    (warning,) = load(folder.files, server=True).warnings
    assert "was to be replaced" in warning
    folder.put("crl", pem(make_crl(folder.ca, starts=1, ends=2)))
    (warning,) = load(folder.files, server=True).warnings
    assert "from the future" in warning
    folder.put("crl", pem(make_crl(folder.ca, [folder.own], starts=-3, ends=-1)))
    assert folder.refusal().rule == "revoked"


@pytest.mark.parametrize(
    "content", [b"", b"words", b"-----BEGIN X509 CRL-----\nMIIB\n-----END X509 CRL-----\n"]
)
def test_a_list_of_something_else_is_unreadable(folder: Folder, content: bytes) -> None:
    folder.put("crl", content)
    assert folder.refusal(sanity=False).rule == "unreadable"


def test_a_list_may_be_long_but_not_too_long(folder: Folder) -> None:
    folder.put("crl", pem(make_crl(folder.ca)) + b"#" * (64 << 10))
    assert load(folder.files, server=True).crls
    with open(folder.files.crl, "r+b") as file:
        file.truncate((8 << 20) + 1)
    assert "longer than 8388608 bytes" in str(folder.refusal())


# --- peers


@pytest.mark.parametrize(
    ("recipe", "server", "rule"),
    [
        (GOOD, True, ""),
        (GOOD, False, ""),
        (replace(GOOD, purposes=(SERVER,)), True, ""),
        (replace(GOOD, purposes=(SERVER,)), False, "purpose"),
        (replace(GOOD, purposes=(CLIENT,)), False, ""),
        (replace(GOOD, purposes=(CLIENT,)), True, "purpose"),
        (replace(GOOD, purposes=(ANY,)), True, ""),
        (replace(GOOD, purposes=(CODE_SIGNING,)), True, "purpose"),
        (replace(GOOD, starts=-9, ends=-1), True, "expired"),
        (replace(GOOD, starts=2), False, "not-yet-valid"),
        (replace(GOOD, ca=True), False, "is-a-ca"),
        (replace(GOOD, usage=("key_cert_sign",)), False, "key-usage"),
    ],
)  # fmt: skip
def test_a_peer_is_accepted_or_refused_by_its_rule(recipe: Recipe, server: bool, rule: str) -> None:
    certificate = make(recipe).certificate
    if not rule:
        assert check_peer(certificate, server=server) == []
        return
    with pytest.raises(CertificateError) as caught:
        check_peer(certificate, server=server)
    error = caught.value
    assert (error.rule, error.file, error.certificate) == (rule, "[session]", "CN=somebody")


def test_a_peer_can_be_warned_of() -> None:
    recipe = replace(
        GOOD, usage=(), usage_critical=False, purposes=(SERVER,), purposes_critical=False
    )
    assert len(check_peer(make(recipe).certificate, server=False)) == 3
    assert len(check_peer(make(recipe).certificate, server=True)) == 2


def test_a_peer_without_a_name_is_refused() -> None:
    with pytest.raises(CertificateError) as caught:
        check_peer(make(GOOD, subject=x509.Name([])).certificate, server=False)
    assert caught.value.rule == "name"


# --- names

CN, ORG, OU, C = "2.5.4.3", "2.5.4.10", "2.5.4.11", "2.5.4.6"
EMAIL, DC, UID = "1.2.840.113549.1.9.1", "0.9.2342.19200300.100.1.25", "0.9.2342.19200300.100.1.1"


def attribute(oid: str, value: str, kind: str | None = None) -> x509.NameAttribute[str]:
    identifier = x509.ObjectIdentifier(oid)
    asn1 = _ASN1Type[kind] if kind else None
    return x509.NameAttribute(identifier, value, _type=asn1, _validate=False)


def cn(value: str, kind: str | None = None) -> x509.Name:
    return x509.Name([attribute(CN, value, kind)])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        # What GnuTLS 3.7.9 gives: gnutls_x509_crt_get_dn of libgnutls.so.30.
        (x509.Name([attribute(C, "GB"), attribute(ORG, "x"), attribute(CN, "y")]), "C=GB,O=x,CN=y"),
        (cn("a,b"), "CN=a\\,b"),
        (cn("a+b"), "CN=a\\+b"),
        (cn('a"b'), 'CN=a\\"b'),
        (cn("a\\b"), "CN=a\\\\b"),
        (cn("a<b>c;d=e"), "CN=a\\<b\\>c\\;d=e"),
        (cn("#a"), "CN=\\#a"),
        (cn("a#b"), "CN=a#b"),
        (cn(" a"), "CN=\\ a"),
        (cn("a "), "CN=a\\ "),
        (cn("  a  "), "CN=\\  a \\ "),
        (cn(" "), "CN=\\ "),
        (cn(" ,"), "CN=\\ \\,"),
        (cn("Jürgen 漢"), "CN=Jürgen 漢"),
        (cn("a\nb\x01\x7f"), "CN=a\nb\x01\x7f"),
        (cn("a\0b"), "CN=#0c03610062"),
        (cn("aé漢", "BMPString"), "CN=aé漢"),
        (cn("aé\0", "BMPString"), "CN=aé"),
        (cn("\0", "BMPString"), "CN=#1e020000"),
        (cn("abc", "T61String"), "CN=abc"),
        (cn("a\nc", "T61String"), "CN=\\#610a63"),
        (cn("aé", "UniversalString"), "CN=\\#00000061000000e9"),
        (cn("abc", "PrintableString"), "CN=abc"),
        (cn("abc", "IA5String"), "CN=#1603616263"),
        (cn("abc", "VisibleString"), "CN=#1a03616263"),
        (cn("123", "NumericString"), "CN=#1203313233"),
        (x509.Name([attribute(EMAIL, "a@b.c")]), "EMAIL=a@b.c"),
        (x509.Name([attribute(EMAIL, "a@b.c", "UTF8String")]), "EMAIL=#0c056140622e63"),
        (x509.Name([attribute(DC, "org"), attribute(DC, "libvirt")]), "DC=org,DC=libvirt"),
        (x509.Name([attribute(UID, "joe")]), "UID=joe"),
        (x509.Name([attribute("1.2.3.4.5", "val"), attribute(CN, "x")]), "1.2.3.4.5=#0c0376616c,CN=x"),
        (x509.Name([attribute("2.5.4.9", "s"), attribute("2.5.4.4", "n")]), "street=s,surName=n"),
        (x509.Name([attribute("2.999.4294967295", "q")]), "2.999.4294967295=#0c0171"),
        (
            x509.Name(
                [
                    x509.RelativeDistinguishedName([attribute(CN, "a"), attribute(UID, "u")]),
                    x509.RelativeDistinguishedName(
                        [attribute(ORG, "o"), attribute(OU, "p"), attribute(CN, "q")]
                    ),
                ]
            ),
            "CN=a+UID=u,CN=q+O=o+OU=p",
        ),
            (x509.Name([]), ""),
    ],
)  # fmt: skip
def test_a_name_is_written_as_gnutls_does(name: x509.Name, text: str) -> None:
    assert distinguished_name(make(GOOD, subject=name).certificate) == text
    assert name_text(name) == text


def test_a_name_of_bytes_is_kept_as_it_is() -> None:
    der = make(GOOD, subject=cn("aXYb")).certificate.public_bytes(serialization.Encoding.DER)
    odd = x509.load_der_x509_certificate(der.replace(b"aXYb", b"a\xff\xfeb"))
    assert distinguished_name(odd).encode("utf-8", "surrogateescape") == b"CN=a\xff\xfeb"


@pytest.mark.parametrize(
    ("pattern", "name", "fits"),
    [
        ("C=GB,O=x,CN=y", "C=GB,O=x,CN=y", True),
        ("C=GB,O=x,CN=y", "C=GB,O=x,CN=yy", False),
        ("C=GB,O=x,CN=y", "xC=GB,O=x,CN=y", False),
        ("*", "", True),
        ("*", "anything\n", True),
        ("", "", True),
        ("", "a", False),
        ("?", "a", True),
        ("?", "", False),
        ("?", "é", True),
        ("??", "é", False),
        ("*?", "", False),
        ("?*", "a", True),
        ("**", "a", True),
        ("*CN=*", "O=x,CN=y", True),
        ("*CN=y", "O=x,CN=y,CN=y", True),
        ("a*b*c", "abxbc", True),
        ("a*b*c", "abxb", False),
        ("a*a", "a", False),
        ("C=*,CN=?", "C=GB,O=x,CN=y", True),
        ("CN=[ab]", "CN=a", False),
        ("CN=[ab]", "CN=[ab]", True),
        ("CN=a.c", "CN=abc", False),
        ("CN=\\*", "CN=\\x", True),
        ("CN=A", "CN=a", False),
    ],
)
def test_a_pattern_fits_the_whole_name_or_not(pattern: str, name: str, fits: bool) -> None:
    assert name_is_allowed(name, [pattern]) is fits
    assert name_is_allowed(name, ["no", pattern, "neither"]) is fits


def test_without_patterns_nobody_is_allowed() -> None:
    assert not name_is_allowed("CN=x", [])


def test_a_pattern_that_would_try_forever_is_over_at_once() -> None:
    # Done one way after the other this would take until the end of days.
    assert not name_is_allowed("a" * 5000, ["*a" * 60 + "b", "*a?*" * 60 + "b"])


def test_a_made_certificate_is_what_its_recipe_says() -> None:
    made: Made = make(replace(GOOD, hosts=("a.example",)))
    assert made.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)

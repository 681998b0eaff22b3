"""Certificates, keys and revocation lists for TLS: read once, checked, and only then used.

Nothing here listens or connects. What is wrong with a file is said before anybody relies on it, with
the file, the certificate in it and the rule that it breaks.

Source: libvirt's src/rpc/virnettlscontext.c (virNetTLSContextSanityCheckCredentials,
virNetTLSContextLoadCredentials, virNetTLSContextValidCertificate).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes

from aiovirt.rpc.patterns import pattern
from aiovirt.rpc.security.names import distinguished_name, name_is_allowed, name_text
from aiovirt.rpc.security.regular import read_regular
from aiovirt.rpc.security.rules import (
    CertificateError,
    Examined,
    check_certificate,
    check_chain,
    check_constraints,
    check_key_usage,
    check_purpose,
    check_times,
)
from aiovirt.rpc.security.strength import check_usable

__all__ = [
    "CertificateError",
    "Credentials",
    "Identity",
    "TlsFiles",
    "check_peer",
    "distinguished_name",
    "load",
    "name_is_allowed",
    "peer_certificate",
]

#: How much of a file is read at most, in bytes; for certificates as in libvirt.
CERTIFICATE_LIMIT: Final = 64 << 10
CRL_LIMIT: Final = 8 << 20

_CRL: Final = pattern(rb"-----BEGIN X509 CRL-----[^-]*-----END X509 CRL-----")
_KEY: Final = pattern(rb"-----BEGIN ([A-Z ]*PRIVATE KEY)-----[^\0]*?-----END \1-----")
_CANNOT_PARSE: Final = (
    *(ValueError, TypeError, UnsupportedAlgorithm),
    # These are no ValueError, and come of certificates and lists all the same; the last one of numbers
    # that are not known, of TLS features or kinds of keys.
    *(x509.InvalidVersion, x509.DuplicateExtension, x509.UnsupportedGeneralNameType, KeyError),
)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Paths of PEM files: the CAs to trust, the own certificate with its key, what was revoked.

    crl: may be empty or name no file; then nothing was revoked. certs, keys: for more than one
    certificate, which then replace cert and key; the first key belongs to the first certificate.
    """

    ca: str
    cert: str
    key: str
    crl: str = ""
    certs: tuple[str, ...] | None = None
    keys: tuple[str, ...] | None = None

    def pairs(self) -> list[tuple[str, str]]:
        """The own certificates, each with its key. Raises CertificateError for one without the other."""
        certs, keys = self.certs or (), self.keys or ()
        if not certs and not keys:
            return [(self.cert, self.key)]
        if len(certs) != len(keys):
            raise CertificateError(
                "missing",
                f"cert_files names {len(certs)} files, key_files {len(keys)};"
                " name one key for each certificate, in the same order",
                file=(*certs, *keys)[0],
            )
        return list(zip(certs, keys, strict=True))


@dataclass(slots=True)
class Identity:
    """An own certificate with its key, both checked, and the paths of their files.

    chain: the certificate, then the others of its file. The `_pem` are written from what was checked,
    so that a second reader sees nothing else.
    """

    cert: str
    chain: list[x509.Certificate]
    key: PrivateKeyTypes = field(repr=False)
    chain_pem: bytes = b""
    key_pem: bytes = field(default=b"", repr=False)

    def __post_init__(self) -> None:
        pem = serialization.Encoding.PEM
        self.chain_pem = b"".join(each.public_bytes(pem) for each in self.chain)
        self.key_pem = self.key.private_bytes(
            pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


@dataclass(slots=True)
class Credentials:
    """The checked certificates, keys and revocation lists that TLS is set up with.

    own: each own certificate with its key; empty for a client that has none. crls: every revocation
    list of the file. The `_pem` are as in `Identity`; empty where there is nothing. warnings: what was
    wrong, but no reason to refuse.
    """

    ca: list[x509.Certificate]
    own: list[Identity]
    crls: list[x509.CertificateRevocationList]
    warnings: list[str] = field(default_factory=list)
    ca_pem: bytes = b""
    crl_pem: bytes = b""

    def __post_init__(self) -> None:
        pem = serialization.Encoding.PEM
        self.ca_pem = b"".join(each.public_bytes(pem) for each in self.ca)
        self.crl_pem = b"".join(each.public_bytes(pem) for each in self.crls)

    @property
    def chain(self) -> list[x509.Certificate]:
        """Each own certificate, followed by the others of its file."""
        return [each for identity in self.own for each in identity.chain]

    def expires(self) -> datetime:
        """When the first of the certificates, the CAs' included, ends to be valid; UTC."""
        return min(each.not_valid_after_utc for each in (*self.chain, *self.ca))

    def crl_due(self) -> datetime | None:
        """When the first of the revocation lists is to be replaced; UTC. None when that is not said."""
        dates = [each.next_update_utc for each in self.crls]
        return min((date for date in dates if date is not None), default=None)

    def revoked(self, certificate: x509.Certificate) -> bool:
        """Whether a list of the certificate's issuer has its number."""
        return any(
            each.issuer == certificate.issuer and _has(each, certificate.serial_number)
            for each in self.crls
        )


def load(
    files: TlsFiles, *, server: bool, sanity: bool = True, now: datetime | None = None
) -> Credentials:
    """Read the files, each once, and check what is in them. Blocks while it reads.

    server: whose certificate this is, which decides what it must be good for; a client may have none.
    sanity: apply the rules for certificates; without it they must only be readable, and the key fit the
    certificate and be of a kind that TLS can use.
    now: the time that counts, aware. Raises CertificateError.
    """
    found = _read_all(files, server=server)
    role = "server" if server else "client"
    for own in found.own:
        check_usable(role, own.cert, own.chain[0])
    if sanity:
        _check(found, files, role, now or datetime.now(UTC))
    return found


def peer_certificate(data: bytes, *, server: bool) -> x509.Certificate:
    """Read the certificate of a peer.

    Args:
        data: the certificate in DER.
        server: whether the peer is the server.

    Raises:
        CertificateError: it cannot be read.
    """
    kind, file = f"The {'server' if server else 'client'} certificate", "[session]"
    try:
        return x509.load_der_x509_certificate(data)
    except _CANNOT_PARSE as error:
        raise _unreadable(kind, file, f"it is no certificate: {error}") from error


def check_peer(
    certificate: x509.Certificate, *, server: bool, now: datetime | None = None
) -> list[str]:
    """Check what `peer_certificate` gave, after its chain has been verified; give warnings.

    server: whether the peer is the server. Raises CertificateError.
    """
    role, file = "server" if server else "client", "[session]"
    _understand(certificate, f"The {role} certificate", file)
    peer = Examined(certificate, role, file, now or datetime.now(UTC))
    check_times(peer)
    if not peer.name:
        raise peer.refusal("name", "does not say whose it is", "issue one with a subject")
    check_constraints(peer)
    check_key_usage(peer)
    check_purpose(peer)
    return peer.warnings


def _read_all(files: TlsFiles, *, server: bool) -> Credentials:
    role = "server" if server else "client"
    ca = _read(files.ca, "The CA certificate")
    if ca is None:
        raise _missing("The CA certificate", files.ca)
    own = [_read_own(cert, key, role) for cert, key in files.pairs()]
    crl = _read(files.crl, "The revocation list", CRL_LIMIT)
    return Credentials(
        _certificates(ca, "The CA certificate", files.ca),
        [each for each in own if each is not None],
        [] if crl is None else _revocation_lists(crl, files.crl),
    )


def _read_own(cert: str, key: str, role: str) -> Identity | None:
    """Read a certificate and its key; None for a client that has neither."""
    cert_kind, key_kind = f"The {role} certificate", f"The {role} key"
    cert_data = _read(cert, cert_kind)
    key_data = _read(key, key_kind)
    if cert_data is None:
        if role == "server" or key_data is not None:
            raise _missing(cert_kind, cert)
        return None
    if key_data is None:
        raise _missing(key_kind, key)
    chain = _certificates(cert_data, cert_kind, cert)
    found = Identity(cert, chain, _private_key(key_data, key_kind, key))
    if found.key.public_key() != chain[0].public_key():
        raise CertificateError(
            "key-mismatch",
            f"{key_kind} {key} is not the key of the certificate {cert}"
            f" ({distinguished_name(chain[0])}); put the two together that were made together"
            " (the server's own certificate has to be the first in its file)",
            file=key,
            certificate=distinguished_name(chain[0]),
        )
    return found


def _check(found: Credentials, files: TlsFiles, role: str, now: datetime) -> None:
    examined = [Examined(own.chain[0], role, own.cert, now, found.warnings) for own in found.own]
    for each in examined:
        check_certificate(each)
    for authority in found.ca:
        check_certificate(Examined(authority, "CA", files.ca, now, found.warnings))
    for own, each in zip(found.own, examined, strict=True):
        check_chain(each, own.chain[1:], found.ca, files.ca)
    for crl in found.crls:
        _check_revocation_list(crl, found, files.crl, now)
    for own in found.own:
        for at, certificate in enumerate(own.chain):
            if found.revoked(certificate):
                seen = Examined(certificate, "CA" if at else role, own.cert, now)
                raise seen.refusal("revoked", f"was revoked, says {files.crl}", "issue a new one")


def _has(crl: x509.CertificateRevocationList, number: int) -> bool:
    if number < 0:  # no CA should make such a one, and the list's index takes none
        return any(each.serial_number == number for each in crl)
    return crl.get_revoked_certificate_by_serial_number(number) is not None


def _check_revocation_list(
    crl: x509.CertificateRevocationList, found: Credentials, file: str, now: datetime
) -> None:
    issuer = name_text(crl.issuer)
    between = (each for own in found.own for each in own.chain[1:])
    signers = [each for each in (*found.ca, *between) if each.subject == crl.issuer]
    if not any(_signed(crl, each) for each in signers):
        text = (
            f"The revocation list {file} of '{issuer}' was signed by none of the CAs that are trusted;"
            " take it from the CA, or remove it"
        )
        raise CertificateError("crl", text, file=file)
    if crl.next_update_utc is not None and crl.next_update_utc < now:
        found.warnings.append(
            f"The revocation list {file} of '{issuer}' was to be replaced on"
            f" {crl.next_update_utc:%Y-%m-%d %H:%M:%S} UTC"
        )
    if crl.last_update_utc > now:
        found.warnings.append(f"The revocation list {file} of '{issuer}' is from the future")


def _signed(crl: x509.CertificateRevocationList, signer: x509.Certificate) -> bool:
    try:
        return crl.is_signature_valid(signer.public_key())  # type: ignore[arg-type]  # or TypeError
    except _CANNOT_PARSE:
        return False


def _read(path: str, kind: str, limit: int = CERTIFICATE_LIMIT) -> bytes | None:
    """A file's bytes, None when there is no such file."""
    if not path:
        return None
    try:
        data = read_regular(path, limit)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise _unreadable(kind, path, error.strerror or str(error)) from error
    if len(data) > limit:
        raise _unreadable(kind, path, f"it is longer than {limit} bytes")
    return data


def _certificates(data: bytes, kind: str, path: str) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(data)
    except _CANNOT_PARSE as error:
        raise _unreadable(kind, path, f"it is no certificate in PEM: {error}") from error
    for each in found:
        _understand(each, kind, path)
    return found


def _understand(certificate: x509.Certificate, kind: str, path: str) -> None:
    """Have everything parsed that will be asked for: later nothing fails any more."""
    try:
        certificate.public_key()
        _ = certificate.subject, certificate.issuer, certificate.extensions
        _ = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    except _CANNOT_PARSE as error:
        raise _unreadable(kind, path, f"it holds what cannot be understood: {error}") from error


def _private_key(data: bytes, kind: str, path: str) -> PrivateKeyTypes:
    # Other blocks may stand before it, such as the parameters of its curve.
    found = _KEY.search(data)
    try:
        return serialization.load_pem_private_key(found[0] if found else b"", password=None)
    except TypeError as error:
        reason = "it is protected by a password, which nobody is there to give"
        raise _unreadable(kind, path, reason) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _unreadable(kind, path, f"it is no private key in PEM: {error}") from error


def _revocation_lists(data: bytes, path: str) -> list[x509.CertificateRevocationList]:
    kind = "The revocation list"
    try:
        found = [x509.load_pem_x509_crl(block) for block in _CRL.findall(data)]
        for each in found:
            _ = each.issuer, each.next_update_utc, each.last_update_utc
    except _CANNOT_PARSE as error:
        raise _unreadable(kind, path, f"it is no revocation list in PEM: {error}") from error
    if not found:
        raise _unreadable(kind, path, "it is no revocation list in PEM")
    return found


def _missing(kind: str, path: str) -> CertificateError:
    text = f"{kind} {path or '(no file named)'} is missing; put it there, or name where it is"
    return CertificateError("missing", text, file=path)


def _unreadable(kind: str, path: str, reason: str) -> CertificateError:
    return CertificateError("unreadable", f"{kind} {path} cannot be used: {reason}", file=path)

"""The rules that a certificate has to keep, and the way from it to a CA that is trusted.

Source: libvirt's src/rpc/virnettlscontext.c (virNetTLSContextCheckCert*); for the chain, what
gnutls_x509_crt_list_verify of GnuTLS 3.7 insists on. docs/tls.md says where this differs.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from aiovirt.rpc.security.names import distinguished_name, name_text

_Extension = TypeVar("_Extension", bound=x509.ExtensionType)

#: Bits of the shortest keys that OpenSSL takes at its level 2, which is 112 bits of security.
_SHORTEST_RSA: Final = 2048
_SHORTEST_EC: Final = 224
_BROKEN_HASHES: Final = (hashes.MD5, hashes.SHA1)


class CertificateError(ValueError):
    """A certificate, key or revocation list is not fit for use.

    file: its path, "[session]" for a peer's; certificate: its owner's name, may be empty; rule: what
    was broken, one of "missing", "unreadable", "expired", "not-yet-valid", "not-a-ca", "is-a-ca",
    "key-usage", "purpose", "chain", "algorithm", "revoked", "crl", "key-mismatch", "name".
    """

    def __init__(self, rule: str, text: str, *, file: str, certificate: str = "") -> None:
        super().__init__(text)
        self.rule = rule
        self.file = file
        self.certificate = certificate


@dataclass(frozen=True, slots=True)
class Examined:
    """A certificate on trial.

    role: what it is for, "CA", "server" or "client"; file: where it is from; now: the time that
    counts; warnings: where to put what is wrong but no reason to refuse.
    """

    certificate: x509.Certificate
    role: str
    file: str
    now: datetime
    warnings: list[str] = field(default_factory=list)

    def refusal(self, rule: str, problem: str, remedy: str) -> CertificateError:
        """Make the error to raise: "The server certificate FILE (NAME) PROBLEM; REMEDY"."""
        text = f"{self._head()} {problem}; {remedy}"
        return CertificateError(rule, text, file=self.file, certificate=self.name)

    def object_to(self, rule: str, problem: str, remedy: str, *, critical: bool) -> None:
        """Refuse what a critical extension forbids, warn of what another one does."""
        if critical:
            raise self.refusal(rule, problem, remedy)
        self.warn(problem)

    def warn(self, problem: str) -> None:
        """Note what is not as it should be, but no reason to refuse."""
        self.warnings.append(f"{self._head()} {problem}")

    @property
    def name(self) -> str:
        """The name of its owner."""
        return distinguished_name(self.certificate)

    def _head(self) -> str:
        return f"The {self.role} certificate {self.file} ({self.name or 'without a name'})"


def check_certificate(seen: Examined) -> None:
    """Apply what one certificate can be asked by itself. Raises CertificateError."""
    check_times(seen)
    check_key_length(seen)
    check_constraints(seen)
    check_key_usage(seen)
    if seen.role != "CA":
        check_purpose(seen)


def check_times(seen: Examined) -> None:
    """Is it valid now? Both ends of its time count as valid; so do parts of the last second."""
    now = seen.now.astimezone(UTC).replace(microsecond=0)
    start, end = seen.certificate.not_valid_before_utc, seen.certificate.not_valid_after_utc
    if end < now:
        raise seen.refusal("expired", f"expired on {end:%Y-%m-%d %H:%M:%S} UTC", "issue a new one")
    if start > now:
        remedy = "wait until then, or set this machine's clock right"
        raise seen.refusal(
            "not-yet-valid", f"is not valid before {start:%Y-%m-%d %H:%M:%S} UTC", remedy
        )


def check_key_length(seen: Examined) -> None:
    """Is its key long enough? TLS would refuse a shorter one, of a CA not before somebody connects."""
    key = seen.certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
        least = _SHORTEST_RSA
    elif isinstance(key, ec.EllipticCurvePublicKey):
        least = _SHORTEST_EC
    else:
        return
    if key.key_size < least:
        problem = f"has a key of {key.key_size} bits, which is too short"
        raise seen.refusal("algorithm", problem, f"issue one with {least} bits or more")


def check_constraints(seen: Examined) -> None:
    """Do its basic constraints make it a CA, and should they?"""
    found = _extension(seen.certificate, x509.BasicConstraints)
    if seen.role == "CA":
        if found is None:
            problem = "has no basic constraints, so it is not a CA's"
            raise seen.refusal("not-a-ca", problem, "issue it with 'CA:TRUE'")
        if not found.value.ca:
            problem = "is not a CA's by its basic constraints"
            raise seen.refusal("not-a-ca", problem, "name the CA's own certificate here")
    elif found is not None and found.value.ca:
        problem = f"is a CA's by its basic constraints, no {seen.role}'s"
        raise seen.refusal("is-a-ca", problem, f"have the CA issue one for the {seen.role}")


def check_key_usage(seen: Examined) -> None:
    """May its key be used for what it is needed for? Without the extension it may."""
    found = _extension(seen.certificate, x509.KeyUsage)
    if found is None:
        return
    usage = found.value
    if seen.role == "CA":
        needed = {"certificate signing": usage.key_cert_sign}
    else:
        needed = {"digital signature": usage.digital_signature}
        if not usage.key_encipherment:
            # Since libvirt 12 no reason to refuse: TLS 1.3 and ephemeral keys encipher nothing with it.
            seen.warn(
                "does not permit key encipherment in its key usage, which libvirt before 12 asks for"
            )
    for use, permitted in needed.items():
        if not permitted:
            seen.object_to(
                "key-usage",
                f"does not permit {use} in its key usage",
                "issue one that does",
                critical=found.critical,
            )


def check_purpose(seen: Examined) -> None:
    """Is it for a server, or a client, as it has to be? Without the extension it is for both."""
    found = _extension(seen.certificate, x509.ExtendedKeyUsage)
    if found is None:
        return
    wanted = (
        ExtendedKeyUsageOID.SERVER_AUTH
        if seen.role == "server"
        else ExtendedKeyUsageOID.CLIENT_AUTH
    )
    if {wanted, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE}.isdisjoint(found.value):
        seen.object_to(
            "purpose",
            f"is not meant for a TLS {seen.role} by its extended key usage",
            f"issue one for 'TLS Web {seen.role.capitalize()} Authentication'",
            critical=found.critical,
        )


def check_chain(
    leaf: Examined,
    intermediates: Sequence[x509.Certificate],
    anchors: Sequence[x509.Certificate],
    ca_file: str,
) -> None:
    """Look for a way from a certificate to one of the trusted ones, over valid signatures.

    intermediates: certificates of the same file; anchors: those of `ca_file`, each trusted by itself,
    be it a root or not. Raises CertificateError with what was in the way.
    """
    paths = deque([[leaf.certificate]])
    seen = {leaf.certificate}
    flaw = None
    while paths:
        path = paths.popleft()
        for at, issuer in enumerate((*anchors, *intermediates)):
            trusted = at < len(anchors)
            if issuer.subject != path[-1].issuer or (not trusted and issuer in seen):
                continue
            file = ca_file if trusted else leaf.file
            try:
                _check_link(path, Examined(issuer, "CA", file, leaf.now, leaf.warnings), leaf)
            except CertificateError as error:
                flaw = flaw or error
                continue
            if trusted:
                return
            seen.add(issuer)
            paths.append([*path, issuer])
    if flaw is not None:
        raise flaw
    issuer_name = name_text(leaf.certificate.issuer)
    raise leaf.refusal(
        "chain",
        f"has no known issuer: nothing leads from '{issuer_name}' to a CA in {ca_file}",
        "have it signed by that CA, or add the certificates in between to its file",
    )


def _check_link(path: list[x509.Certificate], issuer: Examined, leaf: Examined) -> None:
    """May this issuer have signed the last of `path`, and has it?"""
    child = Examined(path[-1], leaf.role if len(path) == 1 else "CA", leaf.file, leaf.now)
    by = f"by its issuer in {issuer.file}"
    try:
        child.certificate.verify_directly_issued_by(issuer.certificate)
        digest = child.certificate.signature_hash_algorithm
    except InvalidSignature:
        remedy = "another CA of that name may have signed it: use that one's certificate"
        raise child.refusal("chain", f"was not signed {by}", remedy) from None
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        problem = f"has a signature that cannot be checked: {error}"
        raise child.refusal("algorithm", problem, "issue one with SHA-256") from error
    if isinstance(digest, _BROKEN_HASHES):
        problem = f"is signed with {digest.name}, which is broken"
        raise child.refusal("algorithm", problem, "issue one with SHA-256")
    check_times(issuer)
    check_key_length(issuer)
    check_constraints(issuer)
    _check_may_issue(issuer, len(path) - 1)


def _check_may_issue(issuer: Examined, below: int) -> None:
    """May it sign certificates, with so many CAs below it? Here even what is not critical counts."""
    usage = _extension(issuer.certificate, x509.KeyUsage)
    if usage is not None and not usage.value.key_cert_sign:
        problem = "has signed a certificate, which its key usage does not permit"
        raise issuer.refusal("key-usage", problem, "issue one that permits certificate signing")
    constraints = _extension(issuer.certificate, x509.BasicConstraints)
    longest = constraints.value.path_length if constraints is not None else None
    if longest is not None and below > longest:
        problem = f"permits {longest} CAs below it, and has {below}"
        raise issuer.refusal("chain", problem, "issue one with a longer path length")


def _extension(
    certificate: x509.Certificate, kind: type[_Extension]
) -> x509.Extension[_Extension] | None:
    try:
        return certificate.extensions.get_extension_for_class(kind)
    except x509.ExtensionNotFound:
        return None

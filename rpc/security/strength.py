"""The keys and signatures that OpenSSL can use in TLS, at each of its security levels.

OpenSSL finds some of these faults when a context is made, without a file's name, and others only when a
peer connects. Here they are found when the files are read, and named.

Source: OpenSSL 3's SSL_CTX_set_security_level(3), and RFC 8446, 4.2.3 (signature algorithms).
"""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa

from aiovirt.rpc.security.names import distinguished_name
from aiovirt.rpc.security.rules import CertificateError

#: Bits of security that each level asks for.
_BITS: Final = (0, 80, 112, 128, 192, 256)
#: The smallest RSA key and the smallest curve that have so many.
_RSA: Final = {80: 1024, 112: 2048, 128: 3072, 192: 7680, 256: 15360}
_EC: Final = {80: 160, 112: 224, 128: 256, 192: 384, 256: 512}
#: The digests that are good enough, by name.
_DIGESTS: Final = {
    128: ("sha256", "sha384", "sha512"),
    192: ("sha384", "sha512"),
    256: ("sha512",),
}
#: The curves for which TLS has signatures that both sides can be expected to know.
_CURVES: Final = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
_RSASSA_PSS: Final = "1.2.840.113549.1.1.10"
_OPENSSL_WITH_MLDSA: Final = (3, 5)
_USUAL: Final = "issue one with an RSA key, a key on P-256, P-384 or P-521, or an Ed25519 key"


def key_kind(certificate: x509.Certificate) -> str:
    """Return the kind of a certificate's key. OpenSSL keeps one own certificate for each kind."""
    return type(certificate.public_key()).__name__.removesuffix("PublicKey").lstrip("_")


def check_usable(role: str, file: str, own: x509.Certificate) -> None:
    """Check that TLS can sign with the key of a certificate.

    Args:
        role: "server" or "client".
        file: the certificate's file, for errors.
        own: the certificate.

    Raises:
        CertificateError: the kind of key is not usable; its rule is "algorithm".
    """
    key = own.public_key()
    problem = ""
    # Before cryptography 43 this is not told, and OpenSSL refuses the key by itself.
    kind = getattr(own, "public_key_algorithm_oid", None)
    if kind is not None and kind.dotted_string == _RSASSA_PSS:
        problem = "an RSA-PSS key"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.curve.name not in _CURVES:
            problem = f"a key on the curve {key.curve.name}"
    elif key_kind(own).startswith("MLDSA"):
        if ssl.OPENSSL_VERSION_INFO < _OPENSSL_WITH_MLDSA:
            text = (
                f"has a key of the kind {key_kind(own)}, for which {ssl.OPENSSL_VERSION} is too old"
            )
            raise _refusal(role, file, own, text, "OpenSSL 3.5 is needed")
    elif not isinstance(key, rsa.RSAPublicKey | ed25519.Ed25519PublicKey | ed448.Ed448PublicKey):
        problem = f"a key of the kind {key_kind(own)}"
    if problem:
        raise _refusal(role, file, own, f"has {problem}, which cannot be used for TLS here", _USUAL)


def check_strength(
    role: str, file: str, certificates: Sequence[x509.Certificate], *, level: int, priority: str
) -> None:
    """Check keys and signatures against a security level of OpenSSL.

    Args:
        role: what they are, "server", "client" or "CA".
        file: their file, for errors.
        certificates: the own chain, or the CAs that are trusted.
        level: the level, from 0 to 5.
        priority: the priority string that asks for it.

    Raises:
        CertificateError: one is too weak; its rule is "algorithm".
    """
    bits = _BITS[min(level, len(_BITS) - 1)]
    for certificate in certificates:
        for problem, remedy in _weaknesses(certificate, bits):
            text = f"{problem}, which tls_priority '{priority}' does not accept"
            raise _refusal(role, file, certificate, text, remedy)


def _weaknesses(certificate: x509.Certificate, bits: int) -> Iterator[tuple[str, str]]:
    key = certificate.public_key()
    if isinstance(key, rsa.RSAPublicKey | dsa.DSAPublicKey):
        if key.key_size < _RSA.get(bits, 0):
            yield f"has a key of {key.key_size} bits", f"issue one with {_RSA[bits]} bits or more"
    elif isinstance(key, ec.EllipticCurvePublicKey):
        if key.key_size < _EC.get(bits, 0):
            curve = "P-521" if bits > 192 else "P-384" if bits > 128 else "P-256"
            yield f"has a key on the curve {key.curve.name}", f"issue one on {curve}"
    elif isinstance(key, ed25519.Ed25519PublicKey) and bits > 128:
        yield "has an Ed25519 key", f"issue one on {'P-521' if bits > 192 else 'P-384'}"
    elif isinstance(key, ed448.Ed448PublicKey) and bits > 224:
        yield "has an Ed448 key", "issue one on P-521"
    good = _DIGESTS.get(bits)
    digest = certificate.signature_hash_algorithm
    # A CA that is its own issuer is trusted for itself, not for its signature.
    if good is None or digest is None or certificate.issuer == certificate.subject:
        return
    if digest.name not in good and not isinstance(digest, hashes.SHA3_512):
        yield f"is signed with {digest.name}", f"issue one signed with {good[0]}"


def _refusal(
    role: str, file: str, certificate: x509.Certificate, problem: str, remedy: str
) -> CertificateError:
    name = distinguished_name(certificate)
    text = f"The {role} certificate {file} ({name or 'without a name'}) {problem}; {remedy}"
    return CertificateError("algorithm", text, file=file, certificate=name)

"""Makes certificates and revocation lists with any flaw, for tests; and the cases that daemons and
clients have to tell apart.

Most cases are of the kinds of libvirt's tests/virnettlscontexttest.c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import NameOID

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey

USES = (
    "digital_signature",
    "content_commitment",
    "key_encipherment",
    "data_encipherment",
    "key_agreement",
    "key_cert_sign",
    "crl_sign",
    "encipher_only",
    "decipher_only",
)
SERVER, CLIENT = "1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"
ANY, CODE_SIGNING = "2.5.29.37.0", "1.3.6.1.5.5.7.3.3"


@dataclass(frozen=True)
class Recipe:
    """What a certificate is to say.

    ca: its basic constraints, None for no such extension; usage, purposes: None for no such extension;
    starts, ends: in hours from now; digest: None where the key wants none.
    """

    name: str
    ca: bool | None = False
    ca_critical: bool = True
    path_length: int | None = None
    usage: tuple[str, ...] | None = ("digital_signature", "key_encipherment")
    usage_critical: bool = True
    purposes: tuple[str, ...] | None = None
    purposes_critical: bool = True
    starts: float = -1
    ends: float = 24
    hosts: tuple[str, ...] = ()
    digest: hashes.HashAlgorithm | None = field(default_factory=hashes.SHA256)
    kind: str = "ec"


#: A CA and a certificate that are beyond reproach.
GOOD_CA = Recipe("the CA", ca=True, usage=("key_cert_sign", "crl_sign"))
GOOD = Recipe("somebody")


@dataclass(frozen=True)
class Made:
    """A certificate, its key, and the digest it signs with."""

    certificate: x509.Certificate
    key: Key
    digest: hashes.HashAlgorithm | None


def new_key(kind: str = "ec") -> Key:
    if kind == "short rsa":
        return rsa.generate_private_key(65537, 1024)
    if kind == "short ec":
        return ec.generate_private_key(ec.SECP192R1())
    if kind == "rsa":
        return rsa.generate_private_key(65537, 2048)
    if kind == "ed25519":
        return ed25519.Ed25519PrivateKey.generate()
    return ec.generate_private_key(ec.SECP256R1())


def name_of(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def make(
    recipe: Recipe,
    by: Made | None = None,
    *,
    key: Key | None = None,
    subject: x509.Name | None = None,
    number: int | None = None,
    now: datetime | None = None,
) -> Made:
    """A certificate signed by another, or by itself."""
    now = now or datetime.now(UTC)
    key = key or new_key(recipe.kind)
    subject = name_of(recipe.name) if subject is None else subject
    issuer = by.certificate.subject if by else subject
    builder = (
        x509.CertificateBuilder()
        .issuer_name(issuer)
        .subject_name(subject)
        .public_key(key.public_key())
        .serial_number(number or x509.random_serial_number())
        .not_valid_before(now + timedelta(hours=recipe.starts))
        .not_valid_after(now + timedelta(hours=recipe.ends))
    )
    for extension, critical in _extensions(recipe):
        builder = builder.add_extension(extension, critical)
    signer = by or Made(None, key, recipe.digest)  # type: ignore[arg-type]  # it is in the making
    certificate = builder.sign(signer.key, signer.digest)  # type: ignore[arg-type]
    return Made(certificate, key, recipe.digest)


def _extensions(recipe: Recipe) -> list[tuple[x509.ExtensionType, bool]]:
    found: list[tuple[x509.ExtensionType, bool]] = []
    if recipe.ca is not None:
        constraints = x509.BasicConstraints(recipe.ca, recipe.path_length)
        found.append((constraints, recipe.ca_critical))
    if recipe.usage is not None:
        usage = x509.KeyUsage(**{use: use in recipe.usage for use in USES})
        found.append((usage, recipe.usage_critical))
    if recipe.purposes is not None:
        purposes = x509.ExtendedKeyUsage(map(x509.ObjectIdentifier, recipe.purposes))
        found.append((purposes, recipe.purposes_critical))
    if recipe.hosts:
        names = x509.SubjectAlternativeName(map(x509.DNSName, recipe.hosts))
        found.append((names, False))
    return found


def make_crl(
    by: Made,
    revoked: Sequence[Made] = (),
    *,
    starts: float = -1,
    ends: float = 24,
    name: x509.Name | None = None,
) -> x509.CertificateRevocationList:
    """A revocation list; starts, ends: in hours from now; name: of its issuer, if it is to lie."""
    now = datetime.now(UTC)
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(name or by.certificate.subject)
        .last_update(now + timedelta(hours=starts))
        .next_update(now + timedelta(hours=ends))
    )
    for each in revoked:
        number = each.certificate.serial_number
        entry = x509.RevokedCertificateBuilder().serial_number(number).revocation_date(now)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(by.key, by.digest)  # type: ignore[arg-type]


def pem(*made: Made | x509.Certificate | x509.CertificateRevocationList) -> bytes:
    certificates = [each.certificate if isinstance(each, Made) else each for each in made]
    return b"".join(each.public_bytes(serialization.Encoding.PEM) for each in certificates)


def key_pem(key: Key, password: bytes | None = None) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(password)
        if password
        else serialization.NoEncryption(),
    )


@dataclass(frozen=True)
class Case:
    """A CA file and a certificate file, and what is to come of them.

    rule: the rule that is broken, empty if none is; warns: words of the one warning, or empty.
    role: whose certificate it is. between: CAs between the first one and the certificate, downwards;
    between_in: the file they are in, "cert", "ca" or none. more_cas: further ones in the CA file.
    libvirt: "accepts" or "refuses" where it is of another mind.
    """

    about: str
    rule: str = ""
    warns: str = ""
    role: str = "server"
    ca: Recipe = GOOD_CA
    own: Recipe = GOOD
    between: tuple[Recipe, ...] = ()
    between_in: str = "ca"
    more_cas: tuple[Recipe, ...] = ()
    libvirt: str = ""

    def write(self, folder: Path) -> None:
        """Make cacert.pem, ROLEcert.pem and ROLEkey.pem."""
        root = make(self.ca)
        chain = [root]
        for recipe in self.between:
            chain.append(make(recipe, chain[-1]))
        own = make(self.own, chain[-1])
        between = list(reversed(chain[1:]))
        more = [make(recipe) for recipe in self.more_cas]
        trusted = [root, *more, *(between if self.between_in == "ca" else [])]
        shown = [own, *(between if self.between_in == "cert" else [])]
        (folder / "cacert.pem").write_bytes(pem(*trusted))
        (folder / f"{self.role}cert.pem").write_bytes(pem(*shown))
        (folder / f"{self.role}key.pem").write_bytes(key_pem(own.key))


def _own(**changes: object) -> Recipe:
    return replace(GOOD, **changes)  # type: ignore[arg-type]


def _ca(**changes: object) -> Recipe:
    return replace(GOOD_CA, **changes)  # type: ignore[arg-type]


_SIGN, _CIPHER = "digital_signature", "key_encipherment"
_LEVEL_1, _LEVEL_2 = _ca(name="level 1"), _ca(name="level 2")

_AUTHORITIES = [
    Case("a CA without key usage", ca=_ca(usage=None)),
    Case("a CA whose constraints are not critical", ca=_ca(usage=None, ca_critical=False)),
    Case("a CA for nothing but certificates", ca=_ca(usage=("key_cert_sign",))),
    Case("a CA with purposes", ca=_ca(purposes=(CODE_SIGNING,), purposes_critical=False)),
    Case("a CA with an RSA key", ca=_ca(kind="rsa")),
    Case("a CA with an Ed25519 key", ca=_ca(kind="ed25519", digest=None)),
    Case("a CA with a short RSA key", "algorithm", ca=_ca(kind="short rsa"), libvirt="accepts"),
    Case("a CA without constraints", "not-a-ca", ca=_ca(ca=None)),
    Case("a CA without any extension", "not-a-ca", ca=_ca(ca=None, usage=None)),
    Case("a CA that says it is none", "not-a-ca", ca=_ca(ca=False)),
    Case("a CA that must not sign", "key-usage", ca=_ca(usage=(_SIGN,))),
    Case("a CA for revocation lists", "key-usage", ca=_ca(usage=("crl_sign",))),
    Case("a CA that should not sign", "key-usage", ca=_ca(usage=(_SIGN,), usage_critical=False)),
    Case("an expired CA", "expired", ca=_ca(starts=-9, ends=-1)),
    Case("a CA of tomorrow", "not-yet-valid", ca=_ca(starts=24, ends=48)),
    Case("a second CA that has expired", "expired", more_cas=(_ca(name="old", ends=-0.5),)),
    Case("a second CA that is none", "not-a-ca", more_cas=(_ca(name="odd", ca=None),)),
    # GnuTLS tells them apart by key identifiers only.
    Case("a second CA with the same name", more_cas=(GOOD_CA,), libvirt="refuses"),
    Case(
        "a second CA that should not sign, and has not",
        warns="does not permit certificate signing",
        more_cas=(_ca(name="odd", usage=(_SIGN,), usage_critical=False),),
    ),
]

_OF_EITHER_ROLE = [
    Case("a certificate like any", own=GOOD),
    Case("neither usage nor purpose", own=_own(usage=None)),
    Case("no constraints", own=_own(ca=None)),
    Case("no extension at all", own=_own(ca=None, usage=None)),
    Case("more uses than needed", own=_own(usage=(_SIGN, _CIPHER, "key_cert_sign"))),
    Case("an RSA key", own=_own(kind="rsa")),
    Case("an Ed25519 key", own=_own(kind="ed25519")),
    Case("a short RSA key", "algorithm", own=_own(kind="short rsa"), libvirt="accepts"),
    Case("a short EC key", "algorithm", own=_own(kind="short ec"), libvirt="accepts"),
    Case("constraints of a CA", "is-a-ca", own=_own(ca=True)),
    Case("constraints of a CA, not critical", "is-a-ca", own=_own(ca=True, ca_critical=False)),
    Case("only certificate signing", "key-usage", own=_own(usage=("key_cert_sign",))),
    Case("no use at all", "key-usage", own=_own(usage=())),
    Case(
        "no encipherment",
        warns="does not permit key encipherment",
        own=_own(usage=(_SIGN,)),
        libvirt="refuses",
    ),
    Case("no signature", "key-usage", own=_own(usage=(_CIPHER,))),
    Case(
        "no encipherment, not critical",
        warns="does not permit key encipherment",
        own=_own(usage=(_SIGN,), usage_critical=False),
    ),
    Case(
        "no signature, not critical",
        warns="does not permit digital signature",
        own=_own(usage=(_CIPHER,), usage_critical=False),
    ),
    Case("both purposes", own=_own(purposes=(CLIENT, SERVER))),
    Case(
        "both purposes, not critical", own=_own(purposes=(CLIENT, SERVER), purposes_critical=False)
    ),
    Case("any purpose", own=_own(purposes=(ANY,)), libvirt="refuses"),
    Case("any purpose, not critical", own=_own(purposes=(ANY,), purposes_critical=False)),
    Case("a foreign purpose", "purpose", own=_own(purposes=(CODE_SIGNING,)), libvirt="accepts"),
    Case(
        "a foreign purpose, not critical",
        warns="by its extended key usage",
        own=_own(purposes=(CODE_SIGNING,), purposes_critical=False),
    ),
    Case("expired", "expired", own=_own(starts=-9, ends=-1)),
    Case("expired a minute ago", "expired", own=_own(ends=-1 / 60)),
    Case("of tomorrow", "not-yet-valid", own=_own(starts=24, ends=48)),
    Case("valid in a minute", "not-yet-valid", own=_own(starts=1 / 60)),
]

_CHAINS = [
    Case("two CAs between, trusted", between=(_LEVEL_1, _LEVEL_2)),
    Case(
        "a CA between, sent along",
        between=(_LEVEL_1,),
        between_in="cert",
        libvirt="refuses",
    ),
    Case(
        "two CAs between, sent along",
        between=(_LEVEL_1, _LEVEL_2),
        between_in="cert",
        libvirt="refuses",
    ),
    Case("a CA between that is nowhere", "chain", between=(_LEVEL_1,), between_in=""),
    Case(
        "an expired CA between",
        "expired",
        between=(_ca(name="level 1", starts=-9, ends=-1),),
        between_in="cert",
    ),
    Case(
        "one between that is no CA", "not-a-ca", between=(_own(name="level 1"),), between_in="cert"
    ),
    Case(
        "one between that must not sign",
        "key-usage",
        between=(_ca(name="level 1", usage=("crl_sign",)),),
        between_in="cert",
    ),
    Case(
        "one between that should not sign",
        "key-usage",
        between=(_ca(name="level 1", usage=("crl_sign",), usage_critical=False),),
        between_in="cert",
    ),
    Case(
        "more CAs between than one permits",
        "chain",
        between=(_ca(name="level 1", path_length=0), _LEVEL_2),
        between_in="cert",
    ),
    Case(
        "as many CAs between as one permits",
        between=(_ca(name="level 1", path_length=1), _LEVEL_2),
        between_in="cert",
        libvirt="refuses",
    ),
]

_OF_ONE_ROLE = [
    Case("its purpose", own=_own(purposes=(SERVER,))),
    Case("its purpose, not critical", own=_own(purposes=(SERVER,), purposes_critical=False)),
    Case("a client's purpose", "purpose", own=_own(purposes=(CLIENT,))),
    Case(
        "a client's purpose, not critical",
        warns="is not meant for a TLS server",
        own=_own(purposes=(CLIENT,), purposes_critical=False),
    ),
    Case("its purpose", role="client", own=_own(purposes=(CLIENT,))),
    Case(
        "its purpose, not critical",
        role="client",
        own=_own(purposes=(CLIENT,), purposes_critical=False),
    ),
    Case("a server's purpose", "purpose", role="client", own=_own(purposes=(SERVER,))),
    Case(
        "a server's purpose, not critical",
        warns="is not meant for a TLS client",
        role="client",
        own=_own(purposes=(SERVER,), purposes_critical=False),
    ),
]

#: Every case, those that are the same for servers and clients once for each.
CASES = [
    *_OF_ONE_ROLE,
    *(
        replace(case, role=role)
        for case in (*_AUTHORITIES, *_OF_EITHER_ROLE, *_CHAINS)
        for role in ("server", "client")
    ),
]

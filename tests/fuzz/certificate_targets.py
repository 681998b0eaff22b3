"""What TLS is set up with: certificates, keys, revocation lists, priorities, names and hosts."""

from __future__ import annotations

import base64
import functools
import ipaddress
import os
import ssl
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import AuthorityInformationAccessOID, NameOID
from cryptography.x509.oid import ExtendedKeyUsageOID as Purpose

from aiovirt.admin import pki
from aiovirt.rpc.security.certificates import CertificateError
from aiovirt.rpc.security.names import name_is_allowed
from aiovirt.rpc.security.priority import apply_priority
from aiovirt.rpc.security.tls import ServerTls, TlsPolicy, client_context
from tests.certificates_maker import make, make_crl
from tests.fuzz import der
from tests.fuzz.engine import blind
from tests.fuzz.target import Target, expect
from tests.fuzz.tls_files import OWN, authority, contents, files, holder

# Files and peers' certificates ---------------------------------------------------------------------

# Two bits of the first byte say which file the input is, the others what is done with it.
_WHICH: Final = ("ca", "cert", "key", "crl")
_LABELS: Final = ("CERTIFICATE", "CERTIFICATE", "PRIVATE KEY", "X509 CRL")
_CA, _CERT, _KEY, _CRL = range(4)
_TEXT: Final = 4  # the file as it is, not the DER in it
_TBS: Final = 8  # only what is to be signed, and our CA does it
_CLIENT: Final = 16  # the file is a client's
_LAX: Final = 32  # it is only to be readable

_RULES: Final = (
    *("missing", "unreadable", "expired", "not-yet-valid", "not-a-ca", "is-a-ca", "key-usage"),
    *("purpose", "chain", "algorithm", "revoked", "crl", "key-mismatch", "name"),
)


def _check_certificates(data: bytes) -> None:
    options, content = data[0] if data else 0, data[1:]
    which = options & 3
    if options & _TBS and which != _KEY:
        content = der.signed(content, _sign)
    if which == _CERT and not options & _TEXT:
        _check_peer(content)
    if not options & _TEXT:
        content = _armored(_LABELS[which], content)
    role = "client" if options & _CLIENT else "server"
    found = files(role, **{_WHICH[which]: content})
    warnings: list[str] = []
    try:
        if options & _CLIENT:
            client_context(found, sanity=not options & _LAX)
        else:
            tls = ServerTls(found, TlsPolicy(sanity=not options & _LAX), warnings.append)
            tls.credentials.crl_due()
            tls.admit(_der(holder("client").certificate))
    except CertificateError as error:
        _check_error(error)
    expect(all(warnings), "a warning says something")


def _sign(data: bytes) -> bytes:
    key: Any = authority().key
    signature: bytes = key.sign(data)
    return signature


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _armored(label: str, data: bytes) -> bytes:
    text = base64.encodebytes(data).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n".encode()


@functools.cache
def _server(pid: int) -> ServerTls:
    return ServerTls(files("server"), TlsPolicy(allowed=("CN=*", "O=*")))


def _check_peer(certificate: bytes) -> None:
    """What a peer has shown, as if OpenSSL had found that our CA has signed it."""
    try:
        name = _server(os.getpid()).admit(certificate)
    except CertificateError as error:
        _check_error(error)
    else:
        expect(name.startswith(("CN=", "O=")), "who comes in has a name that is allowed")


def _check_error(error: CertificateError) -> None:
    expect(error.rule in _RULES, f"a rule that there is, not {error.rule}")
    text = str(error)
    expect(bool(text) and "\0" not in text, "what is wrong is said")
    text.encode("utf-8", "surrogateescape")


#: Attributes that take few characters.
_PLAIN: Final = (
    *(NameOID.COUNTRY_NAME, NameOID.JURISDICTION_COUNTRY_NAME, NameOID.SERIAL_NUMBER),
    *(NameOID.DN_QUALIFIER, NameOID.EMAIL_ADDRESS, NameOID.DOMAIN_COMPONENT, NameOID.INN),
    *(NameOID.OGRN, NameOID.SNILS),
)


def _many_names() -> x509.Name:
    """Every attribute that a name is known to have."""
    kinds = [getattr(NameOID, name) for name in dir(NameOID) if name.isupper()]
    kinds = [kind for kind in dict.fromkeys(kinds) if kind != NameOID.X500_UNIQUE_IDENTIFIER]
    return x509.Name(
        [x509.NameAttribute(kind, "DE" if kind in _PLAIN else " #a,+;<>") for kind in kinds]
    )


def _every_extension() -> x509.Certificate:
    """A client's certificate with whatever else certificates have."""
    own, uri = holder("client"), x509.UniformResourceIdentifier("http://ca.example/")
    names = [
        *(x509.DNSName("localhost"), x509.RFC822Name("a@b.example"), uri),
        *(x509.DirectoryName(_many_names()), x509.RegisteredID(x509.ObjectIdentifier("1.2.3"))),
        x509.IPAddress(ipaddress.ip_address("::1")),
        x509.OtherName(x509.ObjectIdentifier("1.2.3"), b"\x0c\1x"),
    ]
    point = x509.DistributionPoint([uri], None, frozenset((x509.ReasonFlags.superseded,)), names)
    access = x509.AccessDescription(AuthorityInformationAccessOID.OCSP, uri)
    policy = x509.PolicyInformation(x509.ObjectIdentifier("1.2.3"), ["http://ca.example/"])
    purposes = [Purpose.SERVER_AUTH, Purpose.CLIENT_AUTH]
    builder = (
        x509.CertificateBuilder()
        .issuer_name(authority().certificate.subject)
        .subject_name(own.certificate.subject)
        .public_key(own.key.public_key())
        .serial_number(7)
        .not_valid_before(own.certificate.not_valid_before_utc)
        .not_valid_after(own.certificate.not_valid_after_utc)
    )
    extensions: list[x509.ExtensionType] = [
        *(x509.SubjectAlternativeName(names), x509.IssuerAlternativeName(names)),
        *(x509.NameConstraints([x509.DNSName("example")], None), x509.InhibitAnyPolicy(1)),
        *(x509.CRLDistributionPoints([point]), x509.AuthorityInformationAccess([access])),
        *(x509.CertificatePolicies([policy]), x509.ExtendedKeyUsage(purposes)),
        *(x509.PolicyConstraints(1, None), x509.TLSFeature([x509.TLSFeatureType.status_request])),
        *(x509.AuthorityKeyIdentifier(b"x", names, 7), x509.SubjectKeyIdentifier(b"y")),
        x509.BasicConstraints(False, None),
    ]
    for extension in extensions:
        builder = builder.add_extension(extension, False)
    key: Any = authority().key
    return builder.sign(key, None)


def _certificate_seeds() -> Iterator[bytes]:
    many = make(OWN, authority(), subject=_many_names())
    own = [holder("server"), holder("client"), many]
    for which, certificate in (
        *((_CERT, made.certificate) for made in own),
        *((_CERT, _every_extension()), (_CA, authority().certificate)),
    ):
        for more in (0, _CLIENT, _LAX):
            yield bytes((which | more,)) + _der(certificate)
            yield bytes((which | more | _TBS,)) + certificate.tbs_certificate_bytes
    crl = make_crl(authority(), [many])
    for more in (0, _CLIENT):
        yield bytes((_CRL | more,)) + crl.public_bytes(serialization.Encoding.DER)
        yield bytes((_CRL | _TBS | more,)) + crl.tbs_certlist_bytes
    key = holder("server").key
    for form in (serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL):
        for encoding in (serialization.Encoding.DER, serialization.Encoding.PEM):
            text = _TEXT if encoding is serialization.Encoding.PEM else 0
            content = key.private_bytes(encoding, form, serialization.NoEncryption())
            yield bytes((_KEY | text,)) + content
    for number, name in enumerate(_WHICH):
        yield bytes((number | _TEXT,)) + contents("server")[name]
        yield bytes((number | _TEXT,))


def _change_certificate(data: bytes, limit: int, random: Random) -> bytes:
    head, content = data[:1] or b"\0", data[1:]
    if random.random() < 0.05:
        head = bytes((random.randrange(64),))
    for _ in range(random.choice((1, 1, 2, 3))):
        content = (
            blind(content, limit) if head[0] & _TEXT else der.change(content, limit, random, blind)
        )
    return (head + content)[:limit]


_PEM_WORDS: Final = tuple(
    f"-----{word} {label}-----".encode() for word in ("BEGIN", "END") for label in set(_LABELS)
)


def certificates_target() -> Target:
    """Files for TLS, one of which is made by the fuzzer, and what a peer shows."""
    return Target(
        "tls-certificates",
        _check_certificates,
        _certificate_seeds,
        1,
        _PEM_WORDS,
        _change_certificate,
        max_len=4096,
        slack=1 << 20,
    )


# Settings ------------------------------------------------------------------------------------------


def _check_settings(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    _check_priority(text)
    name, *patterns = text.split("\n")
    for pattern in patterns:
        fits = name_is_allowed(name, [pattern])
        expect(fits == _fits(name, pattern), "a pattern fits what it says")
    whether = name_is_allowed(name, patterns)
    expect(whether == any(_fits(name, one) for one in patterns), "one pattern is enough")
    for hosts in ([text], name.split(",")):
        _check_hosts(hosts)


def _check_priority(text: str) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        apply_priority(text, context)
    except ValueError as error:
        expect(type(error) is ValueError and bool(str(error)), "what is not understood is said")
        return
    least, most = context.minimum_version, context.maximum_version
    expect(ssl.TLSVersion.TLSv1_2 <= least <= most, "nothing older than TLS 1.2 is spoken")
    expect(bool(context.get_ciphers()), "there are ciphers")
    expect(context.security_level >= 2, "no priority is less than NORMAL")


def _fits(name: str, pattern: str) -> bool:
    """The same as `name_is_allowed`, one place of the name at a time."""
    ends = {0}
    for char in pattern:
        if char == "*":
            ends = set(range(min(ends), len(name) + 1)) if ends else ends
        else:
            ends = {at + 1 for at in ends if at < len(name) and char in ("?", name[at])}
    return len(name) in ends


def _check_hosts(hosts: list[str]) -> None:
    try:
        names = pki._alternatives(hosts)
    except ValueError as error:
        expect(type(error) is ValueError and bool(str(error)), "a host that cannot be is named")
        return
    expect(bool(x509.SubjectAlternativeName(names).public_bytes()), "a certificate can say them")


_SETTING_SEEDS: Final = (
    b"NORMAL:-VERS-ALL:+VERS-TLS1.3:%SERVER_PRECEDENCE",
    b"@LIBVIRT,SYSTEM",
    b"SECURE256:!VERS-TLS1.2",
    b"PFS:-VERS-TLS1.0",
    b"C=GB,ST=London,L=London,O=Libvirt,CN=x\nC=GB,*,CN=?\n*\n?*x\n\nCN=\\,x",
    b"a" * 30 + b"\n" + b"*a" * 20 + b"b",
    b"localhost,127.0.0.1,::1,fe80::1%eth0,*.example.org,a_b-c.d",
    "Jos\N{LATIN SMALL LETTER E WITH ACUTE}\nJos?".encode(),
)
_SETTING_WORDS: Final = (
    *(b"*", b"?", b"\n", b",", b":", b"-", b"+", b"!", b"%", b"@", b"NORMAL", b"SECURE128", b"PFS"),
    *(b"SYSTEM", b"VERS-ALL", b"VERS-TLS-ALL", b"VERS-TLS1.2", b"VERS-TLS1.3", b"%COMPAT", b"CN="),
    *(b"\xff", b"\xe2\x98\x83", b"NONE", b"@SECLEVEL=0"),
)


def tls_settings_target() -> Target:
    """Priorities, patterns of names, and hosts that a certificate is made for."""
    return Target(
        "tls-settings",
        _check_settings,
        lambda: _SETTING_SEEDS,
        10,
        _SETTING_WORDS,
        max_len=200,
        slack=1 << 20,
    )

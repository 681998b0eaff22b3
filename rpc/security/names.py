"""A certificate's name as GnuTLS writes it, and the patterns of names that are let in.

The text is what settings such as `tls_allowed_dn_list` were written for, so it is read from the DER
itself: no library but GnuTLS has the same order, keywords and escapes.

Source: GnuTLS 3.7, gnutls_x509_crt_get_dn (lib/x509/dn.c, common.c), tried with libgnutls.so.30;
libvirt's src/rpc/virnettlscontext.c (virNetTLSContextCheckCertDNACL); GLib's g_pattern_match_simple.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from aiovirt.rpc.patterns import pattern

if TYPE_CHECKING:
    from cryptography import x509

_UTF8, _NUMERIC, _PRINTABLE, _TELETEX = 0x0C, 0x12, 0x13, 0x14
_IA5, _UNIVERSAL, _BMP, _VERSION = 0x16, 0x1C, 0x1E, 0xA0

_ANY_TEXT: Final = frozenset((_UTF8, _PRINTABLE, _TELETEX, _BMP, _UNIVERSAL))
_PRINTABLE_ONLY: Final = frozenset((_PRINTABLE,))
_IA5_ONLY: Final = frozenset((_IA5,))
_NUMERIC_ONLY: Final = frozenset((_NUMERIC,))

#: The attributes that have a keyword, and the kinds of string in which they are shown as text.
_KEYWORDS: Final = {
    "2.5.4.3": ("CN", _ANY_TEXT),
    "2.5.4.4": ("surName", _ANY_TEXT),
    "2.5.4.5": ("serialNumber", _PRINTABLE_ONLY),
    "2.5.4.6": ("C", _PRINTABLE_ONLY),
    "2.5.4.7": ("L", _ANY_TEXT),
    "2.5.4.8": ("ST", _ANY_TEXT),
    "2.5.4.9": ("street", _ANY_TEXT),
    "2.5.4.10": ("O", _ANY_TEXT),
    "2.5.4.11": ("OU", _ANY_TEXT),
    "2.5.4.12": ("title", _ANY_TEXT),
    "2.5.4.13": ("description", _ANY_TEXT),
    "2.5.4.15": ("businessCategory", _ANY_TEXT),
    "2.5.4.17": ("postalCode", _ANY_TEXT),
    "2.5.4.20": ("telephoneNumber", _PRINTABLE_ONLY),
    "2.5.4.41": ("name", _ANY_TEXT),
    "2.5.4.42": ("givenName", _ANY_TEXT),
    "2.5.4.43": ("initials", _ANY_TEXT),
    "2.5.4.44": ("generationQualifier", _ANY_TEXT),
    "2.5.4.46": ("dnQualifier", _PRINTABLE_ONLY),
    "2.5.4.65": ("pseudonym", _ANY_TEXT),
    "1.3.6.1.5.5.7.8.5": ("XmppAddr", frozenset((_UTF8,))),
    "1.3.6.1.5.5.7.9.2": ("placeOfBirth", _ANY_TEXT),
    "1.3.6.1.5.5.7.9.3": ("gender", _PRINTABLE_ONLY),
    "1.3.6.1.5.5.7.9.4": ("countryOfCitizenship", _PRINTABLE_ONLY),
    "1.3.6.1.5.5.7.9.5": ("countryOfResidence", _PRINTABLE_ONLY),
    "0.9.2342.19200300.100.1.1": ("UID", _ANY_TEXT),
    "0.9.2342.19200300.100.1.25": ("DC", _IA5_ONLY),
    "1.2.840.113549.1.9.1": ("EMAIL", _IA5_ONLY),
    "1.3.6.1.4.1.311.60.2.1.1": ("jurisdictionOfIncorporationLocalityName", _ANY_TEXT),
    "1.3.6.1.4.1.311.60.2.1.2": ("jurisdictionOfIncorporationStateOrProvinceName", _ANY_TEXT),
    "1.3.6.1.4.1.311.60.2.1.3": ("jurisdictionOfIncorporationCountryName", _PRINTABLE_ONLY),
    "1.2.643.100.1": ("OGRN", _NUMERIC_ONLY),
    "1.2.643.100.3": ("SNILS", _NUMERIC_ONLY),
    "1.2.643.100.5": ("OGRNIP", _NUMERIC_ONLY),
    "1.2.643.3.131.1.1": ("INN", _NUMERIC_ONLY),
}

_UNPRINTABLE: Final = pattern(rb"[^ -~]")
_ESCAPED: Final = str.maketrans({char: f"\\{char}" for char in ',+"\\<>;'})


def distinguished_name(certificate: x509.Certificate) -> str:
    """The name of the certificate's owner as libvirt shows it, "C=GB,O=x,CN=y"; it may be empty.

    Attributes come in the certificate's order. What is no UTF-8 is kept by surrogate escapes.
    """
    return _text_of(_subject(certificate.tbs_certificate_bytes))


def name_text(name: x509.Name) -> str:
    """Any other name, such as an issuer's, in the same form."""
    return _text_of(next(_parts(name.public_bytes())).content)


def name_is_allowed(name: str, patterns: Sequence[str]) -> bool:
    """Whether one of the patterns of `tls_allowed_dn_list` fits the whole name.

    In a pattern `*` stands for any text and `?` for one character. The time taken grows with the
    name's length times the patterns', whatever they hold.
    """
    return any(_fits(name, pattern) for pattern in patterns)


def _fits(name: str, pattern: str) -> bool:
    # All ways to match at once: bit n of `reached` says that the text so far fits n characters of the
    # pattern, not counting its asterisks. So a peer's name cannot make this go back and forth.
    reached, one, loops, at = 1, 0, 0, 0
    where: dict[str, int] = {}
    for char in pattern:
        if char == "*":
            loops |= 1 << at
            continue
        if char == "?":
            one |= 1 << at
        else:
            where[char] = where.get(char, 0) | 1 << at
        at += 1
    for char in name:
        reached = (reached & (one | where.get(char, 0))) << 1 | reached & loops
        if not reached:
            return False
    return bool(reached >> at & 1)


class _Value(NamedTuple):
    """One value in DER. whole: with tag and length."""

    tag: int
    content: bytes
    whole: bytes


def _parts(data: bytes) -> Iterator[_Value]:
    """The values in `data`, which is DER that the parser of certificates has accepted."""
    at = 0
    while at < len(data):
        start, tag, length = at, data[at], data[at + 1]
        at += 2
        if length >= 0x80:
            size = length & 0x7F
            length = int.from_bytes(data[at : at + size], "big")
            at += size
        at += length
        yield _Value(tag, data[at - length : at], data[start:at])


def _text_of(name: bytes) -> str:
    return ",".join(
        "+".join(_attribute(attribute.content) for attribute in _parts(group.content))
        for group in _parts(name)
    )


def _subject(tbs: bytes) -> bytes:
    """Find the subject's content; it follows version (optional), serial, algorithm, issuer, validity."""
    fields = [field for field in _parts(next(_parts(tbs)).content) if field.tag != _VERSION]
    return fields[4].content


def _attribute(content: bytes) -> str:
    kind, value = _parts(content)
    oid = _dotted(kind.content)
    keyword, shown = _KEYWORDS.get(oid, (oid, frozenset[int]()))
    text = _text(value) if value.tag in shown else "\0"
    # A NUL would cut the text short, there as in C.
    return f"{keyword}=#{value.whole.hex()}" if "\0" in text else f"{keyword}={_escape(text)}"


def _text(value: _Value) -> str:
    content = value.content
    if value.tag == _BMP:
        text = content[:-2] if len(content) > 2 and content.endswith(b"\0\0") else content
        try:
            return text[: len(text) & ~1].decode("utf-16-be")
        except UnicodeDecodeError:
            return f"#{content.hex()}"
    if value.tag == _UNIVERSAL or (value.tag == _TELETEX and _UNPRINTABLE.search(content)):
        return f"#{content.hex()}"
    return content.decode("utf-8", "surrogateescape")


def _escape(text: str) -> str:
    escaped = text.translate(_ESCAPED)
    # A lone blank is at both ends and gets one backslash.
    if len(text) > 1 and text.endswith(" "):
        escaped = f"{escaped[:-1]}\\ "
    return f"\\{escaped}" if text.startswith((" ", "#")) else escaped


def _dotted(content: bytes) -> str:
    """An object identifier as numbers with dots."""
    numbers, number = [], 0
    for byte in content:
        number = number << 7 | byte & 0x7F
        if not byte & 0x80:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))

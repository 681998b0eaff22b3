"""The types of attributes and texts: each turns what a client wrote into what libvirt writes.

A type is a function from text to text; None drops the attribute; `Unfit` says what would be right.
Enumerations are made from their members: one in parentheses is accepted and not written, as libvirt
leaves out its defaults.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache
from typing import Final

from aiovirt.rpc.patterns import pattern

ValueType = Callable[[str], "str | None"]


class Unfit(ValueError):
    """A value that the table does not allow; the text names what would be right."""


class UnknownUnit(Unfit):
    """A unit of size that does not exist."""


def enumeration(members: str) -> ValueType:
    """Make the type of one of a few words.

    Args:
        members: the words, separated by `|`; in parentheses those that are accepted and left out.
    """
    words: dict[str, str | None] = {}
    for word in filter(None, members.split("|")):
        quiet = word.startswith("(")
        words[word.strip("()")] = None if quiet else word
    wanted = "one of " + ", ".join(words)

    def choose(value: str) -> str | None:
        try:
            return words[value]
        except KeyError:
            raise Unfit(wanted) from None

    return choose


_NUMBER: Final = pattern(r"\s*([+-]?)(0[xX][0-9a-fA-F]+|[0-9]+)\Z")


def _whole(value: str, low: int, high: int, base: int) -> int:
    match = _NUMBER.match(value) if len(value) <= 40 else None
    wanted = f"a number from {low} to {high}"
    if match is None:
        raise Unfit(wanted)
    sign, digits = match.groups()
    hexadecimal = digits[:2] in ("0x", "0X")
    if hexadecimal and base == 10:
        raise Unfit(wanted)
    octal = base == 0 and not hexadecimal and len(digits) > 1 and digits[0] == "0"
    try:
        number = int(digits, 16 if hexadecimal else 8 if octal else 10)
    except ValueError:
        raise Unfit(wanted) from None
    number = -number if sign == "-" else number
    if not low <= number <= high:
        raise Unfit(wanted)
    return number


def number(
    low: int, high: int, *, form: str = "{}", base: int = 10, zero: bool = True
) -> ValueType:
    """Make the type of a whole number.

    Args:
        low: the least that is allowed.
        high: the greatest that is allowed.
        form: how it is written, a format string.
        base: how it is read; 0 takes hexadecimal and octal, too.
        zero: False for a number whose zero means that it is unset.
    """

    def read(value: str) -> str | None:
        found = _whole(value, low, high, base)
        return form.format(found) if found or zero else None

    return read


def text(value: str) -> str:
    """Keep a text as it is."""
    return value


def filled(value: str) -> str | None:
    """Keep a text, and drop an empty one."""
    return value or None


_UUID: Final = pattern(r"[0-9a-fA-F]{32}\Z")


def uuid(value: str) -> str:
    """Read a UUID, with or without hyphens, and write it in libvirt's form."""
    digits = value.strip().replace("-", "").replace(" ", "")
    if not _UUID.match(digits):
        raise Unfit("a UUID")
    low = digits.lower()
    return f"{low[:8]}-{low[8:12]}-{low[12:16]}-{low[16:20]}-{low[20:]}"


_MAC: Final = pattern(r"([0-9a-fA-F]{1,2})" + r":([0-9a-fA-F]{1,2})" * 5 + r"\Z")


def mac(value: str) -> str:
    """Read a hardware address of six bytes."""
    match = _MAC.match(value)
    if match is None:
        raise Unfit("six bytes, like 52:54:00:12:34:56")
    return ":".join(part.zfill(2).lower() for part in match.groups())


def hardware(value: str) -> str:
    """Check a hardware address and keep it as it is."""
    mac(value)
    return value


@lru_cache(maxsize=1024)
def members_of(value: str, highest: int = 16384) -> frozenset[int]:
    """The numbers of a set written like "0-3,^2,8" (virBitmapParse).

    Args:
        value: the set.
        highest: the first number that is too large.

    Raises:
        Unfit: for anything else.
    """
    mask = 0
    for part in value.replace(" ", "").split(","):
        excluded = part.startswith("^")
        low, dash, high = part.removeprefix("^").partition("-")
        if (
            not low.isascii()
            or not low.isdigit()
            or (dash and not (high.isascii() and high.isdigit()))
        ):
            raise Unfit("a set of numbers, like 0-3,^2")
        first, last = int(low[:7]), int((high or low)[:7])
        if last >= highest or last < first or len(low) > 6 or len(high) > 6:
            raise Unfit(f"a set of numbers below {highest}")
        span = ((1 << (last - first + 1)) - 1) << first
        mask = mask & ~span if excluded else mask | span
    found: set[int] = set()
    while mask:
        lowest = mask & -mask
        found.add(lowest.bit_length() - 1)
        mask ^= lowest
    return frozenset(found)


def number_set(value: str) -> str:
    """Write a set of numbers the shortest way (virBitmapFormat)."""
    found = members_of(value)
    if not found:
        raise Unfit("a set that is not empty")
    return format_set(found)


def format_set(found: frozenset[int]) -> str:
    """Write numbers as libvirt writes a bitmap: "0-3,8"."""
    spans: list[list[int]] = []
    for member in sorted(found):
        if spans and member == spans[-1][1] + 1:
            spans[-1][1] = member
        else:
            spans.append([member, member])
    return ",".join(str(low) if low == high else f"{low}-{high}" for low, high in spans)


def address(value: str) -> str:
    """Write an address of IPv4 or IPv6 in its usual form; a name stays as it is."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        return value


def ip_address(value: str) -> str:
    """Read an address of IPv4 or IPv6."""
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise Unfit("an address of IPv4 or IPv6") from None


#: Bytes of each unit of a size (virScaleInteger).
UNITS: Final[dict[str, int]] = {"b": 1, "byte": 1, "bytes": 1} | {
    name: size
    for power, letter in enumerate("kmgtpe", 1)
    for name, size in (
        (letter, 1024**power),
        (f"{letter}ib", 1024**power),
        (f"{letter}b", 1000**power),
    )
}


def size_in_bytes(value: str, unit: str | None, default: str) -> int:
    """Read a size with its unit and give bytes.

    Args:
        value: a whole number, which may carry its unit itself.
        unit: the unit attribute; None or empty for the default.
        default: the unit of a number without one.

    Raises:
        Unfit: for anything else.
    """
    match = re.match(r"\+?([0-9]{1,20})\s*([A-Za-z]{0,8})\Z", value.strip())
    if match is None:
        raise Unfit("a whole number with a unit like KiB")
    scale = UNITS.get((match[2] or unit or default).lower())
    if scale is None:
        raise UnknownUnit("a unit like bytes, KiB, MB or G")
    found = int(match[1]) * scale
    if found >= 1 << 64:
        raise Unfit("a size below 16 EiB")
    return found


def any_or(read: ValueType) -> ValueType:
    """Make a type of which -1 means any, and is not written."""

    def choose(value: str) -> str | None:
        return None if value == "-1" else read(value)

    return choose


def path(value: str) -> str:
    """Drop repeated and trailing slashes of a path (virFileSanitizePath); two at the start stay."""
    head = "/" if value.startswith("//") and not value.startswith("///") else ""
    clean = re.sub("/+", "/", value)
    return head + (clean.rstrip("/") if len(clean) > 1 else clean)


def permissions(value: str) -> str:
    """Read the permissions of a file, which are octal with or without a leading zero."""
    if not re.match(r"[0-7]{1,5}\Z", value) or int(value, 8) > 0o777:
        raise Unfit("octal permissions up to 0777")
    return f"{int(value, 8):04o}"


def usb_port(value: str) -> str:
    """Read the path of a port of a USB bus: up to four numbers, like 1.2."""
    if not re.match(r"[0-9]{1,3}(\.[0-9]{1,3}){0,3}\Z", value):
        raise Unfit("a port of at most four numbers, like 1.2")
    return ".".join(str(int(part)) for part in value.split("."))


def usb_version(value: str) -> str:
    """Read the version of a USB device: two numbers, of which the second has two digits."""
    match = re.match(r"([0-9]{1,2})\.([0-9]{1,2})\Z", value)
    if match is None:
        raise Unfit("a version like 1.10")
    return f"{int(match[1])}.{match[2].ljust(2, '0')}"


def load_parameter(value: str) -> str:
    """Read the load parameter of a boot device of s390: up to eight letters, digits, dots and spaces."""
    if not re.match(r"[A-Za-z0-9. ]{1,8}\Z", value):
        raise Unfit("one to eight letters, digits, dots or spaces")
    return value.upper()


_MODELS: Final = (
    "netfront rtl8139 virtio e1000 e1000e virtio-transitional virtio-non-transitional usb-net"
    " spapr-vlan lan9118 scm91c111 vlance vmxnet vmxnet2 vmxnet3 Am79C970A Am79C973 82540EM 82545EM"
    " 82543GC"
)
_NET_MODELS: Final = {name.lower(): name for name in _MODELS.split()}


def net_model(value: str) -> str:
    """Read the model of a network card; the case of a known one does not matter."""
    if not re.match(r"[A-Za-z0-9_-]+\Z", value):
        raise Unfit("letters, digits, - and _")
    return _NET_MODELS.get(value.lower(), value)


U32: Final = (1 << 32) - 1
U64: Final = (1 << 64) - 1
I31: Final = (1 << 31) - 1
I63: Final = (1 << 63) - 1

#: The types that tables name.
TYPES: Final[dict[str, ValueType]] = {
    "str": text,
    "filled": filled,
    "int": number(-(1 << 31), I31),
    "long": number(-(1 << 63), I63),
    "uint": number(0, U32),
    "ulong": number(0, U64),
    "positive": number(1, U32),
    "count": number(0, U32, zero=False),
    "longcount": number(0, U64, zero=False),
    "hex": number(0, U64, form="0x{:x}", base=0),
    "hexcount": number(0, U64, form="0x{:x}", base=0, zero=False),
    "hex1": number(0, 7, form="0x{:x}", base=0),
    "hex2": number(0, 0xFF, form="0x{:02x}", base=0),
    "slot": number(0, 0x1F, form="0x{:02x}", base=0),
    "hex4": number(0, 0xFFFF, form="0x{:04x}", base=0),
    "reg": number(0, U64, form="0x{:08x}", base=0),
    "hex8": number(0, U32, form="0x{:08x}", base=0),
    "HEX2": any_or(number(0, 0xFF, form="0x{:02X}", base=0)),
    "HEX4": any_or(number(0, 0xFFFF, form="0x{:04X}", base=0)),
    "id": number(0, U32, base=0),
    "bool": enumeration("yes|no"),
    "yes": enumeration("yes|(no)"),
    "switch": enumeration("on|off"),
    "mode": permissions,
    "usbport": usb_port,
    "usbversion": any_or(usb_version),
    "loadparm": load_parameter,
    "uuid": uuid,
    "mac": mac,
    "hardware": hardware,
    "set": number_set,
    "address": address,
    "ipaddress": ip_address,
    "path": path,
    "netmodel": net_model,
}

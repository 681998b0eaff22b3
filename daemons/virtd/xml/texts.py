"""The types of elements' texts; those of sizes bring their unit with them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from aiovirt.daemons.virtd.xml import refusals, values, wordings
from aiovirt.daemons.virtd.xml.rules import Scope
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError


def _given(scope: Scope) -> str | None:
    return None if scope.raw is None else scope.raw.text


def _refusal(scope: Scope, value: str, error: values.Unfit) -> RpcError:
    """The refusal of a text: libvirt's own words, or its general ones."""
    if isinstance(error, values.UnknownUnit):
        unit = (scope.given("unit") or "").strip() or value.strip().lstrip("0123456789")
        detail = f"unknown suffix '{refusals.shown(unit)}'"
        return refusals.refused(ErrorCode.INVALID_ARG, detail, ErrorDomain.NONE)
    worded = wordings.worded(scope, "", value)
    return worded or refusals.bad_text(scope.tag, value, str(error))


def _words(scope: Scope) -> None:
    """Keep the text, white space included; an empty one counts as none."""
    scope.out.text = _given(scope) or None


def _size(scale: int, unit: str, default: str, *, zero: bool = True) -> Callable[[Scope], None]:
    """Make the type of a size in units of `scale` bytes."""

    def read(scope: Scope) -> None:
        value = _given(scope)
        if scope.raw is None or value is None:
            return
        try:
            size = values.size_in_bytes(value, scope.raw.get("unit"), default)
        except values.Unfit as error:
            raise _refusal(scope, value, error) from None
        if size or zero:
            scope.out.set("unit", unit)
            scope.out.text = str(-(-size // scale))

    return read


def _typed(name: str) -> Callable[[Scope], None]:
    """Make the type of a text that is like an attribute of a type."""
    read_value = values.TYPES[name] if "|" not in name else values.enumeration(name)

    def read(scope: Scope) -> None:
        value = _given(scope)
        if value is None:
            return
        try:
            scope.out.text = read_value(value)
        except values.Unfit as error:
            raise _refusal(scope, value, error) from None

    return read


def _mebibytes(scope: Scope) -> None:
    """Read a size and write it in whole mebibytes, rounded down."""
    value = _given(scope)
    if scope.raw is None or value is None:
        return
    try:
        size = values.size_in_bytes(value, scope.raw.get("unit"), "M")
    except values.Unfit as error:
        raise _refusal(scope, value, error) from None
    if size:
        scope.out.set("unit", "M")
        scope.out.text = str(size >> 20)


def _path(scope: Scope) -> None:
    """Read a path, without repeated or trailing slashes."""
    scope.out.text = values.path(_given(scope) or "") or None


def _octal(scope: Scope) -> None:
    """Read the permissions of a file; they are written with one leading zero."""
    value = (_given(scope) or "").strip()
    try:
        scope.out.text = f"0{int(values.permissions(value), 8):o}" if value else None
    except values.Unfit as error:
        raise _refusal(scope, value, error) from None


def _owner(scope: Scope) -> None:
    """Read the number of a user or a group; -1 means that it does not matter."""
    value = (_given(scope) or "").strip()
    try:
        found = values.TYPES["long"](value)
    except values.Unfit as error:
        raise _refusal(scope, value, error) from None
    scope.out.text = None if found == "-1" else found


_LIFECYCLE = "destroy|restart|rename-restart|preserve|coredump-destroy|coredump-restart"

#: The types that tables name.
TEXTS: Final[dict[str, Callable[[Scope], None]]] = {
    "text": _words,
    "KiB": _size(1024, "KiB", "KiB"),
    "tseg": _size(1024, "KiB", "MiB"),
    "B": _size(1, "B", "B", zero=False),
    "path": _path,
    "octal": _octal,
    "owner": _owner,
    "state": _typed(
        "nostate|running|blocked|paused|shutdown|shutoff|crashed|pmsuspended|disk-snapshot"
    ),
    "KiBcount": _size(1024, "KiB", "KiB", zero=False),
    "bytes": _size(1, "bytes", "bytes"),
    "bytescount": _size(1, "bytes", "bytes", zero=False),
    "MiB": _mebibytes,
    "lifecycle": _typed(_LIFECYCLE),
    "ostype": _typed("hvm|xen|linux|exe|uml|xenpvh"),
    "lockfailure": _typed("poweroff|restart|pause|ignore"),
    **{
        name: _typed(name)
        for name in ("uint", "count", "int", "long", "ulong", "longcount", "uuid", "set", "hex4")
    },
}

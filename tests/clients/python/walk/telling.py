"""Prints what libvirt's binding answers, one line for each call, so that two daemons can be compared."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import libvirt


def section(name: str) -> None:
    """Begin a part of the output."""
    print(f"== {name}", flush=True)


def tell(label: str, value: object) -> None:
    """Print one answer."""
    print(f"{label}: {shown(value)}", flush=True)


def attempt(label: str, function: Callable[..., Any], *args: Any) -> Any:
    """Call a function, print its answer or its error, and return the answer, or None for an error."""
    try:
        value = function(*args)
    except libvirt.libvirtError as error:
        print(f"{label}: {failure(error)}", flush=True)
        return None
    tell(label, value)
    return value


def quietly(function: Callable[..., Any], *args: Any) -> Any:
    """Call a function whose refusal is of no interest."""
    try:
        return function(*args)
    except libvirt.libvirtError:
        return None


def failure(error: libvirt.libvirtError) -> str:
    """An error with its code, its domain and its level."""
    code, domain = error.get_error_code(), error.get_error_domain()
    text = error.get_error_message().replace("\n", "\\n")
    return f"ERROR {code} {domain} {error.get_error_level()} {text}"


def shown(value: object) -> str:
    """A value as text; objects of libvirt by class and name."""
    if isinstance(value, dict):
        inside = (f"{shown(key)}={shown(value[key])}" for key in sorted(value, key=str))
        return "{" + ", ".join(inside) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(shown, value)) + "]"
    if isinstance(value, float):
        return f"{value:.3f}"
    for method in ("name", "getName", "usageID"):
        if type(value).__module__ == "libvirt" and hasattr(value, method):
            return f"{type(value).__name__}({getattr(value, method)()})"
    return repr(value)


def names(found: list[Any]) -> list[str]:
    """The names of objects, sorted."""
    return sorted(one.usageID() if hasattr(one, "usageID") else one.name() for one in found)


def element(document: str, name: str) -> list[str]:
    """The start tags of an element in a document."""
    return re.findall(rf"<{name}\b[^>]*>", document)

"""The name and password for a daemon that asks for them, out of libvirt's authentication file.

    [credentials-office]
    authname=joe
    password=secret

    [auth-libvirt-host.example]
    credentials=office

The file is the one that the environment variable LIBVIRT_AUTH_FILE names, or the parameter `authfile`
of the URI, or the user's `libvirt/auth.conf`, or `/etc/libvirt/auth.conf`. The section
`auth-libvirt-HOST` is that of the host in the URI, `localhost` without one; `auth-libvirt-default` is
the one for all other hosts.

Source: libvirt's docs/auth.rst, src/util/virauth.c (virAuthGetConfigFilePathURI) and
src/util/virauthconfig.c (virAuthConfigLookup).
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

from aiovirt.admin.uri import Directories, UriError
from aiovirt.rpc.security.regular import read_regular

_SYSTEM_FILE: Final = "/etc/libvirt/auth.conf"
#: Bytes that the file may have.
_SIZE_MAX: Final = 1 << 20
_ESCAPE: Final = re.compile(r"\\([sntr\\])")
_MEANING: Final = {"s": " ", "n": "\n", "t": "\t", "r": "\r", "\\": "\\"}


def credentials_of(
    host: str | None,
    named: str | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    where: Directories | None = None,
) -> tuple[str, str]:
    """Return the name and the password for a host; each is empty if no file has it. Blocks.

    Args:
        host: the host in the URI, None for this machine.
        named: the file that the URI names.
        environ: the environment of the caller.
        where: the folders of the caller, those of this process by default.

    Raises:
        UriError: the file cannot be read, or has a mistake.
    """
    path = _path(named, environ, where or Directories.of_caller(environ))
    if path is None:
        return "", ""
    sections = _read(path)
    for one in (host or "localhost", "default"):
        entry = sections.get(f"auth-libvirt-{one}")
        if entry is not None:
            break
    else:
        return "", ""
    chosen = entry.get("credentials")
    if chosen is None:
        raise UriError(f"{path}: the section [auth-libvirt-{one}] needs the line credentials=NAME")
    found = sections.get(f"credentials-{chosen}")
    if found is None:
        raise UriError(
            f"{path}: [auth-libvirt-{one}] names [credentials-{chosen}], which is missing"
        )
    return found.get("authname", ""), found.get("password", "")


def _path(named: str | None, environ: Mapping[str, str], where: Directories) -> str | None:
    chosen = environ.get("LIBVIRT_AUTH_FILE") or named
    if chosen:
        return chosen
    usual = (f"{where.config}/libvirt/auth.conf", _SYSTEM_FILE)
    return next((path for path in usual if os.access(path, os.R_OK)), None)


def _read(path: str) -> dict[str, dict[str, str]]:
    """Read a key file, the syntax of GLib: sections, then lines NAME=VALUE."""
    try:
        data = read_regular(path, _SIZE_MAX)
    except OSError as error:
        raise UriError(f"cannot read the authentication file '{path}': {error.strerror}") from error
    if len(data) > _SIZE_MAX:
        raise UriError(f"the authentication file '{path}' has more than {_SIZE_MAX} bytes")
    sections: dict[str, dict[str, str]] = {}
    section: dict[str, str] | None = None
    for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), 1):
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        name, equals, value = text.partition("=")
        if text.startswith("[") and text.endswith("]"):
            section = sections.setdefault(text[1:-1], {})
        elif section is None or not equals:
            raise UriError(f"{path}:{number}: the line is neither [SECTION] nor NAME=VALUE")
        else:
            section[name.rstrip()] = _ESCAPE.sub(lambda one: _MEANING[one[1]], value.lstrip())
    return sections

"""Admin URIs: which daemon is meant, and where its admin socket is.

    libvirtd:///system                 /run/libvirt/libvirt-admin-sock
    virtNAME:///session                the user's runtime directory, libvirt/virtNAME-admin-sock
    virtd:/// lockd:/// logd:///       ours: aiovirt/NAME-admin-sock, under /run for root, else as above
    ANY:///?socket=PATH                the socket at PATH
    ANY+ssh://user@host:port/...       the same daemon on another host (see `ssh`)

Admin sockets are UNIX sockets of one machine. libvirt ignores a user, host or port in an admin URI and
reaches the local daemon; here such a URI is refused, unless it has the transport `+ssh`.

Which daemons are ours, and which other packages add to them, `plugins` knows. Nothing is connected or
looked for here, and nothing is read but settings files. Which URI stands when none is named, and what
an alias means, is in `resolve`.

Source: libvirt's src/admin/libvirt-admin.c (getSocketPath, virAdmGetDefaultURI) and src/util/viruri.c.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

from aiovirt.admin import plugins

_ALIAS: Final = re.compile(r"[A-Za-z0-9_-]*")

_PCT = "%[0-9A-Fa-f]{2}"
_CHAR = f"(?:[A-Za-z0-9._~!$&'()*+,;=:-]|{_PCT})"
_PCHAR = f"(?:[@]|{_CHAR})"
_TAIL = rf"(?:\?(?P<query>(?:[/?]|{_PCHAR})*))?(?:\#(?P<fragment>(?:[/?]|{_PCHAR})*))?"
_AUTHORITY = (
    rf"(?:(?P<user>{_CHAR}*)@)?(?P<host>\[[^\]]*\]|(?:(?!:){_CHAR})*)(?::(?P<port>[0-9]{{1,9}}))?"
)
#: RFC 3986. A reference without a scheme may have no colon in its first segment.
_REFERENCE: Final = re.compile(
    rf"(?:(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):|(?![^/?#]*:))"
    rf"(?://{_AUTHORITY}(?=[/?#]|\Z)|(?!//))(?P<path>(?:/|{_PCHAR})*){_TAIL}"
)


#: Bytes that a settings file may have (see `conf_file`, which is loaded late).
SETTINGS_MAX: Final = 10 * 1024 * 1024


class UriError(ValueError):
    """A URI, or a settings file that speaks of URIs, that cannot be used; the text says why."""


class Directories(NamedTuple):
    """Where things are for the calling user.

    root: whether the caller is the superuser; home, runtime, config, cache: the user's own
    directories, as the XDG base directory rules and GLib's fallbacks give them.
    """

    root: bool
    home: str
    runtime: str
    config: str
    cache: str

    @classmethod
    def of_caller(cls, environ: Mapping[str, str] = os.environ) -> Directories:
        """Those of this process."""
        home = environ.get("HOME") or os.path.expanduser("~")
        cache = environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
        return cls(
            root=os.geteuid() == 0,
            home=home,
            # GLib's choice for a user without a session: the cache directory.
            runtime=environ.get("XDG_RUNTIME_DIR") or cache,
            config=environ.get("XDG_CONFIG_HOME") or os.path.join(home, ".config"),
            cache=cache,
        )


class AdminUri(NamedTuple):
    """A URI in its parts; `str()` gives it back as libvirt would show it.

    path, user and fragment are without percent escapes, query is as written.
    """

    scheme: str | None
    user: str | None
    server: str | None
    port: int
    path: str
    query: str | None
    fragment: str | None

    @classmethod
    def parse(cls, text: str) -> AdminUri:
        """Take a URI apart. Raises UriError when it is none."""
        match = _REFERENCE.fullmatch(text)
        if match is None:
            raise UriError(f"internal error: Unable to parse URI {text}")
        part = match.groupdict()
        server = _unescape(part["host"] or "") or None
        return cls(
            part["scheme"],
            None if part["user"] is None else _unescape(part["user"]),
            server,
            # A port without a host says nothing and is not kept, as in libvirt.
            int(part["port"] or 0) if server else 0,
            _unescape(part["path"]),
            part["query"],
            None if part["fragment"] is None else _unescape(part["fragment"]),
        )

    def __str__(self) -> str:
        scheme = f"{self.scheme}:" if self.scheme else ""
        user = "" if self.user is None else _escape(self.user, ";:&=+$,") + "@"
        host = self.server or ""
        port = f":{self.port}" if self.port else ""
        query = "" if self.query is None else f"?{self.query}"
        fragment = "" if self.fragment is None else "#" + _escape(self.fragment, ";/?:@&=+$,")
        return f"{scheme}//{user}{host}{port}{_escape(self.path, '/;@&=+$,')}{query}{fragment}"

    @property
    def daemon(self) -> str | None:
        """The scheme without a transport: "libvirtd" of "libvirtd+ssh"."""
        return self.scheme and self.scheme.partition("+")[0]

    @property
    def transport(self) -> str | None:
        """The transport that the scheme names, None for a daemon of this machine."""
        return (self.scheme or "").partition("+")[2] or None

    def parameters(self) -> Iterator[tuple[str, str]]:
        """The query's names and values, without escapes; a nameless value is left out."""
        query = self.query or ""
        for section in query.split("&" if "&" in query else ";"):
            name, _, value = section.partition("=")
            if name:
                yield _unescape(name), _unescape(value)

    def socket_path(self, where: Directories | None = None) -> str:
        """Return the path of the daemon's admin socket. Raises UriError if the URI leads to none."""
        self._refuse_other_machines()
        path = None
        for name, value in self.parameters():
            if name != "socket":
                raise _unsupported(f"Unknown URI parameter '{name}', only 'socket' is known")
            path = value
        if path is None:
            return self._usual_path(where or Directories.of_caller())
        if "\0" in path:
            raise _unsupported("the path of a socket has no NUL character (%00)")
        return path

    def _refuse_other_machines(self) -> None:
        """Refuse a transport, a user, a host and a port: none of them leads to a socket here."""
        daemon = self.daemon or "libvirtd"
        query = "" if self.query is None else f"?{self.query}"
        plain = f"{daemon}://{self.path}{query}"
        if self.transport == "ssh":
            raise _unsupported(f"the socket of {self} is on another host")
        if self.transport is not None:
            raise _unsupported(
                f"Unknown transport '{self.transport}' of URI scheme '{self.scheme}'; another host"
                f" is reached with {daemon}+ssh://HOST/system, this machine with {daemon}:///system"
            )
        if self.server is not None:
            remedy = plain if self.path else f"{daemon}:///{self.server}"
            there = self._replace(scheme=f"{daemon}+ssh", path=self.path or "/system")
            raise _unsupported(
                f"The URI names the host '{self.server}'; a daemon there is {there}, one of this"
                f" machine {remedy}"
            )
        if self.user is not None:
            raise _unsupported(
                f"The URI names the user '{self.user}', but the daemon knows its caller's own user;"
                f" without a user it is {plain}"
            )

    def _usual_path(self, where: Directories) -> str:
        if not self.scheme:
            raise _unsupported(
                "No URI scheme specified; a URI looks like libvirtd:///system, an alias needs an "
                "entry in uri_aliases"
            )
        if self.scheme == "libvirtd":
            folder, name, brief = "libvirt", "libvirt", False
        elif self._leads_to_ours(self.scheme):
            folder, name, brief = "aiovirt", self.scheme, self.path in ("", "/")
        else:
            folder, name, brief = "libvirt", self.scheme, False
        if self.path == "/system" or (brief and where.root):
            return f"/run/{folder}/{name}-admin-sock"
        if self.path == "/session" or brief:
            return f"{where.runtime}/{folder}/{name}-admin-sock"
        raise _unsupported(f"Invalid URI path '{self.path}', try '/system' or '/session'")

    @staticmethod
    def _leads_to_ours(scheme: str) -> bool:
        """Whether the daemon's sockets are in aiovirt/, not in libvirt/. Raises UriError for neither."""
        if scheme in plugins.own_daemons():
            return True
        if scheme.startswith("virt"):
            return False
        if plugins.is_daemon(scheme):
            return True
        raise _unsupported(
            f"Unsupported URI scheme '{scheme}', it must be libvirtd, virtNAME (a daemon of libvirt) "
            f"or one of {', '.join(plugins.daemon_names())}"
        )


class Settings(NamedTuple):
    """The URIs in one settings file.

    Both virtadm.conf (ours) and libvirt-admin.conf (libvirt's) have `uri_default`, a string, and
    `uri_aliases`, a list of "NAME=URI".
    """

    file: str
    default: str | None
    aliases: tuple[str, ...]

    def lookup(self, name: str) -> str | None:
        """The URI an alias stands for, or None.

        Raises UriError for a malformed entry in front of the one that is looked for.
        """
        for entry in self.aliases:
            alias, equals, uri = entry.partition("=")
            if not equals:
                raise self._malformed(entry, "expected 'alias=uri://host/path'")
            if not _ALIAS.fullmatch(alias):
                raise self._malformed(entry, "aliases may only contain 'a-Z, 0-9, _, -'")
            if alias == name:
                return uri
        return None

    def _malformed(self, entry: str, expected: str) -> UriError:
        return UriError(
            f"configuration file syntax error: Malformed 'uri_aliases' config entry '{entry}', "
            f"{expected}: {self.file}"
        )


def settings_files(where: Directories) -> tuple[str, ...]:
    """The files that are asked in turn: virtadm's own (user's, system's), then libvirt's one."""
    libvirt = "/etc" if where.root else where.config
    return (
        f"{where.config}/aiovirt/virtadm.conf",
        "/etc/aiovirt/virtadm.conf",
        f"{libvirt}/libvirt/libvirt-admin.conf",
    )


def read_settings(file: str) -> Settings:
    """Read one settings file, in libvirt's syntax or TOML; a missing file says nothing.

    Blocks, but never for a FIFO or a device. Raises UriError, with the file's name, when it cannot be
    read or has a mistake.
    """
    from aiovirt.rpc.security.regular import read_regular

    try:
        data = read_regular(file, SETTINGS_MAX)
    except (FileNotFoundError, NotADirectoryError):
        return Settings(file, None, ())
    except OSError as error:
        raise UriError(f"cannot read the settings file '{file}': {error.strerror}") from error
    # As installed these files hold comments only: the reader is loaded for more than that.
    if not re.search(rb"^\s*[^\s#]", data, re.MULTILINE):
        return Settings(file, None, ())
    return _settings(file, _parse(file, data))


def resolve(
    name: str | None = None,
    *,
    environ: Mapping[str, str] = os.environ,
    where: Directories | None = None,
) -> AdminUri:
    """The URI that is meant by a name: a URI, an alias, or None for the default.

    The default is LIBVIRT_ADMIN_DEFAULT_URI, or else `uri_default` of the first settings file that
    has one (see `settings_files`), or else libvirtd:///system for root and libvirtd:///session for
    others. Whatever named it, an alias is then replaced, once. Raises UriError.
    """
    where = where or Directories.of_caller(environ)
    if name is None:
        name = environ.get("LIBVIRT_ADMIN_DEFAULT_URI") or None
    # What could be no alias needs no settings file, so a broken one is not in its way.
    if name is not None and not _ALIAS.fullmatch(name):
        return AdminUri.parse(name)
    settings = [read_settings(file) for file in settings_files(where)]
    if name is None:
        name = next((each.default for each in settings if each.default is not None), None)
    if name is None:
        name = "libvirtd:///system" if where.root else "libvirtd:///session"
    meant = (each.lookup(name) for each in settings)
    return AdminUri.parse(next((uri for uri in meant if uri is not None), name))


def _settings(file: str, table: Mapping[str, Any]) -> Settings:
    default = table.get("uri_default")
    if default is not None and not isinstance(default, str):
        raise UriError(f"internal error: {file}: expected a string for 'uri_default' parameter")
    aliases = table.get("uri_aliases", [])
    if not isinstance(aliases, list) or not all(isinstance(entry, str) for entry in aliases):
        raise UriError(
            f"internal error: {file}: expected a string list for 'uri_aliases' parameter"
        )
    return Settings(file, default, tuple(aliases))


def _parse(file: str, data: bytes) -> Mapping[str, Any]:
    from aiovirt.admin.conf_file import ConfError, parse

    try:
        entries = parse(data).entries
    except ConfError as error:
        raise UriError(f"configuration file syntax error: {file}:{error.line}: {error}") from error
    return {name: entry.value for name, entry in entries.items()}


def _unsupported(text: str) -> UriError:
    return UriError(f"unsupported configuration: {text}")


def _unescape(text: str) -> str:
    if "%" not in text:
        return text
    raw = re.sub(
        rb"%([0-9A-Fa-f]{2})",
        lambda match: bytes([int(match[1], 16)]),
        text.encode("utf-8", "surrogateescape"),
    )
    return raw.decode("utf-8", "surrogateescape")


def _escape(text: str, kept: str) -> str:
    kept = f"A-Za-z0-9_.!~*'(){re.escape(kept)}-"
    return re.sub(
        f"[^{kept}]",
        lambda match: "".join(
            f"%{byte:02X}" for byte in match[0].encode("utf-8", "surrogateescape")
        ),
        text,
    )

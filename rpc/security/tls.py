"""TLS of a server or a client: from files that were checked to a context, and what a peer must show.

Files are read when it is loaded and never in between, so a reload is all or nothing: files that fail a
check change nothing, and connections that there are go on with what they began with.

Source: libvirt's src/rpc/virnettlscontext.c.
"""

from __future__ import annotations

import contextlib
import os
import ssl
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final

from aiovirt.rpc.security.certificates import (
    CertificateError,
    Credentials,
    Identity,
    TlsFiles,
    check_peer,
    distinguished_name,
    load,
    name_is_allowed,
    peer_certificate,
)
from aiovirt.rpc.security.priority import apply_priority
from aiovirt.rpc.security.strength import check_strength, key_kind

__all__ = ["CertificateError", "ServerTls", "TlsFiles", "TlsPolicy", "client_context"]

#: Seconds before the end of a certificate from which on it is warned about.
SOON: Final = 30 * 24 * 3600


@dataclass(frozen=True, slots=True)
class TlsPolicy:
    """The demands of a server on its own certificate and on those of its clients.

    verify: clients need a certificate of a CA that is trusted; sanity: the own files are checked, not
    only read; allowed: patterns of names, of which a client's has to match one, None for any;
    priority: as GnuTLS has it, empty for the usual.
    """

    verify: bool = True
    sanity: bool = True
    allowed: tuple[str, ...] | None = None
    priority: str = ""


class ServerTls:
    """TLS as one server has it. loaded: when its files were read last, in seconds since the epoch."""

    def __init__(
        self, files: TlsFiles, policy: TlsPolicy, warn: Callable[[str], None] = lambda text: None
    ) -> None:
        """Read the files. Blocks. Raises CertificateError, and ValueError for the priority.

        warn: told, also from threads, what is wrong but no reason to refuse.
        """
        self.files = files
        self.policy = policy
        self._warn = warn
        self.credentials, self.context = _load(files, policy)
        self.loaded = time.time()
        self._tell_warnings()

    def reload(self) -> None:
        """Read the files again, for connections to come. Blocks.

        Raises CertificateError and ValueError; then everything stays.
        """
        self.change(self.files, self.policy)

    def change(self, files: TlsFiles, policy: TlsPolicy) -> None:
        """Use other files or another policy, as `reload`."""
        credentials, context = _load(files, policy)
        self.credentials, self.context = credentials, context
        self.files, self.policy = files, policy
        self.loaded = time.time()
        self._tell_warnings()

    def set(self, **knobs: Any) -> None:
        """Change some fields of the files or the policy, by name; otherwise as `change`.

        A flag of the policy may be given by its opposite: no_verify, no_sanity.
        """
        for name in ("verify", "sanity"):
            if f"no_{name}" in knobs:
                knobs[name] = not knobs.pop(f"no_{name}")
        policy = {name: value for name, value in knobs.items() if hasattr(self.policy, name)}
        files = {name: value for name, value in knobs.items() if name not in policy}
        self.change(replace(self.files, **files), replace(self.policy, **policy))

    def admit(self, certificate: bytes | None) -> str:
        """Whether a client may come in with this certificate (DER), and the name in it.

        Its chain has been verified already. Raises CertificateError.
        """
        if certificate is None:
            if self.policy.verify:
                raise CertificateError("missing", "the client has shown none", file="[session]")
            return ""
        found = peer_certificate(certificate, server=False)
        warnings = check_peer(found, server=False)
        name = distinguished_name(found)
        for warning in warnings:
            self._warn(warning)
        if self.credentials.revoked(found):
            raise CertificateError(
                "revoked", f"'{name}' was revoked", file="[session]", certificate=name
            )
        allowed = self.policy.allowed
        if allowed is not None and not name_is_allowed(name, allowed):
            raise CertificateError(
                "name",
                f"the name '{name}' is not on tls_allowed_dn_list",
                file="[session]",
                certificate=name,
            )
        return name

    def _tell_warnings(self) -> None:
        for warning in self.credentials.warnings:
            self._warn(warning)
        self.warn_of_end()

    def warn_of_end(self) -> None:
        """Warn if a certificate in force ends soon, or has ended."""
        ends = self.credentials.expires()
        left = ends.timestamp() - time.time()
        if left < SOON:
            own = ", ".join(each.cert for each in self.credentials.own)
            self._warn(
                f"the first of the certificates {own} and {self.files.ca} ends on"
                f" {ends:%Y-%m-%d %H:%M} UTC, in {int(left // 86400)} days: put new ones there and"
                " have them read (server-update-tls)"
            )


def _load(files: TlsFiles, policy: TlsPolicy) -> tuple[Credentials, ssl.SSLContext]:
    credentials = load(files, server=True, sanity=policy.sanity)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.num_tickets = 0  # libvirt's clients do not come back with one
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.verify_mode = ssl.CERT_REQUIRED if policy.verify else ssl.CERT_NONE
    # What is revoked is looked at in `admit`: OpenSSL would refuse everybody whose CA has no list, or an
    # old one.
    _equip(context, credentials, files, policy.priority, sanity=policy.sanity)
    return credentials, context


def client_context(
    files: TlsFiles, *, verify: bool = True, priority: str = "", sanity: bool = True
) -> ssl.SSLContext:
    """Make the context of a client. Blocks. Raises CertificateError, and ValueError for the priority.

    verify: whether the server's certificate, and its name, have to be right.
    """
    credentials = load(files, server=False, sanity=sanity)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    _equip(context, credentials, files, priority, sanity=sanity)
    if credentials.crl_pem:
        with _openssl_takes_it(files.crl), _as_file(credentials.crl_pem) as path:
            context.load_verify_locations(cafile=path)
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    return context


def _equip(
    context: ssl.SSLContext,
    credentials: Credentials,
    files: TlsFiles,
    priority: str,
    *,
    sanity: bool,
) -> None:
    """Set up a context that has its `verify_mode` already.

    Without `sanity` a weak CA is accepted here, and refuses those that it has signed.
    """
    apply_priority(priority, context)
    level, role = context.security_level, "server"
    if context.protocol == ssl.PROTOCOL_TLS_CLIENT:
        role = "client"
    priority = priority or "NORMAL"
    for own in credentials.own:
        check_strength(role, own.cert, own.chain, level=level, priority=priority)
    if sanity and context.verify_mode != ssl.CERT_NONE:
        check_strength("CA", files.ca, credentials.ca, level=level, priority=priority)
    with _openssl_takes_it(files.ca):
        context.load_verify_locations(cadata=credentials.ca_pem.decode())
    # A CA that is trusted need not be the root of its own chain, as with GnuTLS.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    for own in _one_of_each_kind(credentials):
        with _openssl_takes_it(own.cert), _as_file(own.chain_pem + own.key_pem) as path:
            context.load_cert_chain(path)


def _one_of_each_kind(credentials: Credentials) -> list[Identity]:
    """Choose the own certificates that OpenSSL can hold at once: the first of each kind of key.

    A warning is added to the credentials for each of the others, which no peer is shown.
    """
    chosen: dict[str, Identity] = {}
    for own in credentials.own:
        kind = key_kind(own.chain[0])
        first = chosen.setdefault(kind, own)
        if first is not own:
            credentials.warnings.append(
                f"The certificate {own.cert} is not used: its key is of the same kind ({kind}) as"
                f" that of {first.cert}"
            )
    return list(chosen.values())


@contextlib.contextmanager
def _openssl_takes_it(file: str) -> Iterator[None]:
    """Raise CertificateError for what OpenSSL does not accept of files that passed all checks."""
    try:
        yield
    except ssl.SSLError as error:
        text = f"OpenSSL does not accept the TLS file {file}: {error.reason or error}"
        raise CertificateError("unreadable", text, file=file) from error


@contextlib.contextmanager
def _as_file(data: bytes) -> Iterator[str]:
    """Bytes that were checked, as a file for who reads nothing else; it is in memory only."""
    descriptor = os.memfd_create("aiovirt-tls", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, data)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)

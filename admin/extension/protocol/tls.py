"""TLS of a server: the certificates in force."""

from __future__ import annotations

from typing import Annotated, Final

from aiovirt.admin.extension.protocol.program import EXTENSION
from aiovirt.admin.protocol import ServerRef
from aiovirt.rpc.wire import xdr

#: The most certificates, or revocation lists, that one answer has of a kind.
CERTIFICATES: Final = 64


@xdr.struct
class CertificateInfo:
    """A certificate in force.

    subject, issuer: names, as client-info shows them; serial: in hexadecimal digits; fingerprint:
    SHA-256 of the whole, likewise; not_before, not_after: seconds since the epoch.
    """

    subject: xdr.Str
    issuer: xdr.Str
    serial: xdr.Str
    fingerprint: xdr.Str
    not_before: xdr.Hyper
    not_after: xdr.Hyper


@xdr.struct
class RevocationInfo:
    """A revocation list in force.

    revoked: how many certificates it names; updated, due: seconds since the epoch, due 0 if it does not
    say.
    """

    issuer: xdr.Str
    revoked: xdr.UInt
    updated: xdr.Hyper
    due: xdr.Hyper


@xdr.struct
class TlsInfo:
    """TLS of a server.

    loaded: when its files were read, in seconds since the epoch; own: its certificate, then those
    between it and the CA; verify: whether clients need a certificate; priority: the setting
    `tls_priority`.
    """

    cert_file: xdr.Str
    key_file: xdr.Str
    ca_file: xdr.Str
    crl_file: xdr.Str
    loaded: xdr.Hyper
    own: Annotated[list[CertificateInfo], xdr.Array(CertificateInfo, CERTIFICATES)]
    authorities: Annotated[list[CertificateInfo], xdr.Array(CertificateInfo, CERTIFICATES)]
    revocations: Annotated[list[RevocationInfo], xdr.Array(RevocationInfo, CERTIFICATES)]
    verify: xdr.Bool
    priority: xdr.Str


@xdr.struct
class TlsArgs:
    """A server."""

    server: ServerRef
    flags: xdr.UInt


SERVER_GET_TLS: Final = EXTENSION.procedure(
    1, "SERVER_GET_TLS", TlsArgs, TlsInfo, flags=0, reads=True
)

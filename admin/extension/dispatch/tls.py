"""TLS of a server."""

from __future__ import annotations

from typing import TYPE_CHECKING

from aiovirt.admin.extension.protocol import tls as protocol
from aiovirt.admin.extension.protocol.tls import CertificateInfo, RevocationInfo, TlsInfo
from aiovirt.rpc.server import Client, Daemon, check_flags, serves
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

if TYPE_CHECKING:
    from cryptography import x509


class TlsDispatch:
    """Serves the procedures about TLS."""

    def __init__(self, daemon: Daemon) -> None:
        self._daemon = daemon

    @serves(protocol.SERVER_GET_TLS, checks_flags=True)
    def get_tls(self, client: Client, args: protocol.TlsArgs) -> TlsInfo:
        server = self._daemon.server(args.server.name)
        check_flags(protocol.SERVER_GET_TLS, args.flags)
        security = server.tls
        if security is None:
            raise RpcError(ErrorCode.INTERNAL_ERROR, f"server {server.name} has no TLS service")
        found, files = security.credentials, security.files
        return TlsInfo(
            cert_file=", ".join(cert for cert, _ in files.pairs()),
            key_file=", ".join(key for _, key in files.pairs()),
            ca_file=files.ca,
            crl_file=files.crl,
            loaded=int(security.loaded),
            own=[_certificate(one) for one in found.chain[: protocol.CERTIFICATES]],
            authorities=[_certificate(one) for one in found.ca[: protocol.CERTIFICATES]],
            revocations=[_revocations(one) for one in found.crls[: protocol.CERTIFICATES]],
            verify=security.policy.verify,
            priority=security.policy.priority,
        )


def _certificate(found: x509.Certificate) -> CertificateInfo:
    from cryptography.hazmat.primitives import hashes

    from aiovirt.rpc.security.names import distinguished_name, name_text

    return CertificateInfo(
        subject=distinguished_name(found),
        issuer=name_text(found.issuer),
        serial=f"{found.serial_number:x}",
        fingerprint=found.fingerprint(hashes.SHA256()).hex(),
        not_before=int(found.not_valid_before_utc.timestamp()),
        not_after=int(found.not_valid_after_utc.timestamp()),
    )


def _revocations(found: x509.CertificateRevocationList) -> RevocationInfo:
    from aiovirt.rpc.security.names import name_text

    due = found.next_update_utc
    return RevocationInfo(
        issuer=name_text(found.issuer),
        revoked=len(found),
        updated=int(found.last_update_utc.timestamp()),
        due=int(due.timestamp()) if due is not None else 0,
    )

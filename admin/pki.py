"""A PKI for development: one CA, a server's certificate and a client's, laid out as libvirt looks for
them; and where such files are in a folder.

The keys lie unprotected beside the certificates, so this is nothing to run a data center on.

Source: libvirt's docs/kbase/tlscerts.rst and src/rpc/virnettlscontext.c
(virNetTLSContextLocateCredentials).
"""

from __future__ import annotations

import ipaddress
import os
import re
import socket
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from aiovirt.rpc.security.certificates import TlsFiles

#: How many days certificates are valid, and may be.
DEFAULT_DAYS: Final = 365
MAX_DAYS: Final = 36500

_HOST_NAME: Final = re.compile(r"(?=.{1,253}\Z)(\*\.)?[\w-]{1,63}(\.[\w-]{1,63})*", re.ASCII)
#: Clocks differ: a certificate made here is to be valid on the next machine at once.
_EARLIER: Final = timedelta(hours=1)
#: The organization in every certificate, and the common name of the CA: virt-pki-validate compares them.
_ORGANIZATION: Final = "Development"


class Layout(NamedTuple):
    """Where the files are below a folder, with the modes that libvirt's virt-pki-validate asks for.

    folders: each with its mode; files: CA key, server key, client key, CA certificate, revocation list,
    server certificate and client certificate, each with its mode; links: more names for keys.
    """

    folders: dict[str, int]
    files: dict[str, int]
    links: dict[str, str]

    @property
    def names(self) -> list[str]:
        """All files and links."""
        return [*self.files, *self.links]


#: One folder of one user, as for libvirt's `?pkipath=`, which looks for keys beside their certificates.
PRIVATE: Final = Layout(
    folders={"": 0o700, "private": 0o700},
    files={
        "private/cakey.pem": 0o600,
        "private/serverkey.pem": 0o600,
        "private/clientkey.pem": 0o600,
        "cacert.pem": 0o600,
        "cacrl.pem": 0o600,
        "servercert.pem": 0o600,
        "clientcert.pem": 0o600,
    },
    links={
        "serverkey.pem": "private/serverkey.pem",
        "clientkey.pem": "private/clientkey.pem",
    },
)
#: The folders of /etc/pki. Every user of the machine may be a client, so all can read the client's key.
SYSTEM: Final = Layout(
    folders={
        "": 0o755,
        "CA": 0o755,
        "CA/private": 0o700,
        "libvirt": 0o755,
        "libvirt/private": 0o755,
    },
    files={
        "CA/private/cakey.pem": 0o600,
        "libvirt/private/serverkey.pem": 0o600,
        "libvirt/private/clientkey.pem": 0o644,
        "CA/cacert.pem": 0o644,
        "CA/cacrl.pem": 0o644,
        "libvirt/servercert.pem": 0o644,
        "libvirt/clientcert.pem": 0o644,
    },
    links={},
)


def default_hosts() -> list[str]:
    """Return the names of this machine: its host name if that is a proper one, and the loopback's."""
    name = socket.gethostname()
    own = [name] if _HOST_NAME.fullmatch(name) else []
    return list(dict.fromkeys([*own, "localhost", "127.0.0.1", "::1"]))


def create(
    folder: str | os.PathLike[str],
    *,
    hosts: Sequence[str],
    days: int = DEFAULT_DAYS,
    force: bool = False,
    layout: Layout = PRIVATE,
) -> list[Path]:
    """Make a CA, a server's and a client's certificate with their keys, and an empty revocation list.

    Keys are for their owner alone from the first moment on (in `SYSTEM`, the client's is for all users).
    Existing folders keep their modes.

    Args:
        folder: where to put them; it is made if it does not exist.
        hosts: names and IP addresses of the server, the first of which names its certificate.
        days: how long all is valid, from now.
        force: replace existing files.
        layout: the names and modes of the files.

    Returns:
        The paths of what was written.

    Raises:
        FileExistsError: one of the files exists; nothing was written.
        ValueError: a host, or the number of days, is not possible.
        OSError: a file cannot be written.
    """
    names = _alternatives(hosts)
    if not 1 <= days <= MAX_DAYS:
        raise ValueError(f"{days} days: certificates are made for 1 to {MAX_DAYS} days")
    root = Path(folder)
    if not force:
        there = [str(root / name) for name in layout.names if os.path.lexists(root / name)]
        if there:
            raise FileExistsError(f"{', '.join(there)}: nothing is overwritten unless forced")
    contents = _contents(names, hosts[0], timedelta(days))
    for name, mode in layout.folders.items():
        _make_folder(root / name, mode)
    place = os.replace if force else _place_new
    for (name, mode), content in zip(layout.files.items(), contents, strict=True):
        _write(root / name, content, mode, place)
    for name, target in layout.links.items():
        _link(root / name, target, place)
    return [root / name for name in layout.names]


def server_files(folder: str | os.PathLike[str]) -> TlsFiles:
    """Where a server's files are in a folder such as /etc/pki, or one that `create` has made."""
    return _files(Path(folder), "server")


def client_files(folder: str | os.PathLike[str]) -> TlsFiles:
    """Where a client's files are in a folder such as /etc/pki, or one that `create` has made."""
    return _files(Path(folder), "client")


def _files(root: Path, role: str) -> TlsFiles:
    authority = own = root
    if not (root / "cacert.pem").exists() and (root / "CA").is_dir():
        authority, own = root / "CA", root / "libvirt"
    key = own / "private" / f"{role}key.pem"
    if not os.path.lexists(key) and os.path.lexists(own / key.name):
        key = own / key.name
    return TlsFiles(
        ca=str(authority / "cacert.pem"),
        cert=str(own / f"{role}cert.pem"),
        key=str(key),
        crl=str(authority / "cacrl.pem"),
    )


def _alternatives(hosts: Sequence[str]) -> list[x509.GeneralName]:
    """Return the names with which a client compares the host that it connects to."""
    if not hosts:
        raise ValueError("a server's certificate needs at least one host")
    names: list[x509.GeneralName] = []
    for host in dict.fromkeys(hosts):
        try:
            names.append(x509.IPAddress(ipaddress.ip_address(host)))
        except ValueError:
            if not _HOST_NAME.fullmatch(host):
                raise ValueError(f"'{host}' is neither a host name nor an IP address") from None
            names.append(x509.DNSName(host))
    return names


class _Authority(NamedTuple):
    """The CA: signs what the others need."""

    key: ec.EllipticCurvePrivateKey
    name: x509.Name
    start: datetime
    end: datetime

    @classmethod
    def made(cls, valid: timedelta) -> _Authority:
        now = datetime.now(UTC).replace(microsecond=0)
        # With a name of its own the CA of yesterday's try is not taken for this one.
        name = _name(_ORGANIZATION, f"CA {os.urandom(4).hex()}")
        return cls(_new_key(), name, now - _EARLIER, now + valid)

    def certificate(self) -> bytes:
        builder = self._builder(self.name, self.key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        return self._signed(builder.add_extension(_usage("key_cert_sign", "crl_sign"), True))

    def issue(
        self,
        common_name: str,
        key: ec.EllipticCurvePrivateKey,
        purpose: x509.ObjectIdentifier,
        hosts: Iterable[x509.GeneralName] = (),
    ) -> bytes:
        builder = self._builder(_name(common_name), key.public_key())
        builder = builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
        # libvirt asks for the second even where, as here, no key is enciphered.
        builder = builder.add_extension(_usage("digital_signature", "key_encipherment"), True)
        builder = builder.add_extension(x509.ExtendedKeyUsage([purpose]), True)
        builder = builder.add_extension(self._identifier(), False)
        if hosts:
            builder = builder.add_extension(x509.SubjectAlternativeName(hosts), False)
        return self._signed(builder)

    def revocation_list(self) -> bytes:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.name)
            .last_update(self.start)
            .next_update(self.end)
            .add_extension(x509.CRLNumber(1), False)
            .add_extension(self._identifier(), False)
        )
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)

    def _identifier(self) -> x509.AuthorityKeyIdentifier:
        return x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey
    ) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .issuer_name(self.name)
            .subject_name(subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(self.start)
            .not_valid_after(self.end)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), False)
        )

    def _signed(self, builder: x509.CertificateBuilder) -> bytes:
        return builder.sign(self.key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def _contents(names: list[x509.GeneralName], host: str, valid: timedelta) -> list[bytes]:
    """The contents of a layout's files, in their order."""
    authority, server, client = _Authority.made(valid), _new_key(), _new_key()
    # A common name has room for 64 characters; clients look at the alternatives anyway.
    server_name = host if len(host) <= 64 else "server"
    return [
        *(_key_pem(key) for key in (authority.key, server, client)),
        authority.certificate(),
        authority.revocation_list(),
        authority.issue(server_name, server, ExtendedKeyUsageOID.SERVER_AUTH, names),
        authority.issue("client", client, ExtendedKeyUsageOID.CLIENT_AUTH),
    ]


def _new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _name(common_name: str, unit: str = "") -> x509.Name:
    parts = [(NameOID.ORGANIZATION_NAME, _ORGANIZATION)]
    if unit:
        parts.append((NameOID.ORGANIZATIONAL_UNIT_NAME, unit))
    parts.append((NameOID.COMMON_NAME, common_name))
    return x509.Name([x509.NameAttribute(kind, text) for kind, text in parts])


def _usage(*permitted: str) -> x509.KeyUsage:
    uses = (
        "digital_signature",
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "key_cert_sign",
        "crl_sign",
        "encipher_only",
        "decipher_only",
    )
    return x509.KeyUsage(**{use: use in permitted for use in uses})


def _place_new(new: Path, path: Path) -> None:
    """Rename, but not over anything that came meanwhile."""
    os.link(new, path, follow_symlinks=False)
    new.unlink()


def _make_folder(path: Path, mode: int) -> None:
    """Make a folder with exactly this mode, unless it exists."""
    try:
        path.mkdir(mode=0o700, parents=True)
    except FileExistsError:
        if not path.is_dir():
            raise
    else:
        path.chmod(mode)  # whatever the umask


def _write(path: Path, content: bytes, mode: int, place: Callable[[Path, Path], None]) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}")
    with open(
        os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb"
    ) as file:
        try:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)  # whatever the umask
            place(new, path)
        except BaseException:
            new.unlink(missing_ok=True)
            raise


def _link(path: Path, target: str, place: Callable[[Path, Path], None]) -> None:
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.symlink_to(target)
    try:
        place(new, path)
    except BaseException:
        new.unlink(missing_ok=True)
        raise

"""The commands about certificates: make some for development, and check existing ones.

They work on files and need no daemon. Source of what is checked, besides the rules of
`rpc.security.certificates`: libvirt's tools/virt-pki-validate.in.
"""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from aiovirt.admin.cli.failure import CommandFailed
from aiovirt.admin.cli.invocation import Invocation
from aiovirt.admin.cli.session import AdminSession
from aiovirt.admin.cli.table import Command, Group, Option, OptionKind
from aiovirt.admin.cli.tabular import table, when

# What makes and reads certificates is slow to load, and only these commands need it.
if TYPE_CHECKING:
    from cryptography import x509

    from aiovirt.rpc.security.certificates import Credentials, TlsFiles

_PKI: Final = "/etc/pki"
_ROLES: Final = ("server", "client")
#: From how many days on the end of a certificate is near.
_SOON: Final = 30


async def _pki_init(session: AdminSession, command: Invocation) -> None:
    from aiovirt.admin import pki

    folder = command.required("dir")
    hosts = command.all("host") or pki.default_hosts()
    days = command.number("days")
    try:
        made = pki.create(
            folder,
            hosts=hosts,
            days=pki.DEFAULT_DAYS if days is None else days,
            force=command.given("force"),
            layout=pki.SYSTEM if command.given("system") else pki.PRIVATE,
        )
    except FileExistsError as error:
        raise CommandFailed(f"No PKI made in '{folder}'", f"{error} (--force)") from error
    except (OSError, ValueError) as error:
        raise CommandFailed(f"No PKI made in '{folder}'", str(error)) from error
    session.terminal.answer(
        {"directory": folder, "hosts": hosts, "files": [str(path) for path in made]},
        f"PKI for {', '.join(hosts)} made in '{folder}'\n",
    )


async def _pki_check(session: AdminSession, command: Invocation) -> None:
    report = _Report()
    for role, files, required in _asked(command):
        if required or _there(files):
            _examine(report, role, files, required=required)
        else:
            session.terminal.remark(f"no {role} certificate: this is no {role}\n")
    if not report.rows and not report.problems:
        folder = command.text("dir") or _PKI
        report.problem("missing", f"There is no server's or client's certificate in '{folder}'")
    header = ("What", "File", "Name", "Valid until", "Days left", "Good for")
    shown = table(header, map(_cells, report.rows), with_header=not session.terminal.quiet)
    notes = "".join(f"warning: {text}\n" for text in report.warnings)
    session.terminal.answer(report.as_data(), (shown if report.rows else "") + notes)
    if report.problems:
        raise CommandFailed(*(problem["message"] for problem in report.problems))


def _asked(command: Invocation) -> Iterator[tuple[str, TlsFiles, bool]]:
    """Yield the files to check: the role, the files, and whether they have to exist."""
    from aiovirt.admin import pki
    from aiovirt.rpc.security.certificates import TlsFiles

    chosen = [role for role in _ROLES if command.given(role)]
    if len(chosen) > 1:
        raise CommandFailed("Options --server and --client are mutually exclusive")
    folder = command.text("dir")
    paths = {name: command.text(name) or "" for name in ("ca", "cert", "key", "crl")}
    if any(paths.values()):
        if folder is not None:
            raise CommandFailed("Either a directory is checked, or the files that are named")
        role = "server" if paths["cert"] or paths["key"] else "client"
        yield (
            (*chosen, role)[0],
            TlsFiles(paths["ca"], paths["cert"], paths["key"], paths["crl"]),
            True,
        )
        return
    folder = _PKI if folder is None else folder
    for role in chosen or _ROLES:
        files = pki.server_files(folder) if role == "server" else pki.client_files(folder)
        yield role, files, bool(chosen)


def _there(files: TlsFiles) -> bool:
    return os.path.lexists(files.cert) or os.path.lexists(files.key)


@dataclass(slots=True)
class _Report:
    """All findings, each once. rows: certificates, keys and revocation lists."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    problems: list[dict[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def row(self, what: str, file: str, **about: Any) -> None:
        """Take note of a certificate, key or revocation list."""
        row = {"what": what, "file": file, **about}
        if row not in self.rows:
            self.rows.append(row)

    def problem(self, rule: str, message: str, file: str = "", certificate: str = "") -> None:
        """Take note of something that is wrong."""
        problem = {"rule": rule, "file": file, "certificate": certificate, "message": message}
        if problem not in self.problems:
            self.problems.append(problem)

    def warn(self, texts: Iterable[str]) -> None:
        """Take note of what is not as it should be."""
        self.warnings.extend(text for text in texts if text not in self.warnings)

    def as_data(self) -> dict[str, Any]:
        """The report for JSON."""
        return {
            "ok": not self.problems,
            "files": self.rows,
            "problems": self.problems,
            "warnings": self.warnings,
        }


def _examine(report: _Report, role: str, files: TlsFiles, *, required: bool) -> None:
    from aiovirt.rpc.security.certificates import CertificateError, load

    server = role == "server"
    try:
        found = load(files, server=server, sanity=False)
        _describe(report, role, files, found)
        report.warn(load(files, server=server).warnings)
        if required and files.cert and not found.chain:
            report.problem("missing", f"There is no {role} certificate {files.cert}", files.cert)
    except CertificateError as error:
        report.problem(error.rule, str(error), error.file, error.certificate)
    _check_key_file(report, role, files.key)


def _describe(report: _Report, role: str, files: TlsFiles, found: Credentials) -> None:
    from aiovirt.rpc.security.names import name_text

    now = datetime.now(UTC)
    for at, certificate in enumerate(found.chain):
        kind = f"{role} certificate" if at == 0 else "CA between"
        _describe_certificate(report, kind, files.cert, certificate, now)
    for certificate in found.ca:
        _describe_certificate(report, "CA certificate", files.ca, certificate, now)
    for crl in found.crls:
        until = crl.next_update_utc
        report.row(
            "revocation list",
            files.crl,
            name=name_text(crl.issuer),
            until=None if until is None else int(until.timestamp()),
            days_left=None if until is None else (until - now).days,
            revoked=len(crl),
        )
    if role == "server":
        report.warn(_host_warnings(files.cert, _hosts(found.chain[0])))


def _describe_certificate(
    report: _Report, what: str, file: str, certificate: x509.Certificate, now: datetime
) -> None:
    from aiovirt.rpc.security.certificates import distinguished_name

    since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    name = distinguished_name(certificate)
    left = (until - now).days
    report.row(
        what,
        file,
        name=name,
        since=int(since.timestamp()),
        until=int(until.timestamp()),
        days_left=left,
        hosts=_hosts(certificate),
    )
    if 0 <= left < _SOON:
        report.warn([f"The {what} {file} ({name}) expires in {left} days"])


def _hosts(certificate: x509.Certificate) -> list[str]:
    """The hosts that a certificate is good for, by their names and addresses."""
    from cryptography import x509

    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = found.get_values_for_type(x509.IPAddress)
    return [*found.get_values_for_type(x509.DNSName), *map(str, addresses)]


def _host_warnings(file: str, hosts: list[str]) -> Iterator[str]:
    here = socket.gethostname().lower()
    fitting = {here, here.partition(".")[0], f"*.{here.partition('.')[2]}"}
    if not hosts:
        yield (
            f"The server certificate {file} has no alternative names, where clients look for the host"
        )
    elif fitting.isdisjoint(host.lower() for host in hosts):
        yield f"The server certificate {file} is not for this host's name, '{here}'"


def _check_key_file(report: _Report, role: str, path: str) -> None:
    """Check which users can read a key, and replace it."""
    try:
        status = os.stat(path)
    except OSError:
        return  # said already, if it has to be there
    mode = stat.S_IMODE(status.st_mode)
    report.row(f"{role} key", path, mode=f"{mode:04o}", owner=status.st_uid)
    head = f"The {role} key {path} (mode {mode:04o})"
    if role == "server" and mode & 0o077:
        report.problem("key-mode", f"{head} is not for its owner alone; chmod 600", path)
    elif mode & 0o022:
        report.problem("key-mode", f"{head} can be replaced by others; chmod go-w", path)
    elif mode & 0o004:
        report.warn([f"{head} can be read by every user"])
    if status.st_uid not in (0, os.geteuid()):
        report.warn([f"The {role} key {path} belongs to user {status.st_uid}"])


def _cells(row: dict[str, Any]) -> tuple[str, ...]:
    until, left = row.get("until"), row.get("days_left")
    good_for = ", ".join(row.get("hosts", ()))
    if "mode" in row:
        good_for = f"mode {row['mode']}"
    elif "revoked" in row:
        good_for = f"{row['revoked']} revoked"
    return (
        row["what"],
        row["file"],
        row.get("name") or "-",
        "-" if until is None else when(until),
        "-" if left is None else str(left),
        good_for or "-",
    )


def _file_option(name: str, what: str) -> Option:
    return Option(name, OptionKind.STRING, what, named_only=True)


GROUP: Final = Group(
    "Certificates",
    "pki",
    (
        Command(
            "pki-init",
            _pki_init,
            "make certificates for development",
            "Make a CA, a server's and a client's certificate with their keys, and an empty revocation"
            " list, in one directory, which is also good for libvirt's '?pkipath='. The keys have no"
            " password.",
            (
                Option("dir", OptionKind.DATA, "where to put them", required=True),
                Option(
                    "days",
                    OptionKind.NUMBER,
                    "how long they are valid (default: 365)",
                    named_only=True,
                ),
                Option("force", OptionKind.FLAG, "replace existing files"),
                Option(
                    "system",
                    OptionKind.FLAG,
                    "the folders and modes of /etc/pki, for all users of the machine",
                ),
                Option(
                    "host",
                    OptionKind.REST,
                    "a name or address of the server (default: those of this machine)",
                ),
            ),
            connected=False,
        ),
        Command(
            "pki-check",
            _pki_check,
            "check certificates, keys and revocation lists",
            "Check the files that TLS needs by the rules that daemons and clients go by, and show them."
            " It fails when something is wrong.",
            (
                Option("dir", OptionKind.STRING, f"where they are (default: {_PKI})"),
                _file_option("ca", "instead of a directory: certificates of the CAs to trust"),
                _file_option("cert", "the certificate, and those between it and the CA"),
                _file_option("key", "its key"),
                _file_option("crl", "the CA's revocation list"),
                Option("server", OptionKind.FLAG, "check what a server needs"),
                Option("client", OptionKind.FLAG, "check what a client needs"),
            ),
            connected=False,
        ),
    ),
)

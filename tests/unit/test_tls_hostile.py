"""TLS with certificates and lists that no CA should make: refused in words, and nothing is left."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import ssl
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from aiovirt.rpc.security.certificates import CertificateError, TlsFiles, load, peer_certificate
from aiovirt.rpc.security.tls import ServerTls, TlsPolicy, client_context
from aiovirt.rpc.server import Access, Daemon, ServerOptions
from tests.certificates_maker import GOOD, GOOD_CA, Made, key_pem, make, make_crl, pem
from tests.fuzz.der import signed, split, value
from tests.unit.house import PATIENCE, eventually

V3 = bytes.fromhex("a003020102")
V6 = bytes.fromhex("a003020105")


class Folder:
    """Files of a CA whose signature can be had for anything."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ca = make(replace(GOOD_CA, kind="ed25519", digest=None))
        own = replace(GOOD, digest=None, hosts=("localhost",))
        self.server = make(replace(own, name="the server"), self.ca)
        self.guest = make(replace(own, name="a client"), self.ca)
        self.write("ca", pem(self.ca))
        self.put("server", self.server, self.server.certificate.public_bytes(Encoding.PEM))

    def write(self, name: str, data: bytes) -> None:
        (self.path / f"{name}.pem").write_bytes(data)

    def put(self, name: str, made: Made, certificate: bytes) -> None:
        self.write(name, certificate)
        self.write(f"{name}-key", key_pem(made.key))

    def files(self, name: str) -> TlsFiles:
        paths = (str(self.path / f"{each}.pem") for each in ("ca", name, f"{name}-key", "crl"))
        return TlsFiles(*paths)

    def sign(self, tbs: bytes) -> bytes:
        key: Any = self.ca.key
        return signed(tbs, key.sign)

    def guest_with(self, old: bytes, new: bytes) -> bytes:
        """The client's certificate, in DER, with one value changed."""
        tbs = self.guest.certificate.tbs_certificate_bytes
        assert replaced(tbs, old, new) != tbs
        return self.sign(replaced(tbs, old, new))


def replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    """DER with one value for another, wherever it stands; the lengths around it fit."""
    made = b""
    for tag, content in split(data) or ():
        inside = content if not tag & 0x20 else replaced(content, old, new)
        whole = value(tag, content)
        made += new if whole == old else value(tag, inside)
    return made


def armored(label: str, data: bytes) -> bytes:
    text = base64.encodebytes(data).decode()
    return f"-----BEGIN {label}-----\n{text}-----END {label}-----\n".encode()


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def serial_of(made: Made) -> bytes:
    number = made.certificate.serial_number
    return value(2, number.to_bytes(number.bit_length() // 8 + 1, "big"))


def extension(oid: str, content: bytes) -> bytes:
    return value(0x30, value(6, bytes.fromhex(oid)) + value(4, value(0x30, content)))


def alternatives(content: bytes) -> bytes:
    """The extension with other names of the host."""
    return extension("551d11", content)


HOSTS = alternatives(value(0x82, b"localhost"))
#: An X.400 address, which `cryptography` does not know.
X400 = alternatives(value(0xA3, value(0x30, b"")))
FEATURE_21 = extension("2b06010505070118", value(2, b"\x15"))
COMMON_NAME = value(0x0C, b"a client")

HOSTILE = [
    pytest.param(V3, V6, id="a version that there is not"),
    pytest.param(HOSTS, X400, id="a name of an unknown kind"),
    pytest.param(HOSTS, FEATURE_21, id="a TLS feature that is not known"),
    pytest.param(HOSTS, HOSTS + HOSTS, id="an extension twice"),
    pytest.param(COMMON_NAME, bytes.fromhex("1f8105026162"), id="a tag of three bytes"),
]


@pytest.mark.parametrize(("old", "new"), HOSTILE)
def test_a_peer_whose_certificate_cannot_be_understood_is_refused(
    folder: Folder, old: bytes, new: bytes
) -> None:
    tls = ServerTls(folder.files("server"), TlsPolicy())
    with pytest.raises(CertificateError, match=r"client certificate \[session\] cannot be") as told:
        tls.admit(folder.guest_with(old, new))
    assert told.value.rule == "unreadable"


@pytest.mark.parametrize("data", [b"", b"\x30", b"\x30\0", bytes(100)])
def test_what_is_no_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(CertificateError, match="no certificate"):
        peer_certificate(data, server=True)


@pytest.mark.parametrize(("old", "new"), HOSTILE)
@pytest.mark.parametrize("sanity", [True, False])
def test_a_file_whose_certificate_cannot_be_understood_is_refused(
    folder: Folder, old: bytes, new: bytes, sanity: bool
) -> None:
    folder.put("client", folder.guest, armored("CERTIFICATE", folder.guest_with(old, new)))
    with pytest.raises(CertificateError, match=r"client certificate .* cannot be used") as told:
        load(folder.files("client"), server=False, sanity=sanity)
    assert told.value.file == folder.files("client").cert


async def test_a_handshake_with_such_a_certificate_ends_the_connection(folder: Folder) -> None:
    told: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: told.append(context))
    daemon = Daemon("house")
    server = daemon.add_server(ServerOptions("main"))
    server.tls = ServerTls(folder.files("server"), TlsPolicy())
    (service,) = server.listen_tcp("127.0.0.1", 0, access=Access(tls=True))
    ready = asyncio.Event()
    serving = asyncio.create_task(daemon.serve(ready.set))
    await ready.wait()
    folder.put("client", folder.guest, armored("CERTIFICATE", folder.guest_with(V3, V6)))
    context = ssl.create_default_context(cafile=folder.files("client").ca)
    context.load_cert_chain(folder.files("client").cert, folder.files("client").key)
    async with asyncio.timeout(PATIENCE):
        reader, writer = await asyncio.open_connection(
            "localhost", service.sock.getsockname()[1], ssl=context
        )
        with contextlib.suppress(OSError):
            assert await reader.read() == b""
    await eventually(lambda: not len(server.registry))
    assert not told
    writer.close()
    daemon.shutdown()
    daemon.shutdown()
    await serving


@pytest.mark.parametrize("listed", [False, True])
def test_a_negative_serial_number_can_be_revoked(folder: Folder, listed: bool) -> None:
    minus_five = value(2, b"\xfb")
    other = make(replace(GOOD, name="another"), folder.ca)
    crl = make_crl(folder.ca, [other]).tbs_certlist_bytes
    if listed:
        crl = replaced(crl, serial_of(other), minus_five)
    folder.write("crl", armored("X509 CRL", folder.sign(crl)))
    tls = ServerTls(folder.files("server"), TlsPolicy())
    guest = folder.guest_with(serial_of(folder.guest), minus_five)
    if listed:
        with pytest.raises(CertificateError, match="'CN=a client' was revoked"):
            tls.admit(guest)
    else:
        assert tls.admit(guest) == "CN=a client"


def test_a_list_of_a_version_that_there_is_not_is_refused(folder: Folder) -> None:
    crl = make_crl(folder.ca).tbs_certlist_bytes
    ((tag, content),) = split(crl) or ()
    version = value(2, b"\1")
    assert content.startswith(version)
    hostile = value(tag, value(2, b"\7") + content[len(version) :])
    folder.write("crl", armored("X509 CRL", folder.sign(hostile)))
    with pytest.raises(CertificateError, match="revocation list") as told:
        load(folder.files("server"), server=True)
    assert told.value.file == folder.files("server").crl


def test_a_list_that_openssl_does_not_take_is_refused(folder: Folder) -> None:
    text, time = value(0x0C, b"the CA"), value(0x17, b"the CA")
    crl = folder.sign(replaced(make_crl(folder.ca).tbs_certlist_bytes, text, time))
    folder.put("client", folder.guest, pem(folder.guest))
    folder.write("crl", armored("X509 CRL", crl))
    with pytest.raises(CertificateError, match="OpenSSL does not accept"):
        client_context(folder.files("client"))

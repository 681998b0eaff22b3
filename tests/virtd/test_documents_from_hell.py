"""Documents that attack, by real calls: accepted, or refused in libvirt's codes; virtd goes on.

Every kind of object that a document makes is tried. How a single document is read is in
tests/unit/test_xml_reading.py.
"""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Any

import pytest

from aiovirt.daemons.virtd import protocol
from aiovirt.rpc.client import Connection, connect_unix
from aiovirt.rpc.wire import xdr
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from aiovirt.rpc.wire.message import MAX_FRAME
from aiovirt.rpc.wire.program import Program
from tests.fuzz.virtd_world import DEVICES, DOCUMENTS, filled, prepare
from tests.virtd.conftest import Virtd

URIS = {"test": "test:///default", "qemu": "qemu:///system"}
#: Bytes that a string of the remote program may have.
LONGEST = xdr.STRING_MAX
#: Calls on their way at the same time.
AT_ONCE = 50
#: MiB that a daemon may have taken at its worst, and it has 60 without any of this.
MEMORY = 400

Outcome = RpcError | str
Make = Callable[[str], tuple[Any, Any]]


class Victim:
    """A connection to a host with objects, and the calls that take documents."""

    def __init__(self, connection: Connection, driver: str) -> None:
        self.connection = connection
        self.driver = driver

    async def prepare(self) -> None:
        """Make the objects that some documents belong to."""
        await prepare(self.connection.call, self.driver)
        look = protocol.NameArgs
        call = self.connection.call
        self.domain = (await call(protocol.DOMAIN_LOOKUP_BY_NAME, look("idle"))).dom
        self.pool = (await call(protocol.STORAGE_POOL_LOOKUP_BY_NAME, look("pool"))).pool
        self.net = (await call(protocol.NETWORK_LOOKUP_BY_NAME, look("net"))).net

    def calls(self) -> dict[str, Make]:
        """The call that makes an object of each kind."""
        p = protocol
        domain, pool, net = self.domain, self.pool, self.net
        return {
            "domain": lambda text: (p.DOMAIN_DEFINE_XML, p.XmlArgs(text)),
            "network": lambda text: (p.NETWORK_DEFINE_XML, p.XmlArgs(text)),
            "pool": lambda text: (p.STORAGE_POOL_DEFINE_XML, p.XmlFlagsArgs(text, 0)),
            "volume": lambda text: (
                p.STORAGE_VOL_CREATE_XML,
                p.StorageVolCreateXmlArgs(pool, text, 0),
            ),
            "secret": lambda text: (p.SECRET_DEFINE_XML, p.XmlFlagsArgs(text, 0)),
            "nwfilter": lambda text: (p.NWFILTER_DEFINE_XML, p.XmlArgs(text)),
            "interface": lambda text: (p.INTERFACE_DEFINE_XML, p.XmlFlagsArgs(text, 0)),
            "snapshot": lambda text: (
                p.DOMAIN_SNAPSHOT_CREATE_XML,
                p.DomainXmlDescFlagsArgs(domain, text, 0),
            ),
            "checkpoint": lambda text: (
                p.DOMAIN_CHECKPOINT_CREATE_XML,
                p.DomainXmlDescFlagsArgs(domain, text, 0),
            ),
            "device": lambda text: (
                p.NODE_DEVICE_CREATE_XML,
                p.XmlDescFlagsArgs(text, 0),
            ),
            "port": lambda text: (
                p.NETWORK_PORT_CREATE_XML,
                p.NetworkPortCreateXmlArgs(net, text, 0),
            ),
            "attached": lambda text: (
                p.DOMAIN_ATTACH_DEVICE_FLAGS,
                p.DomainXmlFlagsArgs(domain, text, 2),
            ),
        }

    def document(self, kind: str) -> str:
        """A document that is fine."""
        if kind == "attached":
            return DEVICES[0]
        return filled(DOCUMENTS[kind][0], self.driver)

    async def give(self, kind: str, text: str) -> Outcome:
        """Make one call, and require an answer that a client of libvirt understands."""
        try:
            return str(await self.connection.call(*self.calls()[kind](text)))
        except RpcError as error:
            refusal = error
        assert 0 < refusal.code <= max(ErrorCode), text
        assert refusal.message, text
        assert "inside the daemon" not in refusal.message, text
        return refusal

    async def give_all(self, kind: str, texts: Iterator[str]) -> list[Outcome]:
        """Make many calls, some at a time."""
        outcomes: list[Outcome] = []
        while batch := [text for text, _ in zip(texts, range(AT_ONCE), strict=False)]:
            outcomes += await asyncio.gather(*(self.give(kind, text) for text in batch))
        return outcomes


KINDS = (*(kind for kind in DOCUMENTS if kind not in ("cpu", "section", "binding")), "attached")
both = pytest.mark.parametrize("driver", URIS)
kinds = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
async def victim(virtd: Virtd, driver: str) -> Victim:
    """A host of a driver, in this process."""
    made = Victim((await virtd.connect(URIS[driver])).rpc, driver)
    await made.prepare()
    return made


# What is wrong with one byte, one value or one element ----------------------------------------------


def _flipped(text: str) -> Iterator[str]:
    """The document without each of its bytes, and with each of them changed."""
    data = text.encode()
    for at, byte in enumerate(data):
        others = (byte ^ 1, 0xFF, ord("<"), byte ^ 0x20, ord("'"), 0x1F)
        for changed in (b"", bytes((others[at % len(others)] or 1,))):
            yield (data[:at] + changed + data[at + 1 :]).decode("utf-8", "surrogateescape")


@both
@kinds
async def test_every_byte_may_be_missing_or_another_one(
    victim: Victim, driver: str, kind: str
) -> None:
    outcomes = await victim.give_all(kind, _flipped(victim.document(kind)))
    assert any(isinstance(one, RpcError) for one in outcomes)


NUMBERS = (
    *("", "0", "-1", "1e3", " 7 ", "0x1F", "1.5", "4294967296", "9223372036854775808"),
    *("18446744073709551615", "18446744073709551616", "1" + "0" * 1000, "-" + "9" * 40, "٣"),
)


@both
@kinds
async def test_every_number_may_be_any_other(victim: Victim, driver: str, kind: str) -> None:
    text = victim.document(kind)
    places = [found.span() for found in re.finditer(r"(?<=[>'])-?\d+(?=[<'])", text)]

    def texts() -> Iterator[str]:
        for begin, end in places:
            for number in NUMBERS:
                yield text[:begin] + number + text[end:]

    await victim.give_all(kind, texts())


NAMES = ("", " ", "/", "a/b", "..", "a\nb", "\n", "x" * 5000, "é\u202e", "<b/>", "'", "\udcff")


@both
@kinds
async def test_every_text_may_be_any_name(victim: Victim, driver: str, kind: str) -> None:
    text = victim.document(kind)
    places = [found.span() for found in re.finditer(r"(?<=')[^']*(?=')|(?<=>)[^<>]+(?=<)", text)]

    def texts() -> Iterator[str]:
        for begin, end in places:
            for name in NAMES:
                yield text[:begin] + name + text[end:]

    await victim.give_all(kind, texts())


@both
@kinds
async def test_every_element_may_be_there_twice_or_not_at_all(
    victim: Victim, driver: str, kind: str
) -> None:
    text = victim.document(kind)
    elements = re.compile(r"<([\w:]+)(?:\s[^<>]*)?(?:/>|>(?:.|\n)*?</\1>)")

    def texts() -> Iterator[str]:
        at = 0
        while found := elements.search(text, at):
            begin, end = found.span()
            for times in (0, 2, 60):
                yield text[:begin] + found[0] * times + text[end:]
            at = begin + 1

    await victim.give_all(kind, texts())


# What is too large, for a daemon of its own ---------------------------------------------------------


def _huge(text: str) -> Iterator[str]:
    """Documents that would cost much, none of them longer than a string can be."""
    end = text.rindex("</")
    head, tail = text[:end], text[end:]

    def with_inner(item: str, last: str = "", *, count: int = LONGEST) -> str:
        most = (LONGEST - len(text.encode()) - len(last)) // len(item + last[: len(item)])
        times = min(count, most)
        return head + item * times + last * (times if last else 0) + tail

    yield with_inner("<x/>")
    yield with_inner("<x/>", count=19_000)
    yield with_inner("<description>x</description>")
    yield with_inner("<devices><disk><target dev='a'/></disk></devices>", count=18_000)
    yield with_inner("<ip address='10.3.0.1' prefix='24'/>")
    yield with_inner("<ip address='10.3.0.1' prefix='24'/>", count=19_000)
    yield with_inner("<rule action='drop' direction='in'><all/></rule>", count=9_000)
    yield with_inner("<x>", "</x>", count=100_000)
    yield with_inner("<x>", "</x>", count=250)
    yield with_inner("<!---->")
    yield with_inner("&lt;")
    yield with_inner("&#65;")
    yield with_inner("\n")
    yield with_inner("\n", count=1_000_000)
    yield with_inner("<![CDATA[x]]>", count=30_000)
    yield head + "<x " + " ".join(f"a{n}=''" for n in range(300_000)) + "/>" + tail
    yield head + "<x " + " ".join(f"a{n}=''" for n in range(50_000)) + "/>" + tail
    names = "".join(f"<a{n}:b xmlns:a{n}='urn:{n}'/>" for n in range(15_000))
    yield f"{head}<metadata>{names}</metadata>{tail}"
    names = "".join(f"<a:b xmlns:a='urn:{n}'/>" for n in range(19_000))
    yield f"{head}<metadata>{names}</metadata>{tail}"
    yield re.sub(">[0-9]+<", f">{'9' * 1_000_000}<", text, count=1)
    yield re.sub("name>[a-z]+<", f"name>{'n' * 1_000_000}<", text, count=1)
    yield "x" * LONGEST
    yield "<" * LONGEST


_LINKS = tuple(pairwise("abcdefghij"))


def _entities(text: str) -> Iterator[str]:
    """Documents that refer to something outside, or to much inside."""
    root = re.match(r"<([\w:]+)", text)
    assert root is not None
    inside = text.replace(">", ">&a;", 1)
    for subset in (
        "<!ENTITY a SYSTEM 'file:///etc/passwd'>",
        "<!ENTITY a SYSTEM 'http://127.0.0.1:1/'>",
        "<!ENTITY a 'b'>",
        "<!ENTITY % p SYSTEM 'file:///etc/passwd'> %p;",
        "".join(f"<!ENTITY {one} '{f'&{two};' * 10}'>" for one, two in _LINKS)
        + "<!ENTITY j 'jjjj'>",
    ):
        yield f"<!DOCTYPE {root[1]} [{subset}]>{inside}"
    yield f"<!DOCTYPE {root[1]} SYSTEM 'file:///etc/passwd'>{text}"
    yield f"<?xml version='1.0'?><!DOCTYPE x PUBLIC 'a' 'b'>{text}"
    include = "<x:include xmlns:x='http://www.w3.org/2001/XInclude' href='/etc/passwd'/>"
    yield text.replace(">", f">{include}", 1)


def _encodings(text: str) -> Iterator[str]:
    """Documents that say that they are something else than UTF-8, which they are."""
    for name in ("utf-16", "ucs-4", "utf-7", "iso-8859-1", "cp037", "shift_jis", "x", ""):
        yield f"<?xml version='1.0' encoding='{name}'?>{text}"
    yield f"\ufeff{text}"
    yield text.encode("cp037").decode("utf-8", "surrogateescape").replace("\0", "")
    yield text.encode("utf-7").decode()
    yield f"<?xml version='9.9'?>{text}"


@asynccontextmanager
async def _daemon(folder: Path) -> AsyncIterator[tuple[str, int]]:
    """A daemon in a process: its socket, and its process id."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "aiovirt.daemons.virtd", "--ephemeral"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=(folder / "log").open("wb"),
    )
    assert process.stdout is not None
    assert process.stdin is not None
    told = await process.stdout.readline()
    found = re.search(rb"socket=([^\"]*/virtd-sock)\"", told)
    assert found is not None
    yield found[1].decode(), process.pid
    assert process.returncode is None
    process.stdin.close()
    assert await process.wait() == 0
    assert "Traceback" not in (folder / "log").read_text()


def _worst(pid: int) -> int:
    """MiB that a process had in memory at its worst."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) // 1024


async def _asking(path: str, asked: list[int]) -> None:
    """A client that asks all the time."""
    async with connect_unix(path) as connection:
        await connection.call(protocol.CONNECT_OPEN, protocol.ConnectOpenArgs(URIS["test"], 0))
        while True:
            found = await connection.call(protocol.CONNECT_NUM_OF_DOMAINS, None)
            asked.append(found.num)


async def test_a_daemon_serves_others_while_documents_attack_it(tmp_path: Path) -> None:
    async with _daemon(tmp_path) as (path, pid):
        asked: list[int] = []
        other = asyncio.create_task(_asking(path, asked))
        async with connect_unix(path) as connection:
            args = protocol.ConnectOpenArgs(URIS["qemu"], 0)
            await connection.call(protocol.CONNECT_OPEN, args)
            victim = Victim(connection, "qemu")
            await victim.prepare()
            for kind in KINDS:
                text = victim.document(kind)
                for one in _huge(text):
                    before = len(asked)
                    await victim.give(kind, one)
                    while len(asked) == before:
                        await asyncio.sleep(0)
                        assert not other.done()
                for one in _entities(text):
                    refused = await victim.give(kind, one)
                    assert isinstance(refused, RpcError) or "Include" in one
                await victim.give_all(kind, _encodings(text))
        other.cancel()
        assert _worst(pid) < MEMORY


@xdr.struct
class Bytes:
    """A string as its bytes, which may be more than a string can have, or other ones."""

    data: Annotated[bytes, xdr.VarOpaque(MAX_FRAME)]


#: DOMAIN_DEFINE_XML with any bytes instead of its document.
DEFINE_BYTES = Program("remote", protocol.REMOTE.number, 1).procedure(
    protocol.DOMAIN_DEFINE_XML.number, "DEFINE_BYTES", Bytes, xdr.Void
)


async def test_what_is_no_string_does_not_arrive(tmp_path: Path) -> None:
    text = filled(DOCUMENTS["domain"][0], "qemu")
    async with _daemon(tmp_path) as (path, pid), connect_unix(path) as connection:
        await connection.call(protocol.CONNECT_OPEN, protocol.ConnectOpenArgs(URIS["qemu"], 0))
        begun = _worst(pid)
        for data in (
            b"<" * (LONGEST + 1),
            b"<" * (MAX_FRAME - 64),
            text.encode().replace(b"guest", b"gu\0st", 1),
            b"\0",
            text.encode("utf-16"),
            text.encode("utf-32-be"),
        ):
            with pytest.raises(RpcError) as refused:
                await connection.call(DEFINE_BYTES, Bytes(data))
            assert refused.value.code == ErrorCode.RPC
        reader, writer = await asyncio.open_unix_connection(path)
        writer.write((100 << 20).to_bytes(4, "big") + bytes(24))  # a message of 100 MiB
        assert await reader.read() == b""
        writer.close()
        assert (await connection.call(protocol.CONNECT_NUM_OF_DOMAINS, None)).num == 0
        assert _worst(pid) - begun < 4 * (MAX_FRAME >> 20)

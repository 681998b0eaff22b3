"""A client that knows docs/protocol.md and nothing else: its tables are enough to speak with a daemon.

It reads the document's text, not the program tables, and shares no code with the project.
"""

from __future__ import annotations

import re
import socket
import struct
from collections.abc import Iterator
from typing import Any

import pytest

from tests import harness

_SCALARS = {"int": ">i", "unsigned": ">I", "hyper": ">q", "unsigned hyper": ">Q", "double": ">d"}
_KINDS = {
    1: "int",
    2: "unsigned",
    3: "hyper",
    4: "unsigned hyper",
    5: "double",
    6: "bool",
    7: "string",
}


class Stranger:
    """Speaks one program as the document describes it."""

    def __init__(self, path: str, program: str) -> None:
        main = (harness.ROOT / "docs" / "protocol.md").read_text()
        own = harness.ROOT / "docs" / f"protocol-{program}.md"  # of a long program
        text = main + ("\n#" + own.read_text() if own.exists() else "")
        self.types = dict(re.findall(r"(?m)^\*\*(\w+)\*\*: ((?:\w+ [^.]+?))\. ", text))
        self.types["Error"] = re.search(r"carries an `Error`: (.*)\.", text)[1]  # type: ignore[index]
        part = re.split(rf"(?m)^## Program `{program}`: ", text)[-1].split("\n## ")[0]
        number, version = re.match(r"0x(\w+) version (\d+)", part).groups()  # type: ignore[union-attr]
        self.program, self.version = int(number, 16), int(version)
        rows = re.findall(r"(?m)^\| (\d+) \| (\w+) \| (.*?) \| (.*?) \| .*\|$", part)
        self.procedures = {name: (int(at), takes, gives) for at, name, takes, gives in rows}
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(harness.PATIENCE)
        self.sock.connect(path)
        self.serial = 0

    def encode(self, kind: str, value: Any) -> bytes:
        if kind.endswith("?"):
            return b"\0\0\0\0" if value is None else b"\0\0\0\1" + self.encode(kind[:-1], value)
        if kind == "string":
            raw = value.encode()
            return struct.pack(">I", len(raw)) + raw + bytes(-len(raw) % 4)
        if kind in _SCALARS:
            return struct.pack(_SCALARS[kind], value)
        if kind.startswith("union"):
            arm, content = value
            return struct.pack(">i", arm) + self.encode(_KINDS[arm], content)
        if listed := re.fullmatch(r"(\w+)<\d+>", kind):
            return struct.pack(">I", len(value)) + b"".join(
                self.encode(listed[1], one) for one in value
            )
        return b"".join(
            self.encode(type_, value[name]) for name, type_ in self.fields(self.types[kind])
        )

    def decode(self, kind: str, data: memoryview) -> tuple[Any, memoryview]:
        if kind.endswith("?"):
            there, rest = struct.unpack_from(">I", data)[0], data[4:]
            return self.decode(kind[:-1], rest) if there else (None, rest)
        if kind == "string":
            size = struct.unpack_from(">I", data)[0]
            return str(data[4 : 4 + size], "utf-8"), data[4 + size + -size % 4 :]
        if kind in ("bool", *_SCALARS):
            form = _SCALARS.get(kind, ">I")
            return struct.unpack_from(form, data)[0], data[struct.calcsize(form) :]
        if kind.startswith("union"):
            arm = struct.unpack_from(">i", data)[0]
            content, rest = self.decode(_KINDS[arm], data[4:])
            return (arm, content), rest
        if listed := re.fullmatch(r"(\w+)<\d+>", kind):
            count, rest, items = struct.unpack_from(">I", data)[0], data[4:], []
            for _ in range(count):
                item, rest = self.decode(listed[1], rest)
                items.append(item)
            return items, rest
        if opaque := re.fullmatch(r"opaque\[(\d+)\]", kind):
            return bytes(data[: int(opaque[1])]), data[int(opaque[1]) :]
        return self.record(self.types[kind], data)

    def record(self, fields: str, data: memoryview) -> tuple[dict[str, Any], memoryview]:
        found = {}
        for name, kind in self.fields(fields):
            found[name], data = self.decode(kind, data)
        return found, data

    @staticmethod
    def fields(text: str) -> Iterator[tuple[str, str]]:
        for field in re.split(r", (?![^(]*\))", text) if text else ():
            name, _, kind = field.partition(" ")
            yield name, kind

    def call(self, procedure: str, **args: Any) -> dict[str, Any]:
        number, takes, gives = self.procedures[procedure]
        payload = b"".join(self.encode(kind, args[name]) for name, kind in self.fields(takes))
        self.serial += 1
        head = struct.pack(
            ">IIIiiIi", 28 + len(payload), self.program, self.version, number, 0, self.serial, 0
        )
        self.sock.sendall(head + payload)
        length, *answer = struct.unpack(">IIIiiIi", self.receive(28))
        body = memoryview(self.receive(length - 28))
        assert answer[:5] == [self.program, self.version, number, 1, self.serial]
        found, rest = self.record(gives if answer[5] == 0 else self.types["Error"], body)
        assert not rest
        if answer[5]:
            raise LookupError(found["code"], found["domain"], found["message"])
        return found

    def receive(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            piece = self.sock.recv(size - len(data))
            assert piece, "the connection has ended"
            data += piece
        return data


@pytest.mark.parametrize("name", [*harness.OURS, "libvirtd"])
def test_a_stranger_administers_a_daemon(name: str) -> None:
    with harness.running(name) as daemon:
        admin = Stranger(daemon.admin_socket, "admin")
        assert admin.call("CONNECT_OPEN", flags=0) == {}
        assert admin.call("CONNECT_GET_LIB_VERSION")["version"] >= 9_000_000
        servers = admin.call("CONNECT_LIST_SERVERS", need_results=1, flags=0)
        assert sorted(one["name"] for one in servers["servers"]) == sorted(["admin", name])
        assert admin.call("CONNECT_LIST_SERVERS", need_results=0, flags=0)["servers"] == []
        server = {"name": "admin"}
        params = [{"field": "nclients_max", "value": (2, 4000)}]
        admin.call("SERVER_SET_CLIENT_LIMITS", server=server, params=params, flags=0)
        limits = admin.call("SERVER_GET_CLIENT_LIMITS", server=server, flags=0)["params"]
        assert {"field": "nclients_max", "value": (2, 4000)} in limits
        (own,) = admin.call("SERVER_LIST_CLIENTS", server=server, need_results=1, flags=0)[
            "clients"
        ]
        assert own["transport"] == 0
        info = admin.call("CLIENT_GET_INFO", client=own, flags=0)["params"]
        assert {"field": "readonly", "value": (6, 0)} in info
        assert admin.call("CONNECT_GET_LOGGING_FILTERS", flags=0)["filters"] is None
        admin.call("CONNECT_SET_LOGGING_FILTERS", text="1:rpc", flags=0)
        assert admin.call("CONNECT_GET_LOGGING_FILTERS", flags=0)["count"] == 1
        with pytest.raises(LookupError) as refused:
            admin.call("CONNECT_LOOKUP_SERVER", name="nobody", flags=0)
        assert refused.value.args[0] == 95
        admin.call("CONNECT_CLOSE")
        assert admin.sock.recv(1) == b""


def test_a_stranger_opens_a_driver() -> None:
    with harness.running("virtd") as daemon:
        remote = Stranger(daemon.socket, "remote")
        assert remote.call("AUTH_LIST") == {"types": [0]}
        assert remote.call("CONNECT_SUPPORTS_FEATURE", feature=10) == {"supported": 1}
        remote.call("CONNECT_OPEN", name="test:///default", flags=0)
        assert remote.call("CONNECT_GET_URI") == {"uri": "test:///default"}

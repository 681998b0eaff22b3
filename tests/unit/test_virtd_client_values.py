"""What the client makes of dicts, UUIDs and content for volumes."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from aiovirt.daemons.virtd.client.objects import uuid_bytes
from aiovirt.daemons.virtd.client.parameters import typed
from aiovirt.daemons.virtd.client.transfer import send
from aiovirt.rpc.wire.stream import Hole
from aiovirt.rpc.wire.typedparams import ParamType, boolean, double, int_, string, ullong

DATA = bytes(range(256)) * 3000


class TestParameters:
    def test_a_known_name_has_libvirts_type(self) -> None:
        made = typed({"cpu_shares": 1, "vcpu_quota": -1, "weight": 2, "numa_nodeset": "0"})
        assert [one.value.kind for one in made] == [
            ParamType.ULLONG,
            ParamType.LLONG,
            ParamType.UINT,
            ParamType.STRING,
        ]

    def test_another_name_has_the_type_of_its_value(self) -> None:
        assert typed({"a": 1, "b": 1.5, "c": True, "d": "x"}) == [
            int_("a", 1),
            double("b", 1.5),
            boolean("c", True),
            string("d", "x"),
        ]

    def test_a_list_is_taken_as_it_is(self) -> None:
        twice = [ullong("a", 1), ullong("a", 2)]
        assert typed(twice) == twice

    @pytest.mark.parametrize(
        ("params", "error"),
        [({"a": None}, TypeError), ({"cpu_shares": -1}, ValueError), ({"weight": "x"}, TypeError)],
    )
    def test_a_value_that_does_not_fit_is_refused(self, params: Any, error: type) -> None:
        with pytest.raises(error):
            typed(params)


def test_a_uuid_is_a_text_or_a_uuid() -> None:
    made = UUID(int=5)
    assert uuid_bytes(made) == uuid_bytes(str(made)) == made.bytes
    with pytest.raises(ValueError, match="hexadecimal"):
        uuid_bytes("nothing")


class FakeStream:
    """Keeps what is sent."""

    def __init__(self) -> None:
        self.sent: list[bytes | Hole] = []

    async def send(self, data: bytes) -> None:
        self.sent.append(data)

    async def send_hole(self, length: int) -> None:
        self.sent.append(Hole(length))

    def content(self) -> bytes:
        """All of it, holes as zeros."""
        return b"".join(bytes(one.length) if isinstance(one, Hole) else one for one in self.sent)


@pytest.fixture
def stream() -> Any:
    return FakeStream()


async def _pieces() -> AsyncIterator[bytes | Hole]:
    yield b"one"
    yield Hole(5)


class TestContent:
    @pytest.mark.parametrize(
        "data", [DATA, bytearray(DATA), io.BytesIO(DATA), [DATA[:10], DATA[10:]]], ids=type
    )
    async def test_it_is_sent_whole(self, stream: Any, data: Any) -> None:
        assert await send(stream, data, sparse=False) == len(DATA)
        assert stream.content() == DATA

    async def test_a_file_is_sent_from_its_position(self, stream: Any) -> None:
        file = io.BytesIO(DATA)
        file.seek(100)
        assert await send(stream, file, sparse=True) == len(DATA) - 100
        assert stream.content() == DATA[100:]

    async def test_pieces_may_come_with_time(self, stream: Any) -> None:
        assert await send(stream, _pieces(), sparse=True) == 8
        assert stream.sent == [b"one", Hole(5)]

    async def test_a_hole_needs_a_sparse_stream(self, stream: Any) -> None:
        with pytest.raises(ValueError, match="sparse=True only"):
            await send(stream, [Hole(1)], sparse=False)

    @pytest.mark.parametrize("tail", [0, 1 << 20])
    async def test_holes_of_a_file_are_holes(self, stream: Any, tmp_path: Path, tail: int) -> None:
        path = tmp_path / "file"
        with path.open("wb") as file:
            file.seek(1 << 20)
            file.write(b"x" * 10)
            file.truncate((1 << 20) + 10 + tail)
        expected = path.read_bytes()
        with path.open("rb") as file:
            assert await send(stream, file, sparse=True) == len(expected)
        assert stream.content() == expected
        assert any(isinstance(one, Hole) for one in stream.sent)

"""The exporter's HTTP: bounded against scrapers that are slow, silent, malformed or many."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import pytest

from aiovirt.admin.exporter.http import Answer, HttpServer, Request
from tests.unit.house import PATIENCE, eventually
from tests.unit.test_exporter import exchange, exporting, get

LARGE = b"x" * 50_000_000


async def answer(request: Request) -> Answer:
    if request.path == "/large":
        return Answer(HTTPStatus.OK, LARGE, {})
    return Answer.of_text(HTTPStatus.OK, f"{request.method} {request.path}")


@contextlib.asynccontextmanager
async def serving(**bounds: Any) -> AsyncIterator[tuple[HttpServer, str]]:
    server = HttpServer(answer, **bounds)
    try:
        ((host, port),) = await server.listen("127.0.0.1", 0)
        yield server, f"{host}:{port}"
    finally:
        await server.close()


async def test_paths_and_methods_other_than_the_metrics_get_an_answer_of_their_own() -> None:
    async with exporting() as url:
        assert (await get(url, path="/metrics?x=1")).status == 200
        assert b"/metrics" in (await get(url, path="/")).body
        assert (await get(url, path="/other")).status == 404
        posted = await get(url, method="POST")
        assert (posted.status, posted.fields["Allow"]) == (405, "GET, HEAD")
        head = await get(url, method="HEAD")
    assert (head.status, head.body) == (200, b"")
    assert int(head.fields["Content-Length"]) > 0


@pytest.mark.parametrize(
    "request_head",
    ["\r\n\r\n", "GET\r\n\r\n", "GET /\r\n\r\n", "GET x HTTP/1.1\r\n\r\n", "GET / SPDY/3\r\n\r\n",
     "GET / HTTP/1.1\r\nno colon\r\n\r\n", "GET / HTTP/1.1\r\n folded: x\r\n\r\n",
     "\x16\x03\x01\r\n\r\n"],
)  # fmt: skip
async def test_a_malformed_request_is_refused(request_head: str) -> None:
    async with serving() as (_, where):
        assert (await exchange(where, request_head)).status == 400


async def test_a_head_that_is_too_large_is_refused() -> None:
    async with serving() as (_, where):
        refused = await exchange(where, "GET / HTTP/1.1\r\n" + "a: b\r\n" * 10_000)
    assert refused.status == 431


async def test_a_scraper_that_says_nothing_is_sent_away() -> None:
    async with serving(head_seconds=0.05) as (_, where):
        assert (await exchange(where, "GET / HTTP/1.1\r\n")).status == 408


async def test_connections_are_bounded_and_the_place_of_one_that_ended_is_free() -> None:
    async with serving(connections=2) as (_, where):
        host, port = where.split(":")
        async with asyncio.timeout(PATIENCE):
            held = [await asyncio.open_connection(host, int(port)) for _ in range(2)]
            assert (await exchange(where, "")).status == 503
            for reader, writer in held:
                writer.write(b"GET /a HTTP/1.1\r\n\r\n")
                assert b"GET /a" in await reader.read()
                writer.close()
        assert (await exchange(where, "GET / HTTP/1.1\r\n\r\n")).status == 200


async def test_a_scraper_that_does_not_take_its_answer_is_cut_off() -> None:
    async with serving(answer_seconds=0.05) as (server, where), asyncio.timeout(PATIENCE):
        host, port = where.split(":")
        reader, writer = await asyncio.open_connection(host, int(port), limit=1024)
        writer.write(b"GET /large HTTP/1.1\r\n\r\n")
        got = 0
        # It reads on only when the server has given up.
        reader._transport.pause_reading()  # type: ignore[attr-defined]  # asyncio has no public way
        await eventually(lambda: server.connections == 1)
        await eventually(lambda: server.connections == 0)
        reader._transport.resume_reading()  # type: ignore[attr-defined]  # see above
        with contextlib.suppress(ConnectionResetError):
            while data := await reader.read(1 << 20):
                got += len(data)
        writer.close()
    assert 0 < got < len(LARGE)


async def test_the_end_of_the_server_does_not_wait_for_scrapers() -> None:
    async with asyncio.timeout(PATIENCE):
        async with serving() as (_, where):
            host, port = where.split(":")
            reader, writer = await asyncio.open_connection(host, int(port))
            writer.write(b"GET / HT")
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()

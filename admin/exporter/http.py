"""As much of HTTP as a scraper needs, for scrapers that may be slow, silent or many.

One request for each connection. Everything is bounded: connections, the size of a request's head, and
the time for reading it and for writing the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final, NamedTuple, TypeAlias

#: Connections at a time; a further one is answered with 503 at once.
CONNECTIONS: Final = 64
#: Bytes of a request's head: the request line and the header fields.
HEAD_MAX: Final = 16384
#: Seconds for a request's head to arrive, and for an answer to be taken.
HEAD_SECONDS: Final = 10.0
ANSWER_SECONDS: Final = 30.0


class Request(NamedTuple):
    """A request. path: without the query; fields: header fields, their names in lower case."""

    method: str
    path: str
    fields: Mapping[str, str]


class Answer(NamedTuple):
    """An answer. fields: header fields besides those that every answer has."""

    status: HTTPStatus
    body: bytes
    fields: Mapping[str, str]

    @classmethod
    def of_text(cls, status: HTTPStatus, text: str = "") -> Answer:
        """Return an answer of one line for a person."""
        body = f"{text or status.phrase}\n".encode()
        return cls(status, body, {"Content-Type": "text/plain; charset=utf-8"})


Handler: TypeAlias = Callable[[Request], Awaitable[Answer]]


class HttpServer:
    """Answers GET and HEAD requests by one handler.

    handler: makes the answer; connections, head_seconds, answer_seconds: bounds.
    """

    def __init__(
        self,
        handler: Handler,
        *,
        connections: int = CONNECTIONS,
        head_seconds: float = HEAD_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._handler = handler
        self._room = connections
        self._head_seconds = head_seconds
        self._answer_seconds = answer_seconds
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()

    @property
    def connections(self) -> int:
        """The number of connections that are being served."""
        return len(self._serving)

    async def listen(self, host: str | None, port: int) -> list[tuple[str, int]]:
        """Start to listen, and return the addresses and ports. Raises OSError.

        Args:
            host: a name or an address, None for all addresses.
            port: 0 for a free one.
        """
        self._server = await asyncio.start_server(self._accept, host, port, limit=HEAD_MAX)
        return [sock.getsockname()[:2] for sock in self._server.sockets]

    async def close(self) -> None:
        """Stop listening and give up the requests that are being answered."""
        if self._server is not None:
            self._server.close()
        for task in self._serving:
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(self._serve(reader, writer))
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request, answer = None, Answer.of_text(HTTPStatus.SERVICE_UNAVAILABLE)
            if len(self._serving) <= self._room:
                request, answer = await self._exchange(reader)
            async with asyncio.timeout(self._answer_seconds):
                with_body = request is None or request.method != "HEAD"
                writer.write(_encode(answer, with_body=with_body))
                await writer.drain()
                writer.close()
                await writer.wait_closed()
        except (OSError, EOFError):  # a timeout is an OSError
            pass
        finally:
            # What a slow scraper has not taken is not kept.
            writer.transport.abort()

    async def _exchange(self, reader: asyncio.StreamReader) -> tuple[Request | None, Answer]:
        try:
            async with asyncio.timeout(self._head_seconds):
                request = _parse(await reader.readuntil(b"\r\n\r\n"))
        except TimeoutError:
            return None, Answer.of_text(HTTPStatus.REQUEST_TIMEOUT)
        except asyncio.LimitOverrunError:
            return None, Answer.of_text(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if request is None:
            return None, Answer.of_text(HTTPStatus.BAD_REQUEST)
        if request.method not in ("GET", "HEAD"):
            refused = Answer.of_text(HTTPStatus.METHOD_NOT_ALLOWED)
            return request, refused._replace(fields={**refused.fields, "Allow": "GET, HEAD"})
        return request, await self._handler(request)


def _parse(head: bytes) -> Request | None:
    """Read a request's head; None if it is malformed."""
    first, *lines = head.decode("latin-1").split("\r\n")[:-2]
    words = first.split(" ")
    if len(words) != 3 or not words[2].startswith("HTTP/1.") or not words[1].startswith("/"):
        return None
    fields: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            return None
        fields[name.lower()] = value.strip()
    return Request(words[0], words[1].partition("?")[0], fields)


def _encode(answer: Answer, *, with_body: bool) -> bytes:
    fields = {
        **answer.fields,
        "Content-Length": str(len(answer.body)),
        "Connection": "close",
        "X-Content-Type-Options": "nosniff",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    status = f"HTTP/1.1 {answer.status.value} {answer.status.phrase}\r\n"
    return f"{status}{head}\r\n".encode("latin-1") + (answer.body if with_body else b"")

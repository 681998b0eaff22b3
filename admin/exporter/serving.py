"""The exporter as a whole: metrics over HTTP until a signal ends it."""

from __future__ import annotations

import gzip
from collections.abc import Iterator, Sequence
from http import HTTPStatus
from typing import Final

from prometheus_client import Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from aiovirt.admin.exporter.collection import Collection, Reading
from aiovirt.admin.exporter.families import families
from aiovirt.admin.exporter.http import Answer, HttpServer, Request
from aiovirt.admin.exporter.listen import ListenAddress
from aiovirt.admin.watch.watched import Watched

_PATH: Final = "/metrics"
#: Level of compression: scrapers are near, and this machine has other work.
_GZIP_LEVEL: Final = 1


class Exporter:
    """Serves the metrics of daemons; `async with` ends it. daemons: to poll at each scrape."""

    def __init__(self, daemons: Sequence[Watched]) -> None:
        self._collection = Collection(daemons)
        self._http = HttpServer(self._answer)

    async def listen(self, address: ListenAddress) -> list[str]:
        """Start to serve, and return the URLs of the metrics. Raises OSError."""
        bound = await self._http.listen(address.host, address.port)
        return [f"http://{ListenAddress(*one)}{_PATH}" for one in bound]

    async def close(self) -> None:
        """Stop serving and leave the daemons."""
        await self._http.close()
        await self._collection.close()

    async def _answer(self, request: Request) -> Answer:
        if request.path == "/":
            return Answer.of_text(HTTPStatus.OK, f"Metrics of libvirt daemons are at {_PATH}")
        if request.path != _PATH:
            return Answer.of_text(HTTPStatus.NOT_FOUND, f"Not found; metrics are at {_PATH}")
        readings = await self._collection.readings()
        encode, content_type = choose_encoder(request.fields.get("accept", ""))
        body = encode(_Readings(readings))
        fields = {"Content-Type": content_type, "Vary": "Accept, Accept-Encoding"}
        if _takes_gzip(request.fields.get("accept-encoding", "")):
            body = gzip.compress(body, _GZIP_LEVEL)
            fields["Content-Encoding"] = "gzip"
        return Answer(HTTPStatus.OK, body, fields)


class _Readings(Collector):
    """Readings in the shape that the encoders take."""

    def __init__(self, readings: list[Reading]) -> None:
        self._readings = readings

    def collect(self) -> Iterator[Metric]:
        return families(self._readings)


def _takes_gzip(accepted: str) -> bool:
    for one in accepted.split(","):
        coding, _, weight = one.partition(";")
        if coding.strip() == "gzip":
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False

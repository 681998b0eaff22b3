"""TLS of a daemon's own server, from the settings that are declared as `Live("tls", ...)`."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.runtime.process.failure import Failure, StartError
from aiovirt.daemons.runtime.settings.live import knobs_of
from aiovirt.rpc.logs import get_logger
from aiovirt.rpc.server.threads import run_blocking

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.settings import Loaded, Value
    from aiovirt.daemons.runtime.settings.live import Override
    from aiovirt.rpc.security.tls import ServerTls, TlsFiles, TlsPolicy
    from aiovirt.rpc.server import Server

_log = get_logger("daemons.runtime.tls")

#: Seconds between two checks whether a certificate ends soon.
_DAY: Final = 24 * 3600.0


class TlsSettings:
    """TLS of a server, as settings change it: a receiver (see `settings.live`).

    Args:
        server: the server.
        settings: those to begin with.
    """

    def __init__(self, server: Server, settings: Loaded) -> None:
        self._server = server
        self._knobs = knobs_of("tls", settings)
        self._timer: asyncio.TimerHandle | None = None

    def begin(self) -> None:
        """Give the server its TLS: read the files and check them once a day for their end. Blocks.

        Raises StartError when they cannot be used.
        """
        try:
            self._use(self._made(self._knobs))
        except ValueError as error:
            raise StartError(Failure.NETWORK, str(error)) from error

    async def require(self) -> None:
        """Give the server its TLS, if it has none. Raises ValueError."""
        if self._server.tls is None:
            self._use(await run_blocking(self._made, self._knobs))

    def drop(self) -> None:
        """Take TLS from the server: no service needs it any more."""
        self._server.tls = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def change(self, changes: Mapping[str, Value]) -> None:
        """See `Receiver`. Without TLS in use, the values are kept for the time when it is."""
        wanted = {**self._knobs, **changes}
        security = self._server.tls
        if security is not None:
            await run_blocking(security.change, *_files_and_policy(wanted))
        self._knobs = wanted

    def in_force(self, knob: str, last: Value) -> Value:
        """See `Receiver`."""
        return self._knobs[knob]

    def override(self, knob: str, value: Value) -> Override | None:
        """See `Receiver`."""
        return None

    def as_in_force(self, knob: str, value: Value) -> Value:
        """See `Receiver`."""
        return value

    def check(self, values: Mapping[str, Value]) -> None:
        """See `Receiver`."""

    def rank(self, changes: Mapping[str, Value]) -> int:
        """See `Receiver`."""
        return 0

    def _made(self, knobs: Mapping[str, Value]) -> ServerTls:
        from aiovirt.rpc.security.tls import ServerTls

        return ServerTls(*_files_and_policy(knobs), _warn)

    def _use(self, security: ServerTls) -> None:
        self._server.tls = security
        self._warn_daily()

    def _warn_daily(self) -> None:
        loop = self._server.loop
        self._timer = loop.call_later(_DAY, self._warn_of_end)

    def _warn_of_end(self) -> None:
        if self._server.tls is not None:
            self._server.tls.warn_of_end()
            self._warn_daily()


def _files_and_policy(knobs: Mapping[str, Value]) -> tuple[TlsFiles, TlsPolicy]:
    from aiovirt.rpc.security.tls import TlsFiles, TlsPolicy

    def text(knob: str) -> str:
        return str(knobs.get(knob) or "")

    def texts(knob: str) -> tuple[str, ...] | None:
        value = knobs.get(knob)
        return value if isinstance(value, tuple) else None

    files = TlsFiles(
        ca=text("ca"),
        cert=text("cert"),
        key=text("key"),
        crl=text("crl"),
        certs=texts("certs"),
        keys=texts("keys"),
    )
    policy = TlsPolicy(
        verify=not knobs.get("no_verify"),
        sanity=not knobs.get("no_sanity"),
        allowed=texts("allowed"),
        priority=text("priority"),
    )
    return files, policy


def _warn(problem: str) -> None:
    _log.warning("certificate", reason=problem)

"""TLS of a daemon's own server, from the settings that are declared with a knob "tls.FIELD"."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from aiovirt.daemons.runtime.process.failure import Failure, StartError
from aiovirt.daemons.runtime.settings.live import tls_knobs
from aiovirt.rpc.logs import get_logger

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.settings import Loaded
    from aiovirt.rpc.security.tls import ServerTls
    from aiovirt.rpc.server import Server

_log = get_logger("daemons.runtime.tls")

#: Seconds between two checks whether a certificate ends soon.
_DAY: Final = 24 * 3600.0


def prepare_tls(server: Server, settings: Loaded) -> None:
    """Give a server its TLS: read the files and check them once a day for their end. Blocks.

    Raises StartError when they cannot be used.
    """
    from aiovirt.rpc.security.tls import ServerTls, TlsFiles, TlsPolicy

    knobs = tls_knobs(settings)

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
    try:
        server.tls = ServerTls(files, policy, _warn)
    except ValueError as error:
        raise StartError(Failure.NETWORK, str(error)) from error
    server.loop.call_later(_DAY, _warn_daily, server.loop, server.tls)


def _warn_daily(loop: asyncio.AbstractEventLoop, security: ServerTls) -> None:
    security.warn_of_end()
    loop.call_later(_DAY, _warn_daily, loop, security)


def _warn(problem: str) -> None:
    _log.warning("certificate", reason=problem)

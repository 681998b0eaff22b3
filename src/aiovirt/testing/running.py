"""Starting daemons for tests, without pytest."""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from os import PathLike
from types import TracebackType
from typing import Any, Final, Generic, Literal, TypedDict, TypeVar, Unpack, cast, overload

from aiovirt.testing.daemons import Daemon, Lockd, Logd, Virtd
from aiovirt.testing.launching import Settings, StartFailed

_D = TypeVar("_D", bound=Daemon)

_KINDS: Final[Mapping[str, type[Daemon]]] = {"virtd": Virtd, "lockd": Lockd, "logd": Logd}
#: Seconds for a start. It takes a third of a second, and several on a machine without bytecode.
_START: Final = 60.0
_TCP: Final[Settings] = {"listen_tcp": 1, "tcp_port": "0", "auth_tcp": "none"}
_TLS: Final[Settings] = {"listen_tls": 1, "tls_port": "0"}
_LOOP: Final[Settings] = {"listen_addr": "127.0.0.1"}


class Options(TypedDict, total=False):
    """The options of every daemon, as for `start`."""

    settings: Settings | None
    timeout: float


class VirtdOptions(Options, total=False):
    """The options of a virtd, as for `start`."""

    world: str | PathLike[str] | None
    tcp: bool
    tls: bool


@overload
def start(name: Literal["virtd"], **options: Unpack[VirtdOptions]) -> Virtd: ...
@overload
def start(name: Literal["lockd"], **options: Unpack[Options]) -> Lockd: ...
@overload
def start(name: Literal["logd"], **options: Unpack[Options]) -> Logd: ...
@overload
def start(name: str, **options: Unpack[VirtdOptions]) -> Daemon: ...
def start(
    name: str,
    *,
    settings: Settings | None = None,
    world: str | PathLike[str] | None = None,
    tcp: bool = False,
    tls: bool = False,
    timeout: float = _START,
) -> Daemon:
    """Start a daemon and wait until it serves; `close` of the result ends it.

    Args:
        name: "virtd", "lockd" or "logd".
        settings: of its settings file, by name.
        world: what the hosts of a virtd begin with: a text, or a file as a `Path`.
        tcp, tls: whether a virtd listens on a port of 127.0.0.1 too, which the kernel chooses. For TLS
            it makes certificates, and the URI names their folder.
        timeout: seconds for the start.

    Raises:
        StartFailed: the daemon ended, or was not ready in time.
        TypeError, ValueError: an argument is of a wrong type, or impossible.
    """
    __tracebackhide__ = True
    kind = _KINDS.get(name)
    if kind is None:
        raise ValueError(f"{name!r} is not one of {', '.join(_KINDS)}")
    if kind is not Virtd and (world is not None or tcp or tls):
        raise ValueError(f"world, tcp and tls are for virtd, not for {name}")
    ports = {**(_TCP if tcp else {}), **(_TLS if tls else {}), **(_LOOP if tcp or tls else {})}
    with _world_arguments(world) as (arguments, *keep):
        return kind({**ports, **(settings or {})}, timeout, arguments, *keep)


@contextmanager
def _world_arguments(
    world: str | PathLike[str] | None,
) -> Generator[tuple[Any, ...], None, None]:
    """The command line for a world, and the descriptors in it: a text needs no file to be left."""
    if world is None:
        yield ((),)
    elif isinstance(world, str):
        if "\n" not in world and world.endswith((".toml", ".xml", ".json")):
            raise ValueError(f"world={world!r} is a text; pathlib.Path({world!r}) is a file")
        descriptor = os.memfd_create("world")
        try:
            with open(os.dup(descriptor), "w", encoding="utf-8") as file:
                file.write(world)
            yield ("--world", f"/proc/self/fd/{descriptor}"), descriptor
        finally:
            os.close(descriptor)
    else:
        yield (("--world", os.path.abspath(world)),)


class _Running(Generic[_D]):
    """A daemon for the length of a `with` or an `async with`."""

    def __init__(self, name: str, options: VirtdOptions) -> None:
        self._name = name
        self._options = options
        self._daemon: _D
        self._lock = threading.Lock()
        self._is_given_up = False

    def __enter__(self) -> _D:
        daemon = cast(_D, start(self._name, **self._options))
        with self._lock:
            if not self._is_given_up:
                self._daemon = daemon
                return daemon
        daemon.close()
        raise StartFailed(f"{self._name}: nobody waits for its start any more")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._daemon.close()

    async def __aenter__(self) -> _D:
        import asyncio

        try:
            return await asyncio.to_thread(self.__enter__)
        except asyncio.CancelledError:
            with self._lock:  # the thread goes on
                self._is_given_up = True
                is_started = "_daemon" in self.__dict__
            if is_started:
                await asyncio.to_thread(self._daemon.close)
            raise

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        import asyncio

        await asyncio.to_thread(self._daemon.close)


@overload
def running(name: Literal["virtd"], **options: Unpack[VirtdOptions]) -> _Running[Virtd]: ...
@overload
def running(name: Literal["lockd"], **options: Unpack[Options]) -> _Running[Lockd]: ...
@overload
def running(name: Literal["logd"], **options: Unpack[Options]) -> _Running[Logd]: ...
@overload
def running(name: str, **options: Unpack[VirtdOptions]) -> _Running[Daemon]: ...
def running(name: str, **options: Unpack[VirtdOptions]) -> _Running[Any]:
    """Run a daemon for the length of a block: `with running("virtd", tcp=True) as virtd:`.

    `async with` does the same without holding up the event loop.

    Args:
        name: "virtd", "lockd" or "logd".
        options: the other arguments of `start`.
    """
    return _Running(name, options)

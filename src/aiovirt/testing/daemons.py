"""The handles of daemons under test: all that a test needs to know of one."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from aiovirt.testing.administration import Admin, Blocking, Faults, World
from aiovirt.testing.launching import Process, Settings, StartFailed
from aiovirt.testing.log import Log

if TYPE_CHECKING:
    from aiovirt.admin.logs import LogRecord
    from aiovirt.daemons.virtd.client import Host
    from aiovirt.rpc.client.connecting import Connecting

#: Seconds for an end.
_PATIENCE: Final = 10.0


class Daemon:
    """One running daemon; made by `running` or a fixture.

    name: "virtd", "lockd" or "logd"; settings: those that it was started with; log: what it wrote.
    """

    name = ""

    def __init__(
        self, settings: Settings, timeout: float, arguments: tuple[str, ...] = (), *keep: int
    ) -> None:
        """Start it and wait until it serves.

        Args:
            settings: by name.
            timeout: seconds for that.
            arguments: more of its command line.
            keep: descriptors that it inherits.

        Raises:
            StartFailed: it ended, or was not ready in time.
        """
        __tracebackhide__ = True  # in a report of pytest, the daemon's own words are what counts
        self.settings: Mapping[str, Any] = dict(settings)
        self.log = Log(self.name, self._records)
        self._was_ended = False
        try:
            self._process = Process(self.name, settings, arguments, self.log.fileno(), keep)
            problem = self._wait_ready(timeout)
            if problem:
                said = self.log.text().strip()
                for descriptor in keep:
                    said = said.replace(f"/proc/self/fd/{descriptor}", "world")
                raise StartFailed(f"{self.name}: {problem}\n{said}")
        except BaseException:
            self.log.close()
            raise

    def _wait_ready(self, timeout: float) -> str:
        try:
            return self._process.wait_ready(timeout)
        except BaseException:  # a ^C
            self._process.end(0)
            raise

    def __repr__(self) -> str:
        if "_process" not in self.__dict__:
            return f"<{self.name} not started>"
        state = "" if self.is_running else f" ended with {self._process.status}"
        place = f" in {self.rundir}" if self.told else ""
        return f"<{self.name} {self.pid}{state}{place}>"

    @property
    def told(self) -> Mapping[str, Any]:
        """Its line of JSON, see docs/virtd.md; the other properties are read out of it."""
        return self._process.told

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def rundir(self) -> str:
        """Its run directory."""
        return str(self.told["rundir"])

    @property
    def socket(self) -> str:
        """The path of its own UNIX socket."""
        return str(self.told["socket"])

    @property
    def admin(self) -> Admin:
        """Its admin socket: the URI, and connections."""
        return Admin(str(self.told["admin"]))

    @property
    def is_running(self) -> bool:
        """Whether the process is there."""
        return self._process.status is None

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.status

    def kill(self, number: int = signal.SIGKILL) -> int:
        """Send a signal that ends it, wait for the end, and return the exit status.

        Args:
            number: of the signal; the default is a crash.

        Raises:
            TimeoutError: it still runs after ten seconds.
        """
        self._was_ended = True
        self._process.signal(number)
        return self._process.wait(_PATIENCE)

    def close(self) -> None:
        """End it and remove its files. Does nothing if that was done.

        Raises:
            RuntimeError: it had ended by itself; its log is in the text.
        """
        __tracebackhide__ = True
        was_ended, self._was_ended = self._was_ended, True
        status = None if was_ended else self._process.status
        if self._process.end() and status is None and not was_ended:
            status = self._process.status or None  # it was about to end, or failed at its end
        text = self.log.text() if status is not None else ""
        self.log.close()
        if status is not None:
            raise RuntimeError(f"{self.name} ended by itself with status {status}:\n{text.strip()}")

    def _records(self, level: str | None) -> list[LogRecord]:
        return self.admin.run(lambda connection: connection.logs.read(level=level))


class Virtd(Daemon):
    """A running virtd."""

    name = "virtd"

    @property
    def uri(self) -> str:
        """The URI of its host `test:///default`, which begins with libvirt's test world."""
        return str(self.told["test"])

    @property
    def qemu_uri(self) -> str:
        """The URI of its host `qemu:///system`, which begins empty."""
        return str(self.told["qemu"])

    @property
    def tcp_uri(self) -> str:
        """The URI of `test:///default` over TCP. Raises LookupError unless started with `tcp=True`."""
        return self._over("test", "tcp")

    @property
    def qemu_tcp_uri(self) -> str:
        """The URI of `qemu:///system` over TCP. Raises LookupError unless started with `tcp=True`."""
        return self._over("qemu", "tcp")

    @property
    def tls_uri(self) -> str:
        """The URI of `test:///default` over TLS. Raises LookupError unless started with `tls=True`."""
        return self._over("test", "tls")

    @property
    def qemu_tls_uri(self) -> str:
        """The URI of `qemu:///system` over TLS. Raises LookupError unless started with `tls=True`."""
        return self._over("qemu", "tls")

    def _over(self, driver: str, transport: str) -> str:
        found = self.told.get(f"{driver}_{transport}")
        if found is None:
            raise LookupError(f"virtd was started without {transport}: use {transport}=True")
        return str(found)

    def connect(self, uri: str | None = None) -> Connecting[Host]:
        """Connect with our own client for asyncio: `async with virtd.connect() as host:`.

        Args:
            uri: one of the properties; None for `qemu_uri`.
        """
        from aiovirt.daemons.virtd.client import connect

        return connect(uri or self.qemu_uri)

    @property
    def world(self) -> World:
        """Its worlds and clocks."""
        return World(self.admin)

    @property
    def faults(self) -> Faults:
        """Its failures on command."""
        return Faults(self.admin)

    def reset(self) -> None:
        """Return hosts and clocks to what they began with, and remove all rules of faults."""
        self.faults.clear()
        self.world.reset()


class Lockd(Daemon):
    """A running lockd."""

    name = "lockd"

    @property
    def locks(self) -> Any:
        """The functions of `daemons.lockd.client.LockAdmin`, each returning when it is done."""
        from aiovirt.daemons.lockd.client import LockAdmin

        return Blocking(self.admin, LockAdmin)


class Logd(Daemon):
    """A running logd."""

    name = "logd"

    @property
    def logs(self) -> Any:
        """The functions of `daemons.logd.client.LogAdmin`, each returning when it is done."""
        from aiovirt.daemons.logd.client import LogAdmin

        return Blocking(self.admin, LogAdmin)

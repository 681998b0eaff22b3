"""The process of a daemon under test: its command line, its line of JSON, and its end."""

from __future__ import annotations

import contextlib
import json
import os
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

Settings = Mapping[str, "str | int | Sequence[str]"]
"""Settings of a daemon by name; true and false stand for 1 and 0."""

#: Seconds that a daemon has for its end; a twentieth is usual. It has them again after SIGTERM, which it
#: gets if another process holds its input open: one that the test has forked, and that runs on.
_END: Final = 0.5
#: The same for one that has closed its output, and tells the reason.
_FAILING: Final = 5.0
#: Variables that say what a client, or a daemon of the machine, logs.
_ELSEWHERE: Final = ("LIBVIRT_DEBUG", "LIBVIRT_LOG_FILTERS", "LIBVIRT_LOG_OUTPUTS")
#: What a daemon logs unless its settings say otherwise.
_DEFAULTS: Final[Settings] = {"log_level": 2, "log_outputs": "1:stderr"}


class StartFailed(RuntimeError):
    """A daemon that did not start; the text has its own words."""


class Process:
    """One daemon that was started here.

    told: its line of JSON, with the URIs.
    """

    def __init__(
        self, name: str, settings: Settings, arguments: Sequence[str], log: int, keep: Sequence[int]
    ) -> None:
        """Start it; `wait_ready` follows.

        Args:
            name: of the daemon.
            settings: by name.
            arguments: more of its command line.
            log: the descriptor of its standard error.
            keep: descriptors that it inherits.
        """
        self.name = name
        self.told: Mapping[str, Any] = {}
        environment = {key: os.environ[key] for key in os.environ if key not in _ELSEWHERE}
        text = settings_text({**_DEFAULTS, **settings})
        # -P: the folder of the project under test is not where the daemon finds its modules.
        command = [sys.executable, "-P", "-m", f"aiovirt.daemons.{name}"]
        # A session of its own: the ^C that interrupts a test is not for the daemon.
        self._process = subprocess.Popen(  # noqa: S603  a module of this package
            [*command, "--ephemeral", "--settings", text, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            pass_fds=keep,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    @property
    def status(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        return self._process.poll()

    def wait_ready(self, timeout: float) -> str:
        """Wait until all its sockets are open. Returns "", or the reason why that did not happen.

        Args:
            timeout: seconds.
        """
        line, is_late = self._line(time.monotonic() + timeout)
        if line.endswith(b"\n"):
            self.told = json.loads(line)
            return ""
        self.end(0 if is_late else _FAILING)
        return f"not ready in {timeout:g} s" if is_late else f"ended with status {self.status}"

    def _line(self, deadline: float) -> tuple[bytes, bool]:
        """Read its line of JSON; all that there was until the end or the deadline, and which it was."""
        stdout = self._process.stdout
        assert stdout is not None  # noqa: S101  it is a pipe
        poll = select.poll()
        poll.register(stdout, select.POLLIN)
        line = b""
        while not line.endswith(b"\n"):
            left = deadline - time.monotonic()
            if left <= 0:
                return line, True
            if poll.poll(left * 1000):
                part = os.read(stdout.fileno(), 65536)
                if not part:
                    return line, False
                line += part
        return line, False

    def signal(self, number: int) -> None:
        """Send a signal to it, if it runs."""
        self._process.send_signal(number)

    def wait(self, timeout: float | None) -> int:
        """Wait for its end, and return its exit status. Raises TimeoutError.

        Args:
            timeout: seconds, None for any time.
        """
        try:
            return self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"{self.name} still runs after {timeout:g} s") from None

    def _ends_within(self, seconds: float) -> bool:
        try:
            self.wait(seconds)
        except TimeoutError:
            return False
        return True

    def end(self, patience: float = _END) -> bool:
        """End it and remove its files. Does nothing if that was done.

        Returns whether it ended without a signal of ours.

        Args:
            patience: seconds until it gets SIGTERM; 0 kills it at once.
        """
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        by_itself = self._ends_within(patience)
        if not by_itself:
            self._process.terminate()
            if patience <= 0 or not self._ends_within(_END):
                self._process.kill()
                self._process.wait()
        rundir = self.told.get("rundir")
        if rundir and os.path.lexists(rundir):  # it was killed, by us or by the test
            shutil.rmtree(rundir, ignore_errors=True)
        return by_itself


def settings_text(settings: Settings) -> str:
    """Write settings as a file has them.

    Raises:
        TypeError, ValueError: a value is of a wrong type, or cannot be written.
    """
    return "".join(f"{name} = {_value(name, value)}\n" for name, value in settings.items())


def _value(name: str, value: object) -> str:
    if isinstance(value, int):
        return str(int(value))
    if isinstance(value, str | Path):
        return _quoted(name, str(value))
    if isinstance(value, Sequence) and not isinstance(value, bytes):
        return f"[{', '.join(_quoted(name, str(one)) for one in value)}]"
    raise TypeError(f"{name}={value!r}: a setting is a text, a number, or a sequence of texts")


def _quoted(name: str, text: str) -> str:
    """A text in quotes, which have no escapes in libvirt's syntax."""
    quote = "'" if '"' in text or "\\" in text else '"'
    if quote in text or "\n" in text or "\0" in text:
        raise ValueError(
            f"{name}={text!r}: one kind of quotes and one line is all that can be written"
        )
    return f"{quote}{text}{quote}"

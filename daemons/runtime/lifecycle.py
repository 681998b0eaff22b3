"""The life of a daemon, from its command line to its exit status. The same for all three.

The order matters: settings before anything is touched, forks before the pid file (a lock belongs to
a process) and before the event loop, the pid file before the sockets, and readiness after
everything. A program that was executed anew (`restart`) is given pid file and sockets instead.
"""

from __future__ import annotations

import asyncio
import gc
import os
import resource
import signal
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from aiovirt.daemons.runtime.handover.reexec import Inheritance, Restart, inherited, take_signals
from aiovirt.daemons.runtime.logging import LogSettings
from aiovirt.daemons.runtime.process import options as command_line
from aiovirt.daemons.runtime.process.background import Parent, fork_into_background
from aiovirt.daemons.runtime.process.failure import Failure, StartError
from aiovirt.daemons.runtime.process.paths import decide, default_settings_file, make_folder
from aiovirt.daemons.runtime.process.pidfile import PidFile
from aiovirt.daemons.runtime.process.systemd import Notifier, passed_sockets
from aiovirt.daemons.runtime.settings import Loaded, SettingsError, load
from aiovirt.rpc.logs import bridge_stdlib, get_logger

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.instance import Start
    from aiovirt.daemons.runtime.kind import DaemonKind

_log = get_logger("daemons.runtime.lifecycle")


def run(kind: DaemonKind, arguments: Sequence[str] | None = None) -> int:
    """Be the daemon `kind` until it is told to end. Returns the exit status (see `Failure`).

    arguments: the command line without the program's name; None takes the process's own.
    Raises SystemExit after --help, --version and a wrong command line.
    """
    gc.disable()
    options = command_line.parse(kind, sys.argv[1:] if arguments is None else arguments)
    process = _Process(kind, options)
    try:
        process.live()
    except StartError as error:
        process.report(str(error))
        return error.status
    except KeyboardInterrupt:
        return 128 + signal.SIGINT  # before the daemon was ready; later, SIGINT ends it properly
    except BaseException as error:
        process.report(f"unexpected {type(error).__name__}: {error}")
        raise
    return 0


class _Process:
    """What a daemon's process has besides its servers, gathered in the order in which it is got."""

    def __init__(self, kind: DaemonKind, options: command_line.Options) -> None:
        self.kind = kind
        self.options = options
        self.folder = os.getcwd()
        self.notifier = Notifier.from_environment()
        self.parent: Parent | None = None

    def report(self, text: str) -> None:
        """Tell whoever started us why we do not serve."""
        if self.parent is not None:
            self.parent.failed(text)
        else:
            sys.stderr.write(f"{self.kind.name}: {text}\n")

    def live(self) -> None:
        """Start, serve, end. Raises StartError."""
        settings = self._read_settings()
        inheritance = inherited()
        if inheritance is not None:
            self._take_over(settings, inheritance)
            return
        from aiovirt.daemons.runtime.instance import Start

        try:
            passed = passed_sockets()
        except OSError as error:
            raise StartError(Failure.NETWORK, f"systemd passed no socket: {error}") from error
        paths = decide(self.kind.name, self.options, settings)
        if self.options.background:
            try:
                self.parent = fork_into_background(self.kind.name)
            except OSError as error:
                raise StartError(Failure.INIT, f"no further process: {error.strerror}") from error
        if paths.rundir in map(os.path.dirname, (paths.pid_file, paths.socket)):
            make_folder(paths.rundir)
        pid_file = PidFile.acquire(paths.pid_file)
        try:
            self._serve(Start(settings, paths, pid_file, passed))
        finally:
            pid_file.release()

    def _take_over(self, settings: Loaded, inheritance: Inheritance) -> None:
        """Go on where the program before this one stopped, or only see whether that could be done."""
        from aiovirt.daemons.runtime.handover.document import decode
        from aiovirt.daemons.runtime.instance import Start

        document = decode(inheritance.document, self.kind.name)
        paths = decide(self.kind.name, self.options, settings)
        if self.options.background:
            os.chdir("/")
        if inheritance.rehearsal:
            self._serve(Start(settings, paths, None, [], document))
            return
        pid_file = PidFile.take_over(paths.pid_file, document.pid_file)
        try:
            self._serve(Start(settings, paths, pid_file, [], document))
        finally:
            pid_file.release()

    def _read_settings(self) -> Loaded:
        named = self.options.config
        path = os.path.abspath(named) if named else default_settings_file(self.kind.name)
        try:
            return load(self.kind.name, path, required=named is not None)
        except SettingsError as error:
            raise StartError(Failure.SETTINGS, str(error)) from error

    def _serve(self, start: Start) -> None:
        import uvloop

        _raise_descriptor_limit()
        log = LogSettings(self.kind.name, self.options, start.settings)
        bridge_stdlib()
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve_on_loop(start, log))
        finally:
            log.control.close()

    async def _serve_on_loop(self, start: Start, log: LogSettings) -> None:
        from aiovirt.daemons.runtime.instance import Instance
        from aiovirt.daemons.runtime.reload import Reloader

        instance = Instance(self.kind, start, log)
        if start.pid_file is None:
            return  # it was only to be seen that everything is there and the document fits
        if start.document is None:
            instance.open()
            instance.daemon.set_timeout(self.options.timeout)
            settings = start.settings
        else:
            settings = instance.take_over(start.document)
        required = self.options.config is not None
        reloader = Reloader(
            self.kind.name, settings, instance.running, self.notifier, required=required
        )
        restart = Restart(instance, reloader, self.notifier, self.folder)
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(_log_mistake)
        loop.add_signal_handler(signal.SIGTERM, instance.daemon.shutdown)
        loop.add_signal_handler(signal.SIGINT, instance.daemon.shutdown)
        loop.add_signal_handler(signal.SIGHUP, reloader.reload)
        loop.add_signal_handler(signal.SIGUSR1, restart.request)
        take_signals()
        if start.document is not None:
            _log.info("took over", written_by=start.document.written_by)
        await instance.daemon.serve(self._ready, self.notifier.stopping)
        _log.info("ended")

    def _ready(self) -> None:
        _settle_memory()
        _log.info("ready", pid=os.getpid())
        self.notifier.ready()
        if self.parent is not None:
            self.parent.ready()


def _log_mistake(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception that nobody caught reaches our log, not asyncio's; the daemon goes on."""
    _log.error("mistake", where=context["message"], exc_info=context.get("exception"))


def _raise_descriptor_limit() -> None:
    """Take as many descriptors as we are allowed: each client needs one, and we do not select()."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _settle_memory() -> None:
    """Let the garbage collector begin, but keep it away from what stays: modules, tables, servers.

    It was off during start-up, where it finds nothing (8 of 145 ms of processor time). Its
    thresholds are left alone: with 4000 clients opened and then replaced, it took 20 of 450 ms and
    never more than 3 ms at once.
    """
    gc.freeze()
    gc.enable()

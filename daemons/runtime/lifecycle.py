"""The life of a daemon, from its command line to its exit status; the same for every kind.

The order matters: settings before anything is touched, forks before the pid file (a lock belongs to
a process) and before the event loop, the pid file before the sockets, and readiness after
everything. A program that was executed anew (`handover`) is given pid file and sockets instead.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import resource
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from aiovirt.daemons.runtime.handover import signals
from aiovirt.daemons.runtime.handover.reexec import Inheritance, Origin, Restart, inherited
from aiovirt.daemons.runtime.kind import CERTIFICATES
from aiovirt.daemons.runtime.logging import LogSettings
from aiovirt.daemons.runtime.process import options as command_line
from aiovirt.daemons.runtime.process.background import Parent, fork_into_background
from aiovirt.daemons.runtime.process.ephemeral import STDOUT, Ephemeral, announce, ready_descriptor
from aiovirt.daemons.runtime.process.failure import Failure, StartError, one_line
from aiovirt.daemons.runtime.process.paths import (
    Paths,
    absolute,
    current_folder,
    default_settings_file,
    make_folder,
)
from aiovirt.daemons.runtime.process.pidfile import HeldFiles
from aiovirt.daemons.runtime.process.systemd import Notifier, passed_sockets
from aiovirt.daemons.runtime.settings import Loaded, SettingsError, load
from aiovirt.daemons.runtime.settings.file import below, in_force, known, refuse_unknown
from aiovirt.daemons.runtime.settings.template import settings_file
from aiovirt.daemons.runtime.start import Start, overridden
from aiovirt.rpc import logs
from aiovirt.rpc.logs import bridge_stdlib, get_logger

if TYPE_CHECKING:
    from aiovirt.daemons.runtime.kind import DaemonKind
    from aiovirt.daemons.runtime.settings.declaration import Settings

_log = get_logger("daemons.runtime.lifecycle")

#: Seconds between two requests for more time at the end, and their number: ten minutes for calls in
#: flight, whatever the unit says.
_EXTENSION: Final = 20.0
_EXTENSIONS: Final = 30


def run_process(kind: DaemonKind, arguments: Sequence[str] | None = None) -> int:
    """Be a daemon, as `entry.run` says, once signals and standard streams are taken care of.

    Args:
        kind: its declaration.
        arguments: the command line without the program's name; None takes the process's own.

    Raises SystemExit after --help, --version, --print-config and a wrong command line.
    """
    options = command_line.parse(
        kind.name,
        kind.title,
        sys.argv[1:] if arguments is None else arguments,
        lambda: settings_file(kind.name, kind.settings(), kind.counterpart),
        kind.options,
    )
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
    """The parts of a daemon's process besides its servers, in the order in which they are acquired."""

    def __init__(self, kind: DaemonKind, options: command_line.Options) -> None:
        self.kind = kind
        self.options = options
        self.origin = Origin(current_folder(), _has_relative_paths(options))
        self.notifier = Notifier.from_environment()
        self.parent: Parent | None = None
        self.settings_failure = (
            ""  # the reason why the settings file is not in force after a restart
        )
        self.ephemeral: Ephemeral | None = None
        self.told: list[int] = []  # descriptors to which the URIs are written
        self.announce: Callable[[], None] = lambda: None
        self.left_signals = -1  # their descriptor, from the program before this one

    def report(self, text: str) -> None:
        """Tell the process that started us why we do not serve."""
        if self.parent is not None:
            self.parent.failed(one_line(text))
        else:
            with contextlib.suppress(OSError):  # the exit status still tells
                os.write(2, f"{self.kind.name}: {one_line(text)}\n".encode(errors="replace"))

    def live(self) -> None:
        """Start, serve, end. Raises StartError."""
        if self.options.rundir:  # later, in the background, the working directory is another one
            self.options = msgspec.structs.replace(
                self.options, rundir=absolute(self.options.rundir)
            )
        paths = {one.name for one in self.kind.options if one.is_path}
        own = self.options.own
        own = {key: absolute(str(own[key])) if key in paths else own[key] for key in own}
        self.options = msgspec.structs.replace(self.options, own=own)
        inheritance = inherited()
        try:
            if inheritance is not None:
                self._take_over(inheritance)
            else:
                self._take_own_options()
                self._begin()
        finally:
            if self.ephemeral is not None and not (inheritance and inheritance.rehearsal):
                self.ephemeral.remove()

    def _take_own_options(self) -> None:
        """Act upon the options that not every daemon has, before anything is opened."""
        if "ready-fd" in self.options.own:
            self.told.append(ready_descriptor(str(self.options.own["ready-fd"])))
        if "ephemeral" in self.options.own:
            self.ephemeral = Ephemeral.begin(self.kind.name)
            self.options = msgspec.structs.replace(self.options, rundir=self.ephemeral.rundir)
            if "settings" in self.options.own:
                self.ephemeral.write_settings(self.kind.name, str(self.options.own["settings"]))
            self.told.append(STDOUT)

    def _begin(self) -> None:
        """Start for the first time."""
        settings = self._read_settings(strict="settings" in self.options.own)
        if self.ephemeral is not None and self.kind.needs_certificates(settings):
            self.ephemeral.make_certificates(CERTIFICATES)
        try:
            passed = passed_sockets()
        except OSError as error:
            raise StartError(Failure.NETWORK, f"systemd passed no socket: {error}") from error
        paths = self._paths(settings)
        if self.options.background:
            try:
                self.parent = fork_into_background(self.kind.name)
            except OSError as error:
                raise StartError(Failure.INIT, f"no further process: {error.strerror}") from error
        if paths.rundir in map(os.path.dirname, (paths.pid_file, paths.socket)):
            make_folder(paths.rundir)
        # The other files of the run directory are used by one daemon at a time.
        in_rundir = paths.has_sockets_in_rundir([one.path for one in passed])
        held = HeldFiles.acquire(
            paths.pid_file,
            paths.usual_pid_file,
            uses_folder=self.options.rundir is not None or in_rundir,
        )
        try:
            required = self.options.config is not None
            fixed = overridden(self.options, paths)
            self._serve(
                Start(
                    settings,
                    paths,
                    held,
                    tuple(passed),
                    fixed=fixed,
                    required=required,
                    own=self.options.own,
                    temporary=self.ephemeral is not None,
                )
            )
        finally:
            held.release()

    def _take_over(self, inheritance: Inheritance) -> None:
        """Go on where the program before this one stopped, or only see whether that can be done.

        The daemon begins with the settings that were in force; what the settings file changes in them
        is applied when everything is there. A file that cannot be used refuses a rehearsal. If it was
        broken afterwards, the settings stay as they are: there is no way back.
        """
        from aiovirt.daemons.runtime.handover.document import decode
        from aiovirt.daemons.runtime.readback import read_back

        document = decode(inheritance.document, self.kind.name)
        if document.temporary:
            self.options = msgspec.structs.replace(self.options, rundir=document.temporary)
            self.ephemeral = Ephemeral(document.temporary)
        try:
            fresh = self._read_settings()
        except StartError as error:
            if inheritance.rehearsal:
                raise
            fresh = msgspec.structs.replace(
                load(self._declared(), None), path=self._settings_path()
            )
            fresh = known(fresh, document.settings, document.given)
            self.settings_failure = str(error)
        earlier = known(fresh, document.settings, document.given)
        settings = in_force(fresh, earlier, document.administered)
        paths = self._paths(settings)
        start = Start(
            settings,
            paths,
            None,
            document=document,
            read=earlier,
            administered=frozenset(document.administered) & fresh.values.keys(),
            fixed=overridden(self.options, paths),
            required=self.options.config is not None,
            own=self.options.own,
            temporary=self.ephemeral is not None,
        )
        if self.options.background:
            os.chdir("/")
        if inheritance.rehearsal:
            read_back(self.kind, self.options, start, self.report)
        held = HeldFiles.take_over(
            paths.pid_file, paths.usual_pid_file, document.pid_file, document.folder
        )
        self.left_signals = document.signals
        try:
            self._serve(msgspec.structs.replace(start, held=held), fresh)
        finally:
            held.release()

    def _paths(self, settings: Loaded) -> Paths:
        options = self.options
        return Paths.decide(
            self.kind.name,
            rundir=options.rundir,
            socket=options.socket,
            admin_socket=options.admin_socket,
            pid_file=options.pid_file,
            socket_folder=settings.text("unix_sock_dir"),
        )

    def _settings_path(self) -> str:
        named, rundir = self.options.config, self.options.rundir
        return absolute(named) if named else default_settings_file(self.kind.name, rundir)

    def _declared(self) -> Settings:
        """The settings of the daemon; with --rundir, defaults that name a file are below it."""
        settings, rundir = self.kind.settings(), self.options.rundir
        return below(settings, rundir) if rundir else settings

    def _read_settings(self, *, strict: bool = False) -> Loaded:
        required = self.options.config is not None
        try:
            loaded = load(self._declared(), self._settings_path(), required=required)
            if strict:  # a text that was written for this daemon: an unknown name is a mistake
                refuse_unknown(loaded)
        except SettingsError as error:
            raise StartError(Failure.SETTINGS, str(error)) from error
        return loaded

    def _serve(self, start: Start, fresh: Loaded | None = None) -> None:
        """Serve until the end. fresh: what the file says after a restart, to be followed then."""
        import uvloop

        _raise_descriptor_limit()
        earlier = start.document.logging if start.document is not None else None
        log = LogSettings(self.kind.name, self.options, start.settings, earlier)
        bridge_stdlib()
        if _log.info_on:  # the first record says that the daemon is ready
            logs.load()
        if start.passed:
            _warn_of_unused_paths(self.options, {one.path for one in start.passed})
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve_on_loop(start, log, fresh))
        finally:
            log.control.close()

    async def _serve_on_loop(self, start: Start, log: LogSettings, fresh: Loaded | None) -> None:
        from aiovirt.daemons.runtime.handover.modules import keep_room, load_needed, load_rest
        from aiovirt.daemons.runtime.instance import Instance
        from aiovirt.daemons.runtime.reload import Reloader

        instance = Instance(self.kind, start, log)
        if start.document is None:
            instance.open()
            instance.daemon.set_timeout(self.options.timeout)
        else:
            instance.restore(start.document)
            instance.begin()
        if fresh is not None:
            await instance.administration.follow(fresh)
        reloader = Reloader(instance.administration, log.control, self.notifier)
        restart = Restart(instance, self.notifier, self.origin, lambda: noted)
        asyncio.get_running_loop().set_exception_handler(_log_mistake)
        load_needed(instance)
        keep_room()
        noted = signals.Signals(
            {
                signal.SIGTERM: instance.daemon.shutdown,
                signal.SIGINT: instance.daemon.shutdown,
                signal.SIGQUIT: instance.daemon.shutdown,  # as libvirt's daemons
                signal.SIGHUP: reloader.request,
                signal.SIGUSR1: restart.request,
            }
        )
        if self.left_signals >= 0:
            noted.take_over(self.left_signals)
        signals.unblock()
        if self.told:
            uris = partial(self.kind.uris, start.paths, instance.main)
            self.announce = partial(announce, self.kind.name, uris, start.paths, self.told)
        if self.ephemeral is not None:
            self.ephemeral.watch(instance.daemon.shutdown)
        if self.settings_failure:
            _log.error("settings not read again", reason=self.settings_failure)
        if start.document is not None:
            _log.info("took over", written_by=start.document.written_by)
        rest = asyncio.ensure_future(load_rest(instance))
        try:
            await instance.daemon.serve(self._ready, self._stopping)
        finally:
            rest.cancel()
            noted.close()
        _log.info("ended")

    def _ready(self) -> None:
        _settle_memory()
        _log.info("ready", pid=os.getpid())
        self.notifier.ready()
        if self.parent is not None:
            self.parent.ready()
        self.announce()

    def _stopping(self) -> None:
        """Tell systemd, and ask for more time while calls in flight are being answered."""
        self.notifier.stopping()
        self._extend(asyncio.get_running_loop(), _EXTENSIONS)

    def _extend(self, loop: asyncio.AbstractEventLoop, more: int) -> None:
        self.notifier.extend_timeout(2 * _EXTENSION)
        if more:
            loop.call_later(_EXTENSION, self._extend, loop, more - 1)


def _has_relative_paths(options: command_line.Options) -> bool:
    """Whether the meaning of the command line depends on the working directory."""
    paths = (
        options.config,
        options.rundir,
        options.socket,
        options.admin_socket,
        options.pid_file,
    )
    return any(path and not os.path.isabs(path) for path in paths)


def _warn_of_unused_paths(options: command_line.Options, passed: set[str]) -> None:
    """Name the options that passed sockets leave without effect."""
    given = {"--socket": options.socket, "--admin-socket": options.admin_socket}
    unused = [name for name, path in given.items() if path and absolute(path) not in passed]
    if unused:
        _log.warning(
            "options have no effect, since systemd passed the sockets: change the socket units"
            " instead",
            options=" ".join(unused),
        )


def _log_mistake(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception that nobody caught reaches our log, not asyncio's; the daemon goes on."""
    _log.error("mistake", where=context["message"], exc_info=context.get("exception"))


def _raise_descriptor_limit() -> None:
    """Raise the soft limit of descriptors to the hard one: each client needs one."""
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

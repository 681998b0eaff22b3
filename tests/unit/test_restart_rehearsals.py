"""A rehearsal is repeated when a thread closes a file that the document names, and only then."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import fcntl
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from aiovirt.daemons.runtime.component import Unsaved
from aiovirt.daemons.runtime.handover import reexec, rehearsal
from aiovirt.daemons.runtime.handover.reexec import Origin, Restart, RestartRefused
from aiovirt.daemons.runtime.handover.rehearsal import RehearsalFailed, rehearse
from aiovirt.daemons.runtime.process.systemd import Notifier
from aiovirt.rpc.server.restart import Keep
from tests.unit.house import eventually


class Instance:
    """A daemon of which one file is closed before the new program has it, so many times.

    early: it is closed before it is noted, not after.
    """

    is_ending = False

    def __init__(self, closed: int, *, early: bool = False) -> None:
        self.closed = closed
        self.early = early
        self.documents = self.rehearsals = 0

    async def settle(self) -> None: ...

    def busy(self) -> list[str]:
        return ["/stuck/guest.log"]

    async def pause(self) -> None: ...

    def resume(self) -> None: ...

    def rehearsed(self) -> None:
        self.rehearsals += 1

    def document(self, keep: Keep, *, signals: int, rehearsal: bool) -> bytes:
        self.documents += 1
        # Nothing else takes this number once it is free, however many are open in this process.
        highest = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 100
        descriptor = fcntl.fcntl(0, fcntl.F_DUPFD_CLOEXEC, highest)
        gone = self.documents <= self.closed
        try:
            if gone and self.early:
                os.close(descriptor)
            keep(descriptor)
        except OSError as error:
            raise Unsaved(f"it cannot be saved: {error}") from error
        if gone:
            os.close(descriptor)
        return b"{}"


class _Signals:
    descriptor = 0

    def make_room(self) -> None: ...


@pytest.fixture
def restart(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Restart]:
    def make(instance: Instance, program: str = "pass") -> Restart:
        monkeypatch.setattr(reexec, "_command", lambda: [sys.executable, "-c", program])
        return Restart(instance, Notifier(None), Origin("/", False), _Signals)  # type: ignore[arg-type]  # what is used of it

    return make


@pytest.mark.parametrize("early", [True, False])
async def test_a_file_that_is_closed_meanwhile_costs_another_rehearsal(
    restart: Callable[..., Restart], early: bool
) -> None:
    instance = Instance(3, early=early)
    await restart(instance)._rehearse()
    assert (instance.documents, instance.rehearsals) == (4, 4)


@pytest.mark.parametrize("early", [True, False])
async def test_a_file_that_is_always_closed_refuses_the_restart(
    restart: Callable[..., Restart], early: bool
) -> None:
    instance = Instance(1000, early=early)
    with pytest.raises(RestartRefused, match="Bad file descriptor"):
        await restart(instance)._rehearse()
    assert instance.documents == instance.rehearsals == reexec._REHEARSALS


def test_no_descriptor_is_left_to_later_children() -> None:
    """uvloop, which daemons run on, would leave it so."""
    with (
        open(os.devnull) as kept,
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
    ):
        wanted = [kept.fileno(), 9999]
        with pytest.raises(RehearsalFailed, match="Bad file descriptor"):
            runner.run(rehearse([sys.executable, "-c", "pass"], None, {}, wanted))
        assert not os.get_inheritable(kept.fileno())


async def test_another_failure_is_told_at_once(restart: Callable[..., Restart]) -> None:
    instance = Instance(0)
    with pytest.raises(RestartRefused, match="it fails"):
        await restart(instance, "import sys; sys.exit('it fails')")._rehearse()
    assert instance.documents == 1


@pytest.mark.parametrize("lacking", ["open", "fchdir", "execve"])
def test_a_program_that_cannot_be_executed_leaves_no_descriptor(
    restart: Callable[..., Restart], monkeypatch: pytest.MonkeyPatch, lacking: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.chdir(Path.cwd())  # so that it is left, should the way back fail
    one = restart(Instance(0))
    before = os.listdir("/proc/self/fd")
    with monkeypatch.context() as broken:
        broken.setattr(os, "execve", fail)
        broken.setattr(os, lacking, fail)
        with pytest.raises((OSError, RestartRefused), match="Too many open files"):
            one._execute()
    assert len(os.listdir("/proc/self/fd")) == len(before) + 1  # the one of the instance itself


async def test_a_rehearsal_closes_nothing_before_it_is_executed(
    restart: Callable[..., Restart], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The daemon waits for that moment, and a disk may hold up what is closed."""
    spawned: list[dict[str, object]] = []
    spawn = os.posix_spawn

    def noting(*arguments: Any, **options: Any) -> int:
        spawned.append(options)
        return spawn(*arguments, **options)

    monkeypatch.setattr(os, "posix_spawn", noting)
    program = "import os, sys; sys.exit(os.readlink('/proc/self/fd/0'))"
    with pytest.raises(RestartRefused, match="not take over: /dev/null"):
        await restart(Instance(0), program)._rehearse()
    assert [options.keys() for options in spawned] == [{"setsigmask"}]


async def test_a_rehearsal_that_cannot_be_executed_says_so(
    restart: Callable[..., Restart], monkeypatch: pytest.MonkeyPatch
) -> None:
    one = restart(Instance(0))
    monkeypatch.setattr(reexec, "_command", lambda: ["/nonexistent/python"])
    with pytest.raises(RestartRefused, match="/nonexistent/python cannot be executed: No such"):
        await one._rehearse()


async def test_a_rehearsal_that_cannot_be_ended_has_the_descriptors_until_it_is_gone(
    restart: Callable[..., Restart], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As if a disk held it up, so that no signal ends it."""
    monkeypatch.setattr(rehearsal, "PATIENCE", 0.05)
    monkeypatch.setattr(rehearsal, "_KILLED", 0.05)
    monkeypatch.setattr(reexec, "_THREADS", 0.05)
    monkeypatch.setattr(rehearsal._Child, "kill", lambda _: None)
    held = tmp_path / "held"
    os.mkfifo(held)
    instance = Instance(0)
    one = restart(instance, f"open({str(held)!r}).read()")
    with pytest.raises(RestartRefused, match="not done with its rehearsal in"):
        await one._rehearse()
    with pytest.raises(RestartRefused, match="the last rehearsal has not ended"):
        await one._rehearse()
    assert instance.rehearsals == 0
    os.close(await asyncio.to_thread(os.open, held, os.O_WRONLY))
    await eventually(lambda: instance.rehearsals)
    monkeypatch.undo()
    monkeypatch.setattr(reexec, "_command", lambda: [sys.executable, "-c", "pass"])
    await one._rehearse()
    assert instance.rehearsals == 2


@pytest.mark.parametrize("needed", [True, False])
def test_a_working_directory_without_access_is_left_alone_if_it_is_not_needed(
    monkeypatch: pytest.MonkeyPatch, needed: bool
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(os, "open", refuse)
    outcome = pytest.raises(PermissionError) if needed else contextlib.nullcontext()
    with outcome, rehearsal.working_in("/" if needed else None):
        pass


async def test_a_signal_for_all_processes_of_its_name_does_not_end_a_rehearsal(
    restart: Callable[..., Restart],
) -> None:
    """As with `pkill -USR1 lockd` in its first moments."""
    program = (
        "import os, signal; [os.kill(os.getpid(), n) for n in (signal.SIGUSR1, signal.SIGHUP)]"
    )
    await restart(Instance(0), program)._rehearse()


async def test_a_restart_that_a_disk_refuses_names_the_paths(
    restart: Callable[..., Restart], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def held_up(_: float) -> None:
        raise TimeoutError("a disk holds up 1 of the daemon's threads")

    monkeypatch.setattr(reexec, "until_none_is_held_up", held_up)
    with pytest.raises(RestartRefused, match=r"threads: /stuck/guest\.log$"):
        await restart(Instance(0))._hand_over()

"""The locks of lockd are the kernel's, and they stay where they were put."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiovirt.daemons.lockd.holder import Holder
from aiovirt.daemons.lockd.protocol import AcquireFlags, Owner
from aiovirt.daemons.lockd.space import LockSpace
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

EXCLUSIVE = 0
SHARED = int(AcquireFlags.SHARED)
MADE = int(AcquireFlags.AUTOCREATE)

FIRST = Owner(b"\1" * 16, "first", 1, 1001)
SECOND = Owner(b"\2" * 16, "second", 2, 1002)


def _holder(space: LockSpace, owner: Owner) -> Holder:
    return space.table.holders.named(owner.pid, 1)


def _acquire(space: LockSpace, name: str, flags: int, owner: Owner, client: int) -> None:
    space.acquire(name, flags, owner, client, _holder(space, owner))


def _release(space: LockSpace, name: str, owner: Owner) -> None:
    space.release(name, _holder(space, owner))


def _give_all_back(space: LockSpace, owner: Owner) -> None:
    space.table.give_all_back(_holder(space, owner))


def _is_free(path: Path) -> bool:
    """Whether another process gets a process lock, libvirt's kind, on the first byte."""
    script = (
        "import fcntl, sys; file = open(sys.argv[1], 'r+'); "
        "fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1)"
    )
    command = [sys.executable, "-c", script, str(path)]
    done = subprocess.run(command, capture_output=True, check=False)
    assert done.returncode == 0 or b"BlockingIOError" in done.stderr
    return done.returncode == 0


@contextmanager
def _refused(code: ErrorCode) -> Iterator[None]:
    with pytest.raises(RpcError) as refusal:
        yield
    assert (refusal.value.code, refusal.value.domain) == (code, ErrorDomain.LOCKSPACE)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "disk"
    path.touch()
    return path


def test_a_process_lock_is_excluded_while_ours_is_held(file: Path) -> None:
    space = LockSpace()
    _acquire(space, str(file), EXCLUSIVE, FIRST, 1)
    assert not _is_free(file)
    _release(space, str(file), FIRST)
    assert _is_free(file)


def test_a_process_lock_of_another_process_is_respected(file: Path) -> None:
    script = (
        "import fcntl, sys; file = open(sys.argv[1], 'r+'); fcntl.lockf(file, fcntl.LOCK_EX, 1); "
        "print('locked', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with _refused(ErrorCode.RESOURCE_BUSY):
            _acquire(LockSpace(), str(file), EXCLUSIVE, FIRST, 1)
        other.communicate()


def test_closing_the_file_under_another_name_does_not_give_the_lock_away(
    file: Path, tmp_path: Path
) -> None:
    space = LockSpace()
    _acquire(space, str(file), EXCLUSIVE, FIRST, 1)
    alias = tmp_path / "alias"
    alias.symlink_to(file)
    os.close(os.open(alias, os.O_RDWR))  # with a process lock, this would have been the end of it
    with _refused(ErrorCode.RESOURCE_BUSY):
        _acquire(space, str(alias), EXCLUSIVE, SECOND, 2)
    assert not _is_free(file)
    _give_all_back(space, FIRST)


def test_who_shares_may_join_and_the_last_one_lets_go(file: Path) -> None:
    space = LockSpace()
    _acquire(space, str(file), SHARED, FIRST, 1)
    _acquire(space, str(file), SHARED, SECOND, 2)
    with _refused(ErrorCode.RESOURCE_BUSY):
        _acquire(space, str(file), EXCLUSIVE, SECOND, 2)
    _release(space, str(file), FIRST)
    assert not _is_free(file)
    _release(space, str(file), SECOND)
    assert _is_free(file)


def test_a_refusal_names_the_owner(file: Path) -> None:
    space = LockSpace()
    _acquire(space, str(file), EXCLUSIVE, FIRST, 1)
    with pytest.raises(RpcError, match=r"locked by first \(process 1001\)"):
        _acquire(space, str(file), EXCLUSIVE, SECOND, 2)
    _give_all_back(space, FIRST)


def test_a_lease_file_is_made_and_removed(tmp_path: Path) -> None:
    space = LockSpace.at(str(tmp_path / "leases"))
    _acquire(space, "one", MADE, FIRST, 1)
    lease = tmp_path / "leases" / "one"
    assert lease.stat().st_mode & 0o777 == 0o600
    _release(space, "one", FIRST)
    assert not lease.exists()


def test_a_lease_file_that_a_crash_left_is_taken_over(tmp_path: Path) -> None:
    space = LockSpace.at(str(tmp_path))
    (tmp_path / "one").write_text("left")
    _acquire(space, "one", MADE, FIRST, 1)
    assert not _is_free(tmp_path / "one")
    _release(space, "one", FIRST)
    assert not (tmp_path / "one").exists()


def test_a_lease_file_that_others_still_share_is_left_to_them(tmp_path: Path) -> None:
    here, there = LockSpace(str(tmp_path)), LockSpace(str(tmp_path))
    _acquire(here, "one", MADE | SHARED, FIRST, 1)
    _acquire(there, "one", MADE | SHARED, SECOND, 2)
    _release(here, "one", FIRST)
    assert (tmp_path / "one").exists()
    _release(there, "one", SECOND)
    assert not (tmp_path / "one").exists()


def test_a_file_that_was_replaced_while_it_was_locked_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = LockSpace(str(tmp_path))
    lease = tmp_path / "one"
    really = fcntl.fcntl
    replaced = []

    def replace_first(descriptor: int, command: int, argument: bytes) -> object:
        if not replaced:
            replaced.append(os.fstat(descriptor).st_ino)
            (tmp_path / "new").touch()
            (tmp_path / "new").rename(lease)
        return really(descriptor, command, argument)

    monkeypatch.setattr(fcntl, "fcntl", replace_first)
    _acquire(space, "one", MADE, FIRST, 1)
    held = os.fstat(space.resources["one"].descriptor).st_ino
    assert held == lease.stat().st_ino != replaced[0]
    _release(space, "one", FIRST)


def test_what_is_locked_is_neither_made_nor_removed(file: Path) -> None:
    space = LockSpace()
    _acquire(space, str(file), EXCLUSIVE, FIRST, 1)
    for act in (space.create, space.delete):
        with _refused(ErrorCode.RESOURCE_BUSY):
            act(str(file))
    _give_all_back(space, FIRST)


def test_only_its_owner_releases_a_lock(file: Path) -> None:
    space = LockSpace()
    with _refused(ErrorCode.RESOURCE_BUSY):
        _release(space, str(file), FIRST)
    _acquire(space, str(file), EXCLUSIVE, FIRST, 1)
    with _refused(ErrorCode.INTERNAL_ERROR):
        _release(space, str(file), SECOND)
    assert space.table.held == 1
    _give_all_back(space, FIRST)
    assert space.table.held == 0


def test_a_lock_is_later_than_those_before_it_though_the_clock_was_set_back(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two records of one lock the journal's reader takes the later one for true."""
    space = LockSpace()
    times = []
    for now, owner in ((2000.0, FIRST), (1000.0, SECOND), (1000.0, FIRST), (3000.0, SECOND)):
        monkeypatch.setattr("aiovirt.daemons.lockd.space._now", lambda now=now: now)
        _acquire(space, str(file), EXCLUSIVE, owner, 1)
        times.append(space.resources[str(file)].holdings[0].since)
        _release(space, str(file), owner)
    assert times == sorted(set(times))
    assert times[3] == 3000.0
    space.enter("recovered", EXCLUSIVE, FIRST, _holder(space, FIRST), 4000.0, 1)
    _acquire(space, str(file), EXCLUSIVE, SECOND, 1)
    assert space.resources[str(file)].holdings[0].since > 4000.0


def test_a_failed_acquisition_leaves_no_descriptor(file: Path) -> None:
    other = LockSpace()
    _acquire(other, str(file), EXCLUSIVE, SECOND, 2)
    before = os.listdir("/proc/self/fd")
    for flags in (EXCLUSIVE, SHARED, MADE):
        with _refused(ErrorCode.RESOURCE_BUSY):
            _acquire(LockSpace(), str(file), flags, FIRST, 1)
    assert os.listdir("/proc/self/fd") == before
    _give_all_back(other, SECOND)


def test_a_place_that_cannot_be_a_lockspace_is_refused(file: Path) -> None:
    with _refused(ErrorCode.INTERNAL_ERROR):
        LockSpace.at(str(file))
    with _refused(ErrorCode.SYSTEM_ERROR):
        LockSpace.at("/proc/1/no/such")


@pytest.mark.parametrize("name", ["/a" * 2500, "/" + "a" * 300], ids=["path", "name"])
def test_a_lockspace_whose_path_is_too_long_is_refused(tmp_path: Path, name: str) -> None:
    with _refused(ErrorCode.SYSTEM_ERROR):
        LockSpace.at(f"{tmp_path}{name}")
    assert not os.listdir(tmp_path)


def test_the_folders_above_a_lockspace_are_made_for_nobody_else(tmp_path: Path) -> None:
    LockSpace.at(f"{tmp_path}/one//two/three/")
    made = [tmp_path / "one", tmp_path / "one/two", tmp_path / "one/two/three"]
    assert [one.stat().st_mode & 0o777 for one in made] == [0o700] * 3


def test_what_is_not_a_regular_file_may_be_locked_and_is_never_removed(tmp_path: Path) -> None:
    space = LockSpace()
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for flags in (MADE, MADE | SHARED):
        _acquire(space, str(fifo), flags, FIRST, 1)
        _release(space, str(fifo), FIRST)
    with _refused(ErrorCode.SYSTEM_ERROR):
        space.delete(str(fifo))
    assert fifo.is_fifo()


def test_what_would_keep_an_opener_waiting_is_refused_at_once(tmp_path: Path, file: Path) -> None:
    space = LockSpace()
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(RpcError, match="cannot be made: No such device"):
        space.create(str(tmp_path / "fifo"))
    with open(file, "r+b") as leased:
        fcntl.fcntl(leased, fcntl.F_SETSIG, signal.SIGURG)  # which is ignored, unlike SIGIO
        fcntl.fcntl(leased, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        with _refused(ErrorCode.SYSTEM_ERROR):
            _acquire(space, str(file), EXCLUSIVE, FIRST, 1)
    _acquire(space, str(file), EXCLUSIVE, FIRST, 1)
    _give_all_back(space, FIRST)


@pytest.mark.parametrize("kind", ["hard link", "symbolic link", "spelling", "lockspace"])
def test_a_refusal_names_the_owner_who_has_the_file_under_another_name(
    file: Path, tmp_path: Path, kind: str
) -> None:
    space = LockSpace()
    _acquire(space, str(file), EXCLUSIVE, FIRST, 1)
    alias, asked = str(tmp_path / "alias"), space
    if kind == "hard link":
        os.link(file, alias)
    elif kind == "symbolic link":
        os.symlink(file, alias)
    elif kind == "spelling":
        alias = f"{tmp_path}//./disk"
    else:
        alias, asked = "disk", LockSpace(str(tmp_path), space.table)
    with pytest.raises(RpcError) as refusal:
        _acquire(asked, alias, EXCLUSIVE, SECOND, 2)
    assert refusal.value.code == ErrorCode.RESOURCE_BUSY
    assert refusal.value.message == (
        f"resource '{alias}' is the same file as '{file}', locked by first (process 1001)"
    )
    _give_all_back(space, FIRST)


def test_a_held_lease_is_not_removed_under_another_spelling(tmp_path: Path) -> None:
    space = LockSpace(str(tmp_path))
    _acquire(space, "lease", MADE, FIRST, 1)
    with _refused(ErrorCode.RESOURCE_BUSY):
        space.delete("./lease")
    with _refused(ErrorCode.RESOURCE_BUSY):
        _acquire(space, "./lease", MADE, SECOND, 2)
    _give_all_back(space, FIRST)
    space.delete("./lease")


def test_a_lease_that_others_have_put_in_its_place_is_left_to_them(tmp_path: Path) -> None:
    here, there = LockSpace(str(tmp_path)), LockSpace(str(tmp_path))
    _acquire(here, "lease", MADE, FIRST, 1)
    (tmp_path / "lease").unlink()
    _acquire(there, "lease", MADE, SECOND, 2)
    _release(here, "lease", FIRST)
    assert (tmp_path / "lease").exists()
    assert not _is_free(tmp_path / "lease")
    _release(there, "lease", SECOND)


def test_a_file_that_fails_to_close_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = LockSpace()
    disks = [tmp_path / str(number) for number in range(5)]
    for disk in disks:
        disk.touch()
        _acquire(space, str(disk), EXCLUSIVE, FIRST, 1)
    failing = {space.resources[str(disk)].descriptor for disk in disks[::2]}
    really = os.close
    closed = []

    def close(descriptor: int) -> None:
        closed.append(descriptor)
        really(descriptor)
        if descriptor in failing:
            raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr(os, "close", close)
        _give_all_back(space, FIRST)
    assert not space.resources
    assert sorted(closed) == sorted(set(closed)), "a number is not closed twice"
    assert all(_is_free(disk) for disk in disks)


def test_a_lease_whose_place_cannot_be_looked_at_is_refused_and_not_tried_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = LockSpace(str(tmp_path))
    really = os.stat

    def stat(path: str, **options: bool) -> os.stat_result:
        if str(path).endswith("lease"):
            raise OSError(errno.EIO, "Input/output error")
        return really(path, **options)

    before = os.listdir("/proc/self/fd")
    with monkeypatch.context() as patch:
        patch.setattr(os, "stat", stat)
        with _refused(ErrorCode.SYSTEM_ERROR):
            _acquire(space, "lease", MADE, FIRST, 1)
    assert os.listdir("/proc/self/fd") == before


def test_what_a_process_held_is_no_business_of_the_one_that_has_its_number_now(
    file: Path,
) -> None:
    space = LockSpace()
    holders = space.table.holders
    old, new = holders.named(FIRST.pid, 1), holders.named(FIRST.pid, 2)
    space.acquire(str(file), EXCLUSIVE, FIRST, 1, new)
    with _refused(ErrorCode.INTERNAL_ERROR):
        space.release(str(file), old)
    assert space.table.give_all_back(old) == 0
    assert not _is_free(file)
    space.release(str(file), new)
    assert _is_free(file)

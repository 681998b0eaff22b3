"""The locks of lockd are the kernel's, and they stay where they were put."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from aiovirt.daemons.lockd.protocol import AcquireFlags, Owner
from aiovirt.daemons.lockd.space import LockSpace
from aiovirt.rpc.wire.errors import ErrorCode, ErrorDomain, RpcError

EXCLUSIVE = 0
SHARED = int(AcquireFlags.SHARED)
MADE = int(AcquireFlags.AUTOCREATE)

FIRST = Owner(b"\1" * 16, "first", 1, 1001)
SECOND = Owner(b"\2" * 16, "second", 2, 1002)


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
    space.acquire(str(file), EXCLUSIVE, FIRST, 1)
    assert not _is_free(file)
    space.release(str(file), FIRST.pid)
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
            LockSpace().acquire(str(file), EXCLUSIVE, FIRST, 1)
        other.communicate()


def test_closing_the_file_under_another_name_does_not_give_the_lock_away(
    file: Path, tmp_path: Path
) -> None:
    space = LockSpace()
    space.acquire(str(file), EXCLUSIVE, FIRST, 1)
    alias = tmp_path / "alias"
    alias.symlink_to(file)
    os.close(os.open(alias, os.O_RDWR))  # with a process lock, this would have been the end of it
    with _refused(ErrorCode.RESOURCE_BUSY):
        space.acquire(str(alias), EXCLUSIVE, SECOND, 2)
    assert not _is_free(file)
    space.release_owner(FIRST.pid)


def test_who_shares_may_join_and_the_last_one_lets_go(file: Path) -> None:
    space = LockSpace()
    space.acquire(str(file), SHARED, FIRST, 1)
    space.acquire(str(file), SHARED, SECOND, 2)
    with _refused(ErrorCode.RESOURCE_BUSY):
        space.acquire(str(file), EXCLUSIVE, SECOND, 2)
    space.release(str(file), FIRST.pid)
    assert not _is_free(file)
    space.release(str(file), SECOND.pid)
    assert _is_free(file)


def test_a_refusal_names_the_owner(file: Path) -> None:
    space = LockSpace()
    space.acquire(str(file), EXCLUSIVE, FIRST, 1)
    with pytest.raises(RpcError, match=r"locked by first \(process 1001\)"):
        space.acquire(str(file), EXCLUSIVE, SECOND, 2)
    space.release_owner(FIRST.pid)


def test_a_lease_file_is_made_and_removed(tmp_path: Path) -> None:
    space = LockSpace.at(str(tmp_path / "leases"))
    space.acquire("one", MADE, FIRST, 1)
    lease = tmp_path / "leases" / "one"
    assert lease.stat().st_mode & 0o777 == 0o600
    space.release("one", FIRST.pid)
    assert not lease.exists()


def test_a_lease_file_that_a_crash_left_is_taken_over(tmp_path: Path) -> None:
    space = LockSpace.at(str(tmp_path))
    (tmp_path / "one").write_text("left")
    space.acquire("one", MADE, FIRST, 1)
    assert not _is_free(tmp_path / "one")
    space.release("one", FIRST.pid)
    assert not (tmp_path / "one").exists()


def test_a_lease_file_that_others_still_share_is_left_to_them(tmp_path: Path) -> None:
    here, there = LockSpace(str(tmp_path)), LockSpace(str(tmp_path))
    here.acquire("one", MADE | SHARED, FIRST, 1)
    there.acquire("one", MADE | SHARED, SECOND, 2)
    here.release("one", FIRST.pid)
    assert (tmp_path / "one").exists()
    there.release("one", SECOND.pid)
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
    space.acquire("one", MADE, FIRST, 1)
    held = os.fstat(space.resources["one"].descriptor).st_ino
    assert held == lease.stat().st_ino != replaced[0]
    space.release("one", FIRST.pid)


def test_what_is_locked_is_neither_made_nor_removed(file: Path) -> None:
    space = LockSpace()
    space.acquire(str(file), EXCLUSIVE, FIRST, 1)
    for act in (space.create, space.delete):
        with _refused(ErrorCode.RESOURCE_BUSY):
            act(str(file))
    space.release_owner(FIRST.pid)


def test_only_its_owner_releases_a_lock(file: Path) -> None:
    space = LockSpace()
    with _refused(ErrorCode.RESOURCE_BUSY):
        space.release(str(file), FIRST.pid)
    space.acquire(str(file), EXCLUSIVE, FIRST, 1)
    with _refused(ErrorCode.INTERNAL_ERROR):
        space.release(str(file), SECOND.pid)
    assert space.holds(FIRST.pid)
    space.release_owner(FIRST.pid)
    assert not space.holds(FIRST.pid)


def test_a_failed_acquisition_leaves_no_descriptor(file: Path) -> None:
    other = LockSpace()
    other.acquire(str(file), EXCLUSIVE, SECOND, 2)
    before = os.listdir("/proc/self/fd")
    for flags in (EXCLUSIVE, SHARED, MADE):
        with _refused(ErrorCode.RESOURCE_BUSY):
            LockSpace().acquire(str(file), flags, FIRST, 1)
    assert os.listdir("/proc/self/fd") == before
    other.release_owner(SECOND.pid)


def test_a_place_that_cannot_be_a_lockspace_is_refused(file: Path) -> None:
    with _refused(ErrorCode.INTERNAL_ERROR):
        LockSpace.at(str(file))
    with _refused(ErrorCode.SYSTEM_ERROR):
        LockSpace.at("/proc/1/no/such")

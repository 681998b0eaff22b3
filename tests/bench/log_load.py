"""Logs that virtlogd or logd is asked to open, and the guests that write to them."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self, TypeVar

from aiovirt.daemons.logd.protocol import (
    DOMAIN_GET_LOG_FILE_POSITION,
    DOMAIN_OPEN_LOG_FILE,
    Domain,
    OpenArgs,
    PositionArgs,
    PositionRet,
)
from aiovirt.daemons.logd.rotating import backups
from aiovirt.rpc.wire.message import Message, Status, Type, frame
from aiovirt.rpc.wire.program import Procedure
from tests import harness
from tests.bench import load

ArgsT = TypeVar("ArgsT")
ResultT = TypeVar("ResultT")

_MAX_BACKUPS: Final = 3
_FULL: Final = (b"a" * 79 + b"\n") * (2 * 1024 * 1024 // 80)
"""As long as a log becomes, but for less than a line: the defaults of both daemons."""


@dataclass(frozen=True)
class Delays:
    """Milliseconds between the writing of a line and its arrival in the file, over `lines` lines.

    flood: bytes a second that the guest which floods got rid of meanwhile.
    """

    median: float
    percentile_99: float
    longest: float
    lines: int
    flood: float


class Logs:
    """The logs of some guests, open and written to for the length of a `with`, then removed.

    daemon: the path of the socket that opens them. full: each has its backups and is full itself, as
    logs are after a while; what is measured is then not how long the machine takes to find memory.
    """

    def __init__(self, daemon: str, count: int, *, full: bool = False) -> None:
        self._daemon = daemon
        self._count = count
        self._full = full
        self._serial = 0
        self.paths: list[str] = []
        self.pipes: list[int] = []

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="av-"))
            self._link = stack.enter_context(socket.socket(socket.AF_UNIX))
            self._link.settimeout(harness.PATIENCE)
            self._link.connect(self._daemon)
            stack.callback(self._close_pipes)
            for number in range(self._count):
                path = f"{folder}/{number}.log"
                if self._full:
                    for full in (path, *backups(path, _MAX_BACKUPS)):
                        Path(full).write_bytes(_FULL)
                self._open(number, path)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def throughput(self, seconds: float) -> float:
        """Bytes a second when all write as fast as they can, until everything is in the files.

        Raises RuntimeError if a file does not end as its guest's output did.
        """
        words = self._write("flood", seconds, *self.pipes)
        positions = [self._position(path) for path in self.paths]
        end = time.monotonic()  # the clock that the writers read, too
        begin, written = float(words[0]), int(words[1])
        ends = [end_of(path, at) for path, at in zip(self.paths, positions, strict=True)]
        if sum(ends) != written:
            raise RuntimeError(f"guests wrote {written} bytes, the logs say {sum(ends)}")
        return written / (end - begin)

    def delays(self, seconds: float) -> Delays:
        """What the lines of all others take to arrive while the first guest floods its log."""
        pairs = [word for pair in zip(self.pipes, self.paths, strict=True) for word in pair]
        words = self._write("delays", seconds, pairs[0], *pairs[2:])
        median, percentile_99, longest, lines, flood = words
        return Delays(float(median), float(percentile_99), float(longest), int(lines), float(flood))

    def _write(self, *words: object) -> list[str]:
        command = [str(word) for word in (load.build("writers", "pthread"), *words)]
        done = subprocess.run(
            command, pass_fds=self.pipes, stdout=subprocess.PIPE, text=True, check=True
        )
        return done.stdout.split()

    def _close_pipes(self) -> None:
        for pipe in self.pipes:
            os.close(pipe)

    def _open(self, number: int, path: str) -> None:
        guest = Domain(number.to_bytes(16, "big"), f"guest-{number}")
        self._send(DOMAIN_OPEN_LOG_FILE, OpenArgs("bench", guest, path, 0))
        self._reply(Type.REPLY_WITH_FDS)
        byte, pipes, _, _ = socket.recv_fds(self._link, 1, 1)
        if len(byte) != 1 or len(pipes) != 1:
            raise RuntimeError(f"the reply to the opening of {path} had no pipe")
        self.paths.append(path)
        self.pipes += pipes

    def _position(self, path: str) -> int:
        """Bytes in a log's newest file, after all that was in its pipe has been written."""
        self._send(DOMAIN_GET_LOG_FILE_POSITION, PositionArgs(path, 0))
        payload = self._reply(Type.REPLY)
        result: PositionRet
        result, _ = DOMAIN_GET_LOG_FILE_POSITION.decode_result(payload, 0, len(payload))
        return result.position.offset

    def _send(self, procedure: Procedure[ArgsT, ResultT], args: ArgsT) -> None:
        self._serial += 1
        payload = procedure.encode_args(args)
        self._link.sendall(frame(procedure.key, Type.CALL, self._serial, Status.OK, payload))

    def _reply(self, kind: Type) -> bytes:
        """The payload of a reply, read as libvirt does: never past the frame."""
        head = self._exactly(4)
        message = Message.unpack(head + self._exactly(int.from_bytes(head, "big") - 4))
        if (message.type, message.status, message.serial) != (kind, Status.OK, self._serial):
            raise RuntimeError(f"{message} was not expected: {message.payload!r}")
        return message.payload

    def _exactly(self, size: int) -> bytes:
        data = self._link.recv(size, socket.MSG_WAITALL)
        if len(data) != size:
            raise ConnectionResetError(f"{self._daemon} closed the connection")
        return data


def end_of(path: str, size: int) -> int:
    """How much its guest wrote, as the last line of a file of this size says.

    Raises RuntimeError if the file has another size, or does not end so.
    """
    data = Path(path).read_bytes()
    # A rotation may have come between this line and the one before it.
    before = (b"\n" + data).rpartition(b"\nend ")[2]
    if len(data) != size or not before.endswith(b"\n") or not before[:-1].isdigit():
        raise RuntimeError(f"{path} has {len(data)} bytes of {size}, or its end is missing")
    return int(before) + len(b"end ") + len(before)


def file_system() -> str:
    """The kind of file system that the logs are on, as `findmnt` calls it."""
    command = ["findmnt", "-n", "-o", "FSTYPE", "-T", tempfile.gettempdir()]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "a file system of unknown kind"

"""The load clients, written in C so that the server is what is slow: built at need, then run."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from aiovirt.admin.protocol import CONNECT_OPEN, FlagsArgs
from aiovirt.rpc.wire.message import MIN_FRAME, Status, Type, frame
from tests import harness

_SOURCES = Path(__file__).parent / "native"
_BUILT = harness.ROOT / "build" / "bench"


class Unbuildable(Exception):
    """A C program could not be compiled; the text is the compiler's."""


def build(name: str, *libraries: str) -> Path:
    """Compile native/NAME.c unless that was done already; returns the program.

    Raises Unbuildable.
    """
    source, program = _SOURCES / f"{name}.c", _BUILT / name
    newest = max(used.stat().st_mtime for used in (source, *_SOURCES.glob("*.h")))
    if program.exists() and program.stat().st_mtime > newest:
        return program
    _BUILT.mkdir(parents=True, exist_ok=True)
    flags = ["-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror"]
    try:
        compiled = subprocess.run(
            ["cc", *flags, "-o", program, source, *(f"-l{name}" for name in libraries)],
            capture_output=True,
            text=True,
            check=False,
        )
    except FileNotFoundError:
        raise Unbuildable("there is no C compiler called cc") from None
    if compiled.returncode != 0:
        raise Unbuildable(f"{source.name} does not compile:\n{compiled.stderr}")
    return program


def calls(path: str, connections: int, in_flight: int, seconds: float) -> float:
    """Calls per second of `connections` clients with `in_flight` calls under way in each."""
    return _number([build("load"), "calls", path, connections, in_flight, seconds])


def library_calls(path: str, seconds: float) -> float:
    """Calls per second of a loop over libvirt's own admin library."""
    program = build("admin_loop", "virt-admin", "virt")
    return _number([program, harness.admin_uri(path), seconds])


def client_calls(path: str, in_flight: int, seconds: float) -> float:
    """Calls per second of one connection of `rpc.client`."""
    return _number([sys.executable, "-m", "tests.bench.many_in_flight", path, in_flight, seconds])


def lock_pairs(path: str, folder: str, clients: int, in_flight: int, seconds: float) -> float:
    """Pairs of locking and releasing per second, of clients with a file each in `folder`."""
    return _number([build("locks"), "pairs", path, folder, clients, in_flight, seconds])


def tls_calls(port: int, folder: str, connections: int, in_flight: int, seconds: float) -> float:
    """Calls per second over TLS, with the certificates in `folder`."""
    program = build("tls", "ssl", "crypto")
    return _number([program, port, folder, connections, in_flight, seconds])


def _number(command: Sequence[object]) -> float:
    done = subprocess.run(
        [str(word) for word in command], cwd=harness.ROOT, stdout=subprocess.PIPE, check=True
    )
    return float(done.stdout)


@contextlib.contextmanager
def opened(path: str, clients: int) -> Iterator[float]:
    """Attach idle clients for the length of a `with`: gives the seconds until all were answered.

    Raises RuntimeError if any of them was not answered, or not still attached at the end.
    """
    with _held([build("load"), "open", path, clients], f"{clients} clients") as seconds:
        yield seconds


@contextlib.contextmanager
def locked(path: str, folder: str, clients: int) -> Iterator[float]:
    """The same with clients that hold a lock each, on a file in `folder`."""
    with _held([build("locks"), "hold", path, folder, clients], f"{clients} locks") as seconds:
        yield seconds


@contextlib.contextmanager
def _held(command: Sequence[object], what: str) -> Iterator[float]:
    process = subprocess.Popen(
        [str(word) for word in command],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{what} could not be had")
        yield float(line)
    finally:
        process.stdin.close()
        if process.wait() != 0:
            raise RuntimeError(f"not all of {what} were held to the end")


def first_answer(path: str) -> None:
    """Connect, open, and wait for the reply. Raises OSError when nobody listens (yet)."""
    call = frame(CONNECT_OPEN.key, Type.CALL, 1, Status.OK, CONNECT_OPEN.encode_args(FlagsArgs(0)))
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(harness.PATIENCE)
        link.connect(path)
        link.sendall(call)
        if len(link.recv(MIN_FRAME)) != MIN_FRAME:
            raise ConnectionResetError(f"{path} closed the connection instead of answering")

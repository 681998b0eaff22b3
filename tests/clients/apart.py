"""Runs a virtd and its clients in a network of their own, and records what they send.

    unshare --net python -m tests.clients.apart CAPTURE SCRIPT

There libvirt's port for TCP is free, and nothing else is sent. The script is one for `sh -e`; in it
$SOCKET is the path of virtd's UNIX socket. The capture is a file for tshark. The exit status is the
script's.
"""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests import harness

PORT: Final = 16509

_SETTINGS: Final[harness.Settings] = {
    "listen_tcp": 1,
    "listen_addr": "127.0.0.1",
    "tcp_port": str(PORT),
    "auth_tcp": "none",
}
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1

#: The last packet of a recording, and where it goes: nobody listens there.
_END: Final = b"the end of the recording"
_END_PORT: Final = 9

#: Seconds that a script may take.
_PATIENCE: Final = 200.0


def main(capture: str, script: str) -> int:
    """Run a script beside a virtd, and record; returns its exit status.

    Args:
        capture: the file for what is sent.
        script: the text of the script.
    """
    _loopback_up()
    with harness.running("virtd", _SETTINGS) as virtd:
        environment = {**os.environ, "SOCKET": virtd.socket, "HOME": str(virtd.folder)}
        with _recording(capture):
            command = ["sh", "-e", "-c", script]
            ran = subprocess.run(command, env=environment, timeout=_PATIENCE, check=False)
        log = virtd.log.read_text(errors="replace")
        assert "Traceback" not in log, log[-4000:]
    return ran.returncode


@contextmanager
def _recording(capture: str) -> Iterator[None]:
    recorded = f"tcp port {PORT} or udp port {_END_PORT}"
    # To the standard output each packet is written at once.
    command = ["dumpcap", "-q", "-i", "lo", "-f", recorded, "-w", "-"]
    with (
        open(capture, "wb") as output,
        subprocess.Popen(command, stdout=output, stderr=subprocess.PIPE, text=True) as dumpcap,
    ):
        assert dumpcap.stderr is not None
        told = heard = ""
        while not told.startswith("File: "):
            told = dumpcap.stderr.readline()
            heard += told
            assert told, f"dumpcap does not record: {heard}"
        try:
            yield
            _wait_for_end(Path(capture))
        finally:
            dumpcap.send_signal(signal.SIGINT)
            dumpcap.stderr.read()


def _wait_for_end(capture: Path) -> None:
    """Send a last packet, and wait until it is in the file, and so all before it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
        last.sendto(_END, ("127.0.0.1", _END_PORT))
    deadline = time.monotonic() + harness.PATIENCE
    while _END not in capture.read_bytes():
        assert time.monotonic() < deadline, "the end of the recording was never written"
        time.sleep(0.01)


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", _IFF_UP))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))

"""Runs go-libvirt's compiled tests against a virtd on port 16509, in a network of its own.

    unshare --net python -m tests.clients.go.integration PROGRAM [ARGUMENT...]

The objects are those that the tests' own set-up defines by virsh.
"""

from __future__ import annotations

import fcntl
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests import harness

_PACKAGE: Final = Path("/usr/share/gocode/src/github.com/digitalocean/go-libvirt")

#: libvirt's port for TCP, which the tests have in their source.
_SETTINGS: Final[harness.Settings] = {
    "listen_tcp": 1,
    "listen_addr": "127.0.0.1",
    "tcp_port": "16509",
    "auth_tcp": "none",
}
_SET_UP: Final = (
    ("define", "test-domain.xml"),
    ("pool-create", "test-pool.xml"),
    ("secret-define", "test-secret.xml"),
)
_SIOCSIFFLAGS: Final = 0x8914
_IFF_UP: Final = 1


def main(program: list[str]) -> int:
    """Start a virtd, define the objects, and run a program; returns its exit status.

    Args:
        program: the program and its arguments.
    """
    _loopback_up()
    with harness.running("virtd", _SETTINGS) as virtd:
        uri = f"qemu+unix:///system?socket={virtd.socket}"
        for command, document in _SET_UP:
            virsh = ["virsh", "-c", uri, command, str(_PACKAGE / "testdata" / document)]
            subprocess.run(virsh, check=True, stdout=subprocess.DEVNULL, timeout=harness.PATIENCE)
        return subprocess.run(program, cwd=_PACKAGE, timeout=120, check=False).returncode


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        request = struct.pack("16sH14x", b"lo", _IFF_UP)
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, request)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

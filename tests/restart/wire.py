"""What the client library does not need to know: descriptors taken by hand."""

from __future__ import annotations

import os
import socket

from daemons.logd import protocol as logs
from rpc.wire.message import MIN_FRAME, Message, Type, frame

GUEST = logs.Domain(b"\7" * 16, "guest")


def open_log(path_of_socket: str, path: str) -> int:
    """Open a log with logd: the descriptor to write to."""
    procedure = logs.DOMAIN_OPEN_LOG_FILE
    args = procedure.encode_args(logs.OpenArgs("test", GUEST, path, 0))
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(30)
        link.connect(path_of_socket)
        link.sendall(frame(procedure.key, Type.CALL, 1, 0, args))
        data, pipes = b"", []
        while len(data) < MIN_FRAME or not pipes:
            piece, found, _, _ = socket.recv_fds(link, 4096, 1)
            assert piece, "cut off"
            data += piece
            pipes += found
        reply = Message.unpack(data[: int.from_bytes(data[:4], "big")])
        assert (reply.type, reply.status) == (Type.REPLY_WITH_FDS, 0), reply
        os.set_inheritable(pipes[0], False)
        return pipes[0]

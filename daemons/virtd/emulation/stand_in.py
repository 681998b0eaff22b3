"""The program of a process that stands for the emulator of a guest. It imports nothing of the package.

    python -I -S stand_in.py GUEST UUID FOLDER

Its standard input is a socket of virtd, and the first letter of each packet says what to do:

C   Connect to the socket whose path follows, and send the connection back. A lock manager finds out by
    itself which process has connected, and takes the locks of that process back when the last copy of
    the connection is closed.
H   Hold the descriptor that comes with it, and answer with its number. A new virtd opens it as
    /proc/PID/fd/NUMBER.
D   Drop the descriptor whose number follows.
K   Keep running when virtd ends, until a signal ends the process.

Without a K, the process ends when virtd does, or closes its side. The arguments are for lists of
processes, and show a new virtd that the process is the one that it looks for.
"""

import os
import signal
import socket
import sys


def serve(virtd: socket.socket) -> None:
    """Do what virtd asks for, until it closes its side. Replies with an error number on failure."""
    connections = []
    is_kept = False
    while True:
        packet, descriptors, _, _ = socket.recv_fds(virtd, 4096, 1)
        kind, path = packet[:1], packet[1:]
        if kind == b"C":
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                connection.connect(path)
            except OSError as error:
                connection.close()
                virtd.send(str(error.errno or 0).encode())
                continue
            socket.send_fds(virtd, [b"ok"], [connection.fileno()])
            connections.append(connection)  # kept: it lasts as long as the guest
        elif kind == b"H":
            virtd.send(str(descriptors[0] if descriptors else -1).encode())
        elif kind == b"D":
            os.close(int(path))
        elif kind == b"K":
            is_kept = True
        else:
            break
    while is_kept:
        signal.pause()


if __name__ == "__main__":
    serve(socket.socket(fileno=sys.stdin.fileno()))

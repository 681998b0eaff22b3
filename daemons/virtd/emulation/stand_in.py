"""The program of a process that stands for the emulator of a guest. It imports nothing of the package.

    python -I -S stand_in.py GUEST

Its standard input is a socket of virtd. For each packet with the path of a socket, it connects there
and sends the connection back: a lock manager finds out by itself which process has connected, and
takes the locks of that process back when the last copy of the connection is closed. It ends when virtd
does, or closes its side.
"""

import socket
import sys


def serve(virtd: socket.socket) -> None:
    """Connect to what virtd names, until it closes its side. Replies with "ok" or an error number."""
    connections = []
    while path := virtd.recv(4096):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(path)
        except OSError as error:
            connection.close()
            virtd.send(str(error.errno or 0).encode())
            continue
        socket.send_fds(virtd, [b"ok"], [connection.fileno()])
        connections.append(connection)  # kept: it lasts as long as the guest


if __name__ == "__main__":
    serve(socket.socket(fileno=sys.stdin.fileno()))

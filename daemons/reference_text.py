"""The parts of the protocol reference that no table says: how frames look and how a session goes."""

from __future__ import annotations

from typing import Final

from aiovirt.rpc.wire.keepalive import PING_FRAME
from aiovirt.rpc.wire.message import Message, Status, Type

HEAD: Final = """\
# Protocol reference

Made from the program tables by `python -m aiovirt.daemons.reference write`.

Everything is XDR (RFC 4506): big-endian, each item padded with zero bytes to a multiple of four.

| in the tables | on the wire |
|---|---|
| `int`, `unsigned`, `bool` | 4 bytes; a `bool` is 0 or 1 |
| `hyper`, `unsigned hyper`, `double` | 8 bytes |
| `string`, `string<N>` | its length (unsigned; at most 4194304 or N bytes), then UTF-8 without NUL |
| `opaque[N]` | exactly N bytes, padded; `opaque<N>` has its length in front, as a string |
| `char[N]`, `char<N>` | as `opaque`, but each byte is an `int`, whose last byte counts |
| `T<N>` for another type T | the number of items (unsigned), at most N, then the items |
| `T?` | 1 and the value, or 0 and nothing more (unsigned) |
| a name | the fields of that type, one after the other |

A frame is `length` (unsigned, counts itself), a header of
`program`, `version` (unsigned), `procedure`, `type` (int), `serial` (unsigned), `status` (int), and
the payload. A frame has 28 to 33554436 bytes; any other length ends the connection.

Types: 0 CALL, 1 REPLY, 2 MESSAGE, 3 STREAM, 4 CALL_WITH_FDS, 5 REPLY_WITH_FDS, 6 STREAM_HOLE.
Statuses: 0 OK, 1 ERROR, 2 CONTINUE. A reply repeats program, version, procedure and serial of its call.

A message of type CALL_WITH_FDS or REPLY_WITH_FDS has the number of its descriptors (unsigned, at most
32) in front of its payload; each descriptor follows the frame with one byte of its own (SCM_RIGHTS).
These bytes are not counted in `length`. Their value does not matter, and they have to be read.
An event is a MESSAGE that the server sends without being asked; its serial is 1, and 0 for keepalive.

A client chooses any serial that none of its open calls and streams has. A server sends only replies,
events, PINGs, PONGs and packets of streams. A call with an unknown program, version or procedure, or
with arguments that do not decode, is answered with code 39 and domain 7; the connection stays open.

The last column of a program's table has the flags of the procedure and these properties:

- an enumeration: the accepted flags; `flags 0x3`: the same as a mask; `any flags`: they are not
  checked, and neither are those of `any` with an enumeration, which names them.
  Without any of these, `flags` must be 0. Other flags are rejected with code 8.
- R: the procedure only reads, so a read-only client may call it.
- P: it may run on a priority worker when every other worker is busy.
- A: a client that has not authenticated may call it.
- fds in, fds out: its call may carry descriptors; its reply carries some.
- stream: a stream begins after its reply, see [streams.md](streams.md).
"""


def _hex_dump(data: bytes) -> str:
    lines = []
    for at in range(0, len(data), 16):
        piece = data[at : at + 16]
        text = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in piece)
        lines.append(f"    {at:04x}  {piece.hex(' ', 4):<36}  {text}")
    return "\n".join(lines)


_NAME = b"\0\0\0\5admin\0\0\0" + bytes(4)
_CALL = Message(0x06900690, 1, 5, Type.CALL, 2, Status.OK, _NAME).pack()
_REPLY = Message(0x06900690, 1, 5, Type.REPLY, 2, Status.OK, _NAME[:-4]).pack()

SESSION: Final = f"""\
## A session

| socket | programs |
|---|---|
| admin socket of every daemon | `admin`, `admin extension`, the administration program of the daemon |
| lockd | `lockspace` |
| logd | `log manager` |
| virtd | `remote`, `qemu` |

All of them have `keepalive`. Daemons of libvirt have neither the extension nor administration programs.

On an admin socket a client calls CONNECT_OPEN, then any procedures, then CONNECT_CLOSE; the server
closes the connection after the reply. Calls may follow one another without waiting; replies may
overtake one another and are matched by serial.

On lockd's socket the first call is REGISTER, with an id other than 0 in `owner`. Before it, all calls
but CREATE_LOCKSPACE are rejected with code 55; after RESTRICT, with code 29. The path "" is the default
lockspace. A resource is made by CREATE_RESOURCE, or by ACQUIRE_RESOURCE with the flag AUTOCREATE; a
lock that another owner holds is code 87. The connection stays open for as long as the lock is needed:
lockd ends a process whose own connection has ended while it held a lock ([lockd.md](lockd.md)).

On logd's socket no call has to come first. DOMAIN_OPEN_LOG_FILE returns the writing end of a pipe, and
the log is open until every copy of it is closed. Reading begins with the `inode` and the `offset` that
DOMAIN_GET_LOG_FILE_POSITION returned, or with a smaller offset.

On a socket of the remote program the first call is AUTH_LIST, then AUTH_SASL_INIT, AUTH_SASL_START and
AUTH_SASL_STEP if the list says SASL (1), then CONNECT_OPEN. START carries the first message of the
mechanism (SCRAM: RFC 5802), and each STEP a further one, until `complete` is 1. Before CONNECT_OPEN,
CONNECT_SUPPORTS_FEATURE answers for PROGRAM_KEEPALIVE (10) only, which most clients ask for there.

Over TLS the handshake comes first. When the server has accepted the client's certificate, it sends one
byte, 0x01, within the TLS session; the protocol begins after that byte. A rejected client gets no
byte: its connection is closed.

Of the typed parameters, SERVER_SET_THREADPOOL_PARAMETERS takes `minWorkers`, `maxWorkers` and
`prioWorkers`, and SERVER_SET_CLIENT_LIMITS `nclients_max` and `nclients_unauth_max`, each of kind uint
and at most once. A wrong kind or a repeated name is rejected with code 8, another name with code 74.

A PING of the keepalive program may come at any time, in either direction, also before authentication.
Its receiver must answer with a PONG; a peer that is silent for `interval * (count + 1)` seconds is
disconnected. A server sends PINGs only to a client that has asked for keepalive
(CONNECT_SUPPORTS_FEATURE with PROGRAM_KEEPALIVE). Both are of type MESSAGE and have no payload; a PING:

{_hex_dump(PING_FRAME)}

The sockets and their paths are listed in [virtadm.md](virtadm.md#choosing-the-daemon).

The call CONNECT_LOOKUP_SERVER of the admin program with the name `admin` and no flags, serial 2:

{_hex_dump(_CALL)}

and its reply:

{_hex_dump(_REPLY)}
"""

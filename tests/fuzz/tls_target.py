"""A server's side of TLS: what a peer does before, in and after the handshake, and how it goes.

An input is a byte of options, a byte that says how what is sent is cut into pieces, and a script. A
step of the script is a byte for what to do, an argument, a length of two bytes, and its content.
"""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from collections.abc import Iterator
from itertools import pairwise
from random import Random
from typing import Final

from aiovirt.rpc.security.tls import ServerTls, TlsFiles, TlsPolicy, client_context
from aiovirt.rpc.server import Access, Client
from aiovirt.rpc.server.encryption import encrypt
from aiovirt.rpc.transport.tls import CONFIRMATION, TlsFilter
from aiovirt.rpc.wire.keepalive import PING_FRAME
from tests.fuzz import pairs
from tests.fuzz.engine import blind
from tests.fuzz.mutation import WORDS, change_frames, split_frames
from tests.fuzz.server_target import House, frames
from tests.fuzz.target import Target, expect
from tests.fuzz.tls_files import GUEST, files
from tests.fuzz.tls_peer import (
    AGAIN,
    BARE,
    BROKEN,
    BYE,
    END,
    INNER,
    RAW,
    SAY,
    SHAKE,
    STEPS,
    UPDATE,
    Peer,
    Step,
    script,
)
from tests.fuzz.tls_records import CLOSE

# Bits of the first byte.
_PATIENT: Final = 1  # four calls may be under way, not one
_SASL: Final = 2  # the certificate is not enough
_STRANGER: Final = 4  # the client has no certificate
_LAX: Final = 8  # the server wants none
_TLS12: Final = 16
_SHAKEN: Final = 32  # the script begins when the handshake is done
_DEAF: Final = 64  # it reads nothing before all is sent
_SILENT: Final = 128  # it goes without waiting for its answers
# Of the second.
_UNWANTED: Final = 128  # the server lets in others only

#: The most that each end has to say in turn before a handshake is done.
_FLIGHTS: Final = 8


class _Watched(Client):
    """A client that hides no failure. taken: what was decrypted."""

    __slots__ = ("taken",)

    taken: bytearray

    @property
    def tls(self) -> TlsFilter:
        """Its session."""
        assert isinstance(self.filter, TlsFilter)
        return self.filter

    def received(self, data: bytearray, size: int) -> None:
        self.taken += memoryview(data)[:size]
        super().received(data, size)

    def _failed(self, error: Exception) -> None:
        pairs.problems.append(error)
        super()._failed(error)


class _TlsHouse:
    """A server with TLS, and what its clients connect with."""

    def __init__(self) -> None:
        self.house = House()
        own, nobody = files("server"), files("")
        self.strict = ServerTls(own, TlsPolicy())
        self.lax = ServerTls(own, TlsPolicy(verify=False))
        self.unwelcoming = ServerTls(own, TlsPolicy(allowed=("CN=somebody else",)))
        self._log = os.memfd_create("keys")
        self._contexts = {
            options: self._context(options, files("client") if not options & _STRANGER else nobody)
            for options in (0, _STRANGER, _TLS12, _STRANGER | _TLS12)
        }

    def _context(self, options: int, own: TlsFiles) -> ssl.SSLContext:
        context = client_context(own)
        if options & _TLS12:
            context.maximum_version = ssl.TLSVersion.TLSv1_2
        else:
            context.keylog_filename = f"/proc/self/fd/{self._log}"
        return context

    async def visit(self, data: bytes) -> None:
        """One client, from its coming to its going."""
        options, cut = data[:2].ljust(2, b"\0")
        house, server = self.house, self.house.server
        served = server.calls_served
        security, wanted = self._policy(options, cut)
        client, peer = self._enter(options, security)
        answers = bytearray()
        random = Random(cut)
        if options & _SHAKEN:
            await self._shake(client, peer, answers, random)
            expect((answers == CONFIRMATION) == wanted, "who may come in is told so")
        for step in script(data[2:]):
            if step.what == END:
                with contextlib.suppress(OSError):
                    peer.sock.shutdown(socket.SHUT_WR)
            elif not await self._send(client, peer, peer.say(step), random):
                break
            if not options & _DEAF or step.what == SHAKE:
                answers += peer.read()
        if not options & _SILENT:
            house.stubs.gate.set()
            await house.settled(client, peer.read, answers)
            if peer.honest:
                await pairs.until(lambda: self._has_heard(client, peer), "what is said is heard")
        peer.sock.close()
        await pairs.until(lambda: client.closed, "a server notices that a client is gone")
        expect(client.tls.timer is None, "no timer of the handshake is left")
        peer.check_wire()
        if wanted and client.tls.done:
            expect(not answers or answers[:1] == CONFIRMATION, "first it is told to come in")
            house.check_answers(answers[1:], peer.sent)
        else:
            expect(not answers, "nothing is said to who is not let in")
            expect(not client.authenticated, "who is not let in stays anonymous")
            expect(server.calls_served == served, "and nothing is done for it")
            expect(not client.taken, "and nothing is heard from it")
        await house.is_empty()

    def _policy(self, options: int, cut: int) -> tuple[ServerTls, bool]:
        """What the server asks for, and whether the client may come in if it is honest."""
        if options & _LAX:
            return self.lax, True
        if cut & _UNWANTED:
            return self.unwelcoming, False
        return self.strict, not options & _STRANGER

    def _enter(self, options: int, security: ServerTls) -> tuple[_Watched, Peer]:
        server = self.house.server
        server.request_limit = 4 if options & _PATIENT else 1
        self.house.stubs.gate.clear()
        ours, theirs = pairs.pair()
        auth = "sasl" if options & _SASL else "none"
        client = _Watched(server, ours, server.registry.next_id(), Access(auth=auth, tls=True))
        client.taken = bytearray()
        server.registry.add(client)
        client.start()
        encrypt(client, security)
        context = self._contexts[options & (_STRANGER | _TLS12)]
        return client, Peer(theirs, context, self._log)

    def _has_heard(self, client: _Watched, peer: Peer) -> bool:
        expect(client.x509_name in ("", f"CN={GUEST}"), "a name is the certificate's")
        return client.closed or bool(client._paused) or client.taken == peer.said

    async def _shake(
        self, client: _Watched, peer: Peer, answers: bytearray, random: Random
    ) -> None:
        """An honest handshake, in pieces."""
        for _ in range(_FLIGHTS):
            if peer.finished or client.closed:
                break
            await self._send(client, peer, peer.shake(), random)
            answers += peer.read()
        await pairs.until(lambda: client.closed or client.tls.done, "a handshake comes to its end")
        answers += peer.read()

    async def _send(self, client: _Watched, peer: Peer, data: bytes, random: Random) -> bool:
        places = sorted(random.randrange(len(data) + 1) for _ in range(random.randrange(4)))
        for start, end in pairwise((0, *places, len(data))):
            if start == end:
                continue
            peer.sent += end - start
            if not pairs.send(peer.sock, data[start:end], []):
                return False
            await pairs.loop_iterations()
            self._is_bounded(client, peer.sent)
        return True

    def _is_bounded(self, client: _Watched, sent: int) -> None:
        self.house.is_bounded(client, sent)
        expect(client.tls.from_peer.pending <= sent, "no more waits for its key than was sent")
        if not client.closed:
            expect(not client.tls.to_peer.pending, "what the engine has made is sent")
        if client.tls.done:
            expect(client.tls.timer is None, "a handshake that is done waits for nothing")
        else:
            expect(not client.authenticated, "a handshake comes before everything")
            expect(not client.unconsumed and not client.in_flight, "and nothing comes before it")


_check: Final = pairs.visits(_TlsHouse)


def _hello(newest: ssl.TLSVersion) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.maximum_version = newest
    out = ssl.MemoryBIO()
    engine = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    with contextlib.suppress(ssl.SSLWantReadError):
        engine.do_handshake()
    return out.read()


def _handshake_steps() -> list[list[Step]]:
    """What may come instead of a handshake, or in its place."""
    hellos = [_hello(ssl.TLSVersion.TLSv1_3), _hello(ssl.TLSVersion.TLSv1_2)]
    shake = Step(SHAKE, 0, b"")
    made = [[Step(RAW, 0, data)] for data in (*hellos, hellos[0][:40], b"GET / HTTP/1.0\r\n\r\n")]
    made += [[Step(BARE, 2, hello[5:])] for hello in hellos]
    made += [[Step(BARE, 2, hello[at : at + 1]) for at in range(5, 45)] for hello in hellos]
    made.append([Step(RAW, 0, PING_FRAME)])
    made.append([Step(RAW, 0, b"\x80\x2e\1\3\1\0\x15\0\0\0\x10" + bytes(range(37)))])
    made.append([Step(RAW, 0, b"\x16\3\1\xff\xff" + bytes(200))])
    made += [[Step(BARE, kind, b"\1" * size)] for kind in range(5) for size in (0, 1, 2, 5)]
    made.append([Step(BARE, 2, b"")] * 40)
    made.append([shake, *[Step(BARE, 0, b"\1")] * 40, shake])
    made += [[Step(SHAKE, how, b""), shake, shake] for how in range(8)]
    made += [[shake, Step(SHAKE, how, b""), shake] for how in range(8)]
    made += [[shake, Step(END, 0, b"")], [shake, Step(BARE, 1, CLOSE)], [shake] * 3]
    return made


def _spoken_steps(pool: list[bytes]) -> Iterator[list[Step]]:
    """What may come when the handshake is done."""
    ping = Step(SAY, 0, PING_FRAME)
    for one in pool:
        yield [Step(SAY, 0, one)]
    for at in range(0, len(pool), 8):
        together = b"".join(pool[at : at + 8])
        yield [
            Step(SAY, start & 7, together[start : start + 50])
            for start in range(0, len(together), 50)
        ]
    for argument in range(3):
        yield [ping, Step(UPDATE, argument, b""), ping]
        yield [Step(UPDATE, argument, b"")] * 40
    for kind in range(5):
        yield [ping, Step(INNER, kind, b"\1\0\0\0"), ping]
        yield [ping, Step(BARE, kind, b"\1"), ping]
    yield [Step(SAY, 255, b"")] * 40
    for what in (BROKEN, AGAIN, BYE, END):
        yield [ping, Step(what, 9, PING_FRAME), ping]


def _change(steps: list[Step], pool: list[Step], limit: int, random: Random) -> list[Step]:
    """Put a step in, take one out, repeat, swap or split one, or change what one says."""
    steps = list(steps)
    at = random.randrange(len(steps)) if steps else 0
    chance = random.randrange(14)
    if not steps or chance < 3:
        steps.insert(random.randint(0, len(steps)), random.choice(pool))
        return steps
    step = steps[at]
    if chance == 3:
        del steps[at]
    elif chance == 4:
        steps[at:at] = [step] * random.choice((1, 2, 40))
    elif chance == 5:
        other = random.randrange(len(steps))
        steps[at], steps[other] = steps[other], step
    elif chance == 6:
        place = random.randint(0, len(step.content))
        steps[at : at + 1] = [
            step._replace(content=step.content[:place]),
            step._replace(content=step.content[place:]),
        ]
    elif chance == 7:
        steps[at] = step._replace(
            argument=random.choice((0, 1, 2, 3, 4, 255, random.randrange(256)))
        )
    elif chance == 8:
        steps[at] = step._replace(what=random.randrange(STEPS))
    elif step.what == SAY and chance < 13:
        known = [one.content for one in pool if one.what == SAY]
        changed = change_frames(split_frames(step.content), known, limit, random, blind)
        steps[at] = step._replace(content=b"".join(changed)[:limit])
    else:
        steps[at] = step._replace(content=blind(step.content, limit))
    return steps


def tls_target() -> Target:
    """A client that comes through TLS, or seems to."""
    early = _handshake_steps()
    late = list(_spoken_steps(frames()[::8]))
    pool = [step for steps in (*early, *late) for step in steps[:3]]

    def seeds() -> Iterator[bytes]:
        for number, steps in enumerate(early):
            for options in (0, _STRANGER | _LAX, _TLS12):
                yield bytes((options | number & _PATIENT, number & 7)) + _packed(steps)
        for number, steps in enumerate(late):
            options = _SHAKEN | (_PATIENT, _TLS12, _STRANGER | _LAX, _SASL)[number % 4]
            yield bytes((options, number & 127)) + _packed(steps)
        for options in (_SHAKEN, _SHAKEN | _STRANGER, _SHAKEN | _TLS12):
            yield bytes((options, _UNWANTED)) + _packed([Step(SAY, 0, PING_FRAME)] * 2)

    def mutate(data: bytes, limit: int, random: Random) -> bytes:
        head, steps = data[:2].ljust(2, b"\0"), list(script(data[2:]))
        if random.random() < 0.1:
            head = random.randbytes(2)
        for _ in range(random.randint(1, 3)):
            steps = _change(steps, pool, limit, random)
        return (head + _packed(steps))[:limit]

    return Target("tls", _check, seeds, 1, WORDS, mutate, max_len=2048, slack=4 << 20)


def _packed(steps: list[Step]) -> bytes:
    return b"".join(step.pack() for step in steps)

"""Attacks on TLS: handshakes that are not finished, that are no handshakes, or too many."""

from __future__ import annotations

import contextlib
import random
import ssl
from collections.abc import Callable
from typing import Final

from tests.attacks.target import Attack, Crowd, Tally, Target, is_cut

_PAUSE: Final = 0.05


def _context(target: Target) -> ssl.SSLContext:
    """A client's, which believes any server: it has no time to look."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if target.pki:
        context.load_cert_chain(f"{target.pki}/clientcert.pem", f"{target.pki}/clientkey.pem")
    return context


def _hello(context: ssl.SSLContext) -> bytes:
    """The first message of a handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with contextlib.suppress(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    return outgoing.read()


def hanging(target: Target, tally: Tally, size: int) -> Attack:
    """`size` handshakes of which only the first message is sent; cut off, they begin anew."""
    hello = _hello(_context(target))
    yield from _repeated(target, tally, size, lambda: hello)


def garbage(target: Target, tally: Tally, size: int) -> Attack:
    """`size` connections that send what is no TLS; cut off, they come again."""
    chance = random.Random(1)
    yield from _repeated(target, tally, size, lambda: chance.randbytes(500))


def _repeated(target: Target, tally: Tally, size: int, words: Callable[[], bytes]) -> Attack:
    """Each says its words, and is there until it is cut off; then the next one comes."""
    with Crowd(target, tally, size) as crowd:
        for number in range(size):
            crowd.say(number, words())
        while True:
            yield _PAUSE
            for number, link in enumerate(crowd.links):
                with contextlib.suppress(BlockingIOError):
                    with contextlib.suppress(ConnectionResetError):
                        while link.recv(1 << 16):
                            pass
                    crowd.again(number)
                    crowd.say(number, words())


def flood(target: Target, tally: Tally, size: int) -> Attack:
    """Handshakes without a certificate, `size` a second (0: as many as can be), which are refused."""
    context = _context(Target(target.address))
    yield 0
    while True:
        with contextlib.suppress(OSError), context.wrap_socket(target.connect()) as secured:
            tally["refused"] += is_cut(secured)
        tally["handshakes"] += 1
        yield 1 / size if size else 0


def then_silence(target: Target, tally: Tally, size: int) -> Attack:
    """`size` clients with a certificate that are let in and say nothing."""
    context = _context(target)
    with contextlib.ExitStack() as stack:
        for _ in range(size):
            secured = stack.enter_context(context.wrap_socket(target.connect()))
            tally["let in"] += secured.recv(1) == b"\1"
        while True:
            yield 1

"""Logs: opening them, and where they are."""

from __future__ import annotations

import fcntl
import os
import socket
import stat

from tests.conformance.acts import (
    Do,
    See,
    gone,
    has_mode,
    make,
    make_folder,
    make_link,
    remove,
    there,
)
from tests.conformance.case import CLOSED, RPC
from tests.conformance.differences import Difference
from tests.conformance.logmanager import (
    BAD_FLAGS,
    DATA_MAX,
    LOG,
    NOT_OPEN,
    OPEN_ALREADY,
    SYSTEM,
    TRUNCATE,
    Client,
    Meet,
    at,
    holds,
    make_fifo,
    opened,
    write,
)
from tests.conformance.scenario import Held, Scene, Unlike, scenario

a, b = Client("a"), Client("b")


def _nothing_waits(scene: Scene) -> bool:
    """The pipe's end is a pipe's, and whoever writes to it when it is full waits."""
    pipe = scene.descriptors["pipe"]
    waits = not fcntl.fcntl(pipe, fcntl.F_GETFL) & os.O_NONBLOCK
    return waits and stat.S_ISFIFO(os.fstat(pipe).st_mode)


def _make_socket(scene: Scene) -> None:
    """A file that cannot be opened, not even by root."""
    with socket.socket(socket.AF_UNIX) as link:
        link.bind(str(scene.path("log")))


def rename(name: str, to: str) -> Do:
    """A file gets another name."""
    return Do(lambda scene: scene.path(name).rename(scene.path(to)))


OPENING = (
    scenario("open", a.open(LOG, opened("log", 0)), there("log")),
    scenario("open-mode", a.open(LOG, opened("log", 0)), has_mode("log", 0o100600)),
    scenario("open-gives-a-pipe", a.open(LOG, opened("log", 0)), See("a pipe", _nothing_waits)),
    scenario(
        "open-what-is-there",
        make("log", b"old"),
        a.open(LOG, opened("log", 3)),
        holds("log", b"old"),
    ),
    scenario(
        "open-truncating",
        *(make(name, b"old") for name in ("log", "log.0", "log.1", "log.2")),
        a.open(LOG, opened("log", 0), flags=TRUNCATE),
        holds("log", b""),
        gone("log.0"),
        gone("log.1"),
        holds("log.2", b"old"),
    ),
    scenario("open-truncating-nothing", a.open(LOG, opened("log", 0), flags=TRUNCATE)),
    scenario(
        "open-truncating-below-a-folder",
        make("log", b"old"),
        make_folder("log.0"),
        a.open(LOG, SYSTEM, flags=TRUNCATE),
        gone("log"),
        there("log.0"),
    ),
    scenario(
        "open-unknown-flags", make("log", b"old"), a.open(LOG, opened("log", 3), flags=0xFFFFFFFE)
    ),
    scenario(
        "open-truncating-and-unknown-flags",
        make("log", b"old"),
        a.open(LOG, opened("log", 0), flags=0xFFFFFFFF),
    ),
    scenario("open-twice", a.open(LOG, opened("log", 0)), a.open(LOG, OPEN_ALREADY)),
    scenario(
        "open-twice-by-two",
        a.open(LOG, opened("log", 0)),
        b.open(LOG, OPEN_ALREADY, driver="other", guest="other"),
    ),
    scenario(
        "open-twice-truncating",
        a.open(LOG, opened("log", 0)),
        write(b"kept"),
        a.position(LOG, at("log", 4)),
        b.open(LOG, OPEN_ALREADY, flags=TRUNCATE),
        holds("log", b"kept"),
    ),
    scenario(
        "open-by-another-spelling",
        a.open(LOG, opened("log", 0)),
        a.open("{dir}/./log", opened("log", 0), pipe="other"),
        write(b"one"),
        a.position(LOG, at("log", 3)),
        write(b"two", "other"),
        a.position("{dir}/./log", Unlike(at("log", 3), at("log", 6), Difference.REAL_SIZE)),
        holds("log", b"onetwo"),
    ),
    scenario(
        "open-through-a-link",
        make("file", b"old"),
        make_link("log", "file"),
        a.open(LOG, opened("file", 3)),
    ),
    scenario(
        "open-through-a-link-to-nothing",
        make_link("log", "file"),
        a.open(LOG, opened("file", 0)),
        there("file"),
    ),
    scenario("open-in-no-folder", a.open("{dir}/x/log", SYSTEM)),
    scenario("open-below-a-file", make("log"), a.open(LOG + "/x", SYSTEM)),
    scenario("open-a-folder", a.open("{dir}", SYSTEM)),
    scenario("open-without-a-path", a.open("", SYSTEM)),
    scenario("open-name-too-long-for-a-file", a.open("{dir}/" + "n" * 256, SYSTEM)),
    scenario(
        "open-longest-path",
        a.open("/" * DATA_MAX, Unlike(CLOSED, SYSTEM, Difference.LONG_TEXT_SHORTENED)),
    ),
    scenario(
        "open-path-too-long", a.open("/" * (DATA_MAX + 1), RPC), a.open(LOG, opened("log", 0))
    ),
    scenario(
        "open-again-after-a-refusal",
        a.open("{dir}/x/log", SYSTEM),
        make_folder("x"),
        a.open("{dir}/x/log", opened("x/log", 0)),
    ),
    scenario("open-without-names", a.open(LOG, opened("log", 0), driver="", guest="")),
    scenario(
        "open-with-long-names", a.open(LOG, opened("log", 0), driver="d" * 70000, guest="g" * 70000)
    ),
    scenario(
        "open-truncating-a-folder",
        make_folder("log"),
        a.open(LOG, SYSTEM, flags=TRUNCATE),
        there("log"),
    ),
    scenario("open-a-loop", make_link("log", "log"), a.open(LOG, SYSTEM)),
    scenario("open-a-socket", Do(_make_socket), a.open(LOG, SYSTEM)),
    scenario(
        "open-twice-although-removed",
        a.open(LOG, opened("log", 0)),
        remove("log"),
        b.open(LOG, OPEN_ALREADY),
        gone("log"),
    ),
    scenario(
        "open-a-fifo-that-is-read",
        make_fifo("log", read=True),
        a.open(LOG, SYSTEM),
    ),
    scenario(
        "open-a-fifo",
        make_fifo("log"),
        Held(a.open(LOG, SYSTEM), Meet("log", reading=True), Difference.FIFO_REFUSED),
        a.position(LOG, NOT_OPEN),
    ),
)

POSITIONS = (
    scenario("position-at-the-start", a.open(LOG, opened("log", 0)), a.position(LOG, at("log", 0))),
    scenario(
        "position-after-a-write",
        a.open(LOG, opened("log", 0)),
        write(b"hello\n"),
        a.position(LOG, at("log", 6)),
        holds("log", b"hello\n"),
    ),
    scenario(
        "position-after-writes",
        a.open(LOG, opened("log", 0)),
        write(b"one"),
        write(b"two"),
        a.position(LOG, at("log", 6)),
        write(b"three"),
        a.position(LOG, at("log", 11)),
        holds("log", b"onetwothree"),
    ),
    scenario(
        "position-behind-what-was-there",
        make("log", b"old"),
        a.open(LOG, opened("log", 3)),
        write(b"new"),
        a.position(LOG, at("log", 6)),
        holds("log", b"oldnew"),
    ),
    scenario(
        "position-for-another",
        a.open(LOG, opened("log", 0)),
        write(b"one"),
        b.position(LOG, at("log", 3)),
    ),
    scenario("position-not-open", a.position(LOG, NOT_OPEN), gone("log")),
    scenario("position-not-open-but-there", make("log"), a.position(LOG, NOT_OPEN)),
    scenario(
        "position-by-another-spelling",
        a.open(LOG, opened("log", 0)),
        a.position("{dir}/./log", NOT_OPEN),
    ),
    scenario("position-without-a-path", a.position("", NOT_OPEN)),
    scenario("position-flags", a.open(LOG, opened("log", 0)), a.position(LOG, BAD_FLAGS, flags=1)),
    scenario("position-not-open-and-flags", a.position(LOG, BAD_FLAGS, flags=1)),
    scenario(
        "position-of-a-renamed-file",
        a.open(LOG, opened("log", 0)),
        rename("log", "moved"),
        write(b"here"),
        a.position(LOG, at("moved", 4)),
        gone("log"),
    ),
    scenario(
        "position-of-a-file-cut-short",
        a.open(LOG, opened("log", 0)),
        write(b"long text"),
        a.position(LOG, at("log", 9)),
        make("log"),
        write(b"new"),
        a.position(LOG, Unlike(at("log", 12), at("log", 3), Difference.REAL_SIZE)),
        holds("log", b"new"),
    ),
)

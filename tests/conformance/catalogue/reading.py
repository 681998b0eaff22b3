"""Logs: reading them from a position on, adding to them, and calls that are not well made."""

from __future__ import annotations

import os

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
from tests.conformance.case import RPC
from tests.conformance.differences import Difference
from tests.conformance.logmanager import (
    APPENDED,
    BAD_FLAGS,
    DATA_MAX,
    LOG,
    NO_INODE,
    NOT_OPEN,
    SYSTEM,
    TOO_MUCH,
    UUID,
    Client,
    Meet,
    at,
    gives,
    holds,
    make_fifo,
    opened,
    write,
)
from tests.conformance.scenario import Held, Scene, Unlike, scenario
from tests.conformance.wire import string, u32, u64

a, b = Client("a"), Client("b")

_ONE = make("log", b"0123456789")
_THREE = make("log.1", b"oldest"), make("log.0", b"older"), make("log", b"newest")
_GONE = Difference.POSITION_GONE

READING = (
    scenario("read", _ONE, a.read(LOG, gives(b"0123456789"))),
    scenario("read-from-the-middle", _ONE, a.read(LOG, gives(b"3456789"), offset=3)),
    scenario("read-at-the-end", _ONE, a.read(LOG, gives(b""), offset=10)),
    scenario("read-past-the-end", _ONE, a.read(LOG, gives(b""), offset=1000)),
    scenario("read-nothing", _ONE, a.read(LOG, gives(b""), maxlen=0)),
    scenario("read-some", _ONE, a.read(LOG, gives(b"34"), offset=3, maxlen=2)),
    scenario("read-one-more-than-there-is", _ONE, a.read(LOG, gives(b"0123456789"), maxlen=11)),
    scenario("read-empty", make("log"), a.read(LOG, gives(b""))),
    scenario("read-much", make("log", b"x" * 200_000), a.read(LOG, gives(b"x" * 200_000))),
    scenario(
        "read-the-most", make("log", b"x" * (DATA_MAX + 1)), a.read(LOG, gives(b"x" * DATA_MAX))
    ),
    scenario("read-more-than-the-most", _ONE, a.read(LOG, TOO_MUCH, maxlen=DATA_MAX + 1)),
    scenario("read-all-that-numbers-can-say", _ONE, a.read(LOG, TOO_MUCH, maxlen=2**64 - 1)),
    scenario("read-flags", _ONE, a.read(LOG, BAD_FLAGS, flags=1)),
    scenario("read-too-much-and-flags", _ONE, a.read(LOG, TOO_MUCH, maxlen=DATA_MAX + 1, flags=1)),
    scenario("read-missing-and-flags", a.read(LOG, BAD_FLAGS, of=1, flags=1)),
    scenario("read-missing", a.read(LOG, SYSTEM, of=NO_INODE), gone("log")),
    scenario("read-missing-from-0", a.read(LOG, SYSTEM, of=0)),
    scenario("read-in-no-folder", a.read("{dir}/x/log", SYSTEM, of=0)),
    scenario("read-below-a-file", _ONE, a.read(LOG + "/x", SYSTEM, of=0)),
    scenario("read-a-folder", make_folder("log"), a.read(LOG, SYSTEM)),
    scenario("read-without-a-path", a.read("", SYSTEM, of=0)),
    scenario(
        "read-through-a-link",
        _ONE,
        make_link("link", "log"),
        a.read("{dir}/link", gives(b"0123456789")),
    ),
    scenario("read-not-utf-8", make("log", b"\xff\xfe\x80"), a.read(LOG, gives(b"\xff\xfe\x80"))),
    scenario(
        "read-half-a-character", make("log", "ä".encode()), a.read(LOG, gives(b"\xa4"), offset=1)
    ),
    scenario(
        "read-a-nul",
        make("log", b"one\0two"),
        a.read(LOG, Unlike(gives(b"one"), gives(b"one\x1atwo"), Difference.NUL_SHOWN)),
    ),
    scenario("read-three-files", *_THREE, a.read(LOG, gives(b"oldestoldernewest"), of="log.1")),
    scenario(
        "read-two-of-three-files", *_THREE, a.read(LOG, gives(b"dernewest"), of="log.0", offset=2)
    ),
    scenario("read-the-newest-of-three-files", *_THREE, a.read(LOG, gives(b"newest"))),
    scenario(
        "read-some-of-three-files",
        *_THREE,
        a.read(LOG, gives(b"stolderne"), of="log.1", offset=4, maxlen=9),
    ),
    scenario(
        "read-up-to-a-file's-end", *_THREE, a.read(LOG, gives(b"older"), of="log.0", maxlen=5)
    ),
    scenario("read-at-a-file's-end", *_THREE, a.read(LOG, gives(b"newest"), of="log.0", offset=5)),
    scenario(
        "read-past-a-file's-end", *_THREE, a.read(LOG, gives(b"newest"), of="log.0", offset=500)
    ),
    scenario(
        "read-across-a-gap",
        make("log.1", b"oldest"),
        make("log", b"newest"),
        a.read(LOG, gives(b"oldestnewest"), of="log.1"),
    ),
    scenario(
        "read-where-the-newest-is-missing",
        make("log.1", b"oldest"),
        make("log.0", b"older"),
        a.read(LOG, gives(b"oldestolder"), of="log.1"),
    ),
    scenario(
        "read-a-gone-file-of-three", *_THREE, a.read(LOG, gives(b"oldestoldernewest"), of=NO_INODE)
    ),
    scenario(
        "read-a-gone-file-of-three-from-0", *_THREE, a.read(LOG, gives(b"oldestoldernewest"), of=0)
    ),
    scenario(
        "read-a-gone-file-of-three-in-the-middle",
        *_THREE,
        a.read(
            LOG,
            Unlike(gives(b"stoldernewest"), gives(b"oldestoldernewest"), _GONE),
            of=NO_INODE,
            offset=4,
        ),
    ),
    scenario(
        "read-a-gone-file-of-two",
        *_THREE[1:],
        a.read(LOG, Unlike(SYSTEM, gives(b"oldernewest"), _GONE), of=NO_INODE),
    ),
    scenario(
        "read-a-gone-file-of-one",
        _ONE,
        a.read(LOG, Unlike(SYSTEM, gives(b"0123456789"), _GONE), of=NO_INODE),
    ),
    scenario(
        "read-a-backup-too-old",
        *_THREE,
        make("log.2", b"too old"),
        a.read(LOG, gives(b"oldestoldernewest"), of="log.2"),
    ),
    scenario(
        "read-a-backup-that-is-a-folder",
        _ONE,
        make_folder("log.0"),
        a.read(LOG, gives(b"0123456789")),
        a.read(LOG, SYSTEM, of="log.0"),
    ),
    scenario("read-a-link-to-nothing", make_link("log", "x"), a.read(LOG, SYSTEM, of=0)),
    scenario(
        "read-a-fifo",
        make_fifo("log"),
        Held(a.read(LOG, SYSTEM), Meet("log", reading=False), Difference.FIFO_REFUSED),
    ),
    scenario(
        "read-what-has-two-names",
        *_THREE[:2],
        Do(lambda scene: scene.path("log").hardlink_to(scene.path("log.0"))),
        a.read(
            LOG,
            Unlike(gives(b"oldestolderolder"), gives(b"oldestolder"), Difference.READ_ONCE),
            of="log.1",
        ),
    ),
    scenario(
        "read-a-removed-log-that-is-open",
        a.open(LOG, opened("log", 0)),
        write(b"gone"),
        a.position(LOG, at("log", 4)),
        remove("log"),
        b.read(LOG, SYSTEM, of=0),
    ),
    scenario("read-offset-2^63", _ONE, a.read(LOG, SYSTEM, offset=2**63)),
    scenario("read-offset-2^64-1", _ONE, a.read(LOG, SYSTEM, offset=2**64 - 1)),
)

APPENDING = (
    scenario("append", a.append(LOG, b"text"), holds("log", b"text"), a.position(LOG, NOT_OPEN)),
    scenario("append-twice", a.append(LOG, b"one"), b.append(LOG, b"two"), holds("log", b"onetwo")),
    scenario("append-mode", a.append(LOG, b"x"), has_mode("log", 0o100600)),
    scenario(
        "append-to-what-is-there",
        make("log", b"old"),
        a.append(LOG, b"new"),
        holds("log", b"oldnew"),
    ),
    scenario("append-nothing", a.append(LOG, b""), holds("log", b"")),
    scenario(
        "append-to-an-open-log",
        a.open(LOG, opened("log", 0)),
        a.append(LOG, b"text"),
        a.position(LOG, at("log", 4)),
        write(b" more"),
        a.position(LOG, at("log", 9)),
        holds("log", b"text more"),
    ),
    scenario(
        "append-through-a-link",
        make("file", b"old"),
        make_link("log", "file"),
        a.append(LOG, b"new"),
        holds("file", b"oldnew"),
    ),
    scenario(
        "append-rotates-a-link",
        make("file", b"x" * 1000),
        make_link("log", "file"),
        a.append(LOG, b"new"),
        holds("log.0", b"x" * 1000),
        holds("log", b"new"),
        holds("file", b"x" * 1000),
    ),
    scenario(
        "append-to-a-removed-log-that-is-open",
        a.open(LOG, opened("log", 0)),
        remove("log"),
        b.append(LOG, b"text"),
        See(
            "log is made anew",
            lambda scene: scene.path("log").exists(),
            why=Difference.MADE_ANEW,
        ),
    ),
    scenario(
        "append-to-a-fifo-that-is-read",
        make_fifo("log", read=True),
        a.append(LOG, b"text", SYSTEM),
    ),
    scenario(
        "append-for-another-guest",
        a.open(LOG, opened("log", 0)),
        b.append(LOG, b"text", driver="other", guest="other"),
        b.position(LOG, at("log", 4)),
    ),
    scenario(
        "append-without-names", a.append(LOG, b"text", driver="", guest=""), holds("log", b"text")
    ),
    scenario("append-flags", a.append(LOG, b"text", BAD_FLAGS, flags=1), gone("log")),
    scenario("append-in-no-folder", a.append("{dir}/x/log", b"text", SYSTEM)),
    scenario("append-to-a-folder", a.append("{dir}", b"text", SYSTEM)),
    scenario("append-without-a-path", a.append("", b"text", SYSTEM)),
    scenario(
        "append-to-a-full-file",
        make("log", b"x" * 1000),
        a.append(LOG, b"y"),
        holds("log.0", b"x" * 1000),
        holds("log", b"y"),
    ),
    scenario(
        "append-until-it-is-full",
        make("log", b"x" * 990),
        a.append(LOG, b"y" * 10),
        gone("log.0"),
        holds("log", b"x" * 990 + b"y" * 10),
    ),
    scenario(
        "append-across-a-rotation",
        make("log", b"x" * 990),
        a.append(LOG, b"y" * 20),
        holds("log.0", b"x" * 990 + b"y" * 10),
        holds("log", b"y" * 10),
    ),
    scenario(
        "append-a-line-across-a-rotation",
        make("log", b"x" * 990),
        a.append(LOG, b"y\n" + b"z" * 20),
        holds("log.0", b"x" * 990 + b"y\n"),
        holds("log", b"z" * 20),
    ),
    scenario(
        "append-to-a-file-too-long",
        make("log", b"x" * 1001),
        a.append(LOG, b"y"),
        holds("log.0", b"x" * 1001),
        holds("log", b"y"),
    ),
    scenario(
        "append-more-than-all-files-hold",
        a.append(LOG, b"".join(bytes([letter]) * 1000 for letter in b"vwxyz")),
        holds("log.1", b"x" * 1000),
        holds("log.0", b"y" * 1000),
        holds("log", b"z" * 1000),
        gone("log.2"),
    ),
    scenario(
        "append-rotates-an-open-log",
        a.open(LOG, opened("log", 0)),
        write(b"x" * 990),
        a.position(LOG, at("log", 990)),
        b.append(LOG, b"y" * 20),
        a.position(LOG, at("log", 10)),
        write(b"z"),
        a.position(LOG, at("log", 11)),
        holds("log", b"y" * 10 + b"z"),
    ),
    scenario(
        "append-where-rotation-is-impossible",
        make("log", b"x" * 1000),
        make("log.0"),
        make_folder("log.1"),
        a.append(LOG, b"y", Unlike(SYSTEM, APPENDED, Difference.WRITTEN_ON)),
        holds("log", b"x" * 1000 + b"y", why=Difference.WRITTEN_ON),
    ),
    scenario("append-not-utf-8", a.append(LOG, b"\xff\xfe"), holds("log", b"\xff\xfe")),
    scenario("append-the-most", a.append(LOG, b"x" * DATA_MAX), holds("log", b"x" * 304)),
    scenario("append-too-much", a.append(LOG, b"x" * (DATA_MAX + 1), RPC), gone("log")),
    scenario(
        "append-a-nul", a.append(LOG, b"one\0two", Unlike(APPENDED, RPC, Difference.NUL_REFUSED))
    ),
)

_OPEN = string("test") + UUID + string("guest")


def _raw_path(scene: Scene) -> bytes:
    """A path that is not in UTF-8."""
    return string(scene.fill(b"{dir}/\xff\xfe"))


CALLS = (
    scenario("procedure-0", a.call(0, outcome=RPC)),
    scenario("procedure-5", a.call(5, outcome=RPC)),
    scenario("procedure-minus-1", a.call(-1, outcome=RPC)),
    scenario("version-2", a.call(2, LOG, u32(0), outcome=RPC, version=2)),
    scenario("version-0", a.call(2, LOG, u32(0), outcome=RPC, version=0)),
    scenario("no-arguments", *(a.call(number, outcome=RPC) for number in range(1, 5))),
    scenario("open-cut-flags", a.call(1, _OPEN, LOG, outcome=RPC), gone("log")),
    scenario("open-cut-uuid", a.call(1, string("test"), UUID[:12], outcome=RPC)),
    scenario("position-cut-flags", a.call(2, LOG, outcome=RPC)),
    scenario("position-cut-path", a.call(2, string("log", length=9), u32(0), outcome=RPC)),
    scenario("read-cut-flags", _ONE, a.call(3, LOG, u64(0), u64(0), u64(1), outcome=RPC)),
    scenario("read-cut-maxlen", _ONE, a.call(3, LOG, u64(0), u64(0), u32(0), outcome=RPC)),
    scenario("append-cut-flags", a.call(4, _OPEN, LOG, string("x"), outcome=RPC), gone("log")),
    scenario(
        "more-than-arguments",
        a.call(4, _OPEN, LOG, string("x"), u32(0), b"more", outcome=APPENDED),
        there("log"),
    ),
    scenario(
        "path-with-a-nul", a.position("{dir}/lo\0g", Unlike(NOT_OPEN, RPC, Difference.NUL_REFUSED))
    ),
    scenario(
        "path-not-in-utf-8",
        a.call(4, _OPEN, _raw_path, string("x"), u32(0), outcome=APPENDED),
        See("the file", lambda scene: os.path.exists(os.fsencode(scene.folder) + b"/\xff\xfe")),
    ),
    scenario(
        "path-cut-then-served",
        a.call(2, string("log", length=9), outcome=RPC),
        a.position(LOG, NOT_OPEN),
    ),
)

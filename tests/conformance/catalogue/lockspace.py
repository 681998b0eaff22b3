"""Lockspaces and their resources: who may do what before anything is locked."""

from __future__ import annotations

import os

from tests.conformance.acts import (
    Connect,
    Do,
    HangUp,
    See,
    gone,
    has_mode,
    make,
    make_folder,
    make_link,
    there,
)
from tests.conformance.case import CLOSED, RPC
from tests.conformance.differences import Difference
from tests.conformance.lockspace import (
    AUTOCREATE,
    BAD_FLAGS,
    BUSY,
    DISK,
    DONE,
    NO_OWNER,
    NO_SPACE,
    NOT_THE_HOLDER,
    RESTRICTED,
    SPACE,
    SYSTEM,
    TOUCH,
    Holder,
    beside_the_daemon,
    owner,
)
from tests.conformance.scenario import Unlike, scenario
from tests.conformance.wire import string, u32

a, b = Holder("a"), Holder("b")

OWNERS = (
    scenario("register", a.register()),
    scenario("register-twice", a.register(), a.register(name="other")),
    scenario("register-id-0", a.register(NO_OWNER, number=0)),
    scenario("register-pid-0", a.register(pid=0)),
    scenario("register-pid-that-is-none", a.register(pid=0xFFFFFFFF)),
    scenario("register-id-huge", a.register(number=0xFFFFFFFF)),
    scenario("register-empty-name", a.register(name="")),
    scenario("register-longest-name", a.register(name="n" * 65536)),
    scenario("register-name-too-long", a.register(RPC, name="n" * 65537), a.register()),
    scenario("register-flags", a.register(BAD_FLAGS, flags=1), a.create(DISK, NO_OWNER)),
    scenario("register-flags-and-id-0", a.register(BAD_FLAGS, flags=1, number=0)),
    scenario("restrict", a.register(), a.restrict()),
    scenario("restrict-unregistered", a.restrict(NO_OWNER)),
    scenario("restrict-flags", a.register(), a.restrict(BAD_FLAGS, flags=1), a.create(DISK)),
    scenario("restrict-twice", a.register(), a.restrict(), a.restrict(RESTRICTED)),
    scenario(
        "restricted-may-do-nothing",
        make("disk"),
        a.register(),
        a.acquire(DISK),
        a.restrict(),
        a.register(RESTRICTED),
        a.new(SPACE, RESTRICTED),
        a.create("{dir}/other", RESTRICTED),
        a.delete("{dir}/other", RESTRICTED),
        a.acquire("{dir}/other", RESTRICTED),
        a.release(DISK, RESTRICTED),
        a.create_lockspace(SPACE, RESTRICTED),
        gone("space"),
    ),
    scenario(
        "restricted-and-flags", a.register(), a.restrict(), a.create(DISK, BAD_FLAGS, flags=1)
    ),
    scenario("restricted-alone", a.register(), a.restrict(), b.register(), b.create(DISK)),
    scenario(
        "unregistered-may-do-nothing",
        a.new(SPACE, NO_OWNER),
        a.create(DISK, NO_OWNER),
        a.delete(DISK, NO_OWNER),
        a.acquire(DISK, NO_OWNER),
        a.release(DISK, NO_OWNER),
        gone("disk"),
        gone("space"),
    ),
    scenario("unregistered-and-flags", a.acquire(DISK, BAD_FLAGS, flags=4)),
    scenario("flags-before-the-default-lockspace", a.register(), a.new("", BAD_FLAGS, flags=1)),
)

SPACES = (
    scenario("new-in-a-folder", make_folder("space"), a.register(), a.new(SPACE)),
    scenario("new-makes-the-folder", a.register(), a.new(SPACE), there("space")),
    scenario("new-makes-folders", a.register(), a.new("{dir}/x/y/z"), there("x/y/z")),
    scenario(
        "new-makes-folders-for-nobody-else",
        a.register(),
        a.new("{dir}/x/y"),
        has_mode("x", 0o40700),
        has_mode("x/y", 0o40700),
    ),
    scenario("new-twice", a.register(), a.new(SPACE), a.new(SPACE, NO_SPACE)),
    scenario("new-twice-by-two", a.register(), a.new(SPACE), b.register(), b.new(SPACE, NO_SPACE)),
    scenario("new-by-another-spelling", a.register(), a.new(SPACE), a.new(SPACE + "/")),
    scenario("new-default", a.register(), a.new("", NO_OWNER)),
    scenario("new-flags", a.register(), a.new(SPACE, BAD_FLAGS, flags=1), gone("space")),
    scenario(
        "new-at-a-file",
        make("space"),
        a.register(),
        a.new(SPACE, Unlike(DONE, NOT_THE_HOLDER, Difference.BAD_LOCKSPACE_REFUSED)),
        a.create("lease", NO_SPACE, space=SPACE),
        alone=True,
    ),
    scenario(
        "new-below-a-file",
        make("file"),
        a.register(),
        a.new("{dir}/file/space", Unlike(DONE, SYSTEM, Difference.BAD_LOCKSPACE_REFUSED)),
        a.acquire("lease", NO_SPACE, space="{dir}/file/space", flags=AUTOCREATE),
        alone=True,
    ),
    scenario(
        "new-at-a-file-then-a-guest-leaves",
        make("space"),
        a.register(),
        a.new(SPACE, Unlike(DONE, NOT_THE_HOLDER, Difference.BAD_LOCKSPACE_REFUSED)),
        Connect("g"),
        Holder("g").register(),
        HangUp("g"),
        a.register(Unlike(CLOSED, DONE, Difference.BAD_LOCKSPACE_REFUSED), eventually=True),
        alone=True,
    ),
    scenario("new-longest-path", a.register(), a.new("{dir}/" + "s" * 200)),
    scenario("new-path-too-long", a.register(), a.new("/" * 65537, RPC)),
    scenario("create-lockspace", a.create_lockspace(SPACE), there("space")),
    scenario("create-lockspace-twice", a.create_lockspace(SPACE), b.create_lockspace(SPACE)),
    scenario(
        "create-lockspace-then-new", a.create_lockspace(SPACE), a.register(), a.new(SPACE, NO_SPACE)
    ),
    scenario("create-lockspace-default", a.create_lockspace("")),
    scenario("create-lockspace-relative", a.create_lockspace("s"), beside_the_daemon("s")),
    scenario(
        "create-lockspace-at-a-loop", make_link("space", "space"), a.create_lockspace(SPACE, SYSTEM)
    ),
    scenario(
        "create-lockspace-at-a-link-to-nothing",
        make_link("space", "x"),
        a.create_lockspace(SPACE, SYSTEM),
        gone("x"),
    ),
    scenario(
        "create-lockspace-name-too-long-for-a-file",
        a.create_lockspace("{dir}/" + "s" * 256, SYSTEM),
    ),
    scenario(
        "create-lockspace-at-a-file", make("space"), a.create_lockspace(SPACE, NOT_THE_HOLDER)
    ),
    scenario(
        "create-lockspace-below-a-file", make("space"), a.create_lockspace(SPACE + "/x", SYSTEM)
    ),
    scenario(
        "lockspaces-are-everybody's",
        a.register(),
        a.new(SPACE),
        b.register(),
        b.acquire("lease", space=SPACE, flags=AUTOCREATE),
        there("space/lease"),
        a.acquire("lease", BUSY, space=SPACE),
        b.release("lease", space=SPACE),
        gone("space/lease"),
    ),
    scenario(
        "lockspace-missing",
        a.register(),
        a.create("lease", NO_SPACE, space=SPACE),
        a.delete("lease", NO_SPACE, space=SPACE),
        a.acquire("lease", NO_SPACE, space=SPACE),
        a.release("lease", NO_SPACE, space=SPACE),
    ),
    scenario(
        "lockspace-whose-folder-went",
        a.register(),
        a.new(SPACE),
        Do(lambda scene: scene.path("space").rmdir()),
        a.acquire("lease", SYSTEM, space=SPACE, flags=AUTOCREATE),
        a.create("lease", TOUCH, space=SPACE),
        a.delete("lease", space=SPACE),
    ),
)

RESOURCES = (
    scenario("create", a.register(), a.create(DISK), there("disk")),
    scenario("create-twice", a.register(), a.create(DISK), a.create(DISK), there("disk")),
    scenario(
        "create-leaves-content",
        make("disk", b"content"),
        a.register(),
        a.create(DISK),
        See("the content", lambda scene: scene.path("disk").read_bytes() == b"content"),
    ),
    scenario(
        "create-mode",
        a.register(),
        a.create(DISK),
        has_mode("disk", 0o100600),
    ),
    scenario(
        "create-in-a-lockspace",
        a.register(),
        a.new(SPACE),
        a.create("lease", space=SPACE),
        there("space/lease"),
    ),
    scenario("create-in-no-folder", a.register(), a.create("{dir}/x/disk", TOUCH)),
    scenario("create-at-a-folder", a.register(), a.create("{dir}", TOUCH)),
    scenario("create-without-a-name", a.register(), a.create("", TOUCH)),
    scenario("create-flags", a.register(), a.create(DISK, BAD_FLAGS, flags=1), gone("disk")),
    scenario("create-locked", make("disk"), a.register(), a.acquire(DISK), a.create(DISK, BUSY)),
    scenario(
        "create-up-and-out",
        a.register(),
        a.new(SPACE),
        a.create("../lease", space=SPACE),
        there("lease"),
    ),
    scenario(
        "create-name-too-long-for-a-file", a.register(), a.create("{dir}/" + "n" * 256, TOUCH)
    ),
    scenario(
        "create-through-a-link-to-nothing",
        make_link("disk", "x"),
        a.register(),
        a.create(DISK),
        there("x"),
    ),
    scenario("create-relative", a.register(), a.create("created"), beside_the_daemon("created")),
    scenario("create-with-a-slash-behind", a.register(), a.create(DISK + "/", TOUCH), gone("disk")),
    scenario(
        "create-without-a-name-in-a-lockspace",
        a.register(),
        a.new(SPACE),
        a.create("", TOUCH, space=SPACE),
    ),
    scenario("delete-without-a-name", a.register(), a.delete("")),
    scenario(
        "delete-a-link",
        make("x"),
        make_link("disk", "x"),
        a.register(),
        a.delete(DISK),
        gone("disk"),
        there("x"),
    ),
    scenario("delete", make("disk"), a.register(), a.delete(DISK), gone("disk")),
    scenario("delete-missing", a.register(), a.delete(DISK)),
    scenario("delete-twice", make("disk"), a.register(), a.delete(DISK), a.delete(DISK)),
    scenario(
        "delete-a-folder", make_folder("disk"), a.register(), a.delete(DISK, SYSTEM), there("disk")
    ),
    scenario("delete-in-no-folder", a.register(), a.delete("{dir}/x/disk")),
    scenario("delete-below-a-file", make("disk"), a.register(), a.delete(DISK + "/x", SYSTEM)),
    scenario(
        "delete-flags",
        make("disk"),
        a.register(),
        a.delete(DISK, BAD_FLAGS, flags=1),
        there("disk"),
    ),
    scenario(
        "delete-own",
        make("disk"),
        a.register(),
        a.acquire(DISK),
        a.delete(DISK, BUSY),
        there("disk"),
    ),
    scenario(
        "delete-another's",
        make("disk"),
        a.register(),
        a.acquire(DISK),
        b.register(),
        b.delete(DISK, BUSY),
    ),
    scenario(
        "delete-released",
        make("disk"),
        a.register(),
        a.acquire(DISK),
        a.release(DISK),
        a.delete(DISK),
        gone("disk"),
    ),
)

CALLS = (
    scenario("procedure-0", a.call(0, outcome=RPC)),
    scenario("procedure-9", a.call(9, outcome=RPC)),
    scenario("procedure-minus-1", a.call(-1, outcome=RPC)),
    scenario("version-2", a.call(1, owner(), u32(0), outcome=RPC, version=2)),
    scenario("no-arguments", *(a.call(number, outcome=RPC) for number in range(1, 9))),
    scenario("cut-uuid", a.call(1, b"short", outcome=RPC), a.register()),
    scenario("cut-owner", a.call(1, owner()[:-4], outcome=RPC)),
    scenario("cut-flags", a.call(1, owner(), outcome=RPC), a.call(6, "", "x", outcome=RPC)),
    scenario("cut-name", a.call(6, "", string("disk", length=5), u32(0), outcome=RPC)),
    scenario("more-than-arguments", a.call(1, owner(), u32(0), b"more", outcome=DONE)),
    scenario(
        "name-with-a-nul",
        a.register(),
        a.create("{dir}/di\0sk", Unlike(DONE, RPC, Difference.NUL_REFUSED)),
    ),
    scenario(
        "name-not-in-utf-8",
        a.register(),
        a.call(4, "", lambda scene: string(scene.fill(b"{dir}/\xff\xfe")), u32(0)),
        See("the file", lambda scene: os.path.exists(os.fsencode(scene.folder) + b"/\xff\xfe")),
    ),
)

"""The options of `virsh migrate`, one by one, by a real virsh from one virtd to another.

What virsh prints and where the guest is then are the answers of two libvirtds of 9.0.0 with QEMU 7.2
to the same commands, except for what docs/virtd.md says of tunnels, zero-copy and copies of disks.
"""

from __future__ import annotations

import asyncio
import os
import pty
import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest

from tests import harness
from tests.virtd.interop.test_virsh_migrate import PATIENCE, SLOW, Pair, guest
from tests.virtd.test_ephemeral import ephemeral

#: States on both sides.
LEFT = ("shut off (migrated)", "running (migrated)")
STAYED = ("running (booted)", "")

_numbers = count()


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """One for all tests of this file; each has a guest of its own."""
    with ephemeral() as one, ephemeral() as other:
        yield Pair(one, other)


@pytest.fixture
async def name(pair: Pair) -> str:
    """The name of a guest that runs here."""
    made = f"guest{next(_numbers)}"
    await guest(pair, made)
    return made


@pytest.mark.parametrize(
    "options",
    [
        "--live --abort-on-error --auto-converge --auto-converge-initial 5 --rdma-pin-all",
        "--live --compressed --comp-methods mt --comp-mt-level 3 --timeout 5 --timeout-suspend",
        "--live --comp-methods xbzrle --comp-xbzrle-cache 4096 --parallel --parallel-connections 3",
        "--live --change-protection --verbose",
        "--live --postcopy --postcopy-bandwidth 3 --postcopy-after-precopy",
        "--live --listen-address 127.0.0.1 --disks-port 49200 --graphicsuri spice://x:1",
        "--compressed --p2p --unsafe --bandwidth 100 --migrateuri tcp:127.0.0.1",
    ],
)
async def test_a_guest_leaves_with_an_option(pair: Pair, name: str, options: str) -> None:
    out, error = await pair.migrate(name, *options.split())
    assert error in ([], _progress(error))
    assert await pair.states(name) == LEFT
    assert out == ""


def _progress(lines: list[str]) -> list[str]:
    """The lines that show progress."""
    return [line for line in lines if re.fullmatch(r"Migration: \[ *[0-9]+ %\]", line)]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            "--live --tls",
            "internal error: unable to execute QEMU command 'object-add': Unable to access "
            "credentials /etc/pki/qemu/ca-cert.pem: No such file or directory",
        ),
        (
            "--live --compressed --comp-methods mt,mt",
            "invalid argument: Compression method 'mt' is specified twice",
        ),
        (
            "--live --compressed --comp-xbzrle-cache 4096",
            "invalid argument: Turn xbzrle compression on to tune it",
        ),
        (
            "--live --compressed --comp-methods mt --comp-mt-level 77",
            "internal error: unable to execute QEMU command 'migrate-set-parameters': Parameter "
            "'compress_level' expects a value between 0 and 9",
        ),
        (
            "--live --zerocopy",
            "Requested operation is not valid: zero-copy is only available for parallel migration",
        ),
        (
            "--postcopy",
            "argument unsupported: post-copy migration is not supported with non-live or paused "
            "migration",
        ),
        (
            "--live --direct",
            "argument unsupported: direct migration is not supported by the source host",
        ),
        (
            "--live --p2p --tunnelled",
            "argument unsupported: tunnelled migration is not supported by virtd",
        ),
        (
            "--offline",
            "Requested operation is not valid: offline migration must be specified with the "
            "persistent flag set",
        ),
        (
            "--live --copy-storage-all --migrate-disks vdz",
            "invalid argument: disk target vdz not found",
        ),
        ("--live --migrateuri bad", "invalid argument: missing scheme in migration URI: bad"),
    ],
)
async def test_a_guest_stays_with_an_option(
    pair: Pair, name: str, options: str, words: str
) -> None:
    assert await pair.refused(name, pair.there, *options.split()) == [f"error: {words}"]
    assert await pair.states(name) == STAYED


@pytest.mark.parametrize("way", ["", "--p2p"])
async def test_a_definition_leaves_alone(pair: Pair, name: str, way: str) -> None:
    assert (await pair.migrate(name, "--offline", "--persistent", *way.split()))[1] == []
    assert await pair.states(name) == ("running (booted)", "shut off (unknown)")


@pytest.mark.parametrize(
    ("more", "here"), [("--timeout-suspend", "suspended"), ("--timeout-postcopy", "post-copy")]
)
async def test_a_guest_that_takes_too_long_is_suspended_or_switched(
    pair: Pair, name: str, more: str, here: str
) -> None:
    options = ["--live", "--bandwidth", SLOW, "--timeout", "1", more]
    options += ["--postcopy"] * (here == "post-copy")
    virsh = await pair.begin(pair.here, "migrate", name, pair.there, *options)
    async with asyncio.timeout(PATIENCE):
        if here == "suspended":
            while (await pair.states(name))[0] != "paused (migrating)":
                pass
            assert (await pair.virsh(pair.here, "migrate-setspeed", name, "100000"))[1] == []
        _, error = await virsh.communicate()
    assert error == b""
    assert await pair.states(name) == LEFT


async def test_documents_for_the_other_side(pair: Pair, name: str, tmp_path: Path) -> None:
    text = (await pair.virsh(pair.here, "dumpxml", name, "--migratable"))[0]
    live, persistent = tmp_path / "live.xml", tmp_path / "persistent.xml"
    live.write_text(text.replace("</name>", "</name><title>moved</title>"))
    persistent.write_text(text.replace("</name>", "</name><title>kept</title>"))
    options = ["--live", "--persistent", "--undefinesource", "--xml", str(live)]
    assert (await pair.migrate(name, *options, "--persistent-xml", str(persistent)))[1] == []
    assert await pair.states(name) == ("", "running (migrated)")
    titles = [
        (await pair.virsh(pair.there, "desc", name, "--title", which))[0]
        for which in ("--live", "--config")
    ]
    assert titles == ["moved", "kept"]


async def test_a_document_of_another_guest_is_refused(
    pair: Pair, name: str, tmp_path: Path
) -> None:
    file = tmp_path / "other.xml"
    text = (await pair.virsh(pair.here, "dumpxml", name))[0]
    other = "11111111-2222-3333-4444-555555555555"
    file.write_text(re.sub("<uuid>.*</uuid>", f"<uuid>{other}</uuid>", text))
    error = await pair.refused(name, pair.there, "--live", "--xml", str(file))
    mine = re.findall("<uuid>(.*)</uuid>", text)[0]
    words = f"Target domain uuid {other} does not match source {mine}"
    assert error == [f"error: unsupported configuration: {words}"]


async def test_a_migration_is_tuned_while_it_is_under_way(pair: Pair, name: str) -> None:
    virsh = await pair.begin(
        pair.here, "migrate", name, pair.there, "--live", "--postcopy", "--bandwidth", SLOW
    )

    async def told(*command: str) -> str:
        out, error = await pair.virsh(pair.here, command[0], name, *command[1:])
        return "\n".join([out, *error]).strip()

    async with asyncio.timeout(PATIENCE):
        while "Outgoing migration" not in await told("domjobinfo"):
            pass
        assert await told("migrate-setmaxdowntime", "5") == ""
        assert await told("migrate-getmaxdowntime") == "5"
        assert await told("migrate-setspeed", "2") == ""
        assert await told("migrate-getspeed") == "2"
        assert await told("migrate-compcache", "--size", "4096") == "Compression cache: 4.000 KiB"
        assert await told("domjobinfo", "--completed") == "Job type:         None"
        assert await told("domcontrol") == "ok"
        assert await told("migrate-postcopy") == ""
        assert await virsh.wait() == 0
    assert await pair.states(name) == LEFT


@pytest.mark.parametrize("way", [(), ("--p2p",)])
async def test_an_interrupt_at_a_terminal_ends_the_migration(
    pair: Pair, name: str, way: tuple[str, ...]
) -> None:
    """virsh of 9.0.0 reads the key, and takes no signal."""
    parent, terminal = pty.openpty()
    try:
        virsh = await asyncio.create_subprocess_exec(
            harness.require("virsh"),
            *("-c", pair.here, "migrate", name, pair.there, "--live", "--verbose", *way),
            *("--bandwidth", SLOW),
            stdin=terminal,
            stdout=terminal,
            stderr=asyncio.subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", **harness.libraries()},
        )
        assert virsh.stderr is not None
        async with asyncio.timeout(PATIENCE):
            shown = b""
            while shown.count(b"Migration:") < 2:  # it reads keys from the first one on
                shown += await virsh.stderr.read(100)
            os.write(parent, b"\x03")
            _, error = await virsh.communicate()
    finally:
        os.close(parent)
        os.close(terminal)
    words = "error: operation aborted: job 'migration out' canceled by client"
    assert error.decode().strip().endswith(words)
    assert await pair.states(name) == STAYED

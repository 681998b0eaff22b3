"""What a daemon reads that it wrote itself, perhaps in another version, perhaps on a bad day."""

from __future__ import annotations

import copy
import json
import os
import struct
import tempfile
from collections.abc import Iterator
from random import Random
from typing import Any, Final

from aiovirt.daemons.lockd.journal import Journal, read
from aiovirt.daemons.lockd.journal_format import FREE, MAGIC, pack_owner
from aiovirt.daemons.lockd.protocol import Owner
from aiovirt.daemons.lockd.state import (
    HolderState,
    HoldingState,
    LocksState,
    OwnerState,
    RefusalState,
    ResourceState,
    SessionState,
    SpaceState,
)
from aiovirt.daemons.logd.state import LogsState, LogState
from aiovirt.daemons.runtime.handover.document import (
    Document,
    decode,
    decode_states,
    encode,
    encode_states,
)
from aiovirt.daemons.runtime.logging import LoggingState
from aiovirt.daemons.runtime.process.failure import StartError
from aiovirt.daemons.virtd.state import RemoteState
from aiovirt.rpc.server.restart import ConnectionState, DaemonState, ServerState, ServiceState
from tests.fuzz.engine import blind
from tests.fuzz.mutation import number
from tests.fuzz.scratch import file_with
from tests.fuzz.target import Target, expect

# The restart document ------------------------------------------------------------------------------


_STATES: Final[dict[str, dict[str, Any]]] = {
    "lockd": {"locks": LocksState},
    "logd": {"logs": LogsState},
    "virtd": {"remote": RemoteState},
}


def _check_document(data: bytes) -> None:
    for daemon, types in _STATES.items():
        try:
            document = decode(data, daemon)
        except StartError as error:
            expect(bool(str(error)), "a document that does not fit is explained")
            continue
        again = decode(encode(document), daemon)
        expect(encode(again) == encode(document), "what was read is written the same")
        try:
            decode_states(document, types)
        except StartError as error:
            expect(bool(str(error)), "a component's part that does not fit is explained")


def _document_seeds() -> Iterator[bytes]:
    owner = OwnerState(bytes(16), b"guest\xff", 1, 2)
    locks = LocksState(
        [SpaceState(b"/x", [ResourceState(b"a", b"/x/a", 9, 3, [HoldingState(owner, 1, 1.5, 7)])])],
        [SessionState(1, 2, None, owner, True)],
        [RefusalState(1.5, b"", b"a", 1, owner, 2, b"because")],
        [HolderState(2, 7, 5)],
        6,
    )
    logs = LogsState([LogState(b"/x", 1, 2, b"qemu", bytes(16), b"guest", 1.5, 2, 3, 4, b"left")])
    states = ({"locks": locks}, {"logs": logs}, {"remote": RemoteState({"1": "test:///default"})})
    for daemon, own in zip(("lockd", "logd", "virtd"), states, strict=True):
        client = ConnectionState(
            1, 5, 2, True, False, b"received", 3, b"unsent", [(1, 8)], True, True
        )
        server = ServerState(
            daemon, 2, 1, 2, 3, 4, 5, 6, 7, 8, [ServiceState(3, False, (1, 2))], [client]
        )
        yield encode(
            Document(
                daemon,
                {"max_clients": 5, "log_level": None, "mdns": True, "unix_sock_group": "x"},
                LoggingState(3, "1:x ", "3:stderr", False),
                4,
                DaemonState(30, [server]),
                encode_states(own),
            )
        )


_JSON_WORDS: Final = (
    *(b"{", b"}", b"[", b"]", b",", b":", b'"', b"null", b"true", b"-1", b"1e400", b"\\ud800"),
    *(
        b"18446744073709551616",
        b'"format"',
        b'"version"',
        b'"components"',
        b'"servers"',
        b'"clients"',
    ),
)


_JSON_VALUES: Final[tuple[Any, ...]] = (
    *(None, True, 0, -1, 1.5, 1e300, 1 << 31, 1 << 32, 1 << 63, 1 << 64, "", "x", "/w==", [], {}),
    *([None], [1, 2], [[1, 8]], {"name": 1}),
)


def _change_document(data: bytes, limit: int, random: Random) -> bytes:
    """Put another value somewhere in the tree, take one out, or change any bytes."""
    try:
        tree = json.loads(data)
    except (ValueError, RecursionError):
        return blind(data, limit)
    places = list(_places(tree)) if isinstance(tree, dict | list) else []
    if not places or random.random() < 0.2:
        return blind(data, limit)
    parent, key = random.choice(places)
    match random.randrange(4):
        case 0:
            del parent[key]
        case 1:
            elsewhere, other = random.choice(places)
            parent[key] = copy.deepcopy(elsewhere[other])
        case _:
            parent[key] = random.choice(_JSON_VALUES)
    return json.dumps(tree, separators=(",", ":")).encode()[:limit]


def _places(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a tree with every one of its keys."""
    waiting = [tree]
    while waiting:
        parent = waiting.pop()
        keys = parent if isinstance(parent, dict) else range(len(parent))
        for key in keys:
            yield parent, key
            if isinstance(parent[key], dict | list):
                waiting.append(parent[key])


def document_target() -> Target:
    """The document that goes from one program to the next."""
    return Target(
        "restart-document",
        _check_document,
        _document_seeds,
        20,
        _JSON_WORDS,
        _change_document,
        max_len=2048,
    )


# The journal of locks ------------------------------------------------------------------------------

_SLOT: Final = 256


def _check_journal(data: bytes) -> None:
    try:
        records = read(file_with(data))
    except ValueError as error:
        expect(not isinstance(error, UnicodeError), "a damaged journal is called so")
        return
    expect(len(records) <= len(data) // _SLOT, "a record has a slot at least")
    size = sum(
        len(text.encode("utf-8", "surrogateescape"))
        for record in records
        for text in (record.directory, record.name, record.owner.name)
    )
    expect(size <= len(data), "no record is longer than its slots")


def _journal_seeds() -> Iterator[bytes]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        for names in (("a",), ("a", "b" * 300, "\udcff"), ("x" * 1200,)):
            path = os.path.join(folder, "journal")
            journal = Journal.create(path)
            owner = pack_owner(Owner(bytes(range(16)), "guest", 1, 2), 3)
            slots = [journal.add("/dir", name, 1, owner, 1.5) for name in names]
            if len(slots) > 1:
                journal.remove(slots[0])
                journal.settle()
            journal.publish()
            with open(path, "rb") as file:
                data = file.read()
            yield data[: 16 * _SLOT].replace(struct.pack("=I", 64), struct.pack("=I", 16), 1)
            journal.close()


def _change_journal(data: bytes, limit: int, random: Random) -> bytes:
    """Change a number at the begin of a slot, repeat slots, or any bytes."""
    chance = random.randrange(4)
    slot = random.randrange(len(data) // _SLOT + 1) * _SLOT
    if chance < 2:
        at = slot + 4 * random.randrange(7)
        return data[:at] + struct.pack("=I", number(random)) + data[at + 4 :]
    if chance == 2:
        return (data[: slot + _SLOT] + data[slot:])[:limit]
    return blind(data, limit)


def journal_target() -> Target:
    """The journal of locks."""
    return Target(
        "lockd-journal",
        _check_journal,
        _journal_seeds,
        20,
        (MAGIC, FREE),
        _change_journal,
        max_len=16 * _SLOT,
    )

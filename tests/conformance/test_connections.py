"""Claims that need the id of a client, more than one connection, or a daemon of their own.

As in the catalogue, what is expected is what libvirt 9.0.0 did, except where a difference is named.
"""

from __future__ import annotations

import array
import contextlib
import os
import socket
import time
from collections.abc import Callable, Iterator

import pytest

from tests import harness
from tests.conformance.case import RPC, Answer, call, ok, refused
from tests.conformance.catalogue.values import (
    ADMIN_SERVER,
    BAD_FLAGS,
    GET_VERSION,
    NO_FLAGS,
    a_version,
    client,
    set_limits,
)
from tests.conformance.differences import Difference
from tests.conformance.judge import PATIENCE, Link
from tests.conformance.peers import PEERS
from tests.conformance.wire import CALL_WITH_FDS, PING, PONG, Frame, Reader, param, string, u32, u64
from tests.conftest import StartDaemon

_FLAGS = refused(8, 62)
_NO_CLIENT = refused(96, 7)

Peer = harness.RunningDaemon


@pytest.fixture
def admin(peer: Peer) -> Iterator[Link]:
    """A connection that no other test uses, and that looks after the peer meanwhile."""
    with Link(peer.admin_socket) as link:
        yield link


@contextlib.contextmanager
def _another(peer: Peer) -> Iterator[tuple[Link, int]]:
    """One more connection, which has made a call, and its id."""
    with Link(peer.admin_socket) as link:
        assert link.lives()
        yield link, max(_ids(link))


def _clients(link: Link, server: str = "admin") -> dict[int, tuple[int, int]]:
    """The clients of a server: when each came, and over which transport, by id."""
    read = Reader(link.call(call(8, string(server), u32(16384), NO_FLAGS)).payload)
    found = {}
    for _ in range(read.u32()):
        assert read.string() == server
        number = read.u64()
        found[number] = (read.u64(), read.u32())
    assert read.u32() == len(found)
    read.end()
    return found


def _ids(link: Link, server: str = "admin") -> list[int]:
    return list(_clients(link, server))


def _limits(link: Link, server: str) -> dict[str, object]:
    read = Reader(link.call(call(12, string(server), NO_FLAGS)).payload)
    return {field: value for field, (_, value) in read.params().items()}


def _set_limits(link: Link, server: str, clients: int, unauthenticated: int) -> None:
    fields = param("nclients_max", clients), param("nclients_unauth_max", unauthenticated)
    assert link.call(call(13, set_limits(*fields, server=string(server)))).status == 0


def _expect(link: Link, frame: Frame, answer: Answer) -> None:
    """Send a call and insist on its answer."""
    assert answer.complaint(frame, link.call(frame)) is None


def _wait_for(happened: Callable[[], bool]) -> None:
    """Ask until it is so; what is asked is a daemon, whose answer is the pause."""
    deadline = time.monotonic() + PATIENCE
    while not happened():
        assert time.monotonic() < deadline, "it never came to be so"


def test_ids_grow_and_none_is_given_twice(peer: Peer, admin: Link) -> None:
    with _another(peer) as (_, first):
        pass
    _wait_for(lambda: first not in _ids(admin))
    with _another(peer) as (_, second), _another(peer) as (_, third):
        assert first < second < third
        assert _ids(admin) == sorted(_ids(admin))


def test_each_server_counts_its_clients_for_itself(start_daemon: StartDaemon, peer: Peer) -> None:
    daemon = start_daemon(peer.name, PEERS[peer.name])
    with Link(daemon.socket) as first, Link(daemon.socket) as second, _another(daemon) as (link, _):
        for other in (first, second):
            other.send(PING)
            assert other.receive() == PONG
        assert _ids(link, peer.name) == [1, 2]


def test_a_client_is_listed_and_found_with_the_same_words(peer: Peer, admin: Link) -> None:
    before = int(time.time())
    with _another(peer) as (_, number):
        since, transport = _clients(admin)[number]
        assert transport == 0
        assert before - 1 <= since <= time.time() + 1
        found = ADMIN_SERVER + u64(number) + u64(since) + u32(transport)
        _expect(admin, call(9, ADMIN_SERVER, u64(number), NO_FLAGS), ok(found))


def test_info_tells_who_is_at_the_other_end(peer: Peer, admin: Link) -> None:
    with _another(peer) as (_, number):
        frame = call(10, client(ADMIN_SERVER, number), NO_FLAGS)
        fields = Reader(admin.call(frame).payload).params()
    fields.pop("selinux_context", None)
    names = ["readonly", "unix_user_id", "unix_user_name", "unix_group_id", "unix_group_name"]
    assert list(fields) == [*names, "unix_process_id"]
    assert fields["readonly"] == (6, 0)
    assert fields["unix_user_id"] == (1, os.getuid())
    assert fields["unix_group_id"] == (1, os.getgid())
    assert fields["unix_process_id"] == (1, os.getpid())


def test_info_on_oneself(peer: Peer, admin: Link) -> None:
    assert admin.lives()
    frame = call(10, client(ADMIN_SERVER, max(_ids(admin))), NO_FLAGS)
    assert Reader(admin.call(frame).payload).params()["unix_process_id"] == (1, os.getpid())


def test_info_on_a_client_that_has_not_made_a_call(peer: Peer, admin: Link) -> None:
    with Link(peer.admin_socket) as silent:
        silent.send(PING)
        assert silent.receive() == PONG
        frame = call(10, client(ADMIN_SERVER, max(_ids(admin))), NO_FLAGS)
        if peer.is_real:
            _expect(admin, frame, refused(1, 7))
        else:
            assert Difference.KNOWN_AT_ONCE
            fields = Reader(admin.call(frame).payload).params()
            assert fields["unix_process_id"] == (1, os.getpid())


def test_time_and_transport_of_a_client_that_is_named_do_not_count(peer: Peer, admin: Link) -> None:
    with _another(peer) as (_, number):
        named = ADMIN_SERVER + u64(number) + u64(2**63) + u32(77)
        assert admin.call(call(10, named, NO_FLAGS)).status == 0


@pytest.mark.parametrize("procedure", [9, 10, 11])
def test_flags_are_refused_and_the_client_lives(peer: Peer, admin: Link, procedure: int) -> None:
    with _another(peer) as (other, number):
        named = ADMIN_SERVER + u64(number) if procedure == 9 else client(ADMIN_SERVER, number)
        _expect(admin, call(procedure, named, BAD_FLAGS), _FLAGS)
        assert other.lives()


def test_close_ends_the_other_connection_and_no_more(peer: Peer, admin: Link) -> None:
    with _another(peer) as (other, number), _another(peer) as (bystander, _):
        _expect(admin, call(11, client(ADMIN_SERVER, number), NO_FLAGS), ok())
        assert other.receive() is None
        assert bystander.lives()
        _wait_for(lambda: number not in _ids(admin))
        lookup = call(9, ADMIN_SERVER, u64(number), NO_FLAGS)
        _expect(admin, lookup, _NO_CLIENT)
        _expect(admin, call(11, client(ADMIN_SERVER, number), NO_FLAGS), _NO_CLIENT)
        _expect(admin, call(10, client(ADMIN_SERVER, number), NO_FLAGS), refused(96, 62))


def test_close_of_oneself_ends_without_a_reply(peer: Peer, admin: Link) -> None:
    with _another(peer) as (suicidal, number):
        suicidal.send(call(11, client(ADMIN_SERVER, number), NO_FLAGS))
        assert suicidal.receive() is None
    _wait_for(lambda: number not in _ids(admin))


def test_close_reaches_clients_of_the_other_server(peer: Peer, admin: Link) -> None:
    with Link(peer.socket) as other:
        other.send(PING)
        assert other.receive() == PONG
        (number,) = _ids(admin, peer.name)
        _expect(admin, call(11, client(string(peer.name), number), NO_FLAGS), ok())
        assert other.receive() is None


def test_one_who_leaves_in_the_middle_of_a_frame_is_forgotten(peer: Peer, admin: Link) -> None:
    numbers = []
    for size in (1, 3, 4, 20, 27):
        with _another(peer) as (link, number):
            link.send(GET_VERSION.pack()[:size])
            numbers.append(number)
    _wait_for(lambda: not set(numbers) & set(_ids(admin)))


def test_one_who_announces_the_longest_frame_stops_nobody(peer: Peer, admin: Link) -> None:
    with _another(peer) as (greedy, number):
        greedy.send(call(3).but(length=33554436).pack() + bytes(1000))
        assert admin.lives()
        assert number in _ids(admin)


def test_one_who_never_reads_stops_nobody(peer: Peer, admin: Link) -> None:
    with _another(peer) as (deaf, _):
        deaf.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            for _ in range(100_000):
                deaf.socket.send(GET_VERSION.pack() * 50)
        assert admin.lives()


def test_calls_of_one_are_served_while_another_is_in_the_middle_of_a_frame(
    peer: Peer, admin: Link
) -> None:
    raw = call(5, ADMIN_SERVER, NO_FLAGS, serial=99).pack()
    for cut in range(1, len(raw)):
        with Link(peer.admin_socket) as slow:
            slow.send(raw[:cut])
            assert admin.lives()
            slow.send(raw[cut:])
            got = slow.receive()
            assert got is not None
            assert (got.serial, got.payload) == (99, ADMIN_SERVER)


def test_many_calls_of_many_clients_at_once(peer: Peer) -> None:
    with contextlib.ExitStack() as stack:
        links = [stack.enter_context(Link(peer.admin_socket)) for _ in range(10)]
        for link in links:
            link.send(b"".join(GET_VERSION.but(serial=serial).pack() for serial in range(100)))
        for link in links:
            serials = []
            for serial in range(100):
                got = link.receive()
                assert got is not None
                assert ok(result=a_version).complaint(GET_VERSION.but(serial=serial), got) is None
                serials.append(got.serial)
            assert serials == list(range(100))


def test_replies_reach_one_who_reads_late(peer: Peer, admin: Link) -> None:
    count = 3000
    with _another(peer) as (late, _):
        late.socket.setblocking(False)
        queue = b"".join(GET_VERSION.but(serial=serial).pack() for serial in range(count))
        with contextlib.suppress(BlockingIOError):
            while queue:
                queue = queue[late.socket.send(queue) :]
        assert admin.lives()
        late.socket.settimeout(PATIENCE)
        for serial in range(count):
            while queue:
                try:
                    late.socket.setblocking(False)
                    queue = queue[late.socket.send(queue) :]
                except BlockingIOError:
                    break
            late.socket.settimeout(PATIENCE)
            got = late.receive()
            assert got is not None
            assert got.serial == serial


def test_a_descriptor_that_comes_with_a_call_does_no_harm(peer: Peer, admin: Link) -> None:
    ours, theirs = os.pipe()
    try:
        admin.send(call(5, u32(1), ADMIN_SERVER, NO_FLAGS).but(type=CALL_WITH_FDS))
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [theirs]))
        admin.socket.sendmsg([b"\0"], [rights])
        got = admin.receive()
        assert got is not None
        assert (got.status, got.payload) == (0, ADMIN_SERVER)
        os.close(theirs)
        theirs = -1
        assert admin.lives()
        # Nobody else holds the other end, so the daemon has let go of its copy.
        os.set_blocking(ours, True)
        assert os.read(ours, 1) == b""
    finally:
        for number in {ours, theirs} - {-1}:
            os.close(number)


def test_at_the_limit_a_new_client_waits_until_one_leaves(peer: Peer, admin: Link) -> None:
    _set_limits(admin, peer.name, 1, 1)
    try:
        with Link(peer.socket) as first:
            first.send(PING)
            assert first.receive() == PONG
            with Link(peer.socket) as second:
                second.send(PING)
                assert _limits(admin, peer.name)["nclients"] == 1
                second.socket.setblocking(False)
                with pytest.raises(BlockingIOError):
                    second.receive()
                second.socket.settimeout(PATIENCE)
                first.close()
                assert second.receive() == PONG
                assert _limits(admin, peer.name)["nclients"] == 1
    finally:
        _set_limits(admin, peer.name, 100, 20)


def test_at_the_limit_a_new_client_waits_until_the_limit_goes_up(peer: Peer, admin: Link) -> None:
    _set_limits(admin, peer.name, 1, 1)
    try:
        with Link(peer.socket) as first, Link(peer.socket) as second:
            first.send(PING)
            assert first.receive() == PONG
            second.send(PING)
            _set_limits(admin, peer.name, 2, 2)
            assert second.receive() == PONG
            assert len(_ids(admin, peer.name)) == 2
    finally:
        _set_limits(admin, peer.name, 100, 20)


def test_a_limit_under_the_number_of_clients_throws_nobody_out(peer: Peer, admin: Link) -> None:
    with Link(peer.socket) as first, Link(peer.socket) as second:
        for link in (first, second):
            link.send(PING)
            assert link.receive() == PONG
        _set_limits(admin, peer.name, 1, 1)
        try:
            for link in (first, second):
                link.send(PING)
                assert link.receive() == PONG
            assert _limits(admin, peer.name)["nclients"] == 2
        finally:
            _set_limits(admin, peer.name, 100, 20)


def test_nobody_of_the_admin_server_is_unauthenticated(peer: Peer, admin: Link) -> None:
    with _another(peer):
        found = _limits(admin, "admin")
        assert (found["nclients"], found["nclients_unauth"]) == (len(_ids(admin)), 0)


@pytest.mark.parametrize("name", PEERS)
def test_a_daemon_whose_timeout_runs_out_ends(name: str, start_daemon: StartDaemon) -> None:
    daemon = start_daemon(name, PEERS[name])
    with Link(daemon.admin_socket) as link:
        _expect(link, call(19, u32(1), NO_FLAGS), ok())
        _expect(link, call(2), ok())
    assert daemon.wait() == 0


@pytest.mark.parametrize("name", PEERS)
def test_a_timeout_past_the_range_of_milliseconds(name: str, start_daemon: StartDaemon) -> None:
    daemon = start_daemon(name, PEERS[name])
    with Link(daemon.admin_socket) as link:
        _expect(link, call(19, u32(2**31), NO_FLAGS), ok())
        _expect(link, call(2), ok())
    if daemon.is_real:
        # Milliseconds are counted in 32 bits: 2**31 s are none at all.
        assert daemon.wait() == 0
    else:
        assert Difference.TIMEOUT_NOT_CUT
        with Link(daemon.admin_socket) as link:
            assert link.lives()


@pytest.mark.parametrize("name", PEERS)
def test_shutdown_by_procedure_20(name: str, start_daemon: StartDaemon) -> None:
    daemon = start_daemon(name, PEERS[name])
    with Link(daemon.admin_socket) as link:
        if daemon.is_real and not harness.has_daemon_shutdown():
            _expect(link, call(20, u32(1)), RPC)
            assert link.lives()
            return
        assert Difference.SHUTDOWN
        if daemon.is_real:
            link.send(call(20, u32(1)))
            while link.receive() is not None:  # with or without a reply
                pass
        else:
            _expect(link, call(20, u32(1)), ok())
            assert link.receive() is None
    assert daemon.wait() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can run a daemon as somebody else")
@pytest.mark.parametrize("name", PEERS)
def test_root_at_a_daemon_of_an_ordinary_user(name: str) -> None:
    with (
        harness.running(name, PEERS[name], user=65534) as daemon,
        Link(daemon.admin_socket) as link,
    ):
        assert Difference.ROOT_ADMITTED
        assert link.lives() is not daemon.is_real

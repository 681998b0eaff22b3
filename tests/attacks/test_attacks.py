"""Daemons under attack: others are served, memory stays within bounds, and nothing is left behind.

How fast others are served is a matter for `make bench`; docs/attacks.md lists what bounds each attack.
"""

from __future__ import annotations

import asyncio
import contextlib
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import pytest

from aiovirt.admin import pki
from aiovirt.daemons.virtd.dispatch.front import RemoteDispatch
from aiovirt.daemons.virtd.host.hosts import Hosts
from aiovirt.daemons.virtd.sasl import SaslDispatch
from aiovirt.rpc.server import Access, Daemon, ServerOptions
from aiovirt.rpc.server import server as server_module
from aiovirt.rpc.server.hot_path import ANONYMOUS_FRAME
from aiovirt.rpc.wire.message import MAX_FRAME
from tests import harness
from tests.attacks.bystander import Bystander
from tests.attacks.process import Running, under
from tests.attacks.target import PATIENCE, Target
from tests.bench.contenders import allow_descriptors, open_descriptors, settled_memory
from tests.bench.log_load import Logs
from tests.conftest import StartDaemon
from tests.soak.process import allocated

MEGABYTE: Final = 1 << 20
LEFT: Final = 5 * MEGABYTE
"""What an attack may leave in the daemon: parts of its heap that Python has not given back."""
QUIET_CLIENT: Final = 4096
"""Bytes for a client that has said nothing, or a little."""
TLS_CLIENT: Final = 64 * 1024
"""The same with a TLS session."""


@pytest.fixture(autouse=True, scope="module")
def _enough_descriptors() -> None:
    allow_descriptors()


@dataclass
class Watch:
    """A daemon under attack, and those whom it goes on serving: on connections that were there before,
    of its own program and of the admin program, and, where they may come, on new ones."""

    daemon: harness.RunningDaemon
    main: Target
    stack: contextlib.ExitStack
    newcomers: bool = True
    before: int = 0
    peak: int = 0
    descriptors: int = 0
    asked: list[Bystander] = field(default_factory=list)

    def begin(self) -> None:
        """Look how things are before the attack."""
        targets = (self.main, self.admin)
        self.asked = [self.stack.enter_context(Bystander(target)) for target in targets]
        self.ask()
        self.before = self.peak = settled_memory(self.daemon.pid, allocated)
        self.descriptors = self.open_now

    @property
    def admin(self) -> Target:
        """The admin socket."""
        return Target(self.daemon.admin_socket, admin=True)

    def ask(self) -> None:
        """Everybody has a question, and is answered."""
        targets = (self.main, self.admin) if self.newcomers else (self.admin,)
        for target in targets:
            with Bystander(target) as newcomer:
                newcomer.ask()
        for bystander in self.asked:
            bystander.ask()

    def until(self, true: Callable[[], bool]) -> None:
        """Serve until something is true. Raises AssertionError when that takes too long."""
        end = time.monotonic() + PATIENCE
        for turn in range(1 << 30):
            self.ask()
            if turn % 4 == 0:
                self.peak = max(self.peak, allocated(self.daemon.pid))
            if true() and turn > 5:
                return
            assert time.monotonic() < end, "the attack makes no progress, or leaves something"

    def end(self, growth: int, left: int) -> None:
        """The attack is over: everything is as it was, and memory never grew by more than `growth`."""
        self.until(lambda: self.open_now <= self.descriptors)
        self.until(lambda: allocated(self.daemon.pid) <= self.before + left)
        assert self.peak - self.before <= growth
        assert self.daemon.alive
        log = self.daemon.log.read_text()
        assert "Traceback" not in log, log
        assert " mistake" not in log, log

    @property
    def open_now(self) -> int:
        """Its open descriptors."""
        return open_descriptors(self.daemon.pid)


@contextlib.contextmanager
def attacked(
    daemon: harness.RunningDaemon,
    name: str,
    target: Target,
    size: int,
    *,
    growth: int,
    left: int = LEFT,
    until: Callable[[Running, Watch], bool] = lambda attack, watch: True,
    bystander: Target | None = None,
    newcomers: bool = True,
) -> Iterator[Running]:
    """Attack until `until`, with everybody else being served, and look at what is left after it.

    growth: bytes by which the daemon may grow meanwhile; left: by which it may stay larger. The body
    of the `with` is run at the end, still under attack.
    """
    with contextlib.ExitStack() as stack:
        watch = Watch(daemon, bystander or Target(daemon.socket), stack, newcomers)
        watch.begin()
        with under(name, target, size) as attack:
            watch.until(lambda: attack.look() is not None and until(attack, watch))
            yield attack
        watch.end(growth, left)


def reaching(key: str, count: int) -> Callable[[Running, Watch], bool]:
    """Until the attackers have done something so often."""
    return lambda attack, watch: attack.tally[key] >= count


@pytest.fixture(scope="module")
def virtd() -> Iterator[harness.RunningDaemon]:
    allow_descriptors()
    with harness.running("virtd", {"max_clients": 5000}) as daemon:
        yield daemon


@pytest.fixture(scope="module")
def guarded() -> Iterator[harness.RunningDaemon]:
    """A virtd that asks for a password, but on its read-only socket."""
    with harness.running("virtd", {"auth_unix_rw": "sasl", "auth_unix_ro": "none"}) as daemon:
        yield daemon


class TestConnections:
    @pytest.mark.parametrize("name", ["slow_loris", "silent"])
    def test_thousands(self, virtd: harness.RunningDaemon, name: str) -> None:
        size = 3000
        enough = reaching("bytes" if name == "slow_loris" else "connected", size)
        growth = LEFT + size * QUIET_CLIENT
        with attacked(
            virtd, name, Target(virtd.socket), size, until=enough, growth=growth
        ) as attack:
            assert not attack.tally["cut off"]

    @pytest.mark.parametrize("name", ["slow_loris", "silent"])
    def test_before_authentication_only_few_are_let_in(
        self, guarded: harness.RunningDaemon, name: str
    ) -> None:
        inside = f"{guarded.folder}/virtd-sock-ro"
        with attacked(
            guarded,
            name,
            Target(guarded.socket),
            1000,
            growth=LEFT,
            bystander=Target(inside),
            newcomers=False,  # they wait for room, which comes when time is up: see below
            until=lambda attack, watch: watch.open_now >= watch.descriptors + 10,
        ):
            assert open_descriptors(guarded.pid) < 100

    def test_up_to_the_limit_and_beyond(self, start_daemon: StartDaemon) -> None:
        daemon = start_daemon("virtd", {"max_clients": 300})
        with attacked(
            daemon,
            "silent",
            Target(daemon.socket),
            1000,
            growth=LEFT,
            newcomers=False,
            until=lambda attack, watch: watch.open_now >= watch.descriptors + 299,
        ):
            assert open_descriptors(daemon.pid) < 400

    def test_opened_and_closed_as_fast_as_can_be(self, virtd: harness.RunningDaemon) -> None:
        enough = reaching("connected", 5000)
        with attacked(
            virtd, "coming_and_going", Target(virtd.socket), 0, until=enough, growth=LEFT
        ):
            pass

    def test_who_stops_answering_keepalives_goes(self, start_daemon: StartDaemon) -> None:
        port = harness.free_port()
        settings = {"keepalive_interval": 1, "keepalive_count": 1, "listen_tcp": 1}
        more = {"listen_addr": "127.0.0.1", "tcp_port": str(port)}
        daemon = start_daemon("virtd", {**settings, **more})
        with attacked(
            daemon,
            "vanished",
            Target(port),
            200,
            growth=LEFT,
            until=lambda attack, watch: watch.open_now <= watch.descriptors,
        ) as attack:
            assert attack.tally["connected"] == 200

    async def test_who_does_not_say_in_time_who_he_is_makes_room(
        self, gate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(server_module, "AUTHENTICATION_TIME", 0.2)
        target = Target(str(gate))

        def come_after_others() -> None:
            with under("silent", target, 60), Bystander(target) as newcomer:
                newcomer.ask()

        await asyncio.to_thread(come_after_others)


@pytest.fixture
async def gate(tmp_path: Path) -> AsyncIterator[Path]:
    """The socket of a virtd in this process that asks for a password and lets 20 try at a time."""
    daemon = Daemon("virtd", grace=5)
    server = daemon.add_server(ServerOptions("virtd", max_anonymous_clients=20))
    RemoteDispatch(SaslDispatch(str(tmp_path / "passwords"), None), Hosts(None).all).serve_on(
        server
    )
    server.listen_unix(str(tmp_path / "sock"), access=Access(auth="sasl"))
    ready = asyncio.Event()
    serving = asyncio.create_task(daemon.serve(ready.set))
    await ready.wait()
    yield tmp_path / "sock"
    daemon.shutdown()
    daemon.shutdown()
    await serving


class TestFrames:
    @pytest.mark.parametrize("length", [0xFFFFFFFF, MAX_FRAME + 1, 27, 0])
    def test_a_length_that_no_frame_has(self, virtd: harness.RunningDaemon, length: int) -> None:
        target, enough = Target(virtd.socket), reaching("announced", 50)
        with attacked(
            virtd, "impossible_lengths", target, length, until=enough, growth=LEFT
        ) as attack:
            assert attack.look()["closed"] == attack.tally["announced"]

    def test_who_is_not_known_may_not_send_long_frames(
        self, guarded: harness.RunningDaemon
    ) -> None:
        target, inside = Target(guarded.socket), Target(f"{guarded.folder}/virtd-sock-ro")
        for length in (ANONYMOUS_FRAME + 1, MAX_FRAME):
            with attacked(
                guarded,
                "impossible_lengths",
                target,
                length,
                until=reaching("announced", 50),
                growth=LEFT,
                bystander=inside,
            ) as attack:
                assert attack.look()["closed"] == attack.tally["announced"]

    def test_the_longest_frames_cost_what_was_sent(self, virtd: harness.RunningDaemon) -> None:
        size = 8
        growth = (
            LEFT + size * MAX_FRAME * 9 // 8
        )  # a bytearray is that much larger than it has to be
        with attacked(virtd, "largest_held", Target(virtd.socket), size, growth=growth):
            pass

    def test_the_longest_frames_in_full(self, virtd: harness.RunningDaemon) -> None:
        size = 4
        growth = LEFT + 2 * size * MAX_FRAME * 9 // 8
        enough = reaching("answered", 2 * size)
        with attacked(virtd, "largest", Target(virtd.socket), size, until=enough, growth=growth):
            pass

    @pytest.mark.parametrize("admin", [False, True])
    def test_counts_of_what_is_not_there(self, virtd: harness.RunningDaemon, admin: bool) -> None:
        target = Target(virtd.admin_socket if admin else virtd.socket, admin=admin)
        with attacked(
            virtd, "lying_counts", target, 1000, until=reaching("calls", 200), growth=LEFT
        ) as attack:
            assert attack.look()["refused"] == attack.tally["calls"]

    @pytest.mark.parametrize("size", [1, 16])
    def test_small_calls(self, virtd: harness.RunningDaemon, size: int) -> None:
        enough = reaching("bytes back", 20_000_000)
        with attacked(
            virtd, "small_calls", Target(virtd.socket), size, until=enough, growth=LEFT
        ) as attack:
            assert not attack.tally["cut off"]

    def test_descriptors_that_nobody_wants(self, virtd: harness.RunningDaemon) -> None:
        def enough(attack: Running, watch: Watch) -> bool:
            # The attacker's connection is one; the bystanders' newcomers are gone or going.
            assert watch.open_now <= watch.descriptors + 10
            return attack.tally["rounds"] >= 5

        with attacked(
            virtd,
            "descriptors",
            Target(virtd.admin_socket, admin=True),
            2000,
            until=enough,
            growth=LEFT,
        ) as attack:
            rounds = attack.look()["rounds"]
            assert attack.tally["answered"] == attack.tally["closed"] == rounds
            assert attack.tally["passed"] > 10_000

    def test_more_descriptors_than_a_server_takes(self, virtd: harness.RunningDaemon) -> None:
        def enough(attack: Running, watch: Watch) -> bool:
            return attack.tally["cut"] >= 5

        with attacked(
            virtd, "descriptors", Target(virtd.socket), 2000, until=enough, growth=LEFT
        ) as attack:
            assert attack.look()["passed"] > 0


class TestUnread:
    def test_replies(self, virtd: harness.RunningDaemon) -> None:
        size = 50
        growth = LEFT + size * 3 * 64 * 1024  # read ahead, replies of one read, unsent replies
        with attacked(
            virtd,
            "unread_replies",
            Target(virtd.socket),
            size,
            until=reaching("bytes", size * 100_000),
            growth=growth,
        ):
            pass

    def test_large_replies(self, start_daemon: StartDaemon) -> None:
        daemon = start_daemon("virtd")
        size, crowd = 10, 1000
        reply = crowd * 100
        growth = LEFT + size * (3 * 64 * 1024 + 2 * reply)
        with (
            under("silent", Target(daemon.socket), crowd),
            attacked(
                daemon,
                "unread_replies",
                Target(daemon.admin_socket, admin=True),
                size,
                until=reaching("bytes", size * 60_000),
                growth=growth,
            ),
        ):
            pass

    def test_streams(self, start_daemon: StartDaemon) -> None:
        daemon = start_daemon("logd")
        size = 4
        admin = Target(daemon.admin_socket, admin=True)
        # For each client what waits unsent, and for one of its 64 streams the piece that was read,
        # its record and the packet of that; all streams are cheap.
        growth = LEFT + size * (64 * 4096 + 5 * 32 * 1024 + 128 * 1024)
        with Logs(daemon.socket, 1, full=True) as logs:
            target = replace(admin, log=logs.paths[0])
            with attacked(
                daemon, "unread_streams", target, size, growth=growth, bystander=admin
            ) as attack:
                assert attack.tally["followed"] == size


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    pki.create(str(folder), hosts=["localhost"])
    return folder


@pytest.fixture(scope="module")
def secure(folder: Path) -> Iterator[tuple[harness.RunningDaemon, Target]]:
    """A virtd with TLS, and the target that it is."""
    port = harness.free_port()
    settings = harness.tls_settings(str(folder), port)
    with harness.running("virtd", {**settings, "max_anonymous_clients": 20}) as daemon:
        yield daemon, Target(port, pki=str(folder))


class TestTls:
    @pytest.mark.parametrize(
        ("name", "size", "key", "count"),
        [
            ("tls_hanging", 200, "connected", 200),
            ("tls_garbage", 20, "cut off", 100),
            ("tls_flood", 0, "handshakes", 100),
            ("tls_silence", 100, "let in", 100),
        ],
    )
    def test_attack(
        self,
        secure: tuple[harness.RunningDaemon, Target],
        name: str,
        size: int,
        key: str,
        count: int,
    ) -> None:
        daemon, target = secure
        growth = LEFT + (size if name == "tls_silence" else 20) * TLS_CLIENT
        with attacked(
            daemon,
            name,
            target,
            size,
            until=reaching(key, count),
            growth=growth,
            newcomers=name != "tls_hanging",
        ):
            pass

    def test_nothing_is_renegotiated(self, secure: tuple[harness.RunningDaemon, Target]) -> None:
        daemon, target = secure
        words = [harness.require("openssl"), "s_client", "-tls1_2"]
        words += ["-connect", f"127.0.0.1:{target.address}"]
        words += ["-cert", f"{target.pki}/clientcert.pem", "-key", f"{target.pki}/clientkey.pem"]
        process = subprocess.Popen(
            words,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            bufsize=0,
        )
        assert process.stdout is not None
        with process, Bystander(Target(daemon.socket)) as bystander:
            said = b""
            # Its own way to end what it prints, then the byte with which we let it in.
            while not said.endswith(b"\1"):
                said += process.stdout.read(1)
                assert process.poll() is None, said
            said, _ = process.communicate(b"R\n", timeout=PATIENCE)
            bystander.ask()
        assert b"RENEGOTIATING" in said
        assert b"no renegotiation" in said.lower() or b"no_renegotiation" in said.lower(), said

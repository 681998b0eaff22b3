"""syslog, the journal, pipes and full disks: what arrives, and what happens if nothing can."""

from __future__ import annotations

import array
import contextlib
import fcntl
import os
import re
import resource
import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from aiovirt.rpc.logs import LogControl, SinkPaths, get_logger
from aiovirt.rpc.logs.sinks import PATIENCE, DatagramSink, Sink, StreamSink

_log = get_logger("test.sinks")

MakeControl = Callable[..., LogControl]


class Service:
    """A log service of our own: a datagram socket at a path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(str(path))
        self.socket.settimeout(10)

    def receive(self) -> bytes:
        return self.socket.recv(1 << 20)

    def receive_file(self) -> bytes:
        """Receives a record that came as a descriptor, and looks whether it is sealed."""
        data, control, _, _ = self.socket.recvmsg(1 << 20, socket.CMSG_SPACE(4))
        assert data == b""
        (fd,) = array.array("i", control[0][2])
        try:
            seals = fcntl.fcntl(fd, fcntl.F_GET_SEALS)
            assert seals & fcntl.F_SEAL_WRITE
            return os.pread(fd, 1 << 24, 0)
        finally:
            os.close(fd)

    def stop(self) -> None:
        self.socket.close()
        self.path.unlink(missing_ok=True)


@pytest.fixture
def paths(tmp_path: Path) -> SinkPaths:
    return SinkPaths(syslog=str(tmp_path / "syslog"), journal=str(tmp_path / "journal"))


@pytest.fixture
def services() -> Iterator[list[Service]]:
    running: list[Service] = []
    yield running
    for service in running:
        service.stop()


@pytest.fixture
def syslog(paths: SinkPaths, services: list[Service]) -> Service:
    services.append(Service(Path(paths.syslog)))
    return services[-1]


@pytest.fixture
def journal(paths: SinkPaths, services: list[Service]) -> Service:
    services.append(Service(Path(paths.journal)))
    return services[-1]


@pytest.fixture
def make(paths: SinkPaths) -> Iterator[MakeControl]:
    made: list[LogControl] = []

    def make(outputs: str, **settings: object) -> LogControl:
        settings = {"level": 1, "paths": paths, **settings}
        control = LogControl("virtd", outputs=outputs, **settings)  # type: ignore[arg-type]
        made.append(control)
        return control

    yield make
    for control in made:
        control.close()


def settled(control: LogControl) -> None:
    """Wait until everything is written, then once more: a failure is itself reported by a record."""
    for _ in range(2):
        assert control.flush(10)


def journal_fields(data: bytes) -> dict[str, str]:
    """Reads the journal's native form: NAME=VALUE lines, or NAME, a length and that many bytes."""
    fields = {}
    while data:
        line, _, rest = data.partition(b"\n")
        name, equals, value = line.partition(b"=")
        if not equals:
            size = int.from_bytes(rest[:8], "little")
            value, rest = rest[8 : 8 + size], rest[9 + size :]
        fields[name.decode()] = value.decode()
        data = rest
    return fields


class TestSyslog:
    @pytest.mark.parametrize(
        ("level", "priority"), [("debug", 31), ("info", 30), ("warning", 28), ("error", 27)]
    )
    def test_a_record_is_a_datagram_with_priority_time_and_identity(
        self, make: MakeControl, syslog: Service, level: str, priority: int
    ) -> None:
        make("1:syslog:me")
        getattr(_log, level)("event", client=1)
        head = rf"<{priority}>[A-Z][a-z][a-z] [ 123]\d \d\d:\d\d:\d\d me: "
        tail = f"{os.getpid()}: {level} : test.sinks: event client=1"
        assert re.fullmatch(head + re.escape(tail), syslog.receive().decode())

    def test_two_identities_are_two_outputs(self, make: MakeControl, syslog: Service) -> None:
        make("1:syslog:a 1:syslog:b 1:syslog:")
        _log.info("event")
        found = [syslog.receive().decode().split(" : ")[0].split()[3] for _ in range(3)]
        assert found == ["a:", "b:", "virtd:"]

    def test_a_restarted_service_gets_the_next_record(
        self, make: MakeControl, syslog: Service, paths: SinkPaths, services: list[Service]
    ) -> None:
        make("1:syslog:me")
        _log.info("one")
        assert b"one" in syslog.receive()
        syslog.stop()
        services.append(Service(Path(paths.syslog)))
        _log.info("two")
        assert services[-1].receive().endswith(b"test.sinks: two")

    def test_a_record_too_large_is_cut_short(self, make: MakeControl, syslog: Service) -> None:
        make("1:syslog:me")
        _log.info("long", value="é" * 1_000_000)
        assert syslog.receive().decode().endswith(" [cut short]")

    def test_json_goes_behind_the_identity(self, make: MakeControl, syslog: Service) -> None:
        make("1:syslog:me", log_format="text syslog:me=json")
        _log.info("event", client=1)
        assert syslog.receive().endswith(b'"event": "event", "client": 1}')


class TestJournal:
    def test_a_record_has_libvirts_fields_and_its_own(
        self, make: MakeControl, journal: Service
    ) -> None:
        make("1:journald")
        _log.warning("event", client=7, **{"message": "x", "9lives": "y", "_who": "z"})
        assert journal_fields(journal.receive()) == {
            "MESSAGE": "event client=7 message=x 9lives=y _who=z",
            "PRIORITY": "4",
            "SYSLOG_FACILITY": "3",
            "SYSLOG_IDENTIFIER": "virtd",
            "LIBVIRT_SOURCE": "test.sinks",
            "TID": str(os.getpid()),
            "CLIENT": "7",
            "FIELD_MESSAGE": "x",
            "FIELD_9LIVES": "y",
            "WHO": "z",
        }

    def test_lines_travel_by_length(self, make: MakeControl, journal: Service) -> None:
        make("1:journald")
        try:
            raise ValueError("x")
        except ValueError:
            _log.exception("failed", value="a\nPRIORITY=0")
        fields = journal_fields(journal.receive())
        assert fields["VALUE"] == "a\nPRIORITY=0"
        assert fields["PRIORITY"] == "3"
        assert fields["MESSAGE"].startswith('failed value="a\\nPRIORITY=0"\nTraceback')

    def test_a_record_too_large_travels_as_a_sealed_file(
        self, make: MakeControl, journal: Service
    ) -> None:
        make("1:journald")
        _log.info("long", value="x" * 1_000_000)
        fields = journal_fields(journal.receive_file())
        assert fields["VALUE"] == "x" * 1_000_000
        assert fields["PRIORITY"] == "6"


class TestFailing:
    def test_a_failing_output_is_reported_once_through_the_others_and_again_when_it_works(
        self, make: MakeControl, tmp_path: Path, paths: SinkPaths, services: list[Service]
    ) -> None:
        path = tmp_path / "x"
        control = make(f"1:syslog:me 1:file:{path}")
        _log.info("one")
        _log.info("two")
        services.append(Service(Path(paths.syslog)))
        _log.info("three")
        settled(control)
        events = [line.split(": ", 3)[3] for line in path.read_text().splitlines()]
        assert events == [
            "test.sinks: one",
            "rpc.logs: log output fails output=1:syslog:me reason=" + '"No such file or directory"',
            "test.sinks: two",
            "test.sinks: three",
            "rpc.logs: log output works again output=1:syslog:me records_lost=2",
        ]
        assert b"three" in services[-1].receive()
        assert b"works again" in services[-1].receive()

    def test_the_only_output_failing_is_reported_on_stderr(
        self, make: MakeControl, capfd: pytest.CaptureFixture[str]
    ) -> None:
        control = make("1:file:/dev/full")
        _log.info("one")
        settled(control)
        _log.info("two")
        settled(control)
        err = capfd.readouterr().err
        assert err.count("\n") == 1
        assert 'output=1:file:/dev/full reason="No space left on device"' in err

    def test_stderr_closed_under_us_is_reported_through_the_others(
        self, make: MakeControl, tmp_path: Path
    ) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "wb") as broken:
            control = make(f"1:stderr 1:file:{tmp_path}/x", paths=SinkPaths(stderr=broken.fileno()))
            _log.info("one")
            _log.info("two")
            settled(control)
        text = (tmp_path / "x").read_text()
        assert text.count("log output fails output=1:stderr reason=") == 1
        assert text.count("\n") == 3

    def test_a_mistake_in_a_sink_is_reported_like_a_failure(
        self, make: MakeControl, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(DatagramSink, "write", lambda _self, data: data.nothing)
        control = make(f"1:syslog:me 1:file:{tmp_path}/x")
        _log.info("one")
        settled(control)
        assert "log output fails" in (tmp_path / "x").read_text()
        assert "no attribute 'nothing'" in (tmp_path / "x").read_text()

    def test_all_outputs_failing_hurts_nobody(self, make: MakeControl) -> None:
        reader, writer = os.pipe()
        os.close(reader)
        with open(writer, "wb") as broken:
            make("1:stderr 1:file:/dev/full 1:journald", paths=SinkPaths(stderr=broken.fileno()))
            _log.error("one")


class TestStuck:
    """A peer that does not read is waited for once, then not again until it has taken something."""

    @pytest.fixture
    def waits(self, monkeypatch: pytest.MonkeyPatch) -> list[int]:
        """The time that each wait was given; none is waited out."""
        waits: list[int] = []
        true_poll = select.poll

        class Poll:
            def __init__(self) -> None:
                self._poll = true_poll()

            def register(self, fd: object, events: int) -> None:
                self._poll.register(fd, events)  # type: ignore[arg-type]  # passed through

            def poll(self, timeout: int) -> list[tuple[int, int]]:
                ready = self._poll.poll(0)
                if not ready:
                    waits.append(timeout)
                return ready

        monkeypatch.setattr("aiovirt.rpc.logs.sinks.select.poll", Poll)
        return waits

    @staticmethod
    def _fill(sink: Sink) -> None:
        for _ in range(100_000):
            try:
                sink.write(b"x" * 1000)
            except BlockingIOError:
                return
        pytest.fail("it takes records without end")

    def test_a_pipe(self, waits: list[int]) -> None:
        reader, writer = os.pipe()
        sink = StreamSink(writer)
        try:
            self._fill(sink)
            for _ in range(2):
                with pytest.raises(BlockingIOError):
                    sink.write(b"lost")
            assert waits == [PATIENCE, 0, 0]
            os.read(reader, 1 << 20)
            self._fill(sink)
            assert waits == [PATIENCE, 0, 0, PATIENCE]
        finally:
            os.close(reader)
            os.close(writer)

    def test_a_service(self, waits: list[int], syslog: Service) -> None:
        sink = DatagramSink(str(syslog.path))
        self._fill(sink)
        with pytest.raises(BlockingIOError):
            sink.write(b"lost")
        assert waits == [PATIENCE, 0]
        syslog.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                syslog.receive()
        self._fill(sink)
        assert waits == [PATIENCE, 0, PATIENCE]
        sink.close()


class TestStream:
    @pytest.fixture
    def pipe(self) -> Iterator[tuple[int, int]]:
        reader, writer = os.pipe()
        fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
        os.set_blocking(reader, False)  # a test that finds nothing there fails instead of hanging
        yield reader, writer
        os.close(reader)
        os.close(writer)

    def test_a_pipe_that_nobody_reads_does_not_hold_up_the_daemon(
        self, pipe: tuple[int, int]
    ) -> None:
        reader, writer = pipe
        sink = StreamSink(writer)
        sink.write(b"x" * 4095 + b"\n")
        for _ in range(3):
            with pytest.raises(BlockingIOError):
                sink.write(b"lost\n")
        os.read(reader, 4096)
        sink.write(b"heard\n")
        assert os.read(reader, 4096) == b"heard\n"

    def test_a_line_cut_by_a_full_pipe_is_finished_before_the_next(
        self, pipe: tuple[int, int]
    ) -> None:
        reader, writer = pipe
        sink = StreamSink(writer)
        line = b"".join(b"%07d " % number for number in range(1000)) + b"\n"
        sink.write(line)
        got = os.read(reader, 4096)
        with pytest.raises(BlockingIOError):
            sink.write(b"lost\n")  # fills the pipe with more of the first line
        got += os.read(reader, 4096)
        sink.write(b"next\n")
        while not got.endswith(b"next\n"):
            got += os.read(reader, 4096)
        assert got == line + b"next\n"

    def test_a_line_cut_by_a_size_limit_is_finished_when_there_is_room(
        self, tmp_path: Path
    ) -> None:
        old = resource.getrlimit(resource.RLIMIT_FSIZE)
        path = tmp_path / "x"
        with open(path, "ab", buffering=0) as file:
            sink = StreamSink(file.fileno())
            try:
                resource.setrlimit(resource.RLIMIT_FSIZE, (10, old[1]))
                sink.write(b"0123456789abc\n")
                with pytest.raises(OSError, match="too large"):
                    sink.write(b"lost\n")
            finally:
                resource.setrlimit(resource.RLIMIT_FSIZE, old)
            sink.write(b"next\n")
        assert path.read_bytes() == b"0123456789abc\nnext\n"

"""A changed settings file changes the running daemon, as far as it can."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from aiovirt.daemons.discovery import kinds
from aiovirt.daemons.runtime.component import Component
from aiovirt.daemons.runtime.logging import ENVIRONMENT, LogSettings
from aiovirt.daemons.runtime.process.options import Options
from aiovirt.daemons.runtime.process.systemd import Notifier
from aiovirt.daemons.runtime.reload import Reloader
from aiovirt.daemons.runtime.settings import file as settings_file
from aiovirt.daemons.runtime.settings import load
from aiovirt.daemons.runtime.settings.administration import Administration
from aiovirt.daemons.runtime.settings.catalogue import COMMON, daemon_settings
from aiovirt.daemons.runtime.settings.declaration import Live, Value
from aiovirt.daemons.runtime.settings.live import (
    Receiver,
    Running,
    ServerReceiver,
    server_options,
)
from aiovirt.rpc.logs import LogControl
from aiovirt.rpc.server import Daemon, Server
from tests.unit.house import PATIENCE, eventually

SETTINGS = {kind.name: kind.settings() for kind in kinds()}


class Recording(Component):
    """A receiver that notes its changes; `refuse` has it refuse them."""

    name = "recording"

    def __init__(self) -> None:
        self.changes: list[dict[str, Value]] = []
        self.refuse = ""

    def apply(self, changes: Mapping[str, Value]) -> None:
        if self.refuse:
            raise ValueError(self.refuse)
        self.changes.append(dict(changes))


class Setup:
    """A daemon without sockets, its settings file and its log."""

    def __init__(self, folder: Path, name: str, text: str) -> None:
        self.file = folder / "x.conf"
        self.log_file = folder / "x.log"
        self.always = f'log_outputs = "1:file:{self.log_file}"\n'
        self.write(text)
        loaded = load(SETTINGS[name], str(self.file))
        self.log = LogSettings(name, Options(), loaded)
        daemon = Daemon(name)
        self.main: Server = daemon.add_server(server_options(name, "main", loaded))
        self.admin: Server = daemon.add_server(server_options(name, "admin", loaded))
        self.parts: dict[str, Receiver] = {
            "main": ServerReceiver(self.main),
            "admin": ServerReceiver(self.admin),
            "log": self.log,
            "tls": Recording(),
            "sockets": Recording(),
            "sasl": Recording(),
            "emulators": Recording(),
        }
        self.settings = Administration([f"{name}.conf", "other.conf"], loaded, Running(self.parts))
        self.reloader = Reloader(self.settings, self.log.control, Notifier(None))

    def write(self, text: str) -> None:
        self.file.write_text(self.always + text)

    async def reload(self, text: str) -> str:
        """Reload with the file changed to `text`; returns what is logged meanwhile."""
        self.write(text)
        before = self.logged()
        await self.reloader.reload()
        return self.logged().removeprefix(before)

    def logged(self) -> str:
        self.control.flush(PATIENCE)
        return self.log_file.read_text() if self.log_file.exists() else ""

    @property
    def control(self) -> LogControl:
        return self.log.control


Make = Callable[..., Setup]


@pytest.fixture
async def setup(tmp_path: Path) -> AsyncIterator[Make]:
    made: list[Setup] = []

    def make(name: str = "virtd", text: str = "") -> Setup:
        made.append(Setup(tmp_path, name, text))
        return made[-1]

    yield make
    for one in made:
        one.control.close()


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ENVIRONMENT.values():
        monkeypatch.delenv(name, raising=False)


async def test_every_live_setting_reaches_a_started_daemon(setup: Make) -> None:
    one = setup("virtd", "max_clients = 50\nmax_anonymous_clients = 6\nadmin_max_workers = 7\n")
    assert (one.main.registry.max_clients, one.main.registry.max_anonymous_clients) == (50, 6)
    assert (one.admin.workers.minimum, one.admin.workers.maximum) == (5, 7)


async def test_every_live_setting_reaches_a_running_daemon(setup: Make) -> None:
    one = setup()
    await one.reload(
        """
        max_clients = 11
        max_anonymous_clients = 10
        max_client_requests = 9
        min_workers = 2
        max_workers = 8
        prio_workers = 7
        keepalive_interval = 6
        keepalive_count = 1
        admin_max_clients = 12
        admin_max_client_requests = 13
        admin_min_workers = 14
        admin_max_workers = 15
        admin_prio_workers = 16
        admin_keepalive_interval = 17
        admin_keepalive_count = 18
        log_level = 2
        log_filters = "1:rpc"
        log_format = "json"
        """
    )

    def shown(server: Server) -> tuple[int, ...]:
        registry, workers = server.registry, server.workers
        return (
            registry.max_clients,
            registry.max_anonymous_clients,
            server.max_client_requests,
            workers.minimum,
            workers.maximum,
            workers.priority,
            server.keepalive_interval,
            server.keepalive_count,
        )

    assert shown(one.main) == (11, 10, 9, 2, 8, 7, 6, 1)
    assert shown(one.admin) == (12, 0, 13, 14, 15, 16, 17, 18)
    assert one.control.level == 2
    assert one.control.filters_text().strip() == "1:*rpc*"
    assert one.control.log_format == "json"


async def test_two_bounds_can_move_together_past_where_they_were(setup: Make) -> None:
    one = setup("virtd", "min_workers = 1\nmax_workers = 2")
    await one.reload("min_workers = 10\nmax_workers = 12")
    await one.reload("min_workers = 1\nmax_workers = 2")
    assert (one.main.workers.minimum, one.main.workers.maximum) == (1, 2)


async def test_a_line_taken_out_of_the_file_brings_the_default_back(setup: Make) -> None:
    one = setup("virtd", "prio_workers = 9")
    await one.reload("")
    assert one.main.workers.priority == 5


async def test_what_was_changed_by_other_means_stays_when_the_file_is_silent(setup: Make) -> None:
    one = setup()
    one.main.workers.set(priority=77)
    one.control.set_filters("1:rpc")
    await one.reload("max_clients = 60")
    assert one.main.workers.priority == 77
    assert one.control.filters_text().strip() == "1:*rpc*"


async def test_a_bad_file_changes_nothing_and_says_where_it_is_bad(setup: Make) -> None:
    one = setup()
    said = await one.reload("max_clients = 60\nmax_workers = 0\n")
    assert one.main.registry.max_clients == 5000
    assert "x.conf:3: max_workers = 0 is not possible" in said


async def test_a_good_file_after_a_bad_one_is_compared_with_the_last_good_one(setup: Make) -> None:
    one = setup()
    await one.reload("nonsense")
    await one.reload("max_clients = 60")
    assert one.main.registry.max_clients == 60


async def test_a_change_that_needs_a_restart_waits_and_says_why_each_time(setup: Make) -> None:
    one = setup()
    for _ in range(2):
        said = await one.reload('libvirt_version = "9.1.0"')
        assert "waits for the next start" in said
        assert "connected clients have been told the version" in said
    assert one.settings.in_force("libvirt_version") == "9.0.0"
    assert "libvirt_version" not in await one.reload("")


async def test_a_refused_change_is_logged_and_the_others_happen(setup: Make) -> None:
    one = setup("lockd", "max_workers = 0")
    said = await one.reload("max_workers = 4\nmax_clients = 60")
    assert one.main.workers.maximum == 0
    assert one.main.registry.max_clients == 60
    assert "settings not changed" in said


async def test_an_output_that_cannot_be_opened_is_tried_again_at_the_next_reload(
    setup: Make, tmp_path: Path
) -> None:
    one = setup()
    later = tmp_path / "later"
    one.always = f'log_outputs = "1:file:{later}/x.log"\n'
    assert "settings not changed" in await one.reload("")
    later.mkdir()
    await one.reload("")
    assert one.control.outputs_text() == f"1:file:{later}/x.log"


async def test_each_name_without_effect_is_mentioned_once_in_a_daemons_life(setup: Make) -> None:
    one = setup("virtd", "audit_level = 1\nmax_cleints = 3\n")
    said = one.logged()
    assert "setting of libvirt has no effect here setting=audit_level" in said
    assert "setting is unknown setting=max_cleints" in said
    assert "audit_level" not in await one.reload("audit_level = 2\nmax_cleints = 3\n")


async def test_the_environment_comes_before_the_file_and_stays_so(
    setup: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LIBVIRT_LOG_FILTERS", "1:admin")
    monkeypatch.setenv("LIBVIRT_DEBUG", "info")
    one = setup("virtd", 'log_filters = "4:rpc"\nlog_level = 4')
    assert one.control.filters_text().strip() == "1:*admin*"
    assert one.control.level == 2
    said = await one.reload('log_filters = "3:rpc"\nlog_level = 4')
    assert one.control.filters_text().strip() == "1:*admin*"
    assert "LIBVIRT_LOG_FILTERS" in said


async def test_the_default_output_follows_the_level_unless_somebody_chose_another(
    setup: Make,
) -> None:
    one = setup()
    one.always = ""
    await one.reload("")
    assert one.control.outputs_text() == "3:stderr"
    await one.reload("log_level = 4")
    assert one.control.outputs_text() == "4:stderr"
    one.control.set_outputs("2:stderr")
    await one.reload("log_level = 3")
    assert one.control.outputs_text() == "2:stderr"


# Off the loop ------------------------------------------------------------------------------------


@pytest.fixture
def arriving(monkeypatch: pytest.MonkeyPatch) -> queue.SimpleQueue[str]:
    """Texts of the settings file; reading it waits until there is one, as on a slow file system."""
    texts: queue.SimpleQueue[str] = queue.SimpleQueue()

    def read(path: str, limit: int) -> bytes:
        return texts.get(timeout=PATIENCE).encode()

    monkeypatch.setattr(settings_file, "read_regular", read)
    return texts


async def test_a_settings_file_that_cannot_be_read_at_once_holds_up_nobody(
    setup: Make, arriving: queue.SimpleQueue[str]
) -> None:
    arriving.put("")
    one = setup()
    one.reloader.request()
    for _ in range(100):
        await asyncio.sleep(0)  # the loop goes on
    assert one.main.registry.max_clients == 5000
    arriving.put(f"{one.always}max_clients = 60\n")
    await eventually(lambda: one.main.registry.max_clients == 60)


async def test_a_request_during_a_reload_is_done_once_more_afterwards(
    setup: Make, arriving: queue.SimpleQueue[str]
) -> None:
    arriving.put("")
    one = setup()
    one.reloader.request()
    await asyncio.sleep(0)  # it begins; what is asked before that, it answers, too
    one.reloader.request()
    one.reloader.request()
    arriving.put(f"{one.always}max_clients = 60\n")
    await eventually(lambda: one.main.registry.max_clients == 60)
    arriving.put(f"{one.always}max_clients = 61\n")
    await eventually(lambda: one.main.registry.max_clients == 61)
    await eventually(lambda: one.reloader._task is None)


async def test_a_log_file_that_cannot_be_opened_at_once_holds_up_nobody(
    setup: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = setup()
    threads = []
    configure = LogControl.configure

    def note(control: LogControl, **wanted: Any) -> None:
        threads.append(threading.current_thread())
        configure(control, **wanted)

    monkeypatch.setattr(LogControl, "configure", note)
    await one.reload("log_level = 1")
    assert threads
    assert threading.main_thread() not in threads


async def test_a_receiver_that_the_daemon_has_not_is_a_mistake_in_the_declaration(
    setup: Make,
) -> None:
    one = setup()
    settings = daemon_settings(replace(COMMON["log_level"], name="x", change=Live("nobody", "x")))
    with pytest.raises(ValueError, match="setting x is for 'nobody'"):
        Running(one.parts).check(settings)

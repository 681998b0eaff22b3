"""The commands `exporter` and `top` as processes: how they start, refuse and end."""

from __future__ import annotations

import asyncio
import signal
import socket
import urllib.request
from pathlib import Path

import pytest

from aiovirt.admin import host
from aiovirt.admin.cli import main, views
from tests.unit.scripted_daemon import scripted_daemon
from tests.unit.test_cli_hanging import virtadm


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_the_exporter_serves_all_daemons_until_a_signal(
    tmp_path: Path, number: signal.Signals
) -> None:
    async with scripted_daemon() as first, scripted_daemon() as second, asyncio.timeout(30):
        words = ["-c", first.uri, "-c", second.uri, "exporter", "--listen", "127.0.0.1:0"]
        async with virtadm(tmp_path, *words) as process:
            assert process.stdout is not None
            line = (await process.stdout.readline()).decode()
            assert line.startswith("metrics at http://127.0.0.1:")
            url = line.split()[-1]
            text = (await asyncio.to_thread(fetch, url)).decode()
            process.send_signal(number)
            out, err = await process.communicate()
    assert (process.returncode, out, err) == (0, b"", b"")
    for daemon in (first, second):
        assert f'libvirt_admin_up{{daemon="{daemon.uri}"}} 1.0' in text
        assert daemon.calls[-1][0] == "CONNECT_CLOSE"


async def test_daemons_may_be_named_after_the_command(tmp_path: Path) -> None:
    async with scripted_daemon() as first, scripted_daemon() as second, asyncio.timeout(30):
        words = ["--listen", "127.0.0.1:0", "-c", first.uri, f"--connect={second.uri}"]
        async with virtadm(tmp_path, "exporter", *words) as process:
            assert process.stdout is not None
            url = (await process.stdout.readline()).decode().split()[-1]
            text = (await asyncio.to_thread(fetch, url)).decode()
            process.send_signal(signal.SIGTERM)
            await process.communicate()
    for daemon in (first, second):
        assert f'libvirt_admin_up{{daemon="{daemon.uri}"}} 1.0' in text


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url) as answer:
        data: bytes = answer.read()
        return data


def error_of(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    """The one line on the standard error of a command that fails."""
    assert main(["virtadm", *words]) == 1
    out, err = capfd.readouterr()
    assert out == ""
    return err


def test_an_address_that_cannot_be_listened_on_is_one_line(
    capfd: pytest.CaptureFixture[str],
) -> None:
    uri = "virtd:///session?socket=/nonexistent"
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        assert error_of(capfd, "-c", uri, "exporter", "--listen", address) == (
            f"error: cannot listen on '{address}': Address already in use\n"
        )
    assert error_of(capfd, "-c", uri, "exporter", "--listen", "everywhere") == (
        "error: option --listen takes ADDRESS:PORT, as in 127.0.0.1:9177 or [::1]:9177,"
        " not 'everywhere'\n"
    )
    far = error_of(capfd, "-c", uri, "exporter", "--listen", "192.0.2.1:1")
    assert far == "error: cannot listen on '192.0.2.1:1': Cannot assign requested address\n"


def test_a_uri_that_leads_nowhere_is_refused_before_anything_is_served(
    capfd: pytest.CaptureFixture[str],
) -> None:
    error = error_of(capfd, "-c", "nosuch:///system", "exporter", "--listen", "127.0.0.1:0")
    assert error.startswith("error: unsupported configuration: Unsupported URI scheme 'nosuch'")


@pytest.mark.parametrize(("command", "extra"), [("exporter", "exporter"), ("top", "top")])
def test_without_its_extra_a_command_says_in_a_line_how_to_get_it(
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    extra: str,
) -> None:
    monkeypatch.setattr(views, "find_spec", lambda name: None)
    error = error_of(capfd, command)
    assert error.count("\n") == 1
    assert error.endswith(f"pip install 'aiovirt[{extra}]'\n")


def test_a_view_stands_alone_on_its_line(capfd: pytest.CaptureFixture[str]) -> None:
    error = error_of(capfd, "exporter; uri")
    assert error == "error: command 'exporter' has to be the only one on its line\n"


@pytest.mark.parametrize("text", ["", "0", "0.05", "-1", "x", "1e3", "10000", "nan"])
def test_an_interval_is_a_number_of_seconds(capfd: pytest.CaptureFixture[str], text: str) -> None:
    error = error_of(capfd, "top", "--interval", text)
    if text:
        assert error == (f"error: option --interval takes seconds from 0.1 to 9999, not '{text}'\n")


async def test_top_needs_a_terminal(tmp_path: Path) -> None:
    async with asyncio.timeout(30), virtadm(tmp_path, "top") as process:
        out, err = await process.communicate()
    assert (process.returncode, out) == (1, b"")
    assert err == b"error: 'top' needs a terminal; for programs there is: virtadm exporter\n"


async def test_a_view_does_not_run_inside_the_shell(tmp_path: Path) -> None:
    async with asyncio.timeout(30), virtadm(tmp_path, stdin=asyncio.subprocess.PIPE) as process:
        _, err = await process.communicate(b"top\nexporter\nquit\n")
    assert err.decode().splitlines() == [
        "error: 'top' does not run inside the shell; run: virtadm top",
        "error: 'exporter' does not run inside the shell; run: virtadm exporter",
    ]


def test_all_daemons_of_a_host_without_any_are_none(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(host, "admin_sockets", list)
    error = error_of(capfd, "-c", "all", "exporter", "--listen", "127.0.0.1:0")
    assert error == "error: no daemon has an admin socket on this host\n"

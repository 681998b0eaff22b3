"""Every setting of every daemon with every kind of odd value: it works, or one line says why not."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiovirt.daemons.discovery import kinds
from aiovirt.daemons.runtime.kind import DaemonKind
from aiovirt.daemons.runtime.process.failure import Failure
from aiovirt.daemons.runtime.settings import Setting, SettingsError, load

ROOT = Path(__file__).parents[2]
EACH = pytest.mark.parametrize("kind", kinds(), ids=lambda kind: kind.name)

NUMBERS = ["0", "-0", "1", "0100", "-1", "1.5", "2147483648", "4294967296", "9" * 19, "9" * 6000]
TEXTS = [
    "",
    " ",
    "0",
    "-1",
    "+80",
    "0777",
    "99999999999",
    "9" * 5000,
    "\u0663\u0663\u0663",  # a number in Arabic digits
    "\u00b2",
    "a..b",
    "." + "x" * 70 + ".",
    "x" * 70,
    "/" + "x" * 300,
    "/" + "x/" * 4000,
    "nobody here",
    "caf\u00e9 \U0001f600",
    "%s%n{0}",
    "1:file:",
    "1:*[",
    "::",
]
#: Values as they stand in a file; those in libvirt's syntax may have any byte.
RAW = [
    b'"a\0b"',
    b'"""a\nb"""',
    b'"""\nunix"""',
    b'"\xff\xfe"',
    b'"/caf\xe9"',
    b'"\x1b[31m"',
    b'"a\\u0000b" # TOML \n\n# "',
    b"true",
    b"1979-05-27",
    b"[]",
    b'[""]',
    b'["a\0b", "\xff"]',
    b'["CN=*", "O=A\\, B"]',
    b"[1, 2]",
    b"[[[[[[[[[[]]]]]]]]]]",
    b"[" * 5000,
    b"{ a = 1 }",
    b"",
]


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Paths that are everything but the file that a setting asks for."""
    folder = tmp_path_factory.mktemp("odd")
    os.mkfifo(folder / "fifo")
    (folder / "loop").symlink_to("loop")
    (folder / "dangling").symlink_to("nothing")
    (folder / "empty").touch()
    (folder / "text").write_text("not what is wanted\n")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(folder / "socket"))
    names = (
        "fifo",
        "loop",
        "dangling",
        "empty",
        "text",
        "text/below",
        "socket",
        "",
        "../.",
        "none",
    )
    return [
        *(f"{folder}/{name}" for name in names),
        "/dev/null",
        "/dev/zero",
        "/dev/full",
        "/proc/self",
    ]


def values(setting: Setting, places: list[str]) -> Iterator[bytes]:
    """The odd values of a setting, and its example or default, as they stand in a file."""
    prefix = "1:file:" if setting.name == "log_outputs" else ""
    yield from (number.encode() for number in NUMBERS)
    yield from (f'"{text}"'.encode() for text in (*TEXTS, *(prefix + place for place in places)))
    yield from RAW
    if setting.example:
        yield setting.example.encode()


def needed(setting: Setting) -> bytes:
    """Lines that make a daemon use the setting."""
    if setting.name in ("listen_addr", "tcp_port"):
        return b"listen_tcp = 1\n" + (b'tcp_port = "0"\n' if setting.name == "listen_addr" else b"")
    if setting.name == "listen_tcp":
        return b'tcp_port = "0"\nlisten_addr = "127.0.0.1"\n'
    if setting.group == "TLS":
        return b'listen_tls = 1\ntls_port = "0"\nlisten_addr = "127.0.0.1"\n'
    return b""


@EACH
def test_a_daemon_starts_with_an_odd_value_or_says_why_not_in_one_line(
    kind: DaemonKind, tmp_path: Path, places: list[str]
) -> None:
    cases: dict[tuple[str, str], tuple[str, str]] = {}
    for setting in kind.settings().values():
        for number, value in enumerate(values(setting, places)):
            folder = tmp_path / f"{setting.name}.{number}"
            folder.mkdir()
            file = folder / "x.conf"
            own = b"" if value == b"" and number % 2 else setting.name.encode() + b" = " + value
            lines = (line for line in needed(setting).splitlines() if not line.startswith(own[:8]))
            file.write_bytes(b"\n".join((own, *lines)) + b"\n")
            try:
                loaded = load(kind.settings(), str(file), required=True)
            except SettingsError as error:
                said = str(error)
                assert "\n" not in said
                assert len(said) < 800, said
                shutil.rmtree(folder)
            else:
                meant = (setting.name, repr(loaded.values[setting.name]))
                cases.setdefault(meant, (kind.name, str(file)))  # one start for each meaning
    assert len(cases) > 100
    ran = subprocess.run(
        [sys.executable, "-m", "tests.unit.settings_prober"],
        input=json.dumps(list(cases.values())),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=True,
    )
    wrong = [
        (Path(file).read_bytes()[:300], status, said)
        for (_, file), (status, said) in zip(cases.values(), json.loads(ran.stdout), strict=True)
        if not _is_right(kind.name, status, said)
    ]
    assert wrong == []


def _is_right(name: str, status: int, said: str) -> bool:
    """Whether a start went well, or failed with one line and a status that is documented."""
    if status == 0:
        return "Traceback" not in said
    lines = [line for line in said.splitlines() if line.startswith(f"{name}: ")]
    return (
        status in set(Failure)
        and len(lines) == 1
        and "unexpected" not in said
        and "Traceback" not in said
    )

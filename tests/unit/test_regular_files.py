"""Files that somebody names are opened without waiting for anybody."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from aiovirt.daemons.logd.settings import SETTINGS
from aiovirt.daemons.runtime.settings.declaration import SettingsError
from aiovirt.daemons.runtime.settings.file import load
from aiovirt.rpc.security.certificates import CertificateError, TlsFiles
from aiovirt.rpc.security.certificates import load as load_certificates
from aiovirt.rpc.security.regular import open_regular, read_regular
from aiovirt.rpc.security.sasl import Passwords


def test_a_regular_file_is_read_through_a_link_too(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"0123456789")
    (tmp_path / "link").symlink_to("file")
    assert read_regular(str(tmp_path / "link"), 100) == b"0123456789"
    assert len(read_regular(str(tmp_path / "link"), 4)) == 5, "one more, so that it is noticed"


def test_files_of_proc_have_no_size_and_are_read(tmp_path: Path) -> None:
    assert read_regular("/proc/self/stat", 1000).startswith(b"%d " % os.getpid())


@pytest.mark.parametrize("kind", ["a FIFO", "a directory", "a character device", "a socket"])
def test_anything_else_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "it"
    with socket.socket(socket.AF_UNIX) as sock:
        if kind == "a FIFO":
            os.mkfifo(path)
        elif kind == "a directory":
            path.mkdir()
        elif kind == "a socket":
            sock.bind(str(path))
        else:
            path.symlink_to("/dev/zero")
        before = len(os.listdir("/proc/self/fd"))
        with pytest.raises(OSError, match=f"it is {kind}, not a regular file"):
            open_regular(str(path))
        assert len(os.listdir("/proc/self/fd")) == before


def test_the_null_device_is_an_empty_file(tmp_path: Path) -> None:
    assert read_regular("/dev/null", 100) == b""
    assert load(SETTINGS, "/dev/null", required=True).given == frozenset()


def test_a_fifo_as_settings_passwords_or_certificate_is_refused(tmp_path: Path) -> None:
    fifo = str(tmp_path / "fifo")
    os.mkfifo(fifo)
    with pytest.raises(SettingsError, match="it is a FIFO, not a regular file"):
        load(SETTINGS, fifo)
    with pytest.raises(OSError, match="it is a FIFO, not a regular file"):
        Passwords(fifo)
    with pytest.raises(CertificateError, match="it is a FIFO, not a regular file"):
        load_certificates(TlsFiles(fifo, fifo, fifo, fifo), server=True)

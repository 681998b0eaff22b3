"""Sizes with a unit, as libvirt scales them."""

from __future__ import annotations

from pathlib import Path

import pytest

from aiovirt.daemons.logd.settings import SETTINGS
from aiovirt.daemons.runtime.settings.declaration import SIZE_MAX, SettingsError
from aiovirt.daemons.runtime.settings.file import load
from aiovirt.daemons.runtime.settings.sizes import Size


@pytest.mark.parametrize(
    ("text", "size"),
    [
        (0, 0),
        (2097152, 2097152),
        ("2097152", 2097152),
        ("7b", 7),
        ("7byte", 7),
        ("7Bytes", 7),
        ("2k", 2048),
        ("2K", 2048),
        ("2KiB", 2048),
        ("2kib", 2048),
        ("2KB", 2000),
        ("2kb", 2000),
        ("2M", 2 << 20),
        ("2MiB", 2 << 20),
        ("2MB", 2_000_000),
        ("3G", 3 << 30),
        ("3TiB", 3 << 40),
        ("3PB", 3 * 10**15),
        ("1E", 1 << 60),
        (" 2MiB", 2 << 20),
        (SIZE_MAX, SIZE_MAX),
    ],
)
def test_what_a_size_may_be(text: object, size: int) -> None:
    assert Size(SIZE_MAX).check(text) == size


@pytest.mark.parametrize(
    "text",
    [
        *(-1, True, 1.5, None, [2], SIZE_MAX + 1),
        *("", "MiB", "-1", "2 MiB", "2MiBs", "2i", "2X", "0x10", "2.5M", "8E", "1M "),
        *("9" * 5000, "\N{ARABIC-INDIC DIGIT THREE}"),
    ],
)
def test_what_it_may_not_be(text: object) -> None:
    with pytest.raises(ValueError, match=r"^$"):
        Size(SIZE_MAX).check(text)


def test_what_is_shown_is_read_again() -> None:
    assert Size(SIZE_MAX).check(Size(SIZE_MAX).show(2 << 20)) == 2 << 20


def test_the_setting_of_logd_takes_it(tmp_path: Path) -> None:
    conf = tmp_path / "logd.conf"
    conf.write_text('max_size = "2MiB"\n')
    assert load(SETTINGS, str(conf)).integer("max_size") == 2 << 20
    conf.write_text('max_size = "2 apples"\n')
    with pytest.raises(SettingsError, match=r'max_size.*"2MiB"'):
        load(SETTINGS, str(conf))

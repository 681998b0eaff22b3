"""Admin URIs: what they name, and which one stands when none is given."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from aiovirt.admin.uri import (
    AdminUri,
    Directories,
    UriError,
    read_settings,
    resolve,
    settings_files,
)

USER = Directories(False, "/home/u", "/run/user/7", "/home/u/.config", "/home/u/.cache")
ROOT = Directories(True, "/root", "/run/user/0", "/root/.config", "/root/.cache")


def path_of(text: str, where: Directories = USER) -> str:
    return AdminUri.parse(text).socket_path(where)


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("libvirtd:///system", "/run/libvirt/libvirt-admin-sock"),
        ("libvirtd:///session", "/run/user/7/libvirt/libvirt-admin-sock"),
        ("virtqemud:///system", "/run/libvirt/virtqemud-admin-sock"),
        ("virtlockd:///session", "/run/user/7/libvirt/virtlockd-admin-sock"),
        ("virtproxyd:///system", "/run/libvirt/virtproxyd-admin-sock"),
        ("virtd:///system", "/run/aiovirt/virtd-admin-sock"),
        ("lockd:///session", "/run/user/7/aiovirt/lockd-admin-sock"),
        ("logd:///system", "/run/aiovirt/logd-admin-sock"),
        ("libvirtd:/session", "/run/user/7/libvirt/libvirt-admin-sock"),
        ("libvirtd://:22/session", "/run/user/7/libvirt/libvirt-admin-sock"),
        ("libvirtd:///%73ession", "/run/user/7/libvirt/libvirt-admin-sock"),
        ("libvirtd:///system?socket=/x/y", "/x/y"),
        ("what:///ever?socket=%2Fx%20y", "/x y"),
        ("?socket=/x", "/x"),
        ("libvirtd:///session?socket=/a&socket=/b", "/b"),
        ("libvirtd:///session?=x&&socket=/a", "/a"),
        ("libvirtd:///session?socket=/a;", "/a"),
        ("libvirtd:///session?socket", ""),
    ],
)
def test_a_uri_names_a_socket(uri: str, path: str) -> None:
    assert path_of(uri) == path


@pytest.mark.parametrize("daemon", ["virtd", "lockd", "logd"])
@pytest.mark.parametrize("rest", ["///", "/", ""])
def test_a_daemon_of_ours_without_a_path_is_the_callers_own(daemon: str, rest: str) -> None:
    uri = f"{daemon}:{rest}"
    assert path_of(uri, ROOT) == f"/run/aiovirt/{daemon}-admin-sock"
    assert path_of(uri, USER) == f"/run/user/7/aiovirt/{daemon}-admin-sock"


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("foo:///system", "Unsupported URI scheme 'foo'"),
        ("LIBVIRTD:///system", "Unsupported URI scheme 'LIBVIRTD'"),
        ("libvirtd:///x", "Invalid URI path '/x'"),
        ("libvirtd:///", "Invalid URI path '/'"),
        ("libvirtd:///system/", "Invalid URI path '/system/'"),
        ("virtd:///x", "Invalid URI path '/x'"),
        ("libvirtd", "No URI scheme specified"),
        ("", "No URI scheme specified"),
        ("/session", "No URI scheme specified"),
        ("libvirtd:///system?foo=1", "Unknown URI parameter 'foo'"),
        ("foo:///?socket=/x&y", "Unknown URI parameter 'y'"),
        ("libvirtd:///session?socket=%00", "NUL"),
    ],
)
def test_a_uri_that_leads_nowhere_says_why(uri: str, reason: str) -> None:
    with pytest.raises(UriError, match=rf"^unsupported configuration: .*{reason}"):
        path_of(uri)


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        (
            "libvirtd://prod/system",
            "names the host 'prod'.* libvirtd\\+ssh://prod/system, .* libvirtd:///system$",
        ),
        (
            "libvirtd://prod/system?socket=/x",
            r"libvirtd\+ssh://prod/system\?socket=/x, .* libvirtd:///system\?socket=/x$",
        ),
        (
            "libvirtd://system",
            r"names the host 'system'.* libvirtd\+ssh://system/system, .* libvirtd:///system$",
        ),
        ("virtd://localhost/", "names the host 'localhost'"),
        ("x://root@[::1]:22/?socket=/y", r"names the host '\[::1\]'"),
        ("//prod?socket=/x", "names the host 'prod'"),
        ("virtd://root@/system", "names the user 'root'.* without a user it is virtd:///system"),
        ("libvirtd+ssh://prod/system", "libvirtd[+]ssh://prod/system is on another host"),
        ("virtqemud+tls:///session", "Unknown transport 'tls' .* virtqemud[+]ssh://HOST/system"),
        ("virtd+unix:///?socket=/x", "Unknown transport 'unix' .* virtd:///system"),
    ],
)
def test_a_uri_of_another_machine_never_reaches_this_one(uri: str, reason: str) -> None:
    with pytest.raises(UriError, match=rf"^unsupported configuration: .*{reason}"):
        path_of(uri)


@pytest.mark.parametrize(
    "text",
    [
        ":",
        ":::",
        "1x:///a",
        "a b",
        "x:///é",
        "x:///a[b",
        "x:///a\\b",
        "x:///%zz",
        "x://h:/a",
        "x://a@b@c/",
    ],
)
def test_what_is_no_uri_is_refused(text: str) -> None:
    with pytest.raises(UriError, match="Unable to parse URI"):
        AdminUri.parse(text)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("libvirtd:///session", "libvirtd:///session"),
        ("libvirtd:/session", "libvirtd:///session"),
        ("libvirtd://:9/session", "libvirtd:///session"),
        ("libvirtd://[::1]:22/session", "libvirtd://[::1]:22/session"),
        (
            "x://u%20x:p@HO%41ST:22/a%20b~%c3%a9?q=%41#f%20g",
            "x://u%20x:p@HOAST:22/a%20b~%C3%A9?q=%41#f%20g",
        ),
        ("?socket=/x", "//?socket=/x"),
        ("x:a:b?", "x://a%3Ab?"),
    ],
)
def test_a_uri_is_shown_as_libvirt_shows_it(text: str, shown: str) -> None:
    assert str(AdminUri.parse(text)) == shown


def where(tmp_path: Path, *, root: bool = False) -> Directories:
    home = str(tmp_path)
    return Directories(root, home, home, f"{home}/config", f"{home}/cache")


def settings(tmp_path: Path, name: str, text: str) -> None:
    file = tmp_path / "config" / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)


def test_without_settings_the_default_is_libvirts(tmp_path: Path) -> None:
    assert str(resolve(environ={}, where=where(tmp_path))) == "libvirtd:///session"


def test_the_environment_goes_before_settings(tmp_path: Path) -> None:
    settings(tmp_path, "aiovirt/virtadm.conf", 'uri_default = "logd:///session"')
    here = where(tmp_path)
    named = {"LIBVIRT_ADMIN_DEFAULT_URI": "lockd:///session"}
    assert str(resolve(environ=named, where=here)) == "lockd:///session"
    assert str(resolve(environ={"LIBVIRT_ADMIN_DEFAULT_URI": ""}, where=here)) == "logd:///session"
    assert str(resolve("virtd:///session", environ=named, where=here)) == "virtd:///session"


def test_our_settings_go_before_libvirts(tmp_path: Path) -> None:
    here = where(tmp_path)
    settings(tmp_path, "libvirt/libvirt-admin.conf", 'uri_default = "virtlogd:///session"')
    assert str(resolve(environ={}, where=here)) == "virtlogd:///session"
    settings(tmp_path, "aiovirt/virtadm.conf", "# nothing said\n")
    assert str(resolve(environ={}, where=here)) == "virtlogd:///session"
    settings(tmp_path, "aiovirt/virtadm.conf", 'uri_default = "logd:///session"')
    assert str(resolve(environ={}, where=here)) == "logd:///session"


def test_an_alias_works_wherever_a_uri_does(tmp_path: Path) -> None:
    here = where(tmp_path)
    settings(
        tmp_path,
        "libvirt/libvirt-admin.conf",
        'uri_default = "log"\nuri_aliases = ["log=virtlogd:///session?socket=/a=b", "x y=z"]',
    )
    meant = "virtlogd:///session?socket=/a=b"
    assert str(resolve(environ={}, where=here)) == meant
    assert str(resolve("log", environ={}, where=here)) == meant
    assert str(resolve(environ={"LIBVIRT_ADMIN_DEFAULT_URI": "log"}, where=here)) == meant


def test_an_alias_is_replaced_once(tmp_path: Path) -> None:
    settings(tmp_path, "aiovirt/virtadm.conf", 'uri_aliases = ["a=b", "b=virtd:///session"]')
    assert resolve("a", environ={}, where=where(tmp_path)).path == "b"


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('uri_aliases = ["foo"]', "Malformed 'uri_aliases' config entry 'foo'"),
        ('uri_aliases = ["a b=c"]', "Malformed 'uri_aliases' config entry 'a b=c'"),
        ('uri_aliases = "x"', "expected a string list for 'uri_aliases' parameter"),
        ("uri_aliases = [1]", "expected a string list for 'uri_aliases' parameter"),
        ("uri_default = 3", "expected a string for 'uri_default' parameter"),
        ("uri_default = ", "configuration file syntax error"),
    ],
)
def test_wrong_settings_name_their_file(tmp_path: Path, text: str, reason: str) -> None:
    settings(tmp_path, "aiovirt/virtadm.conf", text)
    with pytest.raises(UriError, match=reason) as wrong:
        resolve("name", environ={}, where=where(tmp_path))
    assert "virtadm.conf" in str(wrong.value)


def test_wrong_settings_are_not_in_the_way_of_a_uri(tmp_path: Path) -> None:
    settings(tmp_path, "aiovirt/virtadm.conf", "uri_default = ")
    uri = resolve("virtd:///session", environ={}, where=where(tmp_path))
    assert str(uri) == "virtd:///session"


def test_settings_that_cannot_be_read_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "virtadm.conf"
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(UriError, match=r"virtadm\.conf:1: expected the name of a setting"):
        read_settings(str(file))
    with pytest.raises(UriError, match=r"cannot read the settings file .* it is a directory"):
        read_settings(str(tmp_path))
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(UriError, match=r"cannot read the settings file .* it is a FIFO"):
        read_settings(str(tmp_path / "fifo"))


def test_settings_mean_what_they_mean_to_libvirt(tmp_path: Path) -> None:
    file = tmp_path / "libvirt-admin.conf"
    file.write_bytes(
        b'uri_default = "a\\b" # caf\xe9\nuri_default = "c"\nuri_aliases = ["x=y", ]\n'
    )
    found = read_settings(str(file))
    assert (found.default, found.aliases) == ("a\\b", ("x=y",))


def test_root_and_users_have_libvirts_settings_in_different_places() -> None:
    assert settings_files(ROOT)[-1] == "/etc/libvirt/libvirt-admin.conf"
    assert settings_files(USER)[-1] == "/home/u/.config/libvirt/libvirt-admin.conf"
    assert settings_files(USER)[:2] == (
        "/home/u/.config/aiovirt/virtadm.conf",
        "/etc/aiovirt/virtadm.conf",
    )


def test_directories_fall_back_as_glibs_do() -> None:
    bare = Directories.of_caller({"HOME": "/h"})
    assert bare[2:] == ("/h/.cache", "/h/.config", "/h/.cache")
    full = Directories.of_caller(
        {"HOME": "/h", "XDG_RUNTIME_DIR": "/r", "XDG_CONFIG_HOME": "/c", "XDG_CACHE_HOME": "/k"}
    )
    assert full[2:] == ("/r", "/c", "/k")
    assert Directories.of_caller({"HOME": "/h", "XDG_RUNTIME_DIR": ""}).runtime == "/h/.cache"


def test_the_settings_file_that_is_shipped_says_nothing() -> None:
    shipped = Path(__file__).parents[2] / "conf" / "virtadm.conf"
    assert read_settings(str(shipped))[1:] == (None, ())


def test_the_shipped_examples_are_valid_when_uncommented(tmp_path: Path) -> None:
    shipped = Path(__file__).parents[2] / "conf" / "virtadm.conf"
    lines = shipped.read_text().splitlines(keepends=True)
    file = tmp_path / "virtadm.conf"
    file.write_text(
        "".join(line.removeprefix("#") for line in lines if line[:2] not in ("#", "# "))
    )
    found = read_settings(str(file))
    assert found.default is not None
    assert found.lookup("no-such-alias") is None
    assert found.aliases

"""What a settings file comes to: values, defaults, messages."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from aiovirt.daemons.discovery import kinds
from aiovirt.daemons.runtime.kind import DaemonKind
from aiovirt.daemons.runtime.settings import Loaded, SettingsError, load
from aiovirt.daemons.runtime.settings.catalogue import COMMON, KNOWN_ELSEWHERE, daemon_settings
from aiovirt.daemons.runtime.settings.declaration import Fixed, Integer, Live, Same, Setting
from aiovirt.daemons.runtime.settings.file import below

KINDS = {kind.name: kind for kind in kinds()}
SETTINGS = {name: kind.settings() for name, kind in KINDS.items()}
EACH = pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.name)

EVERYTHING_IN_LIBVIRTD_CONF = """
listen_tls = 0
listen_tcp = 1
tls_port = "16514"
tcp_port = "16509"
listen_addr = "192.168.0.1"
unix_sock_group = "libvirt"
unix_sock_ro_perms = "0777"
unix_sock_rw_perms = "0770"
unix_sock_admin_perms = "0700"
unix_sock_dir = "/run/libvirt"
auth_unix_ro = "polkit"
auth_unix_rw = "polkit"
auth_tcp = "sasl"
auth_tls = "none"
tcp_min_ssf = 112
access_drivers = [ "polkit" ]
key_file = "/etc/pki/libvirt/private/serverkey.pem"
cert_file = "/etc/pki/libvirt/servercert.pem"
ca_file = "/etc/pki/CA/cacert.pem"
crl_file = "/etc/pki/CA/crl.pem"
tls_no_sanity_certificate = 1
tls_no_verify_certificate = 1
tls_allowed_dn_list = ["DN1", "DN2"]
tls_priority="NORMAL"
sasl_allowed_username_list = ["joe@EXAMPLE.COM", "fred@EXAMPLE.COM" ]
max_clients = 5000
max_queued_clients = 1000
max_anonymous_clients = 20
min_workers = 5
max_workers = 20
prio_workers = 5
max_client_requests = 5
admin_min_workers = 1
admin_max_workers = 5
admin_max_clients = 5
admin_max_queued_clients = 5
admin_max_client_requests = 5
log_level = 3
log_filters="1:qemu 1:libvirt 4:object 4:json 4:event 1:util"
log_outputs="3:syslog:libvirtd"
audit_level = 2
audit_logging = 1
host_uuid = "00000000-0000-0000-0000-000000000000"
host_uuid_source = "smbios"
keepalive_interval = 5
keepalive_count = 5
keepalive_required = 1
admin_keepalive_required = 1
admin_keepalive_interval = 5
admin_keepalive_count = 5
ovs_timeout = 5
"""


def written(tmp_path: Path, text: str) -> str:
    """A settings file with that text."""
    path = tmp_path / "x.conf"
    path.write_text(text)
    return str(path)


def read(tmp_path: Path, text: str, daemon: str = "virtd") -> Loaded:
    """What a daemon makes of a settings file with that text."""
    return load(SETTINGS[daemon], written(tmp_path, text), required=True)


def complaint(tmp_path: Path, text: str, daemon: str = "virtd") -> str:
    """What is said about a settings file with that text, without the folder's name."""
    with pytest.raises(SettingsError) as caught:
        read(tmp_path, text, daemon)
    return str(caught.value).replace(f"{tmp_path}/", "")


# libvirt's files ---------------------------------------------------------------------------------


def test_libvirtds_file_with_every_example_in_force_loads(tmp_path: Path) -> None:
    loaded = read(tmp_path, EVERYTHING_IN_LIBVIRTD_CONF)
    assert loaded.values["admin_max_clients"] == 5
    assert loaded.values["unix_sock_rw_perms"] == 0o770
    assert loaded.values["listen_tcp"] is True
    assert {unused.name for unused in loaded.unused} <= KNOWN_ELSEWHERE


@pytest.mark.parametrize("daemon", ["lockd", "logd"])
def test_the_small_daemons_load_libvirtds_file_too_and_miss_only_the_network(
    tmp_path: Path, daemon: str
) -> None:
    loaded = read(tmp_path, EVERYTHING_IN_LIBVIRTD_CONF, daemon)
    assert {unused.name for unused in loaded.unused if not unused.known} == {
        "listen_tcp",
        "listen_addr",
        "tcp_port",
        "listen_tls",
        "tls_port",
        "key_file",
        "cert_file",
        "ca_file",
        "crl_file",
        "tls_no_sanity_certificate",
        "tls_no_verify_certificate",
        "tls_allowed_dn_list",
        "tls_priority",
        "unix_sock_ro_perms",
        "auth_unix_rw",
        "auth_unix_ro",
        "auth_tcp",
        "auth_tls",
        "sasl_allowed_username_list",
    }


@EACH
@pytest.mark.parametrize("uncomment", [False, True])
def test_an_installed_file_of_libvirt_loads_with_and_without_its_comments(
    tmp_path: Path, kind: DaemonKind, uncomment: bool
) -> None:
    source = Path("/etc/libvirt", f"{kind.counterpart}.conf")
    if not os.access(source, os.R_OK):
        pytest.skip(f"{source} is not installed")
    text = source.read_text()
    if uncomment:
        text = re.sub(r"^#(\w+ ?= ?.*)$", r"\1", text, flags=re.MULTILINE)
        assert "\nmax_clients = " in text
    loaded = read(tmp_path, text, kind.name)
    assert [unused.name for unused in loaded.unused if not unused.known] == []


def test_names_that_libvirt_has_and_we_have_not_are_told_from_unknown_ones(tmp_path: Path) -> None:
    loaded = read(tmp_path, "audit_level = 1\n\nmax_cleints = 3\n")
    assert [(u.name, u.line, u.known) for u in loaded.unused] == [
        ("audit_level", 1, True),
        ("max_cleints", 3, False),
    ]


# Values ------------------------------------------------------------------------------------------


def test_without_a_file_every_setting_has_its_default() -> None:
    loaded = load(SETTINGS["virtd"], None)
    assert loaded.values["max_workers"] == 20
    assert loaded.given == frozenset()


def test_a_missing_default_file_is_as_good_as_an_empty_one(tmp_path: Path) -> None:
    assert (
        load(SETTINGS["virtd"], str(tmp_path / "none")).values
        == load(SETTINGS["virtd"], None).values
    )


def test_a_missing_file_that_was_asked_for_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none: there is no such file"):
        load(SETTINGS["virtd"], str(tmp_path / "none"), required=True)


def test_lockd_starts_with_virtlockds_limits() -> None:
    values = load(SETTINGS["lockd"], None).values
    assert (values["max_clients"], values["max_anonymous_clients"]) == (1024, 1024)
    assert values["keepalive_interval"] == -1


def test_lockds_anonymous_clients_follow_its_clients(tmp_path: Path) -> None:
    assert read(tmp_path, "max_clients = 7", "lockd").values["max_anonymous_clients"] == 7


def test_booleans_are_libvirts_numbers_or_tomls_words(tmp_path: Path) -> None:
    assert [read(tmp_path, f"listen_tcp = {x}").values["listen_tcp"] for x in (0, 1, "true")] == [
        False,
        True,
        True,
    ]


def test_a_minimum_above_the_maximum_gives_way_and_is_mentioned(tmp_path: Path) -> None:
    loaded = read(tmp_path, "min_workers = 30")
    assert loaded.values["min_workers"] == 20
    assert loaded.notes == ("min_workers = 30 exceeds max_workers = 20: 20 counts",)


def test_a_maximum_below_the_default_minimum_needs_no_mention(tmp_path: Path) -> None:
    loaded = read(tmp_path, "max_workers = 3")
    assert (loaded.values["min_workers"], loaded.notes) == (3, ())


@pytest.mark.parametrize("daemon", ["lockd", "logd"])
def test_the_small_daemons_can_do_without_a_pool(tmp_path: Path, daemon: str) -> None:
    loaded = read(tmp_path, "max_workers = 0", daemon)
    assert (loaded.values["min_workers"], loaded.values["max_workers"]) == (0, 0)


# Messages ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            '# first\n\nmax_clients = "many"\n',
            'x.conf:3: max_clients = "many" is not possible:'
            " it has to be a whole number from 1 to 4294967295",
        ),
        (
            "max_clients = -1",
            "x.conf:1: max_clients = -1 is not possible:"
            " it has to be a whole number from 1 to 4294967295",
        ),
        (
            "max_workers = true",
            "x.conf:1: max_workers = true is not possible:"
            " it has to be a whole number from 1 to 4294967295",
        ),
        (
            "listen_tcp = 2",
            "x.conf:1: listen_tcp = 2 is not possible:"
            " it has to be 0 or 1 (false and true do as well)",
        ),
        (
            'unix_sock_rw_perms = "999"',
            'x.conf:1: unix_sock_rw_perms = "999" is not possible:'
            ' it has to be octal digits in quotes, from "0" to "0777"',
        ),
        (
            'unix_sock_dir = "here"',
            'x.conf:1: unix_sock_dir = "here" is not possible:'
            " it has to be an absolute path in quotes: it does not begin with a slash",
        ),
        (
            'tcp_port = "65536"',
            'x.conf:1: tcp_port = "65536" is not possible: it has to be a port number'
            " (0 to 65535) or a service name, in quotes: a port is a number from 0 to 65535",
        ),
        (
            "max_workers = 0",
            "x.conf:1: max_workers = 0 is not possible:"
            " it has to be a whole number from 1 to 4294967295",
        ),
        (
            "\nmax_clients = 10",
            "x.conf:2: max_anonymous_clients = 20 is not possible:"
            " it has to be 0 (no limit) or at most max_clients, which is 10",
        ),
        (
            "max_clients = 30\nmax_anonymous_clients = 31",
            "x.conf:2: max_anonymous_clients = 31 is not possible:"
            " it has to be 0 (no limit) or at most max_clients, which is 30",
        ),
    ],
)
def test_a_wrong_value_is_named_with_its_line_and_what_is_allowed(
    tmp_path: Path, text: str, message: str
) -> None:
    assert complaint(tmp_path, text) == message


@pytest.mark.parametrize(
    ("text", "line"),
    [("max_clients =", 1), ("a = 1\nmax_clients = 1 2", 2), ("a = 1\n[section]\na = 2\n", 2)],
)
def test_a_mistake_in_the_syntax_is_located(tmp_path: Path, text: str, line: int) -> None:
    assert complaint(tmp_path, text).startswith(f"x.conf:{line}: ")


def test_of_two_lines_with_one_name_the_first_counts_and_both_are_mentioned(tmp_path: Path) -> None:
    text = "max_clients = 100\nmdns_adv = 0\nmax_clients = 200\nmdns_adv = 1\n"
    loaded = read(tmp_path, text)
    assert loaded.values["max_clients"] == 100
    assert [unused.line for unused in loaded.unused] == [2]
    assert [note.replace(f"{tmp_path}/", "") for note in loaded.notes] == [
        "x.conf:3: max_clients is set in line 1 already: the value in line 1 counts",
        "x.conf:4: mdns_adv is set in line 2 already: the value in line 2 counts",
    ]


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        (b"max_clients = 0100 # caf\xe9", "max_clients", 100),
        (b'log_filters = "3:a\\tb"', "log_filters", "3:a\\tb"),
        (
            b"tls_allowed_dn_list = [\"O=A\\, B\", 'CN=*']",
            "tls_allowed_dn_list",
            ("O=A\\, B", "CN=*"),
        ),
        (b'tls_allowed_dn_list = [\n"a",\n# more\n"b"]', "tls_allowed_dn_list", ("a", "b")),
        (b"listen_tcp = true", "listen_tcp", True),
    ],
)
def test_a_line_means_what_it_means_to_libvirt_or_else_to_toml(
    tmp_path: Path, line: bytes, name: str, value: object
) -> None:
    path = tmp_path / "x.conf"
    path.write_bytes(line + b"\n")
    assert load(SETTINGS["virtd"], str(path)).values[name] == value


def test_a_value_is_utf8_though_a_comment_and_an_unknown_setting_need_not_be(
    tmp_path: Path,
) -> None:
    path = tmp_path / "x.conf"
    path.write_bytes(b'# caf\xe9\nunknown = "caf\xe9"\n')
    assert [unused.name for unused in load(SETTINGS["virtd"], str(path)).unused] == ["unknown"]
    path.write_bytes(b'unix_sock_group = "caf\xe9"\n')
    with pytest.raises(SettingsError, match=r"x\.conf:1: .*: it has bytes that are not UTF-8"):
        load(SETTINGS["virtd"], str(path))


def test_a_value_in_a_message_is_on_one_line_and_not_endless(tmp_path: Path) -> None:
    said = complaint(tmp_path, f'tcp_port = """1\n{"2" * 5000}"""')
    assert "\n" not in said
    assert len(said) < 400


def test_with_a_run_directory_every_default_that_names_a_file_of_ours_is_below_it() -> None:
    for settings in SETTINGS.values():
        values = load(below(settings, "/run/test"), None).values
        for name, value in values.items():
            if isinstance(value, str) and value.startswith("/"):
                assert value.startswith("/run/test/"), name


def test_a_file_that_cannot_be_read_is_an_error_even_if_nobody_asked_for_it(tmp_path: Path) -> None:
    with pytest.raises(
        SettingsError, match=r"cannot be read: it is a directory, not a regular file"
    ):
        load(SETTINGS["virtd"], str(tmp_path))


@pytest.mark.parametrize(
    ("text", "allowed"),
    [
        ('log_filters = "9:rpc"', "LEVEL:MATCH"),
        ('log_outputs = "3:nowhere"', "file:ABSOLUTE_PATH"),
        ('log_format = "xml"', '"text" or "json"'),
    ],
)
def test_a_wrong_log_setting_is_refused_before_anything_is_opened(
    tmp_path: Path, text: str, allowed: str
) -> None:
    assert allowed in complaint(tmp_path, text)


# The declaration ---------------------------------------------------------------------------------


@EACH
def test_no_name_is_both_declared_and_called_ineffective(kind: DaemonKind) -> None:
    assert not KNOWN_ELSEWHERE & kind.settings().keys()


@EACH
def test_every_default_is_a_value_that_a_file_could_hold(tmp_path: Path, kind: DaemonKind) -> None:
    loaded = load(kind.settings(), None)
    lines = [
        f"{name} = {setting.kind.show(loaded.values[name])}"
        for name, setting in kind.settings().items()
        if loaded.values[name] is not None
    ]
    assert read(tmp_path, "\n".join(lines), kind.name).values == loaded.values


@EACH
def test_a_default_that_follows_another_follows_one_declared_before_it(kind: DaemonKind) -> None:
    seen: set[str] = set()
    for name, setting in kind.settings().items():
        assert not isinstance(setting.default, Same) or setting.default.name in seen, name
        seen.add(name)


def own(name: str, after: str = "") -> Setting:
    """A setting of a daemon for tests."""
    return Setting(
        name=name,
        group="Own",
        kind=Integer(),
        default=1,
        change=Fixed("a test"),
        doc="A number.",
        after=after,
    )


def test_own_settings_come_where_they_say_or_at_the_end_and_in_the_order_of_their_declaration() -> (
    None
):
    at_end = list(daemon_settings(own("a"), own("b")))
    assert at_end == [*COMMON, "a", "b"]
    within = list(daemon_settings(own("a", "log_level"), own("b"), own("c", "a")))
    assert within[:4] == ["log_level", "a", "c", "b"]


def test_a_daemon_may_have_another_default_or_another_declaration_of_a_common_setting() -> None:
    settings = daemon_settings(own("max_workers"), defaults={"max_clients": 7})
    assert list(settings) == list(COMMON)
    assert (settings["max_clients"].default, settings["max_workers"].doc) == (7, "A number.")


def test_a_mistake_in_a_declaration_is_found_when_it_is_read() -> None:
    with pytest.raises(ValueError, match="declared twice"):
        daemon_settings(own("a"), own("a"))
    with pytest.raises(KeyError):
        daemon_settings(own("a", after="nothing"))
    with pytest.raises(KeyError):
        daemon_settings(defaults={"nothing": 1})


def test_what_can_change_while_running_is_everything_but_the_places_of_sockets_and_the_version() -> (
    None
):
    fixed = {
        name
        for settings in SETTINGS.values()
        for name, setting in settings.items()
        if not isinstance(setting.change, Live)
    }
    assert fixed == {"unix_sock_dir", "libvirt_version"}

"""How a URI with `+ssh` becomes a command line of ssh."""

from __future__ import annotations

from itertools import pairwise

import pytest

from aiovirt.admin.ssh_route import Route
from aiovirt.admin.uri import AdminUri, UriError


def words_for(uri: str, *, prompts: bool = True) -> list[str]:
    return Route.of(AdminUri.parse(uri)).command(prompts=prompts, more=("-N",))


def settings_of(words: list[str]) -> set[str]:
    return {value for option, value in pairwise(words) if option == "-o"}


def test_user_host_and_port_are_given_apart_from_each_other() -> None:
    words = words_for("libvirtd+ssh://me@far.example:2222/system")
    assert words[0] == "ssh"
    assert words[-2:] == ["--", "far.example"]
    assert words[words.index("-p") + 1] == "2222"
    assert words[words.index("-l") + 1] == "me"


def test_an_address_of_ipv6_loses_its_brackets() -> None:
    assert words_for("libvirtd+ssh://[fe80::1%25eth0]/system")[-1] == "fe80::1%eth0"


@pytest.mark.parametrize(
    ("uri", "socket"),
    [
        ("libvirtd+ssh://h/system", "/run/libvirt/libvirt-admin-sock"),
        ("virtqemud+ssh://h/system", "/run/libvirt/virtqemud-admin-sock"),
        ("virtd+ssh://h/system", "/run/aiovirt/virtd-admin-sock"),
        ("libvirtd+ssh://h/?socket=/x%20y", "/x y"),
        ("libvirtd+ssh://h/session", None),
        ("virtd+ssh://h/", None),
        ("virtd+ssh://h", None),
    ],
)
def test_the_far_side_is_asked_only_where_its_user_matters(uri: str, socket: str | None) -> None:
    assert Route.of(AdminUri.parse(uri)).socket == socket


@pytest.mark.parametrize(
    ("query", "settings"),
    [
        ("keyfile=/a%20b%25", {'IdentityFile="/a b%%"'}),
        ("known_hosts=~/k", {'UserKnownHostsFile="~/k"'}),
        ("no_verify=1", {"StrictHostKeyChecking=accept-new"}),
        ("no_verify=0", set()),
        ("known_hosts_verify=normal", {"StrictHostKeyChecking=ask"}),
        ("known_hosts_verify=auto", {"StrictHostKeyChecking=accept-new"}),
        ("known_hosts_verify=ignore", {"StrictHostKeyChecking=no"}),
        ("sshauth=agent,privkey,password", {"PreferredAuthentications=publickey,password"}),
        ("sshauth=privkey", {"PreferredAuthentications=publickey", "IdentityAgent=none"}),
    ],
)
def test_a_parameter_becomes_a_setting_of_ssh(query: str, settings: set[str]) -> None:
    usual = settings_of(words_for("libvirtd+ssh://h/system"))
    assert settings_of(words_for(f"libvirtd+ssh://h/system?{query}")) - usual == settings


def test_without_a_terminal_nothing_is_asked() -> None:
    uri = "libvirtd+ssh://h/system"
    assert "BatchMode=yes" not in settings_of(words_for(uri))
    assert "BatchMode=yes" in settings_of(words_for(uri, prompts=False))
    assert Route.of(AdminUri.parse(f"{uri}?no_tty=1")).no_tty


@pytest.mark.parametrize(
    "uri",
    [
        "libvirtd+ssh://-oProxyCommand=touch/system",
        "libvirtd+ssh://-l@h/system",
        "libvirtd+ssh://%2doX@h/system",
        "libvirtd+ssh://a%20b/system",
        "libvirtd+ssh://$(x)/system",
        "libvirtd+ssh://a;b/system",
        "libvirtd+ssh://a%0ab/system",
        "libvirtd+ssh://x%60id%60@h/system",
        "libvirtd+ssh://a'b/system",
        "libvirtd+ssh://h/system?keyfile=/a%0aProxyCommand",
        "libvirtd+ssh://h/system?keyfile=/a%22",
        "libvirtd+ssh://h/system?known_hosts=$%7bX%7d",
        "libvirtd+ssh://h/system?socket=/$%7bX%7d",
        "libvirtd+ssh://h/system?socket=relative",
        "libvirtd+ssh://h/system?command=-x",
        "libvirtd+ssh://h/system?command=",
        "libvirtd+ssh://h/system?no_tty=yes",
        "libvirtd+ssh://h/system?sshauth=magic",
        "libvirtd+ssh://h/system?known_hosts_verify=never",
        "libvirtd+ssh://h/system?netcat=nc",
        "libvirtd+ssh://h:65536/system",
        "libvirtd+ssh:///system",
        "libvirtd+ssh://h/nosuch",
        "foo+ssh://h/system",
    ],
)
def test_what_ssh_could_misunderstand_is_refused_before_it_starts(uri: str) -> None:
    with pytest.raises(UriError, match=r"^unsupported configuration: "):
        Route.of(AdminUri.parse(uri))

"""A document is a tree that is completed, looked at, changed, and written in libvirt's form."""

from __future__ import annotations

import subprocess
import sys

import pytest

from aiovirt.daemons.virtd import xml
from aiovirt.daemons.virtd.xml import guests, values
from aiovirt.rpc.wire.errors import ErrorCode, RpcError

GUEST = """<domain type='test'><name>g</name><memory unit='MiB'>64</memory><vcpu>4</vcpu>
<os><type>hvm</type></os><metadata><a:b xmlns:a='urn:a' c='1'/></metadata><devices>
<disk type='network'><source protocol='http' name='x'><host name='h'/>
<cookies><cookie name='c'>secret</cookie></cookies></source><target dev='vda'/></disk>
<graphics type='vnc' passwd='secret'/></devices></domain>"""


def guest(text: str = GUEST) -> xml.Document:
    """A complete guest."""
    document = xml.read("domain", text)
    document.complete()
    return document


def test_a_document_in_libvirts_form_stays_as_it_is() -> None:
    text = guest().text(secure=True)
    assert guest(text).text(secure=True) == text


def test_secrets_are_written_for_those_who_may_see_them_only() -> None:
    document = guest()
    assert "secret" not in document.text()
    assert "passwd='secret'" in document.text(secure=True)
    assert "<cookie name='c'>secret</cookie>" in document.text(secure=True)
    assert "secret" not in document.text(inactive=True)


def test_a_text_is_written_once_until_the_document_changes() -> None:
    document = guest()
    text = document.text()
    assert document.text() is text
    guests.set_memory(document, 1024)
    assert "<currentMemory unit='KiB'>1024</currentMemory>" in document.text()


def test_a_copy_is_independent() -> None:
    document = guest()
    copy = document.copy()
    guests.set_name(copy, "other")
    assert (guests.name(document), guests.name(copy)) == ("g", "other")


def test_numbers_are_read_and_set() -> None:
    document = guest()
    assert (guests.max_memory(document), guests.memory(document)) == (65536, 65536)
    guests.set_max_memory(document, 4096)
    assert (guests.max_memory(document), guests.memory(document)) == (4096, 4096)
    guests.set_vcpus(document, 2)
    assert "<vcpu placement='static' current='2'>4</vcpu>" in document.text()
    guests.set_vcpus(document, 1, maximum=True)
    assert "<vcpu placement='static'>1</vcpu>" in document.text()
    assert (guests.vcpus(document), guests.max_vcpus(document)) == (1, 1)
    assert (guests.os_type(document), guests.identity(document)) == ("hvm", -1)
    assert len(guests.uuid(document)) == 36


@pytest.mark.parametrize(
    "change",
    [
        lambda document: guests.set_memory(document, 65537),
        lambda document: guests.set_vcpus(document, 5),
        lambda document: guests.set_vcpus(document, 0),
    ],
)
def test_more_than_the_maximum_is_refused(change: object) -> None:
    document = guest()
    with pytest.raises(RpcError) as caught:
        change(document)  # type: ignore[operator]  # a function of the list above
    assert caught.value.code == ErrorCode.INVALID_ARG


def test_title_and_description_are_set_and_removed() -> None:
    document = guest()
    for kind, tag in (
        (guests.MetadataType.TITLE, "title"),
        (guests.MetadataType.DESCRIPTION, "description"),
    ):
        with pytest.raises(RpcError) as caught:
            guests.metadata(document, kind)
        assert caught.value.code == ErrorCode.NO_DOMAIN_METADATA
        guests.set_metadata(document, kind, "a <b>")
        assert guests.metadata(document, kind) == "a <b>"
        assert f"<{tag}>a &lt;b&gt;</{tag}>" in document.text()
        guests.set_metadata(document, kind, "")
        assert f"<{tag}>" not in document.text()
    with pytest.raises(RpcError, match="newlines"):
        guests.set_metadata(document, guests.MetadataType.TITLE, "a\nb")


def test_metadata_of_a_namespace_come_back_as_they_were_given() -> None:
    document = guest()
    kind = guests.MetadataType.ELEMENT
    assert guests.metadata(document, kind, "urn:a") == '<b c="1"/>'
    guests.set_metadata(document, kind, "<x y='1'><z>t</z></x>", "k", "urn:k")
    assert '<k:x xmlns:k="urn:k" y="1">' in document.text()
    assert guests.metadata(document, kind, "urn:k").split() == ["<x", 'y="1">', "<z>t</z>", "</x>"]
    guests.set_metadata(document, kind, "<n/>", "k", "urn:k")
    assert guests.metadata(document, kind, "urn:k") == "<n/>"
    assert document.text().count("urn:k") == 1
    guests.set_metadata(document, kind, None, "k", "urn:k")
    assert "urn:k" not in document.text()
    for text, key in (("<x", "k"), ("<x/>", "1k"), ("<x/>", "")):
        with pytest.raises(RpcError):
            guests.set_metadata(document, kind, text, key, "urn:k")


def test_other_kinds_are_put_in_shape() -> None:
    secret = xml.read(
        "secret", "<secret private='yes'><usage type='ceph'><name>n</name></usage></secret>"
    )
    assert secret.text().startswith("<secret ephemeral='no' private='yes'>\n  <uuid>")
    volume = xml.read("volume", "<volume><name>v</name><capacity unit='GiB'>1</capacity></volume>")
    volume.complete()
    assert "<allocation unit='bytes'>1073741824</allocation>" in volume.text()
    for broken in ("<volume/>", "<volume><name>v</name></volume>"):
        with pytest.raises(RpcError, match="missing"):
            xml.read("volume", broken).complete()
    snapshot = xml.read("snapshot", "<domainsnapshot><disks/><name>s</name></domainsnapshot>")
    assert snapshot.text() == "<domainsnapshot>\n  <name>s</name>\n</domainsnapshot>\n"


def test_rules_and_references_of_a_filter_keep_their_order() -> None:
    text = (
        "<filter name='f'><filterref filter='a'/><rule action='drop' direction='in'><tcp x='1'/></rule>"
        "<filterref filter='b'/></filter>"
    )
    written = xml.read("nwfilter", text).text()
    assert written.index("'a'") < written.index("<rule") < written.index("'b'")
    assert "<tcp x='1'/>" in written


@pytest.mark.parametrize(
    ("size", "unit", "bytes_"),
    [
        ("1", None, 1024),
        ("1", "MB", 10**6),
        ("2", "g", 2 << 30),
        ("3k", None, 3072),
        ("0", "EiB", 0),
    ],
)
def test_sizes_have_libvirts_units(size: str, unit: str | None, bytes_: int) -> None:
    assert values.size_in_bytes(size, unit, "KiB") == bytes_


@pytest.mark.parametrize(
    ("given", "written"), [("0-3,^2", "0-1,3"), ("5", "5"), ("1,2,3", "1-3"), ("7-7,1", "1,7")]
)
def test_sets_are_written_the_shortest_way(given: str, written: str) -> None:
    assert values.number_set(given) == written


@pytest.mark.parametrize("given", ["", "x", "3-1", "99999999", "0-99999999", "1,,2", "^1", "1-"])
def test_a_set_that_is_none_is_refused_at_once(given: str) -> None:
    with pytest.raises(values.Unfit):
        values.number_set(given)


def test_the_other_daemons_and_the_client_do_not_load_lxml() -> None:
    program = (
        "import sys, aiovirt.daemons.lockd, aiovirt.daemons.logd, aiovirt.daemons.virtd.client,"
        "aiovirt.admin.cli; sys.exit('lxml' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)

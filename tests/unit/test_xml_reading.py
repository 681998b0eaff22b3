"""Documents from anywhere are read within bounds: a clear error, and no memory spent on a bad one."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tracemalloc

import pytest

from aiovirt.daemons.virtd import xml
from aiovirt.daemons.virtd.xml import reading
from aiovirt.rpc.wire.errors import ErrorCode, RpcError
from tests.fuzz.document_targets import documents_target

GUEST = (
    "<domain type='test'><name>g</name><memory>65536</memory><os><type>hvm</type></os>{}</domain>"
)


def refusal(text: str, kind: str = "domain") -> RpcError:
    """The error of a document that is refused."""
    with pytest.raises(RpcError) as caught:
        xml.read(kind, text).complete()
    return caught.value


@pytest.mark.parametrize(
    "text", ["", "x", "<domain", "<domain></x>", "<a/><b/>", "<domain>&#0;</domain>"]
)
def test_text_that_is_not_well_formed_is_error_35(text: str) -> None:
    error = refusal(text)
    assert error.code == ErrorCode.XML_DETAIL == 35
    assert error.message.startswith("(domain_definition):")


@pytest.mark.parametrize("kind", xml.KINDS)
def test_another_root_is_error_27(kind: str) -> None:
    error = refusal("<x/>", kind)
    assert error.code == ErrorCode.XML_ERROR == 27
    assert error.message.startswith(
        f"XML error: expecting root element of '{xml.KINDS[kind].root}'"
    )


def test_entities_are_refused_before_the_parser_sees_them() -> None:
    bomb = "<!DOCTYPE domain [<!ENTITY a 'aaaa'>" + "".join(
        f"<!ENTITY {chr(98 + n)} '&{chr(97 + n)};&{chr(97 + n)};&{chr(97 + n)};'>"
        for n in range(20)
    )
    error = refusal(bomb + "]><domain>&u;</domain>")
    assert error.code == ErrorCode.XML_DETAIL
    assert "document types and entities are not allowed" in error.message


def test_a_file_of_the_host_cannot_be_read_through_a_document() -> None:
    text = "<!DOCTYPE d [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><domain><name>&x;</name></domain>"
    assert refusal(text).code == ErrorCode.XML_DETAIL


def test_a_document_of_100_megabytes_costs_nothing() -> None:
    text = GUEST.format("<description>" + "a" * 100_000_000 + "</description>").encode()
    tracemalloc.start()
    with pytest.raises(RpcError, match="too large"):
        reading.parse(text, "domain", name="domain_definition")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1 << 20


def test_a_million_devices_are_too_many() -> None:
    assert (
        "too many elements"
        in refusal(GUEST.format("<devices>" + "<a/>" * 200_000 + "</devices>")).message
    )


def test_a_million_attributes_are_too_many() -> None:
    attributes = "".join(f" a{n}=''" for n in range(61_000))
    assert "too many attributes" in refusal(f"<domain{attributes}/>").message


def test_an_element_with_very_many_attributes_is_refused() -> None:
    attributes = "".join(f" {chr(97 + n % 26)}{n:x}=''" for n in range(60_000))
    text = f"<domain type='test'{attributes[:1_040_000]}/>"
    assert refusal(text).code == ErrorCode.XML_DETAIL


_ATTACK = """
import os, sys
from pathlib import Path
from aiovirt.daemons.virtd import xml

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

def attack(number):
    names = "".join(f"<n{number}x{each}/>" for each in range(20_000))
    xml.read("domain", sys.argv[1].format(names)).complete()

for number in range(3):
    attack(number)
before = resident()
for number in range(3, 40):
    attack(number)
print(resident() - before)
"""


def test_names_of_bad_documents_do_not_stay_in_memory() -> None:
    # In a process of its own: other tests' garbage comes and goes in this one.
    command = [sys.executable, "-c", _ATTACK, GUEST]
    grown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(grown) < 8 << 20


def test_nesting_is_bounded() -> None:
    deep = "<backingStore type='file'><format type='raw'/><source file='/a'/>" * 20_000
    text = GUEST.format(f"<devices><disk type='file'>{deep}")
    assert refusal(text).code == ErrorCode.XML_DETAIL


def test_the_deepest_nesting_that_is_read_is_also_put_in_shape() -> None:
    depth = 240
    chain = "<backingStore type='file'><format type='raw'/><source file='/a'/>" * depth
    end = "</backingStore>" * depth
    text = GUEST.format(
        f"<devices><disk type='file'><source file='/a'/>{chain}{end}"
        "<target dev='vda'/></disk></devices>"
    )
    document = xml.read("domain", text)
    document.complete()
    assert document.text().count("<backingStore") == depth


def test_surrogates_and_other_encodings_are_refused() -> None:
    assert refusal("<domain>\udcff</domain>").code == ErrorCode.XML_DETAIL
    for encoding in ("utf-16", "utf-32"):
        with pytest.raises(RpcError, match="not in UTF-8"):
            reading.parse("<domain/>".encode(encoding), "domain", name="domain_definition")


def test_every_flipped_byte_is_read_or_refused() -> None:
    target = documents_target()
    for seed in target.seeds():
        for place in range(len(seed)):
            for bit in (0x01, 0x80):
                broken = bytearray(seed)
                broken[place] ^= bit
                target.check(bytes(broken))


def test_every_shortened_document_is_read_or_refused() -> None:
    target = documents_target()
    for seed in target.seeds():
        for length in range(len(seed)):
            target.check(seed[:length])


def test_an_error_repeats_at_most_a_part_of_a_long_value() -> None:
    error = refusal(GUEST.format("").replace("65536", "9" * 100_000))
    assert len(error.message) < 400


@pytest.mark.parametrize(
    "body",
    [
        "<devices>" + "<disk><target dev='vda'/></disk>" * 30_000 + "</devices>",
        "<devices>"
        + "<channel type='pty'><target type='virtio'/></channel>" * 20_000
        + "</devices>",
        "<cpu><numa>" + "<cell memory='1'/>" * 90_000 + "</numa></cpu>",
        "<vcpu>4294967295</vcpu><cputune><vcpusched scheduler='idle'/></cputune>",
        "<iothreads>4294967295</iothreads><iothreadids><iothread id='1'/></iothreadids>",
        "<devices><disk><source file='/a'/><target dev='sda'/>"
        "<address type='drive' controller='4294967295'/>"
        "</disk></devices>",
    ],
    ids=["disks", "channels", "cells", "processors", "threads", "controllers"],
)
def test_numbers_that_would_make_endless_work_are_refused(body: str) -> None:
    assert refusal(GUEST.format(body)).code == ErrorCode.XML_DETAIL


@pytest.mark.parametrize(
    "body",
    [
        "<vcpu cpuset='" + ",".join(["0-16383"] * 400_000) + "'>1</vcpu>",
        "<memtune><hard_limit>1" + " " * 3_000_000 + "x</hard_limit></memtune>",
        "<memtune><hard_limit>" + " " * 3_000_000 + "</hard_limit></memtune>",
        "<title>" + "a" * 3_000_000 + "</title>",
        "<title>" + "a =" * 1_000_000 + "</title>",
        "<title>" + "&lt;" * 700_000 + "</title>",
        "<metadata><a:a xmlns:a='b'>" + "<a:a/>" * 50_000 + "</a:a></metadata>",
        "<metadata>" + "".join(f"<a:a xmlns:a='{n}'/>" for n in range(50_000)) + "</metadata>",
    ],
    ids=["set", "unit", "blank", "long", "equals", "escaped", "metadata", "namespaces"],
)
def test_long_texts_take_a_time_that_is_proportional(body: str) -> None:
    with contextlib.suppress(RpcError):
        document = xml.read("domain", GUEST.format(body))
        document.complete()
        document.text()

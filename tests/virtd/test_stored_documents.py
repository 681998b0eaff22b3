"""Documents that virtd wrote are read again without being put in shape: the tree is the same."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from aiovirt.daemons.virtd.xml import documents
from aiovirt.rpc.wire.errors import RpcError

DOCUMENTS = Path(__file__).parent / "interop" / "documents"
GUEST = """
<domain type='test'>
  <name>guest</name>
  <memory>1024</memory>
  <os><type>hvm</type></os>
  {}
</domain>
"""
#: Parts that are written in an unusual way, and parts with secrets.
PARTS = (
    "<devices/>",
    "<title> two words </title>",
    "<description>a &lt; b &amp; 'c'\n  on two lines\n</description>",
    "<metadata><a:b xmlns:a='urn:a' c='&gt;'>\n  text <a:d/>\n  </a:b></metadata>",
    "<devices><graphics type='vnc' passwd='secret'/></devices>",
    "<devices><disk type='file'><target dev='vda'/><source file=''/></disk></devices>",
    "<devices><interface type='user'/><console/></devices>",
)


def written() -> Iterator[tuple[str, str]]:
    """Kinds and texts as a store has them."""
    given = [("domain", GUEST.format(part)) for part in PARTS]
    for path in sorted(DOCUMENTS.glob("*.xml")):
        text = path.read_text()
        given += [(kind, text) for kind in ("domain", "network", "pool", "volume", "secret")]
    for kind, text in given:
        try:
            document = documents.read(kind, text)
            document.complete("qemu")
        except RpcError:  # another kind, or refused
            continue
        yield kind, document.text(secure=True)


def tree(element: etree._Element) -> tuple[object, ...]:
    """All that an element says."""
    children = tuple(tree(child) for child in element)
    return element.tag, element.items(), element.text, children


@pytest.mark.parametrize(("kind", "text"), list(written()))
def test_a_stored_text_is_read_as_it_was_written(kind: str, text: str) -> None:
    stored, shaped = documents.stored(kind, text), documents.read(kind, text, live=True)
    assert stored.text(secure=True) == text
    assert stored.text() == shaped.text()
    assert stored.text(inactive=True) == shaped.text(inactive=True)
    assert tree(stored.root) == tree(shaped.root)


@pytest.mark.parametrize(("kind", "text"), list(written()))
def test_a_text_without_secrets_is_what_every_client_sees(kind: str, text: str) -> None:
    assert documents.has_secrets(kind, text) or documents.stored(kind, text).text() == text


def test_a_password_is_a_secret() -> None:
    document = documents.read("domain", GUEST.format(PARTS[4]))
    assert documents.has_secrets("domain", document.text(secure=True))
    assert not documents.has_secrets("domain", document.text())

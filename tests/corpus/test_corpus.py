"""libvirt's own test documents dump back from virtd as they do from libvirt's test driver, mostly."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.corpus import comparison, oracle, source
from tests.corpus.__main__ import KINDS

#: Documents of each kind that there are at least, so that a folder without any is no success.
FEWEST = {"domains": 500, "networks": 50, "pools": 30}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The source tree of libvirt: AIOVIRT_LIBVIRT_SOURCE, or what apt fetches.

    A machine without apt, or whose mirror has no sources, skips the tests, in CI as well.
    """
    named = os.environ.get("AIOVIRT_LIBVIRT_SOURCE")
    if named:
        yield Path(named)
        return
    place = tmp_path_factory.mktemp("libvirt")
    try:
        found = source.fetched(place)
    except (RuntimeError, OSError) as error:
        pytest.skip(f"AIOVIRT_LIBVIRT_SOURCE names no source tree, and apt fetches none: {error}")
    yield found


@pytest.mark.parametrize("kind", KINDS)
def test_ninety_percent_of_libvirts_documents_dump_back_the_same(tree: Path, kind: str) -> None:
    documents = source.documents(tree, KINDS[kind])
    verdicts = oracle.judge([(KINDS[kind], text) for _, text in documents])
    found = comparison.compare(KINDS[kind], documents, verdicts)
    assert found.kept >= FEWEST[kind]
    assert found.percent >= 90, found.differences.most_common(10)

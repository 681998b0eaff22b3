"""docs/conformance.md names the differences that the suite knows, and the groups that it has."""

from __future__ import annotations

import re
from collections.abc import Mapping

import pytest

from tests import harness
from tests.conformance.catalogue import cases, lock_scenarios, log_scenarios
from tests.conformance.differences import Difference

_DOCUMENT = (harness.ROOT / "docs" / "conformance.md").read_text()


def test_the_document_explains_exactly_the_differences_that_there_are() -> None:
    part = _DOCUMENT.partition("\n## Where ours differ\n")[2]
    assert sorted(re.findall("^### (.*)$", part, re.MULTILINE)) == sorted(
        difference.value for difference in Difference
    )


@pytest.mark.parametrize("difference", Difference)
def test_every_difference_is_met_by_a_case(difference: Difference) -> None:
    judged = (*cases("virtd").values(), *lock_scenarios().values(), *log_scenarios().values())
    by_cases = {found for case in judged for found in case.differences}
    by_hand = (harness.ROOT / "tests/conformance/test_connections.py").read_text()
    assert difference in by_cases or f"Difference.{difference.name}" in by_hand


@pytest.mark.parametrize(
    ("heading", "judged"),
    [
        ("How a case is made", cases("virtd")),
        ("Locks", lock_scenarios()),
        ("Logs", log_scenarios()),
    ],
)
def test_the_document_lists_every_group_of_cases(
    heading: str, judged: Mapping[str, object]
) -> None:
    part = _DOCUMENT.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    groups = {name.partition("/")[0] for name in judged}
    assert groups == set(re.findall(r"^\| `(\w+)` \|", part, re.MULTILINE))

"""virsh prints the same from virtd as from libvirtd, except for the listed differences.

Each story of `stories/` is a test on each driver that it is for. `python -m tests.virtd.interop` prints
how many invocations agree.
"""

from __future__ import annotations

import asyncio
import os
from collections import Counter

import pytest

from tests import harness
from tests.virtd.interop import differences
from tests.virtd.interop.performing import Compared, perform
from tests.virtd.interop.story import Story, stories

STORIES = stories()

Answers = dict[str, list[Compared]]


@pytest.fixture(scope="module")
def answers(request: pytest.FixtureRequest) -> Answers:
    """The answers of both daemons to the stories that were chosen, by story."""
    harness.require("virsh")
    harness.require("libvirtd")
    if os.geteuid() != 0:
        pytest.skip("qemu:///system needs root")
    chosen = [
        item.callspec.params["story"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and "story" in getattr(item, "fixturenames", ())
    ]

    async def collect() -> Answers:
        found: Answers = {str(story): [] for story in chosen}
        async for compared in perform(chosen):
            found[str(compared.story)].append(compared)
        return found

    return asyncio.run(collect())


@pytest.mark.parametrize("story", STORIES, ids=str)
def test_virsh_prints_the_same(answers: Answers, story: Story) -> None:
    known = differences.listed()
    found = answers[str(story)]
    assert len(found) == len(story.compared)
    surprising = [one for one in found if not one.alike and differences.key(one) not in known]
    gone = [differences.key(one) for one in found if one.alike and differences.key(one) in known]
    assert not surprising, "\n\n".join(map(str, surprising))
    assert not gone, "these agree now: run python -m tests.virtd.interop --update"


def test_every_listed_difference_is_an_invocation_and_has_a_reason() -> None:
    known = differences.listed()
    told = {f"{story}: {one.label}" for story in STORIES for one in story.compared}
    assert set(known) <= told
    assert differences.UNEXPLAINED not in known.values()


def test_the_document_has_the_reasons() -> None:
    text = differences.DOCUMENT.read_text()
    assert differences.section_in(text) == differences.section(differences.listed())


def test_names_of_stories_are_unique() -> None:
    assert max(Counter(map(str, STORIES)).values()) == 1


@pytest.mark.parametrize(("driver", "least"), [("test", 250), ("qemu", 150)])
def test_enough_invocations_agree(driver: str, least: int) -> None:
    mine = [one for story in STORIES if story.driver == driver for one in story.compared]
    different = [one for one in differences.listed() if one.startswith(driver)]
    assert len(mine) - len(different) >= least

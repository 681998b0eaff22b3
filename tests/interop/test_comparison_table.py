"""Every method of the client has the same outcome on libvirtd and on virtd, or a reason is known."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.interop.comparison import Outcome
from tests.interop.comparison_table import DOCUMENT, DRIVERS, Row, compared, reason
from tests.interop.every_method import methods, steps


def test_every_method_is_called_on_both_drivers() -> None:
    for driver in DRIVERS:
        called = {step.method for step in steps(driver, Path("/folder"))}
        assert called == set(methods())


def test_every_method_is_in_the_document() -> None:
    rows = [line.split(" | ") for line in DOCUMENT.read_text().splitlines() if " | " in line]
    assert [row[0].removeprefix("| ") for row in rows[1:]] == methods()
    assert all(row[-1].startswith(("same", "differs")) for row in rows[1:])


@pytest.mark.parametrize("driver", DRIVERS)
async def test_every_difference_has_a_reason(driver: str) -> None:
    if driver == "qemu" and os.geteuid() != 0:
        pytest.skip("qemu:///system needs root")
    rows = await compared(driver)
    unexplained = {
        method: (row.theirs, row.ours)
        for method, row in rows.items()
        if not row.is_same and not reason(driver, method, row)
    }
    assert not unexplained


def test_what_is_not_served_needs_no_other_reason() -> None:
    unserved = Row([Outcome(1), Outcome(2)], [Outcome(1), Outcome(refusal=(3, 0, "no"))])
    assert reason("test", "Host.none", unserved)
    assert not reason("test", "Host.none", Row([Outcome(1)], [Outcome(2)]))

"""virtd answers as libvirtd does, or serves the procedure not at all; differences are named."""

from __future__ import annotations

from tests.interop.comparison import Outcome
from tests.interop.report import Row, report, rows_of

#: Differences that are known, by the names of the calls.
KNOWN = {
    "test.state",
    "test.os_type",
    "off.os_type",
    "running.os_type",
    "off.max_vcpus",
    "running.xml",
    "running.xml 2",
    # Of the test driver's wall clock, which has gone on between the two calls.
    "domain_stats",
    # Hash order there, the order of their making here.
    "list_node_devices",
    # libvirt's own client asks its daemons so, and its test driver refuses the flag.
    "test.launch_security_info",
    "running.launch_security_info",
    "off.launch_security_info",
}


async def test_nothing_differs_but_what_is_known() -> None:
    rows = await rows_of("test:///default")
    assert len(rows) > 300
    different = {
        row.name: (row.theirs, row.ours)
        for row in rows
        if row.verdict not in ("same", "same code", "not served")
    }
    assert set(different) <= KNOWN, different


def test_a_report_counts_and_shows_both_outcomes() -> None:
    rows = [
        Row("a", Outcome(1), Outcome(1)),
        Row("b", Outcome(1), Outcome(2)),
        Row("c", Outcome(1), Outcome(refusal=(3, 0, "no"))),
        Row("d", Outcome(refusal=(1, 0, "x")), Outcome(refusal=(1, 0, "y"))),
        Row("e", Outcome(1), Outcome(refusal=(-1, -1, "TimeoutError"))),
    ]
    text = report(rows, verbose=True)
    assert "| b | another result |\n    libvirtd: Outcome(value=1" in text
    assert "| c | not served |" in text
    assert "| d | same code |" in text
    assert "| e | no answer |" in text
    assert "5 calls: " in text

"""Findings as markdown, which reads as well in a terminal as in docs/bench.md."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tests.bench.findings import Findings, Series, Verdict


def machine(facts: Sequence[tuple[str, str]]) -> str:
    """The machine, as one table."""
    return _table(("machine", ""), facts)


def phase(findings: Findings) -> str:
    """Everything that one phase measured."""
    rows = [
        (
            series.name,
            _quantity(series.median, series.unit),
            _spread(series),
            str(len(series.values)),
        )
        for series in findings.series
    ]
    parts = [f"### {findings.title}", _table(("", "median", "least to most", "rounds"), rows)]
    parts += findings.notes
    if findings.verdicts:
        parts.append(verdicts(findings.verdicts))
    return "\n\n".join(parts)


def verdicts(found: Iterable[Verdict]) -> str:
    """What was promised, and whether it holds here."""
    rows = [
        (
            verdict.claim,
            _quantity(verdict.found, verdict.unit),
            f"at {'least' if verdict.at_least else 'most'} "
            f"{_quantity(verdict.bound, verdict.unit)}",
            "yes" if verdict.kept else "**no**",
        )
        for verdict in found
    ]
    return _table(("promise", "found", "bound", "kept"), rows)


def _quantity(value: float, unit: str) -> str:
    if unit == "x":
        return f"{value:.2f} x"
    if unit in ("calls/s", "pairs/s"):
        return f"{value / 1000:.0f} k/s" if value >= 10_000 else f"{value / 1000:.2f} k/s"
    return f"{value:.2f} {unit}" if value < 10 else f"{value:.0f} {unit}"


def _spread(series: Series) -> str:
    if len(series.values) == 1:
        return ""
    return " to ".join(
        _quantity(value, series.unit) for value in (min(series.values), max(series.values))
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [list(head), *map(list, rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]

    def line(cells: Sequence[str]) -> str:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        return f"| {' | '.join(padded)} |"

    rule = f"|{'|'.join('-' * (width + 2) for width in widths)}|"
    return "\n".join([line(lines[0]), rule, *map(line, lines[1:])])

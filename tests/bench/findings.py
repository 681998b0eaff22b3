"""What a phase found: series of measurements, and how they stand to what we promise."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True)
class Series:
    """The measurements of one quantity, in its unit, one a round."""

    name: str
    unit: str
    values: tuple[float, ...]

    @property
    def median(self) -> float:
        """The one in the middle: a round in which something else ran does not move it."""
        return median(self.values)


@dataclass(frozen=True)
class Verdict:
    """A promise, what was found, and the bound that it is held to, in one unit."""

    claim: str
    found: float
    bound: float
    unit: str
    at_least: bool

    @property
    def kept(self) -> bool:
        """Whether it holds here."""
        return self.found >= self.bound if self.at_least else self.found <= self.bound


@dataclass
class Findings:
    """All that one phase has to say."""

    title: str
    series: list[Series] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, name: str, unit: str, values: list[float]) -> Series:
        """Add the measurements of one quantity; nothing is added that was never measured."""
        series = Series(name, unit, tuple(values))
        self.series.append(series)
        return series

    def of(self, name: str) -> Series | None:
        """The series of that name, None where it could not be measured."""
        return next((series for series in self.series if series.name == name), None)

    def at_least(self, claim: str, name: str, bound: float) -> None:
        """Hold the median of a series to a lower bound in its own unit."""
        series = self.of(name)
        if series is not None:
            self.verdicts.append(Verdict(claim, series.median, bound, series.unit, at_least=True))

    def at_most(self, claim: str, name: str, bound: float) -> None:
        """Hold the median of a series to an upper bound in its own unit."""
        series = self.of(name)
        if series is not None:
            self.verdicts.append(Verdict(claim, series.median, bound, series.unit, at_least=False))

    def never_above(self, claim: str, name: str, bound: float) -> None:
        """Hold the largest of a series to an upper bound in its own unit."""
        series = self.of(name)
        if series is not None:
            worst = max(series.values)
            self.verdicts.append(Verdict(claim, worst, bound, series.unit, at_least=False))

    def ratio(self, claim: str, above: str, below: str, bound: float) -> None:
        """Hold the ratio of two series to a lower bound; says nothing if one is missing.

        It is the median of the ratios within each round: the two were measured one after the other
        there, so that a machine which is slower for a while is slower for both.
        """
        first, second = self.of(above), self.of(below)
        if first is not None and second is not None:
            pairs = zip(first.values, second.values, strict=True)
            found = median(one / other for one, other in pairs)
            self.verdicts.append(Verdict(claim, found, bound, "x", at_least=True))


def alternate(rounds: int, measures: Mapping[str, Callable[[], float]]) -> dict[str, list[float]]:
    """Measure turn by turn, so that whatever else the machine does falls on all alike."""
    values: dict[str, list[float]] = {name: [] for name in measures}
    for _ in range(rounds):
        for name, measure in measures.items():
            values[name].append(measure())
    return values

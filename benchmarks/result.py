"""What a benchmark says: one JSON object a line."""

import json
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass


@dataclass(frozen=True)
class Result:
    """A median with its baseline's; `ratio` is value / baseline, `goal` the ratio (or value) asked for. `how`: what
    one must know to compare it with others."""

    name: str
    value: float
    unit: str
    baseline: float | None
    ratio: float | None
    goal: str
    runs: int
    how: str = ""

    def line(self) -> str:
        said = {key: _short(value) for key, value in asdict(self).items()}
        if not self.how:
            del said["how"]
        return json.dumps(said)


def against(
    name: str, unit: str, values: Sequence[float], baselines: Sequence[float], goal: str, *, how: str = ""
) -> Result:
    """The medians of paired runs, and the median of their ratios: a machine that drifts drifts for both."""
    return Result(
        name,
        statistics.median(values),
        unit,
        statistics.median(baselines),
        statistics.median(value / base for value, base in zip(values, baselines, strict=True)),
        goal,
        len(values),
        how,
    )


def plain(name: str, unit: str, values: Sequence[float], goal: str, *, how: str = "") -> Result:
    """The median of something that has no baseline."""
    return Result(name, statistics.median(values), unit, None, None, goal, len(values), how)


def _short(value: object) -> object:
    if not isinstance(value, float):
        return value
    return round(value, 3) if value < 100 else round(value)

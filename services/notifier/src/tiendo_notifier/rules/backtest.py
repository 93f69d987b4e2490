"""How good a set of rules would have been: who would have been told what, when, and how long before it was too late."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date
from statistics import median

#: Messages that nothing is wrong, or nothing more.
GOOD_NEWS = ("incident.resolved", "incident.withdrawn", "target.reached_early", "together.ended")


@dataclass(frozen=True, slots=True)
class Target:
    """A unit's target on one indicator."""

    unit: str
    indicator: str


@dataclass(frozen=True, slots=True)
class Alert:
    """A message that would have gone out: about one target, or about a parent in place of `members`."""

    day: date
    unit: str
    unit_name: str
    indicator: str
    kind: str
    rule: str | None
    severity: str | None
    members: tuple[str, ...]
    text: str

    @property
    def warns(self) -> bool:
        """Whether it says that something is wrong."""
        return self.kind not in GOOD_NEWS

    def speaks_of(self, target: Target) -> bool:
        """Whether it names the target."""
        return self.indicator == target.indicator and target.unit in (self.unit, *self.members)


@dataclass(frozen=True, slots=True)
class Miss:
    """A target that was missed in the end, and when somebody was first told. `lead_days` before the last day; None:
    nobody was."""

    unit: str
    unit_name: str
    indicator: str
    reached: int
    of: int
    first_told: date | None
    lead_days: int | None


@dataclass(frozen=True, slots=True)
class Score:
    """What a set of rules comes to. `most_a_unit_a_week` counts messages about one unit in one week of the campaign;
    `a_unit_a_week` is their mean over all units with a target and all weeks, begun ones too."""

    alerts: int
    a_unit_a_week: float
    most_a_unit_a_week: int
    missed: int
    missed_told: int
    told_not_missed: int
    median_lead_days: float | None


def score(
    alerts: Sequence[Alert],
    missed: Sequence[tuple[Target, str, int, int]],
    units: Collection[str],
    first: date,
    last: date,
) -> tuple[Score, list[Miss]]:
    """The score, and each miss: (target, name, reached, of) of those that were."""
    misses = []
    for target, name, reached, of in missed:
        told = next((alert.day for alert in alerts if alert.warns and alert.speaks_of(target)), None)
        lead = None if told is None else (last - told).days
        misses.append(Miss(target.unit, name, target.indicator, reached, of, told, lead))
    weekly = Counter((alert.unit, (alert.day - first).days // 7) for alert in alerts)
    weeks = -(-((last - first).days + 1) // 7)
    really = {target for target, *_ in missed}
    named = {Target(unit, alert.indicator) for alert in alerts if alert.warns for unit in _named(alert)}
    leads = [miss.lead_days for miss in misses if miss.lead_days is not None]
    return Score(
        alerts=len(alerts),
        a_unit_a_week=round(len(alerts) / max(1, len(units) * weeks), 3),
        most_a_unit_a_week=max(weekly.values(), default=0),
        missed=len(misses),
        missed_told=len(leads),
        told_not_missed=len(named - really),
        median_lead_days=median(leads) if leads else None,
    ), misses


def _named(alert: Alert) -> tuple[str, ...]:
    """The units in trouble that it names: its members, where it stands for them."""
    return alert.members or (alert.unit,)

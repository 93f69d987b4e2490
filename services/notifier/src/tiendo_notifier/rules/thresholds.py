"""The numbers in the rules: their defaults, where each may lie, and how they must follow each other.

Thresholds are set for a campaign or for a unit and all below it. What is nearer to the unit goes first; what is not
set is inherited, in the end from the defaults. The result is checked as a whole wherever it holds: a rule that could
never fire, or would always, is refused by name.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from tiendo_common.errors import Invalid


@dataclass(frozen=True, slots=True, kw_only=True)
class Thresholds:
    """The numbers in the rules. They are stored with each decision. `…_percent` are whole percents, `…_closings`
    closings in a row before anybody is called."""

    #: behind pace: bad under this share of the plan, clear from that one on
    behind_percent: int = 90
    behind_clear_percent: int = 95
    behind_closings: int = 3
    #: behind pace, at risk, forecast miss, quota missed: nothing is said before this share of the plan's work was due:
    #: a campaign starts slowly
    start_percent: int = 10
    #: behind pace: a warning under this share of the plan, critical under that one
    behind_warning_percent: int = 75
    behind_critical_percent: int = 50
    #: at risk: bad when each day left needs so much of what a day brought of late; clear from that on down
    risk_percent: int = 150
    risk_clear_percent: int = 120
    risk_closings: int = 3
    #: at risk: a warning from this share on, critical from that one
    risk_warning_percent: int = 200
    risk_critical_percent: int = 400
    #: forecast miss: clear once the upper bound is so much of the target
    forecast_clear_percent: int = 102
    forecast_closings: int = 3
    #: forecast miss: a warning under this share of the target, critical under that one
    forecast_warning_percent: int = 90
    forecast_critical_percent: int = 70
    #: stalled: nothing in so many times the usual gap between two citizens, and `least_gap` would usually have come
    stalled_gaps: int = 4
    #: stalled, of a unit that reports live: nothing for so many minutes of working time, too; a warning from so many
    #: times as long on, critical from so many
    live_minutes: int = 30
    live_warning_times: int = 2
    live_critical_times: int = 4
    #: stalled: a warning from so many idle working days on, critical from so many
    stalled_warning_days: int = 2
    stalled_critical_days: int = 4
    #: quota missed: bad when less than this share of the day's quota was done, clear from that one on
    quota_percent: int = 50
    quota_clear_percent: int = 90
    quota_closings: int = 3
    #: quota missed: a warning from so many days in a row on
    quota_warning_closings: int = 7
    #: target missed: a warning under this share of the target, critical under that one
    missed_warning_percent: int = 95
    missed_critical_percent: int = 80
    #: of any rule: a gap worth a call has so many citizens and this share of the target. Under a target of a few dozen
    #: people less is chance, and the unit above has them in its own
    least_gap: int = 20
    least_gap_percent: int = 1
    #: not reported: a warning from so many days in a row on, critical from so many
    unreported_warning_days: int = 2
    unreported_critical_days: int = 4
    #: activations failing: bad from so many points on by which a reason's share of the attempts is over its usual one,
    #: clear under that many; nothing is said of fewer attempts, of late or before, nor unless `least_gap` more failed
    failing_points: int = 15
    failing_clear_points: int = 5
    failing_attempts: int = 30
    #: activations failing: a warning from so many points on, critical from so many
    failing_warning_points: int = 30
    failing_critical_points: int = 50
    #: data quality: bad from this share of the dossiers on that were taken of late, clear under so much of that share;
    #: nothing bad is said of fewer faults, or of fewer dossiers
    voided_percent: int = 5
    corrected_percent: int = 20
    rejected_percent: int = 20
    quality_clear_percent: int = 50
    quality_faults: int = 10
    quality_records: int = 30
    #: data quality: a warning from so much of that share on, critical from so much
    quality_warning_percent: int = 200
    quality_critical_percent: int = 400
    #: reached early: told when at least so many working days are left, for which the plan asks a gap worth a call
    early_days: int = 1


DEFAULTS = Thresholds()


@dataclass(frozen=True, slots=True)
class _Bound:
    """Where a number may lie, ends included, and what would follow under it and over it."""

    least: int
    most: int
    under: str
    over: str


_NEVER = "the rule could never fire"
_ALWAYS = "the rule would fire at every closing"
_ONCE = "nobody would ever be called"
_LONG = "no campaign is so long: nobody would ever be called"
_BOUNDS: Mapping[str, _Bound] = {
    "behind_percent": _Bound(1, 100, _NEVER, "units that are on plan would be behind it"),
    "behind_clear_percent": _Bound(
        1, 200, "it would clear while nothing was done", "it would hardly ever clear"
    ),
    "behind_closings": _Bound(1, 60, "closings are counted from 1", _LONG),
    "start_percent": _Bound(0, 90, "a share cannot be negative", "what is said so late helps nobody"),
    "behind_warning_percent": _Bound(0, 100, "a share cannot be negative", "all would be warnings"),
    "behind_critical_percent": _Bound(0, 100, "a share cannot be negative", "all would be critical"),
    "risk_percent": _Bound(101, 10_000, "units that go on exactly as needed would be at risk", _NEVER),
    "risk_clear_percent": _Bound(100, 10_000, "a unit that goes on as needed would not be clear", _NEVER),
    "risk_closings": _Bound(1, 60, "closings are counted from 1", _LONG),
    "risk_warning_percent": _Bound(101, 1_000_000, "all would be warnings", "nothing would be one"),
    "risk_critical_percent": _Bound(101, 1_000_000, "all would be critical", "nothing would be"),
    "forecast_clear_percent": _Bound(
        100, 200, "it would clear while a miss is forecast", "it would hardly clear"
    ),
    "forecast_closings": _Bound(1, 60, "closings are counted from 1", _LONG),
    "forecast_warning_percent": _Bound(0, 100, "a share cannot be negative", "all would be warnings"),
    "forecast_critical_percent": _Bound(0, 100, "a share cannot be negative", "all would be critical"),
    "stalled_gaps": _Bound(1, 1_000, _ALWAYS, _NEVER),
    "live_minutes": _Bound(1, 10_000, _ALWAYS, _NEVER),
    "live_warning_times": _Bound(2, 1_000, "all would be warnings", "nothing would be a warning"),
    "live_critical_times": _Bound(2, 1_000, "all would be critical", "nothing would be critical"),
    "stalled_warning_days": _Bound(1, 1_000, "days are counted from 1", "nothing would be a warning"),
    "stalled_critical_days": _Bound(1, 1_000, "days are counted from 1", "nothing would be critical"),
    "quota_percent": _Bound(1, 100, _NEVER, "days on which the quota was met would be missed"),
    "quota_clear_percent": _Bound(
        1, 200, "it would clear while nothing was done", "it would hardly ever clear"
    ),
    "quota_closings": _Bound(1, 60, "closings are counted from 1", _LONG),
    "quota_warning_closings": _Bound(1, 1_100, "closings are counted from 1", "nothing would be a warning"),
    "missed_warning_percent": _Bound(0, 100, "a share cannot be negative", "all would be warnings"),
    "missed_critical_percent": _Bound(0, 100, "a share cannot be negative", "all would be critical"),
    "unreported_warning_days": _Bound(1, 1_100, "days are counted from 1", "nothing would be a warning"),
    "unreported_critical_days": _Bound(1, 1_100, "days are counted from 1", "nothing would be critical"),
    "least_gap": _Bound(1, 1_000_000, "there would be calls about nobody", _NEVER),
    "least_gap_percent": _Bound(
        0, 50, "a share cannot be negative", "half of a target may be missing unheard"
    ),
    "failing_points": _Bound(1, 100, _ALWAYS, _NEVER),
    "failing_clear_points": _Bound(1, 100, "a share that is as usual would not be clear", _ALWAYS),
    "failing_attempts": _Bound(1, 100_000, "there is no share of nothing", _NEVER),
    "failing_warning_points": _Bound(1, 100, "all would be warnings", "nothing would be a warning"),
    "failing_critical_points": _Bound(1, 100, "all would be critical", "nothing would be critical"),
    "voided_percent": _Bound(1, 100, _ALWAYS, _NEVER),
    "corrected_percent": _Bound(1, 100, _ALWAYS, _NEVER),
    "rejected_percent": _Bound(1, 100, _ALWAYS, _NEVER),
    "quality_clear_percent": _Bound(1, 99, "it would hardly ever clear", "it would be bad and clear at once"),
    "quality_faults": _Bound(1, 100_000, "there would be calls about nothing", _NEVER),
    "quality_records": _Bound(1, 100_000, "there is no share of nothing", _NEVER),
    "quality_warning_percent": _Bound(
        101, 10_000, "nothing milder than a warning would be left", "nothing would be one"
    ),
    "quality_critical_percent": _Bound(101, 10_000, "all would be critical", "nothing would be critical"),
    "early_days": _Bound(1, 1_100, "on the last day nothing is early", _NEVER),
}
#: Of each pair the first must be smaller than the second, or else what is said follows.
_ORDERS: Sequence[tuple[str, str, str]] = (
    ("behind_percent", "behind_clear_percent", "a unit would be bad and clear at once, and flap"),
    ("behind_warning_percent", "behind_percent", "nothing milder than a warning would be left"),
    ("behind_critical_percent", "behind_warning_percent", "no warning would be left between"),
    ("risk_clear_percent", "risk_percent", "a unit would be bad and clear at once, and flap"),
    ("risk_percent", "risk_warning_percent", "nothing milder than a warning would be left"),
    ("risk_warning_percent", "risk_critical_percent", "no warning would be left between"),
    ("forecast_critical_percent", "forecast_warning_percent", "no warning would be left between"),
    ("stalled_warning_days", "stalled_critical_days", "no warning would be left between"),
    ("live_warning_times", "live_critical_times", "no warning would be left between"),
    ("quota_percent", "quota_clear_percent", "a unit would be bad and clear at once, and flap"),
    ("quota_closings", "quota_warning_closings", "nothing milder than a warning would be left"),
    ("unreported_warning_days", "unreported_critical_days", "no warning would be left between"),
    ("failing_clear_points", "failing_points", "a unit would be bad and clear at once, and flap"),
    ("failing_points", "failing_warning_points", "nothing milder than a warning would be left"),
    ("failing_warning_points", "failing_critical_points", "no warning would be left between"),
    ("quality_warning_percent", "quality_critical_percent", "no warning would be left between"),
    ("missed_critical_percent", "missed_warning_percent", "no warning would be left between"),
)


def merged(overrides: Sequence[Mapping[str, Any]]) -> Thresholds:
    """What holds where these are set, the farthest (the campaign's) first."""
    numbers = asdict(DEFAULTS)
    for each in overrides:
        numbers |= each
    return Thresholds(**numbers)


def check(limits: Thresholds, *, where: str) -> None:
    """Raise Invalid, naming the field, unless the numbers make sense. `where` they hold is said in the problem."""
    for wrong in _faults(limits):
        raise Invalid(f"{wrong[1]} ({where}).", field=f"thresholds.{wrong[0]}", remedy=wrong[2])


def check_reachable(limits: Thresholds, *, target: int, days: int, where: str) -> None:
    """Raise Invalid unless the rules can fire for a target of this size in a campaign of so many days."""
    if target and limits.least_gap > target:
        raise Invalid(
            f"No gap of {limits.least_gap} can open under a target of {target} ({where}): no rule could ever fire.",
            field="thresholds.least_gap",
            remedy=f"Send at most {target}.",
        )
    for name in ("behind_closings", "risk_closings", "forecast_closings", "quota_closings"):
        if getattr(limits, name) > days:
            raise Invalid(
                f"{getattr(limits, name)} closings in a row do not fit into {days} days ({where}): {_ONCE}.",
                field=f"thresholds.{name}",
                remedy=f"Send at most {days}.",
            )


def _faults(limits: Thresholds) -> Iterator[tuple[str, str, str]]:
    """The field at fault, what would follow, and the remedy."""
    for field in fields(limits):
        bound, value = _BOUNDS[field.name], getattr(limits, field.name)
        if not bound.least <= value <= bound.most:
            why = bound.under if value < bound.least else bound.over
            yield field.name, f"With {field.name} = {value}, {why}", f"Send {bound.least} to {bound.most}."
    for lower, higher, why in _ORDERS:
        low, high = getattr(limits, lower), getattr(limits, higher)
        if low >= high:
            yield (
                lower,
                f"{lower} is {low} and {higher} is {high}: {why}",
                f"Let {lower} be under {higher}.",
            )

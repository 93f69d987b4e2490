"""Progress: counts summed up the tree and set against the plan."""

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import TypeVar

from tiendo_aggregator.rules.counting import INDICATORS
from tiendo_aggregator.rules.figures import cut_percent
from tiendo_aggregator.rules.plan import Figure, Plan, UnitTargets
from tiendo_aggregator.rules.units import Tree
from tiendo_common.events.state import Indicator, IndicatorProgress, ProgressPublication

KeyT = TypeVar("KeyT", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Count:
    """What one unit's own rows say of one indicator at one level: citizens by the day asked for, and of these
    (or, asked for an earlier day, before these) by the day before the campaign."""

    unit: str
    indicator: Indicator
    level: int
    value: int
    baseline: int


@dataclass(frozen=True, slots=True)
class Standing:
    """A unit and all below it on one indicator."""

    value: int
    level_1: int
    level_2: int
    baseline: int
    since_baseline: int
    target: int | None
    eligible: int | None


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure of the campaign for one unit; `percent` is cut, null when there is nothing to divide by."""

    id: str
    numerator: int
    denominator: int | None
    percent: str | None


@dataclass(frozen=True, slots=True)
class UnitProgress:
    """Where a unit stands."""

    code: str
    name: str
    level: str
    parent: str | None
    indicators: Mapping[Indicator, Standing]
    figures: list[Ratio]


def sum_up(tree: Tree, root: str, own: Iterable[tuple[str, KeyT, int]]) -> defaultdict[tuple[str, KeyT], int]:
    """Each unit's own numbers and those of all units below it, for every unit up to `root`."""
    sums: defaultdict[tuple[str, KeyT], int] = defaultdict(int)
    for unit, key, n in own:
        for above in tree.up_to(unit, root):
            sums[above, key] += n
    return sums


def unit_progress(
    plan: Plan, targets: UnitTargets, tree: Tree, root: str, depth: int, counts: Iterable[Count]
) -> list[UnitProgress]:
    """`root` and its descendants down to `depth`, each before its children.

    Targets and eligible belong to the units of the campaign's first day; a unit that came later has none.
    """
    counts = list(counts)
    values = sum_up(tree, root, ((each.unit, (each.indicator, each.level), each.value) for each in counts))
    baselines = sum_up(tree, root, ((each.unit, each.indicator, each.baseline) for each in counts))
    inside = set(tree.below(root))
    eligible = sum_up(
        tree, root, ((unit, "eligible", n) for unit, n in plan.eligible.items() if unit in inside)
    )
    answer = []
    for code in tree.below(root, depth):
        standings = {}
        for indicator in INDICATORS:
            level_1, level_2 = (values[code, (indicator, level)] for level in (1, 2))
            baseline = baselines[code, indicator]
            standings[indicator] = Standing(
                value=level_1 + level_2,
                level_1=level_1,
                level_2=level_2,
                baseline=baseline,
                since_baseline=level_1 + level_2 - baseline,
                target=targets.get((code, indicator)),
                eligible=eligible.get((code, "eligible")),
            )
        unit = tree.units[code]
        ratios = [_ratio(figure, standings) for figure in plan.campaign.figures]
        answer.append(UnitProgress(code, unit.name, unit.level, unit.parent, standings, ratios))
    return answer


def _ratio(figure: Figure, standings: Mapping[Indicator, Standing]) -> Ratio:
    standing = standings[figure.indicator]
    denominator: int | None
    if figure.over == "target":
        denominator = standing.target
    elif figure.over == "eligible":
        denominator = standing.eligible
    else:
        denominator = standings[figure.over].value
    percent = cut_percent(standing.value, denominator, figure.decimals) if denominator else None
    return Ratio(figure.id, standing.value, denominator, percent)


def publications(
    campaign: str,
    tree: Tree,
    root: str,
    day: date,
    complete_to: datetime,
    counts: Iterable[Count],
    done: Iterable[tuple[str, Indicator, int]],
) -> list[ProgressPublication]:
    """The newest totals of `root` and every unit below it: counts by residence, work done on `day` by team."""
    counts = list(counts)
    values = sum_up(tree, root, ((each.unit, each.indicator, each.value) for each in counts))
    baselines = sum_up(tree, root, ((each.unit, each.indicator, each.baseline) for each in counts))
    work = sum_up(tree, root, done)

    def on(unit: str, indicator: Indicator) -> IndicatorProgress:
        key = unit, indicator
        return IndicatorProgress(value=values[key], baseline=baselines[key], done=work[key])

    return [
        ProgressPublication(
            campaign=campaign,
            unit=unit,
            day=day,
            complete_to=complete_to,
            intake=on(unit, "intake"),
            approved=on(unit, "approved"),
            activated=on(unit, "activated"),
        )
        for unit in tree.below(root)
    ]

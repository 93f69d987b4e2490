"""The way of citizens from eligible to activated, where they wait on it, and for how long."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import get_args

from tiendo_aggregator.rules.counting import (
    APPROVED,
    DECIDED,
    FAILED,
    IN_TIME,
    LATE,
    RIGHT,
    TAKEN,
    UNKNOWN,
)
from tiendo_aggregator.rules.measures import MeasuredUnit
from tiendo_aggregator.rules.progress import UnitProgress, sum_up
from tiendo_aggregator.rules.units import Tree
from tiendo_common.events.restatements import FailureReason

#: Days that somebody has waited, first and last of each band; None: and more. Somebody waits 0 days on the first one.
BANDS: tuple[tuple[int, int | None], ...] = ((0, 2), (3, 7), (8, 14), (15, None))


@dataclass(frozen=True, slots=True)
class Band:
    """How many have waited so many days."""

    from_days: int
    to_days: int | None
    citizens: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """A backlog. `oldest_since` is the day since when the one waits who has waited longest; None: nobody does.

    `undated`: so many of those in the bands wait no more, and which of them is not known, since builds before did not
    say since when they had waited. `citizens` is the sum of the bands without them.
    """

    citizens: int
    bands: Sequence[Band]
    oldest_since: date | None
    oldest_days: int | None
    undated: int


@dataclass(frozen=True, slots=True)
class Activations:
    """Those whose account is activated, by whether it first was within the legal window after its approval."""

    in_time: int
    late: int
    undated: int


@dataclass(frozen=True, slots=True)
class Failures:
    """Attempts at a unit that failed for one reason, and how many of them came right on that day or later."""

    reason: FailureReason
    attempts: int
    came_right: int


@dataclass(frozen=True, slots=True)
class UnitFunnel:
    """A unit and all below it. `with_card`: as another system told it, None: it did not, which is not zero;
    `card_communes` of its `communes` are in that, the oldest number being of `card_oldest_day`.

    `rejected` are those of whom a rejection holds: taken = undecided + rejected + approved. `card_no_account` =
    with_card − approved is a difference of two systems' totals, not of citizens; below zero it is shown as it is.
    """

    code: str
    name: str
    level: str
    parent: str | None
    eligible: int | None
    with_card: int | None
    card_communes: int
    communes: int
    card_oldest_day: date | None
    taken: int
    approved: int
    activated: int
    rejected: int
    card_no_account: int | None
    undecided: Waiting
    not_activated: Waiting
    activations: Activations
    failures: Sequence[Failures]


def funnels(
    units: Iterable[UnitProgress],
    cards: Iterable[MeasuredUnit],
    tree: Tree,
    root: str,
    as_of: date,
    since_when: Iterable[tuple[str, tuple[int, date], int]],
) -> list[UnitFunnel]:
    """The units, each with what its own rows and those of all units below it say. `since_when`: unit, passage and since
    when, how many; on this tree."""
    of_unit: defaultdict[str, dict[tuple[int, date], int]] = defaultdict(dict)
    for (unit, key), n in sum_up(tree, root, since_when).items():
        of_unit[unit][key] = n
    told = {each.code: each for each in cards}
    return [
        _funnel(
            progress,
            told.get(progress.code),
            len(tree.communes(progress.code)),
            as_of,
            of_unit[progress.code],
        )
        for progress in units
    ]


def _funnel(
    progress: UnitProgress,
    card: MeasuredUnit | None,
    communes: int,
    as_of: date,
    own: Mapping[tuple[int, date], int],
) -> UnitFunnel:
    values = {indicator: standing.value for indicator, standing in progress.indicators.items()}
    by_passage: defaultdict[int, dict[date, int]] = defaultdict(dict)
    for (what, since), n in own.items():
        by_passage[what][since] = n
    in_time, late = by_passage[IN_TIME], by_passage[LATE]
    undecided = _waiting(as_of, by_passage[TAKEN], [by_passage[DECIDED]])
    with_card = card.value if card is not None else None
    undated = in_time.pop(UNKNOWN, 0)
    not_activated = _waiting(as_of, by_passage[APPROVED], [in_time, late], undated)
    return UnitFunnel(
        code=progress.code,
        name=progress.name,
        level=progress.level,
        parent=progress.parent,
        eligible=progress.indicators["intake"].eligible,
        with_card=with_card,
        card_communes=card.covered if card is not None else 0,
        communes=communes,
        card_oldest_day=card.oldest_day if card is not None else None,
        taken=values["intake"],
        approved=values["approved"],
        activated=values["activated"],
        rejected=values["intake"] - undecided.citizens - values["approved"],
        card_no_account=None if with_card is None else with_card - values["approved"],
        undecided=undecided,
        not_activated=not_activated,
        activations=Activations(sum(in_time.values()), sum(late.values()), undated),
        failures=_failures(by_passage),
    )


def _waiting(
    as_of: date, began: Mapping[date, int], ended: Sequence[Mapping[date, int]], undated: int = 0
) -> Waiting:
    """Those who began to wait on each day, without those whose wait ended."""
    waiting: defaultdict[date, int] = defaultdict(int)
    for since, n in began.items():
        waiting[since] += n
    for each in ended:
        for since, n in each.items():
            waiting[since] -= n
    undated -= waiting.pop(UNKNOWN, 0)
    bands = [0] * len(BANDS)
    for since, n in waiting.items():
        days = (as_of - since).days
        bands[max(place for place, (first, _) in enumerate(BANDS) if days >= first)] += n
    oldest = min((since for since, n in waiting.items() if n > 0), default=None)
    return Waiting(
        citizens=sum(bands) - undated,
        bands=[Band(first, last, n) for (first, last), n in zip(BANDS, bands, strict=True)],
        oldest_since=oldest,
        oldest_days=None if oldest is None else (as_of - oldest).days,
        undated=undated,
    )


def _failures(by_passage: Mapping[int, Mapping[date, int]]) -> list[Failures]:
    """One for each reason of which there is an attempt, the most frequent first."""
    found = [
        Failures(
            reason,
            sum(by_passage.get(FAILED[reason], {}).values()),
            sum(by_passage.get(RIGHT[reason], {}).values()),
        )
        for reason in get_args(FailureReason)
    ]
    return sorted((each for each in found if each.attempts), key=lambda each: -each.attempts)

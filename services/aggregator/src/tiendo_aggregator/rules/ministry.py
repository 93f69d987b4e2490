"""The ministry's figures beside ours: the difference per unit and level, which one a signed report uses, and claims.

Nothing of it is ever added to what is counted from records, nor corrected by it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal

import msgspec

from tiendo_aggregator.rules.counting import INDICATORS
from tiendo_aggregator.rules.declared import Counts, difference, part_count, total_of
from tiendo_aggregator.rules.figures import cut_percent
from tiendo_aggregator.rules.plan import Over
from tiendo_aggregator.rules.progress import Standing, UnitProgress
from tiendo_aggregator.rules.revisions import Levels
from tiendo_aggregator.rules.told import Piece, Told, carried
from tiendo_aggregator.rules.units import Followed, Tree
from tiendo_common.errors import Invalid
from tiendo_common.events.declarations import DeclaredCount
from tiendo_common.events.state import Indicator

#: Which figure a signed report prints.
Used = Literal["records", "ministry"]


class Claim(msgspec.Struct, frozen=True, kw_only=True):
    """A share that a document asserts in words, with the bounds that the words set, in percent; None: no bound."""

    unit: str
    says: str
    indicator: Indicator
    over: Over
    at_least: Decimal | None = None
    at_most: Decimal | None = None


@dataclass(frozen=True, slots=True)
class Import:
    """The ministry's figures as of a day, as a document gave them. Revisions count from 1 and are never changed."""

    as_of: date
    revision: int
    source: str
    figures: Mapping[str, Counts]
    claims: Sequence[Claim]
    imported_by: str
    imported_at: datetime
    known_day: date


@dataclass(frozen=True, slots=True)
class Choice:
    """Which figure the signed report as of a day uses for a unit and indicator, who chose it and why. Later choices
    don't overwrite: revisions count from 1."""

    unit: str
    indicator: Indicator
    revision: int
    use: Used
    reason: str
    chosen_by: str
    chosen_at: datetime
    known_day: date


@dataclass(frozen=True, slots=True)
class Compared:
    """One indicator of one unit, in citizens. `difference` is ministry − records. `used` is what the signed report
    prints: the records' figure unless somebody chose otherwise.

    `of_divided`: this is a part, by shares, of what the ministry said of a unit that has been divided since, or has
    such a part in it. A choice goes with the figure; `choice` is None where figures under different choices, or none,
    were summed, and then the records' figure is used.
    """

    ministry: DeclaredCount
    records: Levels
    difference: DeclaredCount
    used: Used
    choice: Choice | None
    of_divided: bool


@dataclass(frozen=True, slots=True)
class UnitCompared:
    """A unit of which the ministry gave figures."""

    code: str
    name: str
    level: str
    parent: str | None
    indicators: Mapping[Indicator, Compared]


@dataclass(frozen=True, slots=True)
class CheckedClaim:
    """A claim, and what the records and the ministry's own figures come to, in percent cut at two decimals. It
    reconciles if both lie within its bounds, as far as they are known; None: neither is."""

    claim: Claim
    records: str | None
    ministry: str | None
    reconciles: bool | None


def check_import(figures: Mapping[str, Counts], claims: Sequence[Claim], tree: Tree, root: str) -> None:
    """Raise Invalid, naming the field, unless units are the campaign's and each claim has bounds that can be met."""
    if not figures and not claims:
        raise Invalid(
            "There are neither figures nor claims.", field="figures", remedy="Send at least one of them."
        )
    inside = set(tree.below(root))
    for unit in figures:
        _check_unit(unit, inside, root, f"figures.{unit}")
    for place, claim in enumerate(claims):
        _check_unit(claim.unit, inside, root, f"claims.{place}.unit")
        if claim.at_least is None and claim.at_most is None:
            raise Invalid(
                "The claim sets no bound.",
                field=f"claims.{place}.at_least",
                remedy="Say what its words mean: 'over 70%' is at_least 70.",
            )
        if claim.at_least is not None and claim.at_most is not None and claim.at_least > claim.at_most:
            raise Invalid(
                f"Nothing is at least {claim.at_least} and at most {claim.at_most}.",
                field=f"claims.{place}.at_least",
                remedy="Exchange the two.",
            )


def _check_unit(unit: str, inside: set[str], root: str, field: str) -> None:
    if unit not in inside:
        raise Invalid(
            f"Unit {unit} is none of the campaign's in {root} on that day.",
            field=field,
            remedy="GET /v1/units?as_of= tells the units of the day; leave out what is elsewhere.",
        )


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A figure, and what was chosen of it."""

    count: DeclaredCount
    choice: Choice | None


#: What the ministry said of each unit and indicator, on the tree that is asked about.
Placed = Mapping[tuple[str, Indicator], Sequence[Piece[_Chosen]]]


def placed(
    figures: Mapping[str, Counts],
    choices: Mapping[tuple[str, Indicator], Choice],
    as_of: date,
    followed: Followed,
) -> Placed:
    """The figures as of a day under the units of a later tree: see rules.told."""
    answer: dict[tuple[str, Indicator], Sequence[Piece[_Chosen]]] = {}
    for indicator in INDICATORS:
        told = [
            Told(unit, as_of, _Chosen(counts[indicator], choices.get((unit, indicator))))
            for unit, counts in figures.items()
            if indicator in counts
        ]
        for unit, pieces in carried(told, followed, _part_figure, whole=True).items():
            answer[unit, indicator] = pieces
    return answer


def _part_figure(figure: _Chosen, weights: Mapping[str, int]) -> dict[str, _Chosen]:
    return {part: _Chosen(count, figure.choice) for part, count in part_count(figure.count, weights).items()}


def compare(figures: Placed, units: Iterable[UnitProgress]) -> list[UnitCompared]:
    """Every unit of which the ministry gave figures, in the order of `units`."""
    answer = []
    for unit in units:
        indicators = {}
        for indicator in INDICATORS:
            pieces = figures.get((unit.code, indicator))
            if pieces is None:
                continue
            standing = unit.indicators[indicator]
            records = Levels(standing.value, standing.level_1, standing.level_2)
            said = total_of([piece.document.count for piece in pieces])
            choice = pieces[0].document.choice if len(pieces) == 1 else None
            indicators[indicator] = Compared(
                said,
                records,
                difference(said, records),
                choice.use if choice else "records",
                choice,
                any(piece.of_divided for piece in pieces),
            )
        if indicators:
            answer.append(UnitCompared(unit.code, unit.name, unit.level, unit.parent, indicators))
    return answer


def check_claims(
    claims: Sequence[Claim], figures: Placed, as_of: date, followed: Followed, units: Iterable[UnitProgress]
) -> list[CheckedClaim]:
    """Each claim about one of the units, held against what stands there. A share is no sum: on a later tree nothing is
    claimed any more of a unit that was divided, or is one with others."""
    by_code = {unit.code: unit for unit in units}
    told = [Told(unit, as_of, unit) for unit in sorted({claim.unit for claim in claims})]
    places = {
        piece.document: place
        for place, [piece] in carried(told, followed, None, whole=False).items()
        if not piece.of_divided
    }
    answer = []
    for claim in claims:
        unit = by_code.get(places.get(claim.unit, ""))
        if unit is None:
            continue
        ours: dict[Indicator, int] = {each: standing.value for each, standing in unit.indicators.items()}
        theirs: dict[Indicator, int] = {
            indicator: sum(piece.document.count.value for piece in figures[unit.code, indicator])
            for indicator in INDICATORS
            if (unit.code, indicator) in figures
        }
        by_records, by_ministry = (
            _share(claim, unit.indicators, ours),
            _share(claim, unit.indicators, theirs),
        )
        known = [share for share in (by_records, by_ministry) if share is not None]
        answer.append(
            CheckedClaim(
                claim,
                by_records and cut_percent(*by_records, 2),
                by_ministry and cut_percent(*by_ministry, 2),
                all(_within(claim, *share) for share in known) if known else None,
            )
        )
    return answer


def _share(
    claim: Claim, standings: Mapping[Indicator, Standing], values: Mapping[Indicator, int]
) -> tuple[int, int] | None:
    """Numerator and denominator; None where one of them isn't known."""
    over: int | None
    if claim.over == "target":
        over = standings[claim.indicator].target
    elif claim.over == "eligible":
        over = standings[claim.indicator].eligible
    else:
        over = values.get(claim.over)
    value = values.get(claim.indicator)
    return (value, over) if value is not None and over else None


def _within(claim: Claim, numerator: int, denominator: int) -> bool:
    """Exact: no share is rounded before it is compared."""
    return (claim.at_least is None or 100 * numerator >= claim.at_least * denominator) and (
        claim.at_most is None or 100 * numerator <= claim.at_most * denominator
    )

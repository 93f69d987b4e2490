"""Rounds in which a level of the administration goes over the population data: who is done, what was corrected.

A commune of which nothing was reported is outstanding; where there was nothing to correct, a report says so.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal, get_args

import msgspec

from tiendo_aggregator.rules.dividing import is_parted
from tiendo_aggregator.rules.units import Followed, Tree
from tiendo_common.errors import Invalid

#: Who re-checks. Each level goes over the same communes in a round of its own.
CheckedAt = Literal["commune", "district", "province"]
#: Why an entry was corrected: a fact of it was wrong; a fact or the whole entry was missing; one citizen stood there
#: twice; the citizen had died or moved away; another reason, in words.
Why = Literal["wrong", "missing", "double", "gone", "other"]
WHYS: tuple[Why, ...] = get_args(Why)


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """Communes whose population data are gone over by a level between two days, both of them included."""

    id: str
    name: str
    level: CheckedAt
    first_day: date
    last_day: date
    units: tuple[str, ...]


class Correction(msgspec.Struct, frozen=True, kw_only=True):
    """So many entries, corrected for one reason; `words` say it where the reason is another one."""

    why: Why
    entries: int
    words: str | None = None


@dataclass(frozen=True, slots=True)
class Recheck:
    """What was reported of a commune in a round; whole. `done_on` None: it is not done, whatever was said before.

    `checked_by` did it, `reported_by` is the API key that said so. Revisions count from 1 and are never changed.
    `known_day`: the business day on which this one came.
    """

    unit: str
    revision: int
    done_on: date | None
    checked_by: str
    corrections: tuple[Correction, ...]
    reported_by: str
    reported_at: datetime
    known_day: date


@dataclass(frozen=True, slots=True)
class OtherWhy:
    """Entries corrected for a reason in words."""

    words: str
    entries: int


@dataclass(frozen=True, slots=True)
class Outstanding:
    """A commune that is not done."""

    code: str
    name: str


@dataclass(frozen=True, slots=True)
class UnitRechecks:
    """A unit and all below it in a round: `done` of `units` communes, `late` of them after the round's last day.

    `corrected` is the sum of `by_why`; what was corrected in a commune counts from the day on which it was done.
    `of_divided` of the communes stand for one that the round goes over whole, and that has been divided since: being
    done can't be parted, nor is a part that came later asked for anything.
    """

    code: str
    name: str
    level: str
    parent: str | None
    done: int
    units: int
    late: int
    outstanding: Sequence[Outstanding]
    of_divided: int
    corrected: int
    by_why: Mapping[Why, int]
    other: Sequence[OtherWhy]


def check_round(round_: Round, tree: Tree, province: str) -> None:
    """Raise Invalid, naming the field, unless it has days and communes of the province on its first day, each once, and
    is gone over by a level that there is."""
    if round_.last_day < round_.first_day:
        raise Invalid(
            f"The round would end on {round_.last_day}, before it begins on {round_.first_day}.",
            field="last_day",
            remedy="Let it end on its first day or later.",
        )
    levels = {tree.units[code].level for code in tree.below(province)}
    if round_.level not in levels:
        raise Invalid(
            f"There is no {round_.level} in the province on {round_.first_day}.",
            field="level",
            remedy=f"There are: {', '.join(each for each in get_args(CheckedAt) if each in levels)}.",
        )
    communes = set(tree.communes(province))
    seen: set[str] = set()
    for place, unit in enumerate(round_.units):
        if unit not in communes:
            raise Invalid(
                f"{unit} is no commune of the campaign on {round_.first_day}.",
                field=f"units.{place}",
                remedy=f"GET /v1/units?as_of={round_.first_day} tells the units of that day.",
            )
        if unit in seen:
            raise Invalid(f"{unit} is there twice.", field=f"units.{place}", remedy="Name each unit once.")
        seen.add(unit)


def check_recheck(
    round_: Round, unit: str, done_on: date | None, corrections: Sequence[Correction], today: date
) -> None:
    """Raise Invalid, naming the field, unless the unit is of the round, its day has come, and each reason stands there
    once, another one in words. What is not done has no corrections."""
    if unit not in round_.units:
        raise Invalid(
            f"{unit} is not one of the {len(round_.units)} units of the round {round_.id}.",
            field="unit",
            remedy="GET …/rechecks tells those that are outstanding; a round's units are those of its first day.",
        )
    if done_on is not None and not round_.first_day <= done_on <= today:
        raise Invalid(
            f"{done_on} is no day since the round began that has come.",
            field="done_on",
            remedy=f"Say a day from {round_.first_day} on, none before it has come.",
        )
    if done_on is None and corrections:
        raise Invalid(
            "What is not done has no corrections.",
            field="corrections",
            remedy="Say on which day it was done, or leave the corrections out.",
        )
    seen: set[tuple[Why, str | None]] = set()
    for place, each in enumerate(corrections):
        if (each.why == "other") != (each.words is not None):
            raise Invalid(
                "Another reason is not said in words."
                if each.words is None
                else f"The reason {each.why} needs no words of its own.",
                field=f"corrections.{place}.words",
                remedy="Say it in words with the reason other, and only with that.",
            )
        if (each.why, each.words) in seen:
            raise Invalid(
                "Two lines give the same reason.",
                field=f"corrections.{place}",
                remedy="Send one line with the sum of both.",
            )
        seen.add((each.why, each.words))


def recheck_progress(
    round_: Round, reports: Iterable[Recheck], as_of: date, followed: Followed, root: str, depth: int
) -> list[UnitRechecks]:
    """`root` and what is below it down to `depth` levels on the tree that the campaign was `followed` to, each unit
    before those below it. `reports`: of each unit the one that stands.

    A commune of that tree is done once all of the round's units that are in it are; what was corrected in those that
    are done counts already.
    """
    tree = followed.tree
    done = {each.unit: each for each in reports if each.done_on is not None and each.done_on <= as_of}
    parts: defaultdict[str, list[str]] = defaultdict(list)
    for unit in round_.units:
        # A unit has no place on a tree from before it: then nothing is asked of it there.
        if unit in followed.places:
            parts[followed.places[unit]].append(unit)
    inside: defaultdict[str, list[str]] = defaultdict(list)
    wanted = set(tree.below(root))
    for commune in sorted(parts):
        if commune in wanted:
            for above in tree.up_to(commune, root):
                inside[above].append(commune)
    later = followed.after(round_.first_day)
    divided = {followed.places[unit] for unit in round_.units if is_parted(unit, later)}
    return [
        _of_unit(round_, done, parts, inside[code], divided, tree, code) for code in tree.below(root, depth)
    ]


def _of_unit(
    round_: Round,
    done: Mapping[str, Recheck],
    parts: Mapping[str, Sequence[str]],
    communes: Sequence[str],
    divided: Set[str],
    tree: Tree,
    code: str,
) -> UnitRechecks:
    finished, late = 0, 0
    outstanding = []
    by_why: Counter[Why] = Counter()
    other: Counter[str] = Counter()
    for commune in communes:
        reports = [done[part] for part in parts[commune] if part in done]
        if len(reports) == len(parts[commune]):
            finished += 1
            late += any(each.done_on is not None and each.done_on > round_.last_day for each in reports)
        else:
            outstanding.append(Outstanding(commune, tree.units[commune].name))
        for report in reports:
            for line in report.corrections:
                by_why[line.why] += line.entries
                if line.words is not None:
                    other[line.words] += line.entries
    unit = tree.units[code]
    return UnitRechecks(
        code=code,
        name=unit.name,
        level=unit.level,
        parent=unit.parent,
        done=finished,
        units=len(communes),
        late=late,
        outstanding=outstanding,
        of_divided=len(divided & set(communes)),
        corrected=by_why.total(),
        by_why={why: by_why[why] for why in WHYS if why in by_why},
        other=[OtherWhy(words, other[words]) for words in sorted(other)],
    )

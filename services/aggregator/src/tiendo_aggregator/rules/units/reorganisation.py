"""A reorganisation: how the tree of one day became the next, by a mapping of units with its resolutions.

Counters are keyed by code and day, and nothing in them is rewritten: a mapping says under which unit of the
next tree the cells of a code are summed. For that to be exact also for what happens to old records later (an
upgrade, a void, an approval that comes late are counted at the code where the record lives), all cells of a
code must go to one place. So a divided unit goes whole to one of its parts, by a stated rule; and a code that
goes elsewhere must not mean another unit afterwards. Parted by share, its cells go to one part as well, and intake
moves the records of the other parts away from there, each by itself, effective on the day. By hamlet, the cells of
each of its hamlets go to the part that the hamlet is in, and its own to one part.
"""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Literal

import msgspec

from tiendo_aggregator.rules.units.tree import Gazetteer, Hamlet, Tree, eve
from tiendo_common.errors import Conflict, Invalid

#: All of a unit goes there; its main part does; another part does.
Share = Literal["whole", "part-main", "part"]
#: What is done with a divided unit's records: all to the part that the mapping calls main; all to the part that
#: keeps the unit's code, else to the main one; each where its hamlet went; as many to each part as were agreed.
Placing = Literal["all-to-main", "all-to-kept-code", "by-hamlet", "by-share"]
Kind = Literal["merge", "divide", "rename", "recode", "move"]


class NotYet(Invalid):
    """A rule that is meant to be, and that the counters alone cannot carry out exactly."""

    code = "not-yet"
    title = "This cannot be done exactly yet"


class AlreadyReorganised(Conflict):
    """A unit goes from one tree to the next in one way."""

    code = "already-reorganised"
    title = "Another reorganisation of these units is in force"


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a mapping: a unit of the tree before, and one of the tree after that it became, or part of it."""

    from_code: str
    to_code: str
    share: Share
    resolution: str


class Reorganisation(msgspec.Struct, frozen=True, kw_only=True):
    """A mapping onto the tree of `effective_on`, and the rule for what it divides. Rows may name hamlets, too.

    `within` are the units whose part of the tree it is about; None: the whole. `placing` holds for divided units that
    none of these names: `placements` (unit to part), `shares` and `by_hamlet` (unit to the weight of each part, by
    which what was told of it as a number is parted).
    """

    effective_on: date
    rows: tuple[Row, ...]
    within: tuple[str, ...] | None = None
    placing: Placing | None = None
    placements: Mapping[str, str] = msgspec.field(default_factory=dict)
    shares: Mapping[str, Mapping[str, int]] = msgspec.field(default_factory=dict)
    by_hamlet: Mapping[str, Mapping[str, int]] = msgspec.field(default_factory=dict)

    def reach(self) -> Mapping[str, tuple[str, ...]]:
        """What each named unit became, the whole or the main part first."""
        reach: defaultdict[str, list[str]] = defaultdict(list)
        for row in self.rows:
            if row.share == "part":
                reach[row.from_code].append(row.to_code)
            else:
                reach[row.from_code].insert(0, row.to_code)
        return {code: tuple(each) for code, each in reach.items()}

    def takes(self) -> Mapping[str, str]:
        """The one unit to which all cells of a named unit's own go; divided ones without a rule are left out."""
        takes = {}
        for code, parts in self.reach().items():
            if len(parts) == 1:
                takes[code] = parts[0]
            elif code in self.placements:
                takes[code] = self.placements[code]
            elif code in self.shares or code in self.by_hamlet:
                takes[code] = code if code in parts else parts[0]
            elif self.placing in ("all-to-main", "all-to-kept-code"):
                kept = self.placing == "all-to-kept-code" and code in parts
                takes[code] = code if kept else parts[0]
        return takes


@dataclass(frozen=True, slots=True)
class Step:
    """How the tree before a day became the tree of that day.

    `place` tells for every unit before where its cells go, None if nothing says; `reach`, all units that have a
    part of its area; `sources`, for each unit after, the lowest units before that have part in it; `shares`, of units
    that are parted by share or by hamlet, the weight of each part; `by_hamlet`, which are by hamlet; `hamlets`, what
    hamlets became that rows name.
    """

    day: date
    old: Tree
    new: Tree
    place: Mapping[str, str | None]
    reach: Mapping[str, tuple[str, ...]]
    sources: Mapping[str, Sequence[str]]
    shares: Mapping[str, Mapping[str, int]]
    by_hamlet: frozenset[str] = frozenset()
    hamlets: Mapping[str, str] = field(default_factory=dict)

    def homes(self, commune: str) -> Sequence[str | None]:
        """The communes after in which hamlets of one before may be."""
        return self.reach[commune] if commune in self.by_hamlet else (self.place.get(commune),)


def make_step(day: date, gazetteer: Gazetteer, reorganisations: Iterable[Reorganisation]) -> Step:
    """The step of a day under the reorganisations of that day.

    A unit that no mapping names keeps its code if the next tree has it. A unit above others (a district, say)
    whose code is gone, or now stands above none of what was below it, goes to the lowest unit that stands
    above all of that: so a level can be dropped without naming its units.
    """
    old, new = gazetteer.as_of(eve(day)), gazetteer.as_of(day)
    takes: dict[str, str] = {}
    reach: dict[str, tuple[str, ...]] = {}
    shares: dict[str, Mapping[str, int]] = {}
    by_hamlet: set[str] = set()
    for each in reorganisations:
        takes |= each.takes()
        reach |= each.reach()
        shares |= {**each.shares, **each.by_hamlet}
        by_hamlet.update(each.by_hamlet)
    place: dict[str, str | None] = {}
    # Upwards: a unit is placed by those below it.
    for code in reversed([code for root in old.roots() for code in old.below(root)]):
        children = old.children.get(code, [])
        if code in reach:
            place[code] = takes.get(code)
        elif children:
            place[code] = _above(code, children, old, new, place)
        else:
            place[code] = code if code in new.units else None
    sources: defaultdict[str, list[str]] = defaultdict(list)
    for code, there in sorted(place.items()):
        if code in old.children and code not in reach:
            continue
        for part in reach.get(code, (there,)):
            if part is not None:
                sources[part].append(code)
    hamlets = {code: there for code, there in takes.items() if code not in old.units and code != there}
    return Step(day, old, new, place, reach, sources, shares, frozenset(by_hamlet), hamlets)


def _above(
    code: str, children: Sequence[str], old: Tree, new: Tree, place: Mapping[str, str | None]
) -> str | None:
    ways = []
    for child in children:
        there = place[child]
        if there is not None:
            way = list(new.up_to(there, None))
            # What a commune became is no place for a district's own, unless nothing is above it.
            ways.append(way[1:] if child not in old.children and len(way) > 1 else way)
    if any(code in way for way in ways):
        return code
    common = set.intersection(*map(set, ways)) if ways else set()
    return next((each for each in (ways[0] if ways else ()) if each in common), None)


# --- what is asked for, looked at before anything is written -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that happens to units: which they are before, and what they become."""

    kind: Kind
    units: tuple[str, ...]
    become: tuple[str, ...]
    resolutions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ByHamlet:
    """A commune that is divided by hamlet: the hamlets of the day before that go to each part, and the part to which
    goes what names none of them."""

    unit: str
    parts: Mapping[str, Sequence[str]]
    stays: str


@dataclass(frozen=True)
class Preview:
    """What a reorganisation does, and what stands in its way. `before` and `after` are the trees with hamlets.

    `needs_rule` are divided units without one, `unmapped` the units of which nothing says where they go, and the
    hamlets of communes that are divided by hamlet; `reused` those that would go elsewhere while their code goes on for
    another unit; `astray`, hamlets that are in another commune than their own became. `founded` are units that
    have part in none before: no hindrance, but worth a look. `higher` tells where units above others go.
    """

    step: Step
    before: Tree
    after: Tree
    operations: list[Operation]
    kept: int
    needs_rule: list[str]
    unmapped: list[str]
    reused: list[str]
    founded: list[str]
    higher: Mapping[str, str]
    by_hamlet: list[ByHamlet]
    astray: list[str]

    @cached_property
    def counts(self) -> Mapping[Kind, int]:
        """How many operations of each kind."""
        return Counter(each.kind for each in self.operations)

    @property
    def levels_dropped(self) -> list[str]:
        """The levels that no unit has any more."""
        return sorted(_levels(self.step.old) - _levels(self.step.new))

    @property
    def levels_added(self) -> list[str]:
        """The levels that no unit had before."""
        return sorted(_levels(self.step.new) - _levels(self.step.old))


def _levels(tree: Tree) -> set[str]:
    return {unit.level for unit in tree.units.values()}


def preview(asked: Reorganisation, gazetteer: Gazetteer, others: Collection[Reorganisation] = ()) -> Preview:
    """What it does beside the others in force on the same day. Raises Invalid, naming field and remedy, for what
    is no mapping between the trees of that day; what it merely leaves open is in the answer."""
    day = asked.effective_on
    if day not in gazetteer.changes(date.min, day):
        raise Invalid(
            f"The tree of {day} is that of the day before: there is nothing to go over to.",
            field="effective_on",
            remedy=f"PUT /v1/units/editions/{day} brings the new tree; or name the day on which it begins.",
        )
    old, new = gazetteer.as_of(eve(day)), gazetteer.as_of(day)
    inside = _within(asked, old)
    _check_rows(asked, old, new, inside, gazetteer)
    _check_others(asked, others)
    _check_placements(asked, gazetteer)
    step = make_step(day, gazetteer, [*others, asked])
    needs_rule = sorted(asked.reach().keys() - asked.takes().keys())
    # A unit above others is only named by itself if what is below it doesn't say where it goes.
    unmapped = sorted(
        code
        for code in inside - set(needs_rule)
        if step.place[code] is None
        and (code not in old.children or any(step.place[child] for child in old.children[code]))
    )
    codes_after = gazetteer.codes_from(day)
    reused = sorted(
        code
        for code in old.units
        if code in inside and step.place[code] not in (None, code) and code in codes_after
    )
    tops = {step.place[code] for code in inside if old.units[code].parent is None}
    founded = [
        code
        for top in sorted(filter(None, tops))
        for code in new.below(top)
        if code not in new.children and code not in step.sources
    ]
    operations = list(_operations(asked, step, inside))
    changed = {code for each in operations for code in each.units}
    kept = sum(step.place[code] == code and code not in changed for code in inside - old.children.keys())
    hamlets = _follow_hamlets(step, inside, gazetteer)
    return Preview(
        step=step,
        before=gazetteer.with_hamlets(eve(day)),
        after=gazetteer.with_hamlets(day),
        operations=operations,
        kept=kept,
        needs_rule=needs_rule,
        unmapped=unmapped + hamlets.lost,
        reused=reused + hamlets.reused,
        founded=founded,
        by_hamlet=[
            ByHamlet(unit, {part: hamlets.parts[unit, part] for part in parts}, asked.takes()[unit])
            for unit, parts in sorted(asked.by_hamlet.items())
        ],
        astray=hamlets.astray,
        higher={
            code: there
            for code in old.units
            if code in inside and code in old.children and (there := step.place[code]) not in (None, code)
        },
    )


@dataclass(frozen=True, slots=True)
class _Hamlets:
    """What becomes of hamlets: see Preview; `parts` by divided commune and part."""

    parts: defaultdict[tuple[str, str], list[str]] = field(default_factory=lambda: defaultdict(list))
    lost: list[str] = field(default_factory=list)
    reused: list[str] = field(default_factory=list)
    astray: list[str] = field(default_factory=list)


def _follow_hamlets(step: Step, inside: set[str], gazetteer: Gazetteer) -> _Hamlets:
    found = _Hamlets()
    for code in gazetteer.hamlets_of(inside):
        before = gazetteer.hamlet(code, eve(step.day))
        if before is None or before.parent not in inside:
            continue
        row = step.hamlets.get(code)
        goes_on = any(each.until_day is None or each.until_day > step.day for each in gazetteer.hamlets[code])
        if row is not None and goes_on:
            found.reused.append(code)
        after = gazetteer.hamlet(row or code, step.day)
        home = row if after is None else after.parent
        if home is None:
            # It counts with its commune's own; which part that is, nobody said of this hamlet.
            if before.parent in step.by_hamlet:
                found.lost.append(code)
        elif home not in step.homes(before.parent):
            found.astray.append(code)
        else:
            found.parts[before.parent, home].append(code)
    return found


def check_complete(found: Preview) -> None:
    """Raise Invalid if the reorganisation leaves anything open: it is applied whole or not at all."""
    old = found.before
    if found.unmapped:
        raise Invalid(
            f"{len(found.unmapped)} units would be lost: {_some(found.unmapped, old)}. Nothing says what they "
            f"became on {found.step.day}.",
            field="rows",
            remedy="Add a row for each, with its resolution; or limit the reorganisation by `within`. Of hamlets, "
            "bring the list of that day: PUT /v1/units/hamlets/{province}/{from_day}.",
        )
    if found.needs_rule:
        raise Invalid(
            f"{len(found.needs_rule)} units are divided and have no rule: {_some(found.needs_rule, old)}.",
            field="placing",
            remedy="Set `placing` for all, name in `placements` the part that takes the unit's records, or give in "
            "`shares` or `by_hamlet` the weight of each part.",
        )
    if found.astray:
        raise Invalid(
            f"{len(found.astray)} hamlets are in other communes on {found.step.day} than their own become: "
            f"{_some(found.astray, old)}.",
            field="rows",
            remedy="Divide their communes by hamlet, with a row for each part; or correct the list of hamlets.",
        )
    if found.reused:
        raise NotYet(
            f"{len(found.reused)} units would go elsewhere while their code goes on for another unit: "
            f"{_some(found.reused, old)}. What happens to their old records later is counted at the code, "
            "and could not be told from the other unit's.",
            field="placements",
            remedy="Place them at the part that keeps the code: `placing` all-to-kept-code does so for all.",
        )


def _within(asked: Reorganisation, old: Tree) -> set[str]:
    if asked.within is None:
        return set(old.units)
    for place, code in enumerate(asked.within):
        if code not in old.units:
            raise Invalid(
                f"There is no unit {code!r} before {asked.effective_on}.",
                field=f"within.{place}",
                remedy="GET /v1/units?search= finds codes by name.",
            )
    return {code for root in asked.within for code in old.below(root)}


def _check_rows(asked: Reorganisation, old: Tree, new: Tree, inside: set[str], gazetteer: Gazetteer) -> None:
    seen: dict[tuple[str, str], int] = {}
    shares: defaultdict[str, list[tuple[int, Share]]] = defaultdict(list)
    for place, row in enumerate(asked.rows):
        at = f"rows.{place}"
        hamlet = gazetteer.hamlet(row.from_code, eve(asked.effective_on))
        if row.from_code not in old.units and hamlet is None:
            raise Invalid(
                f"There is no unit {row.from_code!r} on the day before {asked.effective_on}.",
                field=f"{at}.from_code",
                remedy="GET /v1/units?as_of= tells the units of that day; codes are text, with their zeros.",
            )
        if hamlet is not None:
            _check_row_of_hamlet(row, at, new, gazetteer.hamlet(row.to_code, asked.effective_on))
        elif row.to_code not in new.units:
            raise Invalid(
                f"There is no unit {row.to_code!r} on {asked.effective_on}.",
                field=f"{at}.to_code",
                remedy=f"GET /v1/units?as_of={asked.effective_on} tells the units of that day.",
            )
        if (row.from_code if hamlet is None else hamlet.parent) not in inside:
            name = row.from_code if hamlet is not None else _named(row.from_code, old)
            raise Invalid(
                f"{name} is outside what the reorganisation is limited to.",
                field=f"{at}.from_code",
                remedy="Leave the row out, or widen `within`.",
            )
        if (
            hamlet is None
            and new.units[row.to_code].parent is None
            and old.units[row.from_code].parent is not None
        ):
            raise Invalid(
                f"{_named(row.from_code, old)} would become the whole of {_named(row.to_code, new)}.",
                field=f"{at}.to_code",
                remedy="Name the unit below it that takes in the old one.",
            )
        if (row.from_code, row.to_code) in seen:
            raise Invalid(
                f"{row.from_code} to {row.to_code} stands already at rows.{seen[row.from_code, row.to_code]}.",
                field=f"{at}.to_code",
                remedy="Leave one of the two rows out.",
            )
        seen[row.from_code, row.to_code] = place
        shares[row.from_code].append((place, row.share))
    for code, each in shares.items():
        words = sorted(share for _, share in each)
        if words != ["whole"] and (len(words) < 2 or words != ["part"] * (len(words) - 1) + ["part-main"]):
            raise Invalid(
                f"{_named(code, old) if code in old.units else code} has the shares {', '.join(words)}.",
                field=f"rows.{each[0][0]}.share",
                remedy="One row with `whole`; or one with `part-main` and one with `part` for each other part.",
            )


def _check_row_of_hamlet(row: Row, at: str, new: Tree, became: Hamlet | None) -> None:
    """It goes whole to a hamlet or a commune: there is nothing by which it could be parted."""
    if row.share != "whole":
        raise Invalid(
            f"The hamlet {row.from_code} would be parted.",
            field=f"{at}.share",
            remedy="Send `whole`: a hamlet goes to one place.",
        )
    unit = new.units.get(row.to_code)
    if became is None and (unit is None or unit.level != "commune"):
        raise Invalid(
            f"{row.to_code} is neither a commune nor a hamlet on the first day of the new tree.",
            field=f"{at}.to_code",
            remedy="Name what the hamlet became; GET /v1/units?as_of= with that day tells the units and hamlets.",
        )


def _check_others(asked: Reorganisation, others: Iterable[Reorganisation]) -> None:
    for other in others:
        twice = sorted(other.reach().keys() & asked.reach().keys())
        if twice:
            raise AlreadyReorganised(
                f"{len(twice)} of the units are reorganised on {asked.effective_on} already: "
                f"{', '.join(twice[:6])}{', …' if len(twice) > 6 else ''}.",
                field="rows",
                remedy="GET /v1/reorganisations lists those in force; DELETE one to take it back first.",
            )


def _check_placements(asked: Reorganisation, gazetteer: Gazetteer) -> None:
    reach = asked.reach()
    weighed = [
        *((f"shares.{code}", code, weights) for code, weights in asked.shares.items()),
        *((f"by_hamlet.{code}", code, weights) for code, weights in asked.by_hamlet.items()),
    ]
    for at, code, weights in weighed:
        twice = "placements" if code in asked.placements else "shares"
        if code in asked.placements or (code in asked.shares and code in asked.by_hamlet):
            raise Invalid(
                f"{code} stands in {twice}, too.",
                field=at,
                remedy="Leave one of the two out: it has one rule.",
            )
        if len(reach.get(code, ())) < 2:
            raise Invalid(
                f"{code} is not divided by this mapping.",
                field=at,
                remedy="Leave it out: a rule is for divided units.",
            )
        if weights.keys() != set(reach[code]):
            raise Invalid(
                f"{code} has the parts {', '.join(reach[code])}; there are weights of {', '.join(weights)}.",
                field=at,
                remedy="Give each part its weight, and nothing else.",
            )
        if not any(weights.values()):
            raise Invalid(
                f"Every weight of {code} is 0.",
                field=at,
                remedy="Give the agreed numbers of citizens, or any in their proportion.",
            )
        hamlets = gazetteer.hamlets_on(code, eve(asked.effective_on))
        if at.startswith("shares") and hamlets:
            raise Invalid(
                f"{code} has {len(hamlets)} hamlets on the day before: who lives there would be in no share.",
                field=at,
                remedy="Part it by hamlet: give the same weights in `by_hamlet`.",
            )
        if at.startswith("by_hamlet") and not hamlets:
            raise Invalid(
                f"{code} has no hamlet on the day before.",
                field=at,
                remedy="PUT /v1/units/hamlets/{province}/{from_day} brings them; or part it by share.",
            )
    for code, part in asked.placements.items():
        if len(reach.get(code, ())) < 2:
            raise Invalid(
                f"{code} is not divided by this mapping.",
                field=f"placements.{code}",
                remedy="Leave it out: a rule is for divided units.",
            )
        if part not in reach[code]:
            raise Invalid(
                f"{part} is no part of {code}.",
                field=f"placements.{code}",
                remedy=f"Choose one of {', '.join(reach[code])}.",
            )


def _operations(asked: Reorganisation, step: Step, inside: set[str]) -> Iterator[Operation]:
    old, new = step.old, step.new
    resolutions: defaultdict[str, set[str]] = defaultdict(set)
    for row in asked.rows:
        resolutions[row.from_code].add(row.resolution)

    def said(units: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted({text for unit in units for text in resolutions[unit]}))

    for code, parts in sorted(step.reach.items()):
        if len(parts) > 1 and code in inside:
            yield Operation("divide", (code,), parts, said([code]))
    for there, sources in sorted(step.sources.items()):
        ours = tuple(code for code in sources if code in inside)
        whole = tuple(code for code in ours if len(step.reach.get(code, (there,))) == 1)
        if len(sources) > 1:
            # Parts of divided units come in, too; they are told there.
            if whole and len(ours) > 1:
                yield Operation("merge", ours, (there,), said(ours))
            continue
        for code in whole:
            before, now = old.units[code], new.units[there]
            if code != there:
                yield Operation("recode", (code,), (there,), said([code]))
            if before.name != now.name:
                yield Operation("rename", (code,), (there,), said([code]))
            if before.parent is not None and step.place[before.parent] != now.parent:
                yield Operation("move", (code,), (there,), said([code]))


def _named(code: str, tree: Tree) -> str:
    return f"{tree.units[code].name} ({code})"


def _some(codes: Sequence[str], tree: Tree) -> str:
    return ", ".join(_named(code, tree) for code in codes[:6]) + (", …" if len(codes) > 6 else "")

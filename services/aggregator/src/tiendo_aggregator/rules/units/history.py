"""A province followed from the tree of one day to that of a later one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from itertools import pairwise

from tiendo_aggregator.rules.units.reorganisation import Reorganisation, Step, make_step
from tiendo_aggregator.rules.units.tree import Gazetteer, Hamlet, Tree, eve
from tiendo_common.errors import Invalid


@dataclass(frozen=True, slots=True)
class Followed:
    """What a unit and all below it have become.

    `tree` has the units of the day that are concerned, and `root` on top; where nothing was reorganised it is
    the whole tree (`changed` false). `places` tells for each code whose cells count, the unit of `tree` that they
    count under; of a hamlet's code, `hamlets` tells as well of which hamlet of the day, or of its commune. `lost` are
    units that nothing places, each with the day on which it ended; `shared`, units that took in something from outside
    as well, or whose code was another unit's, each with the day from which that holds. `steps` are the changes of the
    tree on the way, each with the units that it parted by share or by hamlet: what is told of those as a number goes to
    the parts (rules.dividing), while their cells are moved by intake, or go where their hamlets do. `above` are the
    codes of which only some units below were followed: they have a place for what is told of them, but what is counted
    at themselves is also others'. `ended` tells of hamlets that have ended with which commune's own they count, as that
    was at the end of which day.
    """

    root: str
    tree: Tree
    places: Mapping[str, str]
    lost: Mapping[str, date]
    shared: Mapping[str, date]
    names: Mapping[str, str]
    changed: bool = True
    steps: tuple[Step, ...] = ()
    above: frozenset[str] = frozenset()
    hamlets: Mapping[str, str] = field(default_factory=dict)
    ended: Mapping[str, tuple[str, date]] = field(default_factory=dict)

    @property
    def as_counted(self) -> bool:
        """Whether each code's cells count at the unit of that code."""
        return not self.changed and not self.hamlets

    def after(self, day: date) -> tuple[Step, ...]:
        """The changes that what was so at the end of `day` has gone through."""
        return tuple(step for step in self.steps if step.day > day)

    def own(self, code: str) -> tuple[str, tuple[Step, ...]]:
        """The code with whose own cells those of a code are counted, and the changes that they have gone through so."""
        if code not in self.ended:
            return code, self.steps
        commune, day = self.ended[code]
        return commune, self.after(day)

    def codes_below(self, root: str) -> list[str]:
        """The codes whose cells count at `root`, a unit of the tree, or below it."""
        inside = set(self.tree.below(root))
        return [code for code, there in self.places.items() if there in inside and code not in self.above]

    def require(self, as_of: date, on: date, *, field: str) -> None:
        """Raise Invalid unless everything counted by the end of `as_of` has its place on this tree, that of `on`."""
        if self.lost:
            day = min(self.lost.values())
            gone = sorted(code for code, each in self.lost.items() if each == day)
            raise Invalid(
                f"On the tree of {on}, {len(gone)} units have no place: {self._some(gone)}. Nothing says what became "
                f"of them on {day}.",
                field=field,
                remedy=f"POST /v1/reorganisations with effective_on {day} and a row for each of them; or ask on "
                f"a tree before {day}.",
            )
        mixed = sorted(code for code, day in self.shared.items() if as_of >= day)
        if mixed:
            day = min(self.shared[code] for code in mixed)
            raise Invalid(
                f"{len(mixed)} units of the tree of {on} have taken in others from outside: "
                f"{self._some(mixed)}. What is counted there from {day} on can't be told apart.",
                field=field,
                remedy=f"Ask as of a day before {day}; make a campaign on the new tree for what comes after.",
            )

    def _some(self, codes: Sequence[str]) -> str:
        named = ", ".join(f"{self.names[code]} ({code})" for code in codes[:6])
        return named + (", …" if len(codes) > 6 else "")


class History:
    """Every tree that was, and the reorganisations in force between them."""

    def __init__(self, gazetteer: Gazetteer, reorganisations: Collection[Reorganisation] = ()) -> None:
        self.gazetteer = gazetteer
        self.reorganisations = reorganisations
        self._steps: dict[date, Step] = {}
        self._followed: dict[tuple[str, int, int, tuple[str, ...]], Followed] = {}
        self._with_hamlets: dict[tuple[object, ...], Followed] = {}
        self._to_hamlets: dict[tuple[object, ...], Followed] = {}

    def on(self, day: date) -> list[Reorganisation]:
        """The reorganisations of a day."""
        return [each for each in self.reorganisations if each.effective_on == day]

    def follow(self, root: str, since: date, day: date, units: tuple[str, ...] = ()) -> Followed:
        """What `root`, with all below it on `since`, is on the tree of `day`; of these `units` below it only, if any
        are named.

        Where the tree did not change in between, or `day` is earlier, that is the unit of that code as it is.
        """
        key = root, self.gazetteer.period(since), self.gazetteer.period(day), units
        if key not in self._followed:
            self._followed[key] = self._follow(root, since, day, units)
        if not self.gazetteer.hamlets:
            return self._followed[key]
        of_hamlets = *key, *self._hamlet_periods(since, day)
        if of_hamlets not in self._with_hamlets:
            self._with_hamlets[of_hamlets] = self._add_hamlets(self._followed[key], since, day)
        return self._with_hamlets[of_hamlets]

    def follow_to_hamlets(self, root: str, since: date, day: date, units: tuple[str, ...] = ()) -> Followed:
        """The same with the hamlets of the day as units of their own, each below its commune."""
        followed = self.follow(root, since, day, units)
        if not followed.hamlets:
            return followed
        key = root, self.gazetteer.period(since), self.gazetteer.period(day), units
        of_hamlets = *key, *self._hamlet_periods(since, day)
        if of_hamlets not in self._to_hamlets:
            tree = self.gazetteer.with_hamlets(day)
            if followed.tree is not self.gazetteer.as_of(day):
                inside = followed.tree.units
                tree = tree.part(
                    code
                    for code, unit in tree.units.items()
                    if code in inside or (unit.level == "hamlet" and unit.parent in inside)
                )
            places = {**followed.places, **followed.hamlets}
            self._to_hamlets[of_hamlets] = replace(followed, tree=tree, places=places)
        return self._to_hamlets[of_hamlets]

    def _hamlet_periods(self, since: date, day: date) -> tuple[int, int]:
        return self.gazetteer.hamlet_period(since), self.gazetteer.hamlet_period(day)

    def _follow(self, root: str, since: date, day: date, units: tuple[str, ...]) -> Followed:
        changes = self.gazetteer.changes(since, day)
        tree = self.gazetteer.as_of(day)
        start = self.gazetteer.as_of(since) if changes else tree
        live = {code for unit in units or (root,) for code in start.below(unit)}
        above = frozenset(code for unit in units for code in start.up_to(unit, root)) - live
        places = {code: code for code in start.below(root) if code in live or code in above}
        if not changes:
            there = tree.part(places) if units else tree
            return Followed(root, there, places, {}, {}, {}, changed=False, above=above)
        seen = set(places)
        names = {code: start.units[code].name for code in places}
        shared: dict[str, date] = {}
        for change in changes:
            step = self._step(change)
            codes_after = self.gazetteer.codes_from(change)
            lost = {code: change for code in sorted(live) if step.place[code] is None}
            # A code that goes elsewhere and still means something: its later cells could be either's.
            lost |= {
                code: change for code in sorted(live) if step.place[code] != code and code in codes_after
            }
            top = step.place[root]
            after = _concerned(step, live, top) if top is not None else None
            if lost or after is None or top is None:
                return Followed(root, tree, places, lost or {root: change}, shared, names, above=above)
            root = top
            moved = {code: step.place[place] or place for code, place in places.items()}
            # Of a unit above that none of the followed ones is below any more, nothing is told.
            places = {code: place for code, place in moved.items() if place in after}
            names |= {code: step.new.units[code].name for code in after}
            partly = {code for code in after if units and not after.issuperset(step.new.below(code))}
            whole = after - partly
            lowest = {code for code in whole if code in step.sources or code not in step.new.children}
            for code in sorted(whole - places.keys()):
                if not self.gazetteer.existed_before(code, change):
                    places[code] = code
                elif code in lowest:
                    shared.setdefault(code, change)
            for code in sorted(lowest):
                if not live.issuperset(step.sources.get(code, ())):
                    shared.setdefault(code, change)
            live, seen = whole, after
        return Followed(
            root,
            tree.part(seen),
            places,
            {},
            shared,
            names,
            steps=tuple(self._step(change) for change in changes),
            above=above,
        )

    def _add_hamlets(self, found: Followed, since: date, day: date) -> Followed:
        """With the hamlets that were below what was followed. The cells of one count where its newest list says; once
        it has ended, where it went by a row, or else with its commune's own."""
        if found.lost:
            return found
        inside = set(found.tree.below(found.root))
        places: dict[str, str] = {}
        hamlets: dict[str, str] = {}
        ended: dict[str, tuple[str, date]] = {}
        lost: dict[str, date] = {}
        for code in self.gazetteer.hamlets_of(found.places):
            spans = [each for each in self.gazetteer.hamlets[code] if each.from_day <= day]
            first = next((each for each in spans if each.until_day is None or each.until_day > since), None)
            if not spans or (first or spans[-1]).parent not in found.places:
                continue
            there = self.hamlet_on(code, day)
            commune = self._commune_of(there, day) if there is not None else None
            astray = self._went_astray(spans, since, day)
            if astray is None and there is not None and commune in inside:
                hamlets[code], places[code] = there, commune
                if (end := self._end_of(code, day)) is not None:
                    ended[code] = end
            elif first is not None:
                # Of one that had ended before, nothing was followed.
                lost[code] = astray or spans[-1].until_day or spans[-1].from_day
        if not hamlets and not lost:
            return found
        return replace(
            found,
            places={**found.places, **places},
            hamlets=hamlets,
            ended=ended,
            lost=lost,
            names={**found.names, **{code: self.gazetteer.hamlets[code][-1].name for code in lost}},
        )

    def hamlet_on(self, code: str, day: date) -> str | None:
        """What a hamlet is on the tree of a day: that hamlet, another one, or only a part of a commune; None if nothing
        says what its commune became, or it was not there yet."""
        spans = [each for each in self.gazetteer.hamlets[code] if each.from_day <= day]
        if not spans:
            return None
        newest = spans[-1]
        if newest.until_day is None or newest.until_day > day:
            return code
        row = self._step(newest.until_day).hamlets.get(code)
        if row is None:
            return self._became(newest.parent, eve(newest.until_day), day)
        if self.gazetteer.hamlet(row, newest.until_day) is not None:
            return self.hamlet_on(row, day)
        return self._became(row, newest.until_day, day)

    def _end_of(self, code: str, day: date) -> tuple[str, date] | None:
        """With which commune's own a hamlet that was there before `day` counts since it has ended, as that was at the
        end of which day; None if on `day` it is one, or another."""
        newest = next(each for each in reversed(self.gazetteer.hamlets[code]) if each.from_day <= day)
        if newest.until_day is None or newest.until_day > day:
            return None
        row = self._step(newest.until_day).hamlets.get(code)
        if row is None:
            return newest.parent, eve(newest.until_day)
        if self.gazetteer.hamlet(row, newest.until_day) is not None:
            return self._end_of(row, day)
        return row, newest.until_day

    def taken_in(self, commune: str, day: date) -> list[str]:
        """The other codes of which the own cells count with a commune's on the tree of a day: those of communes that
        went into it, and of hamlets that have ended."""
        found: set[str] = set()
        here = {commune}
        for change in reversed(self.gazetteer.changes(date.min, day)):
            step = self._step(change)
            here = {
                code
                for code, there in step.place.items()
                if there in here and step.old.units[code].level == "commune"
            }
            found |= here
        found.update(code for code in self.gazetteer.hamlets if self.hamlet_on(code, day) == commune)
        return sorted(found - {commune})

    def _commune_of(self, there: str, day: date) -> str:
        hamlet = self.gazetteer.hamlet(there, day)
        return there if hamlet is None else hamlet.parent

    def _became(self, commune: str, since: date, day: date) -> str | None:
        """Where the own cells of a commune of one day count on the tree of a later one."""
        there: str | None = commune
        for change in self.gazetteer.changes(since, day):
            there = self._step(change).place.get(there) if there is not None else None
        return there

    def _went_astray(self, spans: Sequence[Hamlet], since: date, day: date) -> date | None:
        """The first day on which a hamlet was in another commune than what its own had become, or was divided into;
        None: there is none."""
        for before, after in pairwise(spans):
            if since < after.from_day <= day and before.parent != after.parent:
                step = self._step(after.from_day)
                if after.parent not in step.homes(before.parent):
                    return after.from_day
        return None

    def _step(self, day: date) -> Step:
        if day not in self._steps:
            self._steps[day] = make_step(day, self.gazetteer, self.on(day))
        return self._steps[day]


def _concerned(step: Step, live: set[str], root: str) -> set[str] | None:
    """The units after a step that have part in what was live before, and those above them up to `root`; None if one
    of them is outside `root`. Units without any part in the tree before belong here if nothing else is in `root`."""
    parts = {part for code in live for part in step.reach.get(code, (step.place[code],)) if part is not None}
    after: set[str] = set()
    for part in parts:
        way = list(step.new.up_to(part, root))
        if way[-1] != root:
            return None
        after.update(way)
    inside = [code for code in step.new.below(root) if code in step.sources or code not in step.new.children]
    if all(live.issuperset(step.sources.get(code, ())) for code in inside):
        after.update(code for found in inside for code in step.new.up_to(found, root))
    return after

"""A province followed from the tree of one day to that of a later one."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from tiendo_aggregator.rules.units.reorganisation import Reorganisation, Step, make_step
from tiendo_aggregator.rules.units.tree import Gazetteer, Tree
from tiendo_common.errors import Invalid


@dataclass(frozen=True, slots=True)
class Followed:
    """What a unit and all below it have become.

    `tree` has the units of the day that are concerned, and `root` on top; where nothing was reorganised it is
    the whole tree (`changed` false). `places` tells for each code whose cells count, the unit of `tree` that they
    count under. `lost` are units that nothing places, each with the day on which it ended; `shared`, units that took in
    something from outside as well, or whose code was another unit's, each with the day from which that holds.
    `steps` are the changes of the tree on the way, each with the units that it parted by share: what is told of those
    as a number goes to the parts (rules.dividing), while their cells are moved by intake. `above` are the codes of
    which only some units below were followed: they have a place for what is told of them, but what is counted at
    themselves is also others'.
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

    def after(self, day: date) -> tuple[Step, ...]:
        """The changes that what was so at the end of `day` has gone through."""
        return tuple(step for step in self.steps if step.day > day)

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
                f"On the tree of {on}, {len(gone)} units have no place: {self._some(gone)}. They ended "
                f"on {day}, and nothing says what they became.",
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
        return self._followed[key]

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

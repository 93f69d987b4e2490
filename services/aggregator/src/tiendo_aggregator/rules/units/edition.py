"""A whole tree that somebody sends: whether it is one, and what it changes."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import msgspec

from tiendo_aggregator.rules.units.tree import FIRST_DAY, Edition, Tree
from tiendo_common.errors import Invalid
from tiendo_common.events.state import UnitSpan

#: From the top down. A tree may lack any but the first.
LEVELS = ("province", "district", "commune")


class SentUnit(msgspec.Struct, frozen=True, kw_only=True):
    """A unit of an edition; valid from the edition's first day until the next edition."""

    code: str
    parent_code: str | None
    level: str
    name: str


@dataclass(frozen=True, slots=True)
class Difference:
    """What another tree changes on its first day: codes, in order."""

    added: list[str]
    gone: list[str]
    renamed: list[str]
    moved: list[str]


def make_edition(units: Sequence[SentUnit], from_day: date) -> Edition:
    """The tree by code. Raises Invalid, naming the line, unless it is a tree whose levels go down."""
    if from_day < FIRST_DAY:
        raise Invalid(
            f"No tree can begin before {FIRST_DAY}.",
            field="from_day",
            remedy="What is known of earlier days is taken to hold from then on.",
        )
    places: dict[str, int] = {}
    for place, unit in enumerate(units):
        if unit.code in places:
            raise Invalid(
                f"The code {unit.code} stands already at units.{places[unit.code]}: both would be valid on the "
                "same days.",
                field=f"units.{place}.code",
                remedy="Leave one out. A code can mean another unit only from the first day of another edition.",
            )
        places[unit.code] = place
    for place, unit in enumerate(units):
        if unit.parent_code is not None and unit.parent_code not in places:
            raise Invalid(
                f"{unit.name} ({unit.code}) is below {unit.parent_code}, which isn't in this tree.",
                field=f"units.{place}.parent_code",
                remedy="Send the whole tree, parents too; a province has the parent null.",
            )
    _refuse_cycles(units, places)
    for place, unit in enumerate(units):
        above = None if unit.parent_code is None else units[places[unit.parent_code]]
        if (above is None) != (unit.level == LEVELS[0]) or (
            above is not None and LEVELS.index(above.level) >= LEVELS.index(unit.level)
        ):
            raise Invalid(
                f"{unit.name} ({unit.code}) is a {unit.level} below "
                + ("nothing." if above is None else f"the {above.level} {above.name}."),
                field=f"units.{place}.level",
                remedy="Levels go down: province, district, commune; any but the first may be left out.",
            )
    return {
        unit.code: msgspec.convert(
            {
                "from_day": from_day,
                "until_day": None,
                "parent": unit.parent_code,
                "level": unit.level,
                "name": unit.name,
            },
            UnitSpan,
        )
        for unit in units
    }


def _refuse_cycles(units: Sequence[SentUnit], places: dict[str, int]) -> None:
    # Whoever was found to end at the top once need not be walked up again.
    good: set[str] = set()
    for unit in units:
        way: list[str] = []
        step: str | None = unit.code
        while step is not None and step not in good:
            if step in way:
                ring = [*way[way.index(step) :], step]
                raise Invalid(
                    f"These units stand above each other in a ring: {' below '.join(ring)}.",
                    field=f"units.{places[step]}.parent_code",
                    remedy="Give one of them a parent outside the ring.",
                )
            way.append(step)
            step = units[places[step]].parent_code
        good.update(way)


def difference(old: Tree, new: Tree) -> Difference:
    """What is another in the new tree."""
    both = sorted(old.units.keys() & new.units.keys())
    return Difference(
        added=sorted(new.units.keys() - old.units.keys()),
        gone=sorted(old.units.keys() - new.units.keys()),
        renamed=[code for code in both if old.units[code].name != new.units[code].name],
        moved=[code for code in both if old.units[code].parent != new.units[code].parent],
    )

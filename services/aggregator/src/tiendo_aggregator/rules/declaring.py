"""Who declares: part of a plan. Communes without records with us report their counts by hand, each day by an hour."""

from collections.abc import Collection
from datetime import date, datetime, time

import msgspec

from tiendo_common.errors import Invalid


class Declaring(msgspec.Struct, frozen=True, kw_only=True):
    """Part of a plan: the communes (of its first day) that report by declaring, and the local time of the day before
    which its counts are due."""

    cut_off: time
    units: tuple[str, ...]

    def due(self, day: date) -> datetime:
        """The local time of day from which on the counts of a day are late."""
        return datetime.combine(day, self.cut_off)


def check_declaring(declaring: Declaring, communes: Collection[str], first_day: date) -> None:
    """Raise Invalid, naming the field, unless these are some of the campaign's communes, each once."""
    if not declaring.units:
        raise Invalid(
            "No commune is named that would declare.",
            field="declaring.units",
            remedy="Name those without records, or leave declaring out.",
        )
    seen: set[str] = set()
    for place, unit in enumerate(declaring.units):
        if unit not in communes:
            raise Invalid(
                f"{unit} is no commune of the province on {first_day}.",
                field=f"declaring.units.{place}",
                remedy=f"GET /v1/units?as_of={first_day} tells the units of that day.",
            )
        if unit in seen:
            raise Invalid(
                f"{unit} is named twice.", field=f"declaring.units.{place}", remedy="Name each commune once."
            )
        seen.add(unit)

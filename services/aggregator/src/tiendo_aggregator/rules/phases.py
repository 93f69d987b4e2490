"""Phases: spans of a campaign's days that have a name.

A phase has no targets of its own kind: its targets are those of the plan that are due on its last day. What was reached
before it is where it begins.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import Literal

import msgspec

from tiendo_common.errors import Invalid

#: Where a day finds a phase.
PhaseState = Literal["to_come", "running", "over"]


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    """A span of days, both included. `name` is what officers call it, `name_en` what others may."""

    id: str
    name: str
    first_day: date
    last_day: date
    name_en: str | None = None

    @property
    def eve(self) -> date:
        """The day at whose end it begins."""
        return self.first_day - timedelta(days=1)

    def state(self, today: date) -> PhaseState:
        if today < self.first_day:
            return "to_come"
        return "running" if today <= self.last_day else "over"


def check_phases(phases: Sequence[Phase], first_day: date, last_day: date) -> None:
    """Raise Invalid, naming the field, unless each phase is some of the campaign's days, and no day is in two. Days may
    be in none."""
    for place, phase in enumerate(phases):
        field = f"phases.{place}"
        if not first_day <= phase.first_day <= phase.last_day <= last_day:
            raise Invalid(
                f"{phase.first_day} to {phase.last_day} are not days of the campaign, one after the other.",
                field=f"{field}.first_day" if phase.first_day < first_day else f"{field}.last_day",
                remedy=f"Send days from {first_day} to {last_day}, first_day first.",
            )
        for other in phases[:place]:
            if other.id == phase.id:
                raise Invalid(
                    f"Two phases are called {phase.id!r}.",
                    field=f"{field}.id",
                    remedy="Give each its own id.",
                )
            if phase.first_day <= other.last_day and other.first_day <= phase.last_day:
                raise Invalid(
                    f"The phases {other.id!r} and {phase.id!r} share days: {max(phase.first_day, other.first_day)} is "
                    "in both.",
                    field=f"{field}.first_day",
                    remedy="Let one begin after the other ends; what runs beside a campaign is a campaign of its own.",
                )

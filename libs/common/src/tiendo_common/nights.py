"""Nights belong to the day before them, where whoever works says so. Pure; times are local, without an offset.

Who works past midnight ends a working day, and does not begin one. Only the sender knows its shifts: a line may name
the working day of what it tells. Only the plan knows when a campaign's day is to be judged: its days may end after
midnight.
"""

from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from tiendo_common.errors import Invalid

#: Up to this hour the night goes on that began the evening before.
NIGHT_ENDS = time(6)
_ONE_DAY = timedelta(days=1)


def check_working_day(working_day: date, at: datetime) -> None:
    """Raise Invalid unless what was done at this local time can belong to the working day: it is its date, or the date
    before it while the night goes on."""
    day, is_night = at.date(), at.time() < NIGHT_ENDS
    if working_day == day or (is_night and working_day == day - _ONE_DAY):
        return
    raise Invalid(
        f"What was done on {day} at {at:%H:%M} is not of the working day {working_day}.",
        field="working_day",
        remedy=f"Send {day - _ONE_DAY} if the shift began on that evening, else {day} or nothing."
        if is_night
        else f"Send {day}, or nothing: only what was done before {NIGHT_ENDS:%H:%M} can be of the day before.",
    )


@dataclass(frozen=True, slots=True)
class DayEnd:
    """When a campaign's days end: at the hour `cut_off` of their date, or `after_midnight` at that of the following."""

    cut_off: time
    after_midnight: bool = False

    @property
    def later(self) -> timedelta:
        """How long after its own date the date is on which a day ends."""
        return _ONE_DAY if self.after_midnight else timedelta()

    def of(self, day: date) -> datetime:
        """The local time at which the count of a day is final."""
        return datetime.combine(day + self.later, self.cut_off)

    def last_over(self, at: datetime) -> date:
        """The last day whose cut-off has been reached at this local time."""
        day = at.date() if at.time() >= self.cut_off else at.date() - _ONE_DAY
        return day - self.later

    def going_on(self, at: datetime) -> date:
        """The day that goes on at this local time: its date, or the day before it, which has not ended yet."""
        return self.last_over(at) + _ONE_DAY if self.after_midnight else at.date()


def check_day_end(end: DayEnd) -> None:
    """Raise Invalid, naming the field, for days that would end after the night is over, or as they begin."""
    if end.after_midnight and end.cut_off > NIGHT_ENDS:
        raise Invalid(
            f"Days that end after midnight end by {NIGHT_ENDS:%H:%M}, not at {end.cut_off:%H:%M}.",
            field="day_cut_off",
            remedy=f"Send an hour up to {NIGHT_ENDS:%H:%M}, or days_end_after_midnight false.",
        )
    if not end.after_midnight and end.cut_off == time.min:
        raise Invalid(
            "At 00:00 of its own date a day begins: it would be final without its work.",
            field="day_cut_off",
            remedy="Send days_end_after_midnight true, too, for the midnight on which it ends; or 23:59.",
        )

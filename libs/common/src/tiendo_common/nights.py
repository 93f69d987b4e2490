"""Nights belong to the day before them, where whoever works says so. Pure; times are local, without an offset.

Who works past midnight ends a working day, and does not begin one. Only the sender knows its shifts: a line may name
the working day of what it tells.
"""

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

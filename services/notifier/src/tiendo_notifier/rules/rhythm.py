"""The working rhythm: when people work, when they are left alone, when they are told all at once, and when the level
above is told because nobody took it on.

Times are local (Asia/Ho_Chi_Minh), without an offset. Spans are written 07:00-20:00; one that ends before it begins
goes past midnight. Days to which the plan gives no work are no working days, whatever the shifts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from typing import Literal

from tiendo_common.errors import Invalid
from tiendo_common.nights import NIGHT_ENDS

#: Work is looked for so far ahead, and no further: a campaign's longest rest is Tết.
FAR = 60
Works = Callable[[date], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rhythm:
    """What is set for a campaign or a unit. `escalate_*`: an incident of that severity that nobody has acknowledged is
    told one level up, again at each step: where units report `daily`, when the working day after the news is over;
    where they are `live`, after so many minutes of working time."""

    shifts: tuple[str, ...] = ("07:00-20:00",)
    quiet: str | None = "21:30-06:30"
    digests: tuple[str, ...] = ("07:30", "11:30", "16:30", "20:00")
    reports: Literal["daily", "live"] = "daily"
    escalate_from: Literal["notice", "warning", "critical", "never"] = "critical"
    escalate_minutes: int = 30


DEFAULT_RHYTHM = Rhythm()


def check_rhythm(rhythm: Rhythm, *, where: str) -> None:
    """Raise Invalid, naming the field, unless somebody works, is told, and is left alone for less than a day."""
    for name, spans in (("shifts", rhythm.shifts), ("quiet", (rhythm.quiet,) if rhythm.quiet else ())):
        for span in spans:
            begin, end = _span(span, f"rhythm.{name}")
            if begin == end:
                raise Invalid(
                    f"{span} is no time at all, or all of it ({where}).",
                    field=f"rhythm.{name}",
                    remedy="Let it end at another time than it begins.",
                )
    if not rhythm.shifts:
        raise Invalid(
            f"Nobody would ever work ({where}).",
            field="rhythm.shifts",
            remedy="Send 07:00-20:00, for example.",
        )
    if not rhythm.digests:
        raise Invalid(
            f"Nobody would ever get a digest ({where}).",
            field="rhythm.digests",
            remedy="Send times, 07:30 for example; or let destinations be told of each alert by itself.",
        )
    for at in rhythm.digests:
        if is_quiet(rhythm, datetime.combine(date(2000, 1, 1), _time(at, "rhythm.digests"))):
            raise Invalid(
                f"The digest at {at} falls into the quiet hours, {rhythm.quiet} ({where}).",
                field="rhythm.digests",
                remedy="Move one of them.",
            )
    if not 1 <= rhythm.escalate_minutes <= 10_000:
        raise Invalid(
            f"{rhythm.escalate_minutes} minutes are no step ({where}).",
            field="rhythm.escalate_minutes",
            remedy="Send 1 to 10000.",
        )


def is_quiet(rhythm: Rhythm, at: datetime) -> bool:
    """Whether people are left alone."""
    if rhythm.quiet is None:
        return False
    begin, end = _span(rhythm.quiet, "rhythm.quiet")
    now = at.time()
    return begin <= now < end if begin < end else now >= begin or now < end


def next_digest(rhythm: Rhythm, after: datetime) -> datetime:
    """When those who are told all at once hear next."""
    times = sorted(_time(each, "rhythm.digests") for each in rhythm.digests)
    for each in times:
        if each > after.time():
            return datetime.combine(after.date(), each)
    return datetime.combine(after.date() + timedelta(days=1), times[0])


def next_step(rhythm: Rhythm, told: datetime, works: Works) -> datetime | None:
    """When the level above is told, had nobody acknowledged by then; None: no work is in sight."""
    if rhythm.reports == "live":
        return after_working_time(rhythm, told, timedelta(minutes=rhythm.escalate_minutes), works)
    # News of the night is of the day before: those who work on the morning after have that day.
    day = told.date() - timedelta(days=1) if told.time() < NIGHT_ENDS else told.date()
    for n in range(1, FAR):
        if works(day + timedelta(days=n)):
            return max(end for _, end in _shifts(rhythm, day + timedelta(days=n)))
    return None


def after_working_time(rhythm: Rhythm, begin: datetime, length: timedelta, works: Works) -> datetime | None:
    """The instant at which `length` of working time has passed since `begin`; None: no work is in sight."""
    for start, end in _working(rhythm, begin.date(), works):
        start = max(start, begin)
        if start >= end:
            continue
        if end - start >= length:
            return start + length
        length -= end - start
    return None


def worked(rhythm: Rhythm, begin: datetime, end: datetime, works: Works) -> timedelta:
    """How much working time lies between two instants; shifts that overlap count once."""
    total, done = timedelta(), begin
    for start, stop in _working(rhythm, begin.date(), works):
        if start >= end:
            break
        start, stop = max(start, done), min(stop, end)
        if start < stop:
            total += stop - start
            done = stop
    return total


def day_length(rhythm: Rhythm) -> timedelta:
    """How much working time a working day has."""
    day = datetime.combine(date(2000, 1, 2), time())  # any day: nobody asks which it was
    return worked(rhythm, day, day + timedelta(days=2), lambda each: each == day.date())


def is_working(rhythm: Rhythm, at: datetime, works: Works) -> bool:
    """Whether people work at this instant."""
    return worked(rhythm, at, at + timedelta(microseconds=1), works) > timedelta()


def _working(rhythm: Rhythm, day: date, works: Works) -> Iterator[tuple[datetime, datetime]]:
    """The shifts of working days, from that of the evening before `day` on."""
    for n in range(-1, FAR):
        each = day + timedelta(days=n)
        if works(each):
            yield from sorted(_shifts(rhythm, each))


def _shifts(rhythm: Rhythm, day: date) -> list[tuple[datetime, datetime]]:
    found = []
    for span in rhythm.shifts:
        begin, end = _span(span, "rhythm.shifts")
        last = day if begin < end else day + timedelta(days=1)
        found.append((datetime.combine(day, begin), datetime.combine(last, end)))
    return found


def _span(text: str, field: str) -> tuple[time, time]:
    begin, _, end = text.partition("-")
    return _time(begin, field), _time(end, field)


def _time(text: str, field: str) -> time:
    try:
        hour, minute = text.split(":")
        if not (len(hour) == len(minute) == 2 and text.isascii()):
            raise ValueError
        return time(int(hour), int(minute))
    except ValueError:
        raise Invalid(
            f"{text!r} is no time of day.", field=field, remedy="Write 07:30; a span is written 07:00-20:00."
        ) from None

"""Re-checks of a campaign file: rounds over the population data of its communes."""

from collections.abc import Callable
from datetime import date, timedelta

from tiendo.replay.campaigns.table import Table
from tiendo.replay.measures import tellers_of
from tiendo.replay.rechecks import LEVELS, Recheck, Round
from tiendo.replay.units import Units

_WHYS = ("wrong", "missing", "double", "gone")


def read_rechecks(
    facts: Table,
    assumptions: Table,
    units: Units,
    province: str,
    days: tuple[date, date],
    assume: Callable[[Table], None],
) -> tuple[Recheck, ...]:
    """Take the re-checks out of both sections: who and how many are published, on which days and what was corrected is
    assumed. `days`: the first that a round may have, and the last. Raises CampaignFileError."""
    assumed = assumptions.table("rechecks")
    found: list[Recheck] = []
    for table in facts.tables("rechecks"):
        id_ = table.get("id", str)
        levels = table.get("levels", list)
        if not levels or levels != [level for level in LEVELS if level in levels]:
            raise table.error(
                "levels", "aren't some of the levels in their order", f"Use: {', '.join(LEVELS)}."
            )
        communes = tellers_of(units, province, table.one_of("units", ("communes", "rural_communes")))
        done, of = table.number("done"), table.number("of")
        if of != len(communes):
            raise table.error(
                "of", f"is {of}, and there are {len(communes)}", "Choose other units, or correct it."
            )
        if done > of:
            raise table.error("done", f"{done} is more than the {of}", "Correct one of them.")
        guess = assumed.table(id_, needed=True)
        assume(guess)
        rounds = _rounds(guess, levels, days)
        corrections = guess.table("corrections")
        corrected = {why: corrections.number(why) for why in _WHYS if corrections.has(why)}
        corrections.done()
        guess.done()
        found.append(
            Recheck(
                id=id_,
                text=table.get("text", str),
                text_vi=table.get("text_vi", str),
                name=table.get("name", str),
                rounds=rounds,
                units=tuple(communes),
                done=done,
                corrected=corrected,
            )
        )
        table.done()
    for name in assumed.names():
        raise assumed.error(name, "is no re-check of this file", "Correct its spelling or take it out.")
    return tuple(found)


def _rounds(guess: Table, levels: list[str], days: tuple[date, date]) -> tuple[Round, ...]:
    """One after the other, each to its last day."""
    ends = guess.get("last_days", list)
    first, last = days
    starts = [first, *(end + timedelta(1) for end in ends if type(end) is date)][: len(ends)]
    if (
        len(ends) != len(levels)
        or len(starts) != len(ends)
        or any(end < start for start, end in zip(starts, ends, strict=True))
        or ends[-1] > last
    ):
        raise guess.error(
            "last_days",
            f"aren't {len(levels)} days one after the other from {first} to {last}",
            "Give each level's round its last day.",
        )
    return tuple(Round(level, start, end) for level, start, end in zip(levels, starts, ends, strict=True))

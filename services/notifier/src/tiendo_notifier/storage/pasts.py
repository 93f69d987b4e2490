"""What closings said, a row a day: what was said of late is read for a judgement, and what is new is added."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

import msgspec

from tiendo_common.eventlog.port import Connection
from tiendo_notifier.rules.past import Day, Past, Revision
from tiendo_notifier.rules.shares import Tallies, TallyDay
from tiendo_notifier.storage.judging import Key

#: So many days of each key are read, and of one that idles as many from before it did: what is usual is that of 14
#: working days, whatever rest days are among them.
LATELY = 28
#: Keys whose pasts are read by one statement.
_AT_ONCE = 250
#: After each day that there can be.
_EVER = 2**31 - 1

_tally_decoder = msgspec.json.Decoder(dict[str, int])

_DAY = "number, reached, done, baseline, final, high, target, idle_from, tally::text"
_OF = "(day.campaign, day.unit, day.indicator) = (asked.campaign, asked.unit, asked.indicator)"


class Said(NamedTuple):
    """What a closing said of a day, to be kept."""

    key: Key
    of: Day | TallyDay


class Late(NamedTuple):
    """What a closing said anew of an earlier day, to be kept."""

    key: Key
    revision: Revision


async def lately(connection: Connection, asked: Mapping[Key, int]) -> dict[Key, Past | Tallies]:
    """What was said last of these keys, of each before the day of that number."""
    return await _read(connection, asked, LATELY)


async def last_of(connection: Connection, asked: Mapping[Key, int]) -> dict[Key, Past | Tallies]:
    """Likewise the last day alone."""
    return await _read(connection, asked, 1)


async def whole(connection: Connection, asked: Mapping[Key, int]) -> dict[Key, Past | Tallies]:
    """All that was said of these keys, of each before the day of that number."""
    return await _read(connection, asked, None)


async def on_record(connection: Connection, campaign: str) -> dict[Key, Past | Tallies]:
    """All that closings said of each target, and of all else that is judged by them."""
    rows = await connection.fetch(
        "SELECT campaign, unit, indicator FROM standing WHERE campaign = $1 AND indicator NOT IN ('report', 'live')",
        campaign,
    )
    return await whole(connection, {Key(*row): _EVER for row in rows})


async def write(connection: Connection, said: Sequence[Said], late: Sequence[Late]) -> None:
    """Add what closings said. A second word on a day is refused by the database."""
    if said:
        await connection.copy_records_to_table(
            "told_day",
            records=[(*each.key, *_columns(each.of)) for each in said],
            columns=[
                *Key._fields,
                *("number", "reached", "done", "baseline", "final", "high", "target", "idle_from", "tally"),
            ],
        )
    if late:
        await connection.copy_records_to_table(
            "told_revision",
            records=[(*each.key, *each.revision) for each in late],
            columns=[*Key._fields, *Revision._fields],
        )


def _columns(of: Day | TallyDay) -> tuple[object, ...]:
    if isinstance(of, Day):
        final, high = of.expected or (None, None)
        return (*of[:4], final, high, of.target, of.idle_from, None)
    return (of.number, *[None] * 7, msgspec.json.encode(of.tally).decode())


async def _read(
    connection: Connection, asked: Mapping[Key, int], most: int | None
) -> dict[Key, Past | Tallies]:
    """The newest days of each, `most` of them (None: all), and as many from before it idles."""
    pasts: dict[Key, Past | Tallies] = {}
    for some in _parts(asked.items(), _AT_ONCE):
        found: dict[Key, list[Day | TallyDay]] = {}
        keys = [key for key, _ in some]
        columns = [list(column) for column in zip(*keys, strict=True)]
        for place, *row in await connection.fetch(
            "SELECT place, day.* FROM unnest($1::text[], $2::text[], $3::text[], $4::int[]) "  # noqa: S608
            "WITH ORDINALITY AS asked (campaign, unit, indicator, before, place), LATERAL ("
            f"WITH near AS (SELECT {_DAY} FROM told_day AS day WHERE {_OF} AND number < before "
            "ORDER BY number DESC LIMIT $5), "
            "idle AS (SELECT idle_from AS since, (SELECT min(number) FROM near) AS oldest "
            "FROM near ORDER BY number DESC LIMIT 1) "
            f"SELECT * FROM near UNION ALL (SELECT {_DAY} FROM told_day AS day WHERE {_OF} "
            "AND number < (SELECT least(since, oldest) FROM idle WHERE since IS NOT NULL) ORDER BY number DESC "
            "LIMIT (SELECT greatest(0, $5 - greatest(0, since - oldest)) FROM idle))"
            ") AS day ORDER BY place, number",
            *columns,
            [number for _, number in some],
            most,
        ):
            found.setdefault(keys[place - 1], []).append(_day(row))
        late = await _late(connection, {key: days[0].number for key, days in found.items()}) if found else {}
        for key, days in found.items():
            pasts[key] = _past(days, late.get(key, []), whole=most is None or len(days) < most)
    return pasts


async def _late(connection: Connection, since: Mapping[Key, int]) -> dict[Key, list[Revision]]:
    """What was said anew since the day of that number or later, in the order in which it was: all of days that are no
    older is among it."""
    found: dict[Key, list[Revision]] = {}
    keys = list(since)
    for place, *row in await connection.fetch(
        "SELECT place, by, day.number, reached, baseline, done "  # noqa: S608
        "FROM unnest($1::text[], $2::text[], $3::text[], $4::int[]) "
        "WITH ORDINALITY AS asked (campaign, unit, indicator, since, place) "
        f"JOIN told_revision AS day ON {_OF} AND by >= since ORDER BY place, id",
        *[list(column) for column in zip(*keys, strict=True)],
        list(since.values()),
    ):
        found.setdefault(keys[place - 1], []).append(Revision(*row))
    return found


def _day(row: Sequence[Any]) -> Day | TallyDay:
    number, reached, done, baseline, final, high, target, idle_from, tally = row
    if tally is not None:
        return TallyDay(number, _tally_decoder.decode(tally))
    expected = None if final is None else (final, high)
    return Day(number, reached, done, baseline, expected, target, idle_from)


def _past(days: Sequence[Day | TallyDay], late: Sequence[Revision], *, whole: bool) -> Past | Tallies:
    tallies = [each for each in days if isinstance(each, TallyDay)]
    if tallies:
        return Tallies(tallies, whole)
    return Past([each for each in days if isinstance(each, Day)], late, whole)


def _parts(items: Iterable[tuple[Key, int]], size: int) -> Iterator[list[tuple[Key, int]]]:
    rest = iter(items)
    while some := list(islice(rest, size)):
        yield some

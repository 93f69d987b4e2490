"""What happens to some citizens, what must be counted of it, and the tallies of it; an aggregator that counts."""

import contextlib
import random
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import asyncpg
import msgspec

from tests.support.aggregator import (
    Producers,
    RunningAggregator,
    aggregator,
    producers,
    restated,
    segment,
)
from tests.support.postgres import Database
from tiendo_aggregator.rules.counting import ATTRIBUTIONS, INDICATORS
from tiendo_common.clock import VIETNAM
from tiendo_common.eventlog.port import NewEvent
from tiendo_common.events.restatements import (
    AccountRestated,
    ApprovalRestated,
    Channel,
    Cohort,
    IntakeRestated,
    Segment,
    deltas,
)
from tiendo_common.events.state import Indicator

D = date(2023, 11, 11)
EVENING = datetime(2023, 12, 30, 20, tzinfo=VIETNAM)
COMMUNES = ("23281", "23284", "23427", "23521")
OUTSIDE = "00001"  # of another province
TOPIC_INDICATOR: dict[str, Indicator] = {
    "intake": "intake",
    "approval": "approved",
    "activation": "activated",
}

Cells = Counter[tuple[str, str, str, int, date]]
#: The same, then dimension and value.
Parts = Counter[tuple[str, str, str, int, date, str, str]]
#: Ways to come, groups to be in, and who did it.
CHANNELS: tuple[Channel, ...] = get_args(Channel)
GROUPS: tuple[tuple[Cohort, ...], ...] = ((), ("elderly",), ("elderly", "workers"), ("students",))
TEAMS = (None, "Tổ 1", "Tổ 2")
#: Sessions of ours that keep a snapshot while they do nothing. A consumer between two statements keeps none.
HELD = (
    "FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user "
    "AND state = 'idle in transaction' AND backend_xmin IS NOT NULL"
)


def lives(number: int, seed: int = 1) -> list[NewEvent]:
    """What happens to some citizens: taken, some upgraded or voided, some approved and activated."""
    rng = random.Random(seed)
    events: list[NewEvent] = []
    for _ in range(number):
        day = D + timedelta(rng.randrange(20))
        home = rng.choice((*COMMUNES, OUTSIDE))
        taken = segment(
            day,
            home,
            level=rng.choice((1, 2)),
            collecting=rng.choice(COMMUNES),
            channel=rng.choice(CHANNELS),
            cohorts=rng.choice(GROUPS),
            team=rng.choice(TEAMS),
        )
        state: list[Segment] = [taken]
        events.append(restated("intake", state, known=day))
        if rng.random() < 0.2:
            later = day + timedelta(3)
            until = msgspec.structs.replace(taken, until_day=later)
            state = [until, msgspec.structs.replace(taken, from_day=later, level=2)]
            events.append(restated("intake", state, [taken], known=later + timedelta(1)))
        if rng.random() < 0.1:
            events.append(restated("intake", [], state, known=day + timedelta(9)))
        elif rng.random() < 0.7:
            # Some as builds before told it.
            since = day if rng.random() < 0.8 else msgspec.UNSET
            state = [msgspec.structs.replace(each, since=since) for each in state]
            events.append(restated("approved", state, known=day + timedelta(4)))
            events.append(restated("activated", state, known=day + timedelta(5)))
    return events


def counted(events: Sequence[NewEvent]) -> Cells:
    """What must come out, by another road than the service's: segment by segment."""
    cells: Cells = Counter()
    for new in events:
        event = new.event
        assert isinstance(event, IntakeRestated | ApprovalRestated | AccountRestated)
        for sign, segments in ((1, event.data.after), (-1, event.data.before)):
            for day, n, each in deltas(segments):
                for attribution, unit in (("residence", each.residence), ("collecting", each.collecting)):
                    cells[TOPIC_INDICATOR[new.topic], attribution, unit, each.level, day] += sign * n
    return Counter({cell: n for cell, n in cells.items() if n})


def counted_parts(events: Sequence[NewEvent]) -> Parts:
    """Likewise by channel and by cohort, and by the team that did the work; and of whom is approved or activated, since
    when."""
    parts: Parts = Counter()
    for new in events:
        event = new.event
        assert isinstance(event, IntakeRestated | ApprovalRestated | AccountRestated)
        for sign, segments in ((1, event.data.after), (-1, event.data.before)):
            for day, n, each in deltas(segments):
                said = [("channel", str(each.channel)), *(("cohort", str(cohort)) for cohort in each.cohorts)]
                for attribution, unit in (("residence", each.residence), ("collecting", each.collecting)):
                    for dimension, value in said:
                        cell = TOPIC_INDICATOR[new.topic], attribution, unit, each.level, day
                        parts[*cell, dimension, value] += sign * n
                if each.team is not None:
                    of_unit = TOPIC_INDICATOR[new.topic], "collecting", each.collecting, each.level, day
                    parts[*of_unit, "team", each.team] += sign * n
                if passage := {"approval": "decided", "activation": "in_time"}.get(new.topic):
                    since = each.since.isoformat() if isinstance(each.since, date) else "unknown"
                    whatever_level = TOPIC_INDICATOR[new.topic], "residence", each.residence, 0, day
                    parts[*whatever_level, passage, since] += sign * n
    return Counter({part: n for part, n in parts.items() if n})


async def totals(database: Database) -> Cells:
    """The table, whenever its facts became known."""
    connection = await asyncpg.connect(database.dsn("aggregator"))
    try:
        rows = await connection.fetch(
            "SELECT indicator, attribution, unit, level, day, sum(n) FROM total "
            "GROUP BY 1, 2, 3, 4, 5 HAVING sum(n) <> 0"
        )
    finally:
        await connection.close()
    return Counter(
        {(INDICATORS[row[0]], ATTRIBUTIONS[row[1]], row[2], row[3], row[4]): row[5] for row in rows}
    )


async def tallies(
    feed: Producers, events: Sequence[NewEvent], *, breakdowns: bool = False, teams: bool = True
) -> list[dict[str, Any]]:
    """The tallies that the producers' records would give for these events, at their logs' heads now. `teams` False: as
    a build before did, which counted no work by team."""
    heads = await feed.heads()
    cells: Cells | Parts = counted_parts(events) if breakdowns else counted(events)
    return [
        {
            "service": service,
            "heads": {topic: heads[topic] for topic in topics},
            "breakdowns": breakdowns,
            **({"teams": True} if breakdowns and teams else {}),
            "cells": [
                [*cell[:4], cell[4].isoformat(), n, *cell[5:]]
                for cell, n in cells.items()
                if cell[0] in {TOPIC_INDICATOR[topic] for topic in topics}
                and (teams or "team" not in cell[5:])
            ],
        }
        for service, topics in (("intake", ("intake", "approval")), ("activation", ("activation",)))
    ]


async def reconcile(
    service: RunningAggregator, sent: list[dict[str, Any]], **span: str | None
) -> dict[str, Any]:
    answer = await service.client.post(
        "/v1/reconciliations", json={"campaign": "kon-tum-2023", "tallies": sent, **span}
    )
    assert answer.status_code == 200, answer.text
    verdict: dict[str, Any] = answer.json()
    return verdict


@contextlib.asynccontextmanager
async def started(
    database: Database, folder: Path, *, counts: str = "all"
) -> AsyncIterator[tuple[RunningAggregator, Producers]]:
    """An aggregator on the evening of the campaign's last day, with the campaign's plan."""
    async with producers(database) as feed, aggregator(database, folder, counts=counts) as service:
        await service.move_clock(EVENING)
        await feed.complete_to(EVENING)
        await service.put_plan()
        yield service, feed


@contextlib.asynccontextmanager
async def counting(
    database: Database, folder: Path, events: Sequence[NewEvent]
) -> AsyncIterator[tuple[RunningAggregator, Producers]]:
    """The same, and these events are counted."""
    async with started(database, folder) as (service, feed):
        await feed.append(events)
        await service.drain(feed)
        yield service, feed

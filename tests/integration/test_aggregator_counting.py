"""Counters in a real database: fed by the producers' logs, stopped, started again, proven."""

import asyncio
import contextlib
import itertools
import os
import random
import signal
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any, get_args

import asyncpg
import msgspec
import pytest

from tests.support.aggregator import (
    DATA,
    Producers,
    RunningAggregator,
    aggregator,
    eventually,
    producers,
    restated,
    segment,
)
from tests.support.postgres import Database, PostgresServer, make_database, scratch_folder
from tiendo_aggregator.rules.counting import ATTRIBUTIONS, INDICATORS
from tiendo_aggregator.rules.units import Gazetteer, merge_editions
from tiendo_aggregator.storage.facts import read_editions
from tiendo_aggregator.use_cases import reconciliation
from tiendo_common.clock import VIETNAM
from tiendo_common.database.embedded.server import EmbeddedPostgres
from tiendo_common.eventlog.port import NewEvent
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.envelope import encode
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

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

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
#: Sessions of ours that hold a snapshot.
HELD = "FROM pg_stat_activity WHERE usename = current_user AND state = 'idle in transaction'"


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
async def started(database: Database, folder: Path) -> AsyncIterator[tuple[RunningAggregator, Producers]]:
    """An aggregator on the evening of the campaign's last day, with the campaign's plan."""
    async with producers(database) as feed, aggregator(database, folder) as service:
        await service.move_clock(EVENING)
        await feed.complete_to(EVENING)
        await service.put_plan()
        yield service, feed


async def test_every_event_is_counted_once(database: Database, tmp_path: Path) -> None:
    events = lives(1500)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events[:2000])
        await feed.append(events[2000:])
        await service.drain(feed)
        assert await totals(database) == counted(events)
        by_channel = await service.kit.pool.fetchval("SELECT sum(n) FROM breakdown WHERE dimension = 0")
        assert by_channel == counted(events).total()


async def test_an_instance_of_the_build_with_two_readings_counts_its_log_anew(
    database: Database, tmp_path: Path
) -> None:
    """And no replica of that build counts beside it."""
    events = lives(300)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events)
        await service.drain(feed)
        assert await totals(database) == counted(events)
    work = "SELECT * FROM team_counter ORDER BY collecting, team, day, known_day, indicator, level"
    connection = await asyncpg.connect(database.dsn("aggregator"))
    try:
        by_team = await connection.fetch(work)
        assert by_team
        # As it was: the teams are behind, and nothing was known of waits.
        await connection.execute(
            """
            UPDATE alembic_version SET version_num = '20261129_0072_contests';
            ALTER TABLE consumer_position DROP CONSTRAINT consumer_position_one_reading;
            ALTER TABLE consumer_position ADD CONSTRAINT consumer_position_one_reading
                CHECK (consumer NOT IN ('totals', 'breakdowns'));
            UPDATE consumer_position SET consumer = 'counters' WHERE consumer = 'counting';
            INSERT INTO consumer_position (consumer, topic, partition)
                SELECT 'teams', topic, partition FROM consumer_position WHERE consumer = 'counters';
            TRUNCATE waited, team_counter;
            -- What came later.
            ALTER TABLE campaign DROP COLUMN parent, DROP COLUMN units, DROP COLUMN days_end_after_midnight;
            DROP TABLE fault;
            DROP TABLE hamlet_list_row, hamlet_list, hamlet_span;
            ALTER TABLE reorganisation DROP COLUMN by_hamlet
            """
        )
        async with producers(database) as feed, aggregator(database, tmp_path) as service:
            await service.drain(feed)
            assert await totals(database) == counted(events)
            assert await connection.fetch(work) == by_team
            assert await connection.fetchval("SELECT count(*) FROM waited") > 0
            assert set(await service.positions()) == {"counting"}
            for before in ("counters", "teams"):
                with pytest.raises(asyncpg.CheckViolationError):
                    await connection.execute(
                        "INSERT INTO consumer_position (consumer, topic, partition) VALUES ($1, 'intake', 0)",
                        before,
                    )
    finally:
        await connection.close()


async def test_a_restart_in_between_loses_and_repeats_nothing(database: Database, tmp_path: Path) -> None:
    events = lives(3000)
    middle = len(events) // 2
    async with producers(database) as feed:
        await feed.append(events[:middle])
        async with aggregator(database, tmp_path) as service:

            async def some_counted() -> bool:
                return bool(await totals(database))

            await eventually(some_counted)  # then it is stopped, wherever it is
        await feed.append(events[middle:])
        async with aggregator(database, tmp_path) as service:
            await service.drain(feed)
        assert await totals(database) == counted(events)


async def test_two_replicas_share_the_work_and_count_once(database: Database, tmp_path: Path) -> None:
    events = lives(2000)
    async with (
        producers(database) as feed,
        aggregator(database, tmp_path) as one,
        aggregator(database, tmp_path),
    ):
        for start in range(0, len(events), 500):
            await feed.append(events[start : start + 500])
        await one.drain(feed)
        assert await totals(database) == counted(events)


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A durable server that a test may kill."""
    with scratch_folder() as folder:
        launcher = EmbeddedPostgres(folder / "postgres")
        try:
            yield PostgresServer(launcher, launcher.start())
        finally:
            launcher.stop()


@pytest.fixture
def own_database(own_server: PostgresServer) -> Iterator[Database]:
    with make_database(own_server) as fresh:
        yield fresh


async def test_a_killed_database_costs_no_count(
    own_server: PostgresServer, own_database: Database, tmp_path: Path
) -> None:
    events = lives(3000)
    pid = own_server.server.pid
    async with started(own_database, tmp_path) as (service, feed):
        await service.become_ready()
        for start in range(0, len(events), 2000):
            await feed.append(events[start : start + 2000])
            os.kill(pid, signal.SIGKILL)
            for path in ("/v1/campaigns/kon-tum-2023", "/v1/campaigns/kon-tum-2023/progress"):
                answer = await service.client.get(path)
                assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
            pid = (await asyncio.to_thread(own_server.launcher.start)).pid
            await feed.reconnect()
        await service.drain(feed)
        assert await totals(own_database) == counted(events)
        await service.become_ready()


async def test_an_unreadable_event_is_put_aside_and_the_rest_counted(
    database: Database, tmp_path: Path
) -> None:
    events = lives(50)
    async with started(database, tmp_path) as (service, feed):
        await feed.append_body("intake", 3, b'{"type": "vn.tiendo.intake.intake-restated.v1", "id": ')
        await feed.append_body("approval", 4, b'{"type": "com.example.something", "id": "1"}')
        await feed.append(events)
        await service.drain(feed)
        assert await totals(database) == counted(events)
        letters = await service.kit.pool.fetch(
            "SELECT topic, partition, seq FROM dead_letter WHERE consumer = 'counting' ORDER BY topic"
        )
        assert [tuple(row) for row in letters] == [("approval", 4, 1), ("intake", 3, 1)]
        await service.become_ready()


async def test_an_event_of_a_newer_contract_halts_and_says_so(database: Database, tmp_path: Path) -> None:
    async with started(database, tmp_path) as (service, feed):
        await service.become_ready()
        body = encode(restated("intake", [segment(D, "23281")], known=D).event)
        await feed.append_body("intake", 0, body.replace(b"intake-restated.v1", b"intake-restated.v2"))

        async def halted() -> bool:
            missing = (await service.client.get("/readyz")).json()["missing"]
            return len(missing) == 1 and "intake-restated.v2" in missing[0]

        await eventually(halted)
        assert not await totals(database)
        assert (await service.get("/v1/campaigns/kon-tum-2023/progress"))["units"][0]["code"] == "62"


async def test_counters_equal_the_records(database: Database, tmp_path: Path) -> None:
    events = lives(1000)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events)
        await service.drain(feed)
        verdict = await reconcile(service, await tallies(feed, events))
        assert (verdict["clean"], verdict["differing"], verdict["differing_count"]) == (True, [], 0)
        inside = Counter[str]()
        for (indicator, attribution, unit, _, _), n in counted(events).items():
            if attribution == "residence" and unit != OUTSIDE:
                inside[indicator] += n
        assert verdict["totals"] == dict(inside)


async def test_a_row_changed_by_hand_is_named(database: Database, tmp_path: Path) -> None:
    events = lives(300)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events)
        await service.drain(feed)
        await service.kit.pool.execute(
            "UPDATE counter SET n = n + 1 WHERE ctid = (SELECT ctid FROM counter "
            f"WHERE residence = '{OUTSIDE}' AND collecting = '23427' AND indicator = 0 AND n = 1 LIMIT 1)"
        )
        verdict = await reconcile(service, await tallies(feed, events))
        assert not verdict["clean"]
        assert verdict["differing_count"] == 1
        [row] = verdict["differing"]
        assert (row["indicator"], row["attribution"], row["unit"]) == ("intake", "collecting", "23427")
        assert row["unit_name"] == "Xã Đắk Rơ Nga"
        assert row["counters"] == row["records"] + 1


async def test_counters_ahead_of_the_tally_are_brought_back_to_it(database: Database, tmp_path: Path) -> None:
    events = lives(1000)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events[:1200])
        then = await tallies(feed, events[:1200])
        await feed.append(events[1200:])
        await service.drain(feed)
        assert (await reconcile(service, then))["clean"]


async def test_counters_behind_the_tally_are_brought_up_to_it(database: Database, tmp_path: Path) -> None:
    events = lives(1000)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events[:1200])
        await service.drain(feed)
        holder = await asyncpg.connect(database.dsn("aggregator"))
        try:
            async with holder.transaction():
                # The consumer can't move its positions, so it counts nothing for now.
                await holder.execute("SELECT FROM consumer_position FOR UPDATE")
                await feed.append(events[1200:])
                assert (await reconcile(service, await tallies(feed, events)))["clean"]
                assert await totals(database) == counted(events[:1200])
        finally:
            await holder.close()
        await service.drain(feed)
        assert await totals(database) == counted(events)


async def test_breakdowns_equal_the_records(database: Database, tmp_path: Path) -> None:
    events = lives(1000)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events)
        await service.drain(feed)
        totals_alone = await reconcile(service, await tallies(feed, events))
        verdict = await reconcile(service, await tallies(feed, events, breakdowns=True))
        assert (verdict["clean"], verdict["breakdowns"], totals_alone["breakdowns"]) == (True, True, False)
        assert verdict["totals"] == totals_alone["totals"]
        inside = [part for part in counted_parts(events) if part[2] != OUTSIDE]
        assert verdict["compared"] >= totals_alone["compared"] + len(inside)


@pytest.mark.parametrize("dimension", ["channel", "cohort"])
async def test_a_row_of_the_breakdowns_changed_by_hand_is_named(
    database: Database, tmp_path: Path, dimension: str
) -> None:
    events = lives(300)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events)
        await service.drain(feed)
        row = await service.kit.pool.fetchrow(
            "SELECT counter.ctid, day, level, value FROM counter "
            "JOIN breakdown USING (day, known_day, indicator, level) "
            "WHERE residence = $1 AND collecting = '23427' AND unit = $1 AND attribution = 0 "
            "AND indicator = 1 AND dimension = $2 LIMIT 1",
            OUTSIDE,
            ["channel", "cohort"].index(dimension),
        )
        assert row is not None
        count = f"{dimension}_{row['value']}"
        await service.kit.pool.execute(
            f"UPDATE counter SET {count} = {count} + 5 WHERE ctid = $1", row["ctid"]
        )
        assert (await reconcile(service, await tallies(feed, events)))["clean"]
        verdict = await reconcile(service, await tallies(feed, events, breakdowns=True))
        assert not verdict["clean"]
        [wrong] = verdict["differing"]
        assert (wrong["indicator"], wrong["attribution"], wrong["unit"]) == (
            "approved",
            "collecting",
            "23427",
        )
        assert (wrong["dimension"], wrong["value"]) == (dimension, row["value"])
        assert (wrong["day"], wrong["level"]) == (row["day"].isoformat(), row["level"])
        assert wrong["counters"] == wrong["records"] + 5


async def test_a_total_changed_by_hand_is_named_beside_sound_breakdowns(
    database: Database, tmp_path: Path
) -> None:
    events = lives(300)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events)
        await service.drain(feed)
        await service.kit.pool.execute(
            "UPDATE counter SET n = 0 WHERE ctid = (SELECT ctid FROM counter "
            f"WHERE residence = '{OUTSIDE}' AND collecting = '23427' AND n > 0 LIMIT 1)"
        )
        verdict = await reconcile(service, await tallies(feed, events, breakdowns=True))
        [wrong] = verdict["differing"]
        assert (wrong["unit"], wrong["dimension"], wrong["value"]) == ("23427", None, None)


async def test_a_teams_work_changed_by_hand_is_named_and_put_right_by_order(
    database: Database, tmp_path: Path
) -> None:
    events = lives(300)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events)
        await service.drain(feed)
        verdict = await reconcile(service, await tallies(feed, events, breakdowns=True))
        assert (verdict["clean"], verdict["teams"]) == (True, True)
        row = await service.kit.pool.fetchrow(
            "UPDATE team_counter SET n = n + 2 WHERE ctid = (SELECT min(ctid) FROM team_counter) "
            "RETURNING collecting, team, day, indicator, level"
        )
        assert row is not None
        verdict = await reconcile(service, await tallies(feed, events, breakdowns=True))
        [wrong] = verdict["differing"]
        assert (wrong["unit"], wrong["dimension"], wrong["value"]) == (row["collecting"], "team", row["team"])
        assert (wrong["day"], wrong["counters"] - wrong["records"]) == (row["day"].isoformat(), 2)
        assert verdict["checksum_records"] != verdict["checksum_counters"]
        [proof] = [
            each
            for each in (await service.get("/v1/reconciliations", campaign="kon-tum-2023"))["units"]
            if each["differing"]
        ]
        assert (proof["unit"], proof["days"]) == (row["collecting"], [row["day"].isoformat()])
        # A producer of a build before counts no teams: they are not compared, which is said, and all else is.
        before = await tallies(feed, events, breakdowns=True, teams=False)
        for sent in (before, [before[0], (await tallies(feed, events, breakdowns=True))[1]]):
            verdict = await reconcile(service, sent)
            assert (verdict["clean"], verdict["breakdowns"], verdict["teams"]) == (True, True, False)
        order = {"province": "62", "repair_because": "edited by hand"}
        answer = await service.client.post("/v1/rebuilds", json=order)
        assert answer.json()["repaired"]
        assert answer.json()["checksum_live"] != answer.json()["checksum_rebuilt"]
        verdict = await reconcile(service, await tallies(feed, events, breakdowns=True))
        assert (verdict["clean"], verdict["checksum_records"]) == (True, answer.json()["checksum_rebuilt"])


async def test_pieces_of_a_tally_come_to_the_same_as_the_whole(database: Database, tmp_path: Path) -> None:
    events = lives(600)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events)
        await service.drain(feed)
        sent = await tallies(feed, events, breakdowns=True)
        whole = await reconcile(service, sent)
        spans: list[dict[str, str | None]] = [
            {"units_from": "", "units_before": "23284"},
            {"units_from": "23284", "units_before": "23427"},
            {"units_from": "23427", "units_before": None},
        ]
        pieces = []
        for span in spans:
            low, high = span["units_from"] or "", span["units_before"] or "~"
            part = [tally | {"cells": [c for c in tally["cells"] if low <= c[2] < high]} for tally in sent]
            pieces.append(await reconcile(service, part, **span))
        assert all(piece["clean"] for piece in pieces)
        assert sum(piece["compared"] for piece in pieces) == whole["compared"]
        for indicator, n in whole["totals"].items():
            assert sum(piece["totals"][indicator] for piece in pieces) == n
        # A piece that leaves something out is not clean.
        assert not (await reconcile(service, part, units_from="23284"))["clean"]


@pytest.mark.parametrize(("most_kept", "times_folded"), [(60_000, 1), (100, 4)])
async def test_pieces_are_compared_while_the_counters_go_on(
    most_kept: int, times_folded: int, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happened up to the first piece is folded once if it can be kept; what happens after it, not at all; and a
    row that is wrong is found in any of them."""
    monkeypatch.setattr(reconciliation, "_MOST_KEPT", most_kept)
    events = lives(900)
    decoded = 0
    decode_all = EventDecoder.decode_all

    def counting(self: Any, bodies: Sequence[bytes]) -> Any:
        nonlocal decoded
        events = decode_all(self, bodies)
        decoded += len(events or ())
        return events

    async with started(database, tmp_path) as (service, feed):
        await feed.append(events[:1000])
        sent = await tallies(feed, events[:1000], breakdowns=True)
        await feed.append(events[1000:1300])
        await service.drain(feed)
        await service.kit.pool.execute(
            "UPDATE counter SET channel_mobile = channel_mobile + 1 WHERE ctid = (SELECT ctid FROM counter "
            f"WHERE residence = '{OUTSIDE}' AND collecting = '23427' LIMIT 1)"
        )
        monkeypatch.setattr(EventDecoder, "decode_all", counting)
        bounds = ["", "23284", "23427", "23521", None]
        later = [events[1300:1400], events[1400:1500], events[1500:1600], events[1600:]]
        found: list[dict[str, Any]] = []
        for low, high in itertools.pairwise(bounds):
            part = [
                tally | {"cells": [c for c in tally["cells"] if (low or "") <= c[2] < (high or "~")]}
                for tally in sent
            ]
            piece = await reconcile(service, part, units_from=low, units_before=high)
            found += piece["differing"]
            await feed.append(later.pop())
            await service.drain(feed)
        assert [each["unit"] for each in found] == ["23427"]
        assert decoded == 300 * times_folded + len(events) - 1300


async def test_a_proof_whose_session_is_lost_or_whose_next_piece_is_late_goes_on(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "_PATIENCE", 0.3)
    events = lives(300)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events[:400])
        sent = await tallies(feed, events[:400], breakdowns=True)
        await feed.append(events[400:])
        await service.drain(feed)
        pieces = [
            (
                {"units_from": low, "units_before": high},
                [
                    tally | {"cells": [c for c in tally["cells"] if low <= c[2] < (high or "~")]}
                    for tally in sent
                ],
            )
            for low, high in (("", "23427"), ("23427", "23521"), ("23521", None))
        ]

        async def nothing_is_held() -> bool:
            return not await service.kit.pool.fetchval(f"SELECT count(*) {HELD}")

        (span, part), (second_span, second_part), (last_span, last_part) = pieces
        assert (await reconcile(service, part, **span))["clean"]
        assert not await nothing_is_held()
        await service.kit.pool.execute(f"SELECT pg_terminate_backend(pid) {HELD}")
        answer = await service.client.post(
            "/v1/reconciliations", json={"campaign": "kon-tum-2023", "tallies": second_part, **second_span}
        )
        assert (answer.status_code, answer.json()["retryable"]) == (503, True)
        assert (await reconcile(service, second_part, **second_span))["clean"]
        await eventually(nothing_is_held)
        assert (await reconcile(service, last_part, **last_span))["clean"]
        assert await nothing_is_held()


async def test_a_tally_must_speak_of_every_unit_that_it_is_to_prove(
    database: Database, tmp_path: Path
) -> None:
    events = lives(50)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events)
        await service.drain(feed)
        sent = await tallies(feed, events)
        spans = merge_editions(read_editions(DATA))
        sent[0]["units"] = [code for code in Gazetteer(spans).ever_below("62") if code != "23427"]
        answer = await service.client.post(
            "/v1/reconciliations", json={"campaign": "kon-tum-2023", "tallies": sent}
        )
        assert (answer.status_code, answer.json()["field"]) == (422, "tallies.units")
        assert "23427" in answer.json()["detail"]
        assert (await reconcile(service, sent, units_from="23281", units_before="23282"))["clean"]


async def test_a_bad_tally_is_refused_and_says_what_is_wrong(database: Database, tmp_path: Path) -> None:
    async with started(database, tmp_path) as (service, feed):
        good = await tallies(feed, lives(1))
        path = "/v1/reconciliations"

        async def refused(document: object) -> tuple[int, str, str]:
            answer = await service.client.post(path, json=document)
            problem = answer.json()
            return answer.status_code, problem["field"], problem["detail"]

        status, field, detail = await refused({"campaign": "kon-tum-2023", "tallies": good[:1]})
        assert (status, field) == (422, "tallies.heads")
        assert "activation" in detail
        status, field, _ = await refused({"campaign": "nowhere", "tallies": good})
        assert (status, field) == (404, "campaign")
        good[0]["heads"]["intake"][5] += 7
        status, field, detail = await refused({"campaign": "kon-tum-2023", "tallies": good})
        assert (status, field) == (422, "tallies.heads")
        assert "intake/5" in detail
        good[0]["heads"]["intake"][5] = 0
        assert (await refused({"campaign": "kon-tum-2023", "tallies": good}))[:2] == (422, "body")
        good = await tallies(feed, lives(1))
        mixed = [good[0], good[1] | {"breakdowns": True}]
        status, field, _ = await refused({"campaign": "kon-tum-2023", "tallies": mixed})
        assert (status, field) == (422, "tallies.breakdowns")
        both = [tally | {"breakdowns": True} for tally in await tallies(feed, lives(1))]
        both[0]["cells"] = [["intake", "residence", "23281", 2, "2023-11-11", 1]]
        status, field, _ = await refused({"campaign": "kon-tum-2023", "tallies": both})
        assert (status, field) == (422, "tallies.cells")
        for body in (b"", b"[", b"\xff", b"{}", b"[1]"):
            answer = await service.client.post(path, content=body)
            assert answer.status_code == 422
            assert answer.headers["content-type"] == "application/problem+json"

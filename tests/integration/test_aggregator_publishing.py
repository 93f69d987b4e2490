"""Progress as events: what changed, at most once a second, and one last word on each day."""

import contextlib
from collections.abc import AsyncIterator
from datetime import date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from tests.support.aggregator import (
    Producers,
    RunningAggregator,
    aggregator,
    eventually,
    producers,
    restated,
    segment,
)
from tests.support.postgres import Database
from tiendo_aggregator.storage import publishing
from tiendo_aggregator.use_cases import publishing as use_case
from tiendo_common.clock import VIETNAM
from tiendo_common.eventlog.port import Connection, NewEvent
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.restatements import (
    AccountRestated,
    AttemptFailed,
    FailedAttempt,
    Failure,
    IntakeRestated,
)
from tiendo_common.events.state import (
    Attempts,
    CampaignPublished,
    FailedFor,
    Goal,
    IndicatorProgress,
    ProgressPublished,
    Records,
    RevisedDay,
)
from tiendo_common.nights import DayEnd

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

D = date(2023, 11, 11)
UNITS = 1 + 10 + 102
decoder = EventDecoder([ProgressPublished])


def at(day: int, hour: int) -> datetime:
    """An instant, by the day of the campaign."""
    return datetime.combine(D + timedelta(day), time(hour), VIETNAM)


async def live(service: RunningAggregator) -> dict[str, ProgressPublished]:
    """The newest event of each unit that is no closing."""
    rows = await service.kit.pool.fetch("SELECT body FROM log_progress WHERE key !~ '/.*/'")
    events = [decoder.decode(row["body"]) for row in rows]
    return {event.data.unit: event for event in events}


async def closings(service: RunningAggregator) -> list[date]:
    """The day of every closing event, in the order of the log."""
    rows = await service.kit.pool.fetch("SELECT body FROM log_progress WHERE key ~ '/.*/' ORDER BY seq")
    return [decoder.decode(row["body"]).data.day for row in rows]


async def tick(service: RunningAggregator, feed: Producers, now: datetime) -> None:
    """Move every service's clock, as whoever drives it does."""
    await feed.complete_to(now)
    await service.move_clock(now)


async def closed_through(service: RunningAggregator, day: date) -> None:
    async def closed() -> bool:
        campaign = await service.get("/v1/campaigns/kon-tum-2023")
        return bool(campaign["closed_through"] == day.isoformat())

    await eventually(closed)


@contextlib.asynccontextmanager
async def planned(database: Database, folder: Path) -> AsyncIterator[tuple[RunningAggregator, Producers]]:
    """An aggregator on the eve of the campaign."""
    async with producers(database) as feed, aggregator(database, folder) as service:
        await tick(service, feed, at(-1, 20))
        await service.put_plan()
        yield service, feed


async def test_only_what_changed_is_published(database: Database, tmp_path: Path) -> None:
    async with planned(database, tmp_path) as (service, feed):
        await feed.append([restated("intake", [segment(D - timedelta(5), "23427")], known=D - timedelta(1))])
        await service.drain(feed)
        assert not await live(service)  # the campaign hasn't begun
        await tick(service, feed, at(0, 8))

        async def all_published() -> bool:
            return len(await live(service)) == UNITS

        await eventually(all_published)
        before = await live(service)
        assert before["62"].data.intake == IndicatorProgress(value=1, baseline=1, done=0)

        await feed.append([restated("intake", [segment(D, "23427", collecting="23281")], known=D)])

        async def work_published() -> bool:
            return (await live(service))["62"].data.intake.done == 1

        await eventually(work_published)
        after = await live(service)
        changed = {unit for unit, event in after.items() if event.id != before[unit].id}
        assert changed == {"62", "612", "23427", "608", "23281"}
        assert after["23427"].data.intake == IndicatorProgress(value=2, baseline=1, done=0)
        assert after["23281"].data.intake == IndicatorProgress(value=0, baseline=0, done=1)


async def test_a_unit_is_published_at_most_once_a_second(database: Database, tmp_path: Path) -> None:
    async with planned(database, tmp_path) as (service, feed):
        await tick(service, feed, at(0, 8))
        seen: dict[int, datetime] = {}

        async def three_published() -> bool:
            await feed.append([restated("intake", [segment(D, "23427")], known=D)])
            row = await service.kit.pool.fetchrow(
                "SELECT seq, appended_at FROM log_progress WHERE key = 'kon-tum-2023/23427'"
            )
            if row is not None:
                seen[row["seq"]] = row["appended_at"]
            return len(seen) >= 3

        await eventually(three_published)
        times = [seen[sequence] for sequence in sorted(seen)]
        assert all(b - a >= timedelta(seconds=1) for a, b in pairwise(times))


async def test_a_day_is_closed_once_its_cut_off_is_counted(database: Database, tmp_path: Path) -> None:
    async with planned(database, tmp_path) as (service, feed):
        await tick(service, feed, at(0, 20))
        await feed.append([restated("intake", [segment(D, "23427")], known=D)])
        await service.move_clock(at(0, 21))
        await service.drain(feed)
        assert not await closings(service)  # facts of before the cut-off may still be on their way
        await feed.complete_to(at(0, 21))
        await closed_through(service, D)
        assert await closings(service) == [D] * UNITS
        await tick(service, feed, at(0, 23))
        await tick(service, feed, at(1, 21))
        await closed_through(service, D + timedelta(1))
        assert await closings(service) == [D] * UNITS + [D + timedelta(1)] * UNITS


async def test_nothing_is_said_of_a_day_after_its_cut_off_before_its_last_word(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when another replica is at it, and not done."""
    async with planned(database, tmp_path) as (service, feed):
        await tick(service, feed, at(0, 8))

        async def all_published() -> bool:
            return len(await live(service)) == UNITS

        await eventually(all_published)
        looks: list[date] = []
        held = True

        async def close_day(connection: Connection, campaign: str, day: date) -> bool:
            looks.append(day)
            return not held and await publishing.close_day(connection, campaign, day)

        monkeypatch.setattr(use_case, "close_day", close_day)
        await tick(service, feed, at(0, 22))
        await feed.append([restated("intake", [segment(D, "23427")], known=D)])
        await service.drain(feed)
        seen = len(looks)

        async def looked_again() -> bool:
            return len(looks) >= seen + 3

        await eventually(looked_again)
        held = False
        await closed_through(service, D)
        first = await service.kit.pool.fetchval("SELECT min(seq) FROM log_progress WHERE key ~ '/.*/'")
        before = await service.kit.pool.fetch("SELECT body FROM log_progress WHERE seq < $1", first)
        assert before
        assert all(decoder.decode(row["body"]).data.complete_to < at(0, 20) for row in before)


async def test_days_may_end_after_midnight_when_their_last_shift_is_over(
    database: Database, tmp_path: Path
) -> None:
    half_past = timedelta(minutes=30)
    async with planned(database, tmp_path) as (service, feed):
        plan = await service.put_plan(day_cut_off="02:00", days_end_after_midnight=True)
        assert (plan["day_cut_off"], plan["days_end_after_midnight"]) == ("02:00:00", True)
        body = await service.kit.pool.fetchval("SELECT body FROM log_campaigns WHERE key = 'kon-tum-2023'")
        published = EventDecoder([CampaignPublished]).decode(body).data
        assert published.day_end == DayEnd(time(2), after_midnight=True)
        await feed.append([restated("intake", [segment(D, "23427")], known=D)])
        await service.drain(feed)
        await tick(service, feed, at(0, 22))
        # What a shift did at 00:30 is of the day that still goes on, also for whoever asks how it goes.
        night = [restated("intake", [segment(D, "23427")], known=D + timedelta(1)) for _ in range(2)]
        await feed.append(night)
        await service.drain(feed)
        await tick(service, feed, at(1, 0) + half_past)

        async def told() -> bool:
            found = (await live(service)).get("23427")
            return found is not None and found.data.intake.done == 3

        await eventually(told)
        newest = (await live(service))["23427"].data
        assert (newest.day, newest.complete_to.hour) == (D, 17)
        pace = await service.get("/v1/campaigns/kon-tum-2023/pace", unit="23427", indicator="intake")
        assert (pace["as_of"], pace["units"][0]["indicators"]["intake"]["done"]) == ("2023-11-11", 3)
        too_soon = await service.client.get(
            "/v1/campaigns/kon-tum-2023/forecast", params={"as_of": "2023-11-12"}
        )
        assert (too_soon.status_code, too_soon.json()["field"]) == (422, "as_of")
        assert not await closings(service)
        await tick(service, feed, at(1, 2))
        await closed_through(service, D)
        assert await closings(service) == [D] * UNITS
        last_word = await service.kit.pool.fetchval(
            "SELECT body FROM log_progress WHERE key = 'kon-tum-2023/23427/2023-11-11'"
        )
        assert decoder.decode(last_word).data.intake == IndicatorProgress(value=3, baseline=0, done=3)
        assert (await service.get("/v1/campaigns/kon-tum-2023/pace"))["as_of"] == "2023-11-12"
        # That came in time. What came a day later did not.
        await feed.append([restated("intake", [segment(D, "23427")], known=D + timedelta(2))])
        await service.drain(feed)
        await tick(service, feed, at(2, 12))
        revisions = await service.get("/v1/campaigns/kon-tum-2023/revisions", as_of="2023-11-11")
        [late] = revisions["days"][-1]["late"]
        assert (late["known_day"], late["change"]["value"]) == ("2023-11-13", 1)
        intake = revisions["days"][-1]["indicators"]["intake"]
        assert [intake[which]["value"] for which in ("then", "now")] == [3, 4]


async def test_days_that_were_jumped_over_are_closed_in_order(database: Database, tmp_path: Path) -> None:
    async with planned(database, tmp_path) as (service, feed):
        await feed.append(
            [restated("intake", [segment(D + timedelta(n), "23427")], known=D) for n in (0, 1, 3)]
        )
        await service.drain(feed)
        await tick(service, feed, at(3, 12))
        await closed_through(service, D + timedelta(2))
        days = [D + timedelta(n) for n in range(3)]
        assert await closings(service) == [day for day in days for _ in range(UNITS)]
        rows = await service.kit.pool.fetch(
            "SELECT body FROM log_progress WHERE key LIKE 'kon-tum-2023/23427/%' ORDER BY seq"
        )
        told = [decoder.decode(row["body"]).data.intake for row in rows]
        assert [(each.value, each.done) for each in told] == [(1, 1), (2, 1), (2, 0)]


async def test_a_restart_closes_no_day_twice_and_misses_none(database: Database, tmp_path: Path) -> None:
    async with planned(database, tmp_path) as (service, feed):
        await tick(service, feed, at(0, 22))
        await closed_through(service, D)
    async with producers(database) as feed, aggregator(database, tmp_path) as service:
        assert service.kit.clock.today() == D
        await tick(service, feed, at(2, 22))
        await closed_through(service, D + timedelta(2))
        assert await closings(service) == [D + timedelta(n) for n in range(3) for _ in range(UNITS)]


async def test_two_replicas_close_a_day_once(database: Database, tmp_path: Path) -> None:
    async with planned(database, tmp_path) as (service, feed), aggregator(database, tmp_path) as other:
        for day in range(3):
            now = at(day, 21)
            await feed.complete_to(now)
            await other.move_clock(now)
            await service.move_clock(now)
            await closed_through(service, D + timedelta(day))
        assert await closings(service) == [D + timedelta(n) for n in range(3) for _ in range(UNITS)]


async def test_days_before_the_plan_was_known_are_not_closed(database: Database, tmp_path: Path) -> None:
    async with producers(database) as feed, aggregator(database, tmp_path) as service:
        await tick(service, feed, at(4, 12))
        await service.put_plan()
        await tick(service, feed, at(4, 21))
        await closed_through(service, D + timedelta(4))
        assert await closings(service) == [D + timedelta(4)] * UNITS


async def test_a_closing_says_of_each_target_what_the_forecast_says(
    database: Database, tmp_path: Path
) -> None:
    async with planned(database, tmp_path) as (service, feed):
        facts = [
            restated("activated", [segment(D + timedelta(n), "23427")], known=D + timedelta(n))
            for n in range(7)
            for _ in range(n + 2)
        ]
        await feed.append(facts)
        await service.drain(feed)
        await tick(service, feed, at(6, 21))
        await closed_through(service, D + timedelta(6))
        rows = await service.kit.pool.fetch(
            "SELECT body FROM log_progress WHERE key LIKE 'kon-tum-2023/23427/%' ORDER BY seq"
        )
        told = [decoder.decode(row["body"]).data for row in rows]
        asked = await service.get(
            "/v1/campaigns/kon-tum-2023/forecast", unit="23427", as_of=(D + timedelta(6)).isoformat()
        )
        forecast = asked["indicators"]["activated"]["forecast"]
        assert msgspec.to_builtins(told[-1].activated.expected) == {
            name: forecast[name] for name in ("final", "low", "high")
        }
        assert [each.activated.expected is msgspec.UNSET for each in told] == [True] * 4 + [False] * 3
        assert all(each.approved.expected is msgspec.UNSET for each in told)


async def test_a_closing_says_what_late_records_made_of_the_days_before(
    database: Database, tmp_path: Path
) -> None:
    late = restated("activated", [segment(D + timedelta(1), "23427")], known=D + timedelta(2))
    async with planned(database, tmp_path) as (service, feed):
        for number in range(4):
            if number == 2:
                await feed.append([late])
            if number == 3:
                event = late.event
                assert isinstance(event, AccountRestated)
                await feed.append(
                    [
                        restated(
                            "activated",
                            [],
                            event.data.after,
                            known=D + timedelta(3),
                            record=event.data.record_id,
                        )
                    ]
                )
            await service.drain(feed)
            await tick(service, feed, at(number, 21))
            await closed_through(service, D + timedelta(number))
        rows = await service.kit.pool.fetch(
            "SELECT body FROM log_progress WHERE key LIKE 'kon-tum-2023/23427/%' ORDER BY seq"
        )
        told = [decoder.decode(row["body"]).data.revised for row in rows]
        assert told[:2] == [msgspec.UNSET, msgspec.UNSET]

        def day(number: int, value: int, done: int) -> RevisedDay:
            of = D + timedelta(number)
            return RevisedDay(goal=Goal("activated"), day=of, value=value, baseline=0, done=done)

        assert told[2] == (day(1, 1, 1),)
        # Voided: of the day that was said to be otherwise it is said that it is again as it was.
        assert told[3] == (day(1, 0, 0), day(2, 0, 0))
        elsewhere = await service.kit.pool.fetch(
            "SELECT body FROM log_progress WHERE key LIKE 'kon-tum-2023/23281/%'"
        )
        assert all(decoder.decode(row["body"]).data.revised is msgspec.UNSET for row in elsewhere)


async def test_a_closing_says_how_attempts_to_activate_have_gone_by_then(
    database: Database, tmp_path: Path
) -> None:
    def failed(number: int, unit: str, known: int) -> NewEvent:
        event = restated("activated", [segment(D, unit)], known=D + timedelta(known)).event
        day = D + timedelta(number)
        data = FailedAttempt(
            record_id=None, reason="network", occurred_at=event.time, known_day=D + timedelta(known),
            collecting=unit, channel=None, failure=Failure(unit=unit, reason="network", day=day),
        )  # fmt: skip
        attributes = {
            name: getattr(event, name) for name in ("id", "source", "subject", "time", "partitionkey")
        }
        return NewEvent("activation", AttemptFailed(**attributes, data=data))

    async with planned(database, tmp_path) as (service, feed):
        await feed.append(
            [
                failed(-1, "23427", 0),  # before the campaign
                failed(0, "23427", 0),
                restated("activated", [segment(D, "23281", collecting="23427")], known=D),
            ]
        )
        await service.drain(feed)
        await tick(service, feed, at(0, 21))
        await closed_through(service, D)
        await feed.append([failed(0, "23427", 1), failed(1, "23281", 1)])  # the first one comes late
        await service.drain(feed)
        await tick(service, feed, at(1, 21))
        await closed_through(service, D + timedelta(1))
        rows = await service.kit.pool.fetch("SELECT body FROM log_progress WHERE key ~ '/.*/' ORDER BY seq")
        told = {
            (event.data.unit, event.data.day): event.data.attempts
            for event in (decoder.decode(row["body"]) for row in rows)
            if event.data.attempts is not msgspec.UNSET
        }

    def tally(activated: int, attempts: int) -> Attempts:
        return Attempts(activated=activated, failed=(FailedFor(reason="network", attempts=attempts),))

    # Where it was tried, and in the district and the province above it.
    assert {unit for unit, _ in told} == {"23427", "612", "62", "23281", "608"}
    assert (told["23427", D], told["23427", D + timedelta(1)]) == (tally(1, 1), tally(1, 2))
    assert (told["62", D], told["62", D + timedelta(1)]) == (tally(1, 1), tally(1, 3))
    assert told["23281", D + timedelta(1)] == tally(0, 1)


async def test_a_closing_says_what_was_wrong_with_dossiers_by_then(
    database: Database, tmp_path: Path
) -> None:
    taken = segment(D, "23281", collecting="23427")

    def voided(known: int) -> NewEvent:
        event = restated("intake", [], [taken], known=D + timedelta(known)).event
        assert isinstance(event, IntakeRestated)
        data = msgspec.structs.replace(event.data, change="voided")
        return NewEvent("intake", msgspec.structs.replace(event, data=data))

    async with planned(database, tmp_path) as (service, feed):
        await feed.append([restated("intake", [taken], known=D) for _ in range(4)])
        for number, events in enumerate([[voided(0)], [], [voided(2), voided(2)]]):
            await feed.append(events)
            await service.drain(feed)
            await tick(service, feed, at(number, 21))
            await closed_through(service, D + timedelta(number))
        rows = await service.kit.pool.fetch("SELECT body FROM log_progress WHERE key ~ '/.*/' ORDER BY seq")
        told = {
            (event.data.unit, event.data.day): event.data.records
            for event in (decoder.decode(row["body"]) for row in rows)
            if event.data.records is not msgspec.UNSET
        }

    def so_far(voided: int) -> Records:
        return Records(taken=4, voided=voided, corrected=0, rejected=0)

    assert {unit for unit, _ in told} == {"23427", "612", "62"}
    for unit in ("23427", "62"):
        assert [told[unit, D + timedelta(number)] for number in range(3)] == [so_far(1), so_far(1), so_far(3)]


async def test_the_unit_on_top_is_published_each_minute_after_all_others_with_what_was_repaired_meanwhile(
    database: Database, tmp_path: Path
) -> None:
    async with planned(database, tmp_path) as (service, feed):

        async def top() -> datetime:
            found = (await live(service)).get("62")
            return found.data.complete_to if found is not None else at(-1, 0)

        async def published_through(now: datetime) -> None:
            await tick(service, feed, now)

            async def so() -> bool:
                return await top() >= now

            await eventually(so)

        await published_through(at(0, 8))
        others = {unit: event.id for unit, event in (await live(service)).items() if unit != "62"}
        await published_through(at(0, 8) + timedelta(minutes=1))
        again = await live(service)
        assert {unit: event.id for unit, event in again.items() if unit != "62"} == others
        last = await service.kit.pool.fetchval("SELECT key FROM log_progress ORDER BY seq DESC LIMIT 1")
        assert last == "kon-tum-2023/62"
        # Where nothing is counted nobody looks, until the minute is over.
        await service.kit.pool.execute(
            "INSERT INTO counter (residence, day, known_day, indicator, level, collecting, n) "
            "VALUES ('23427', $1, $1, 0, 1, '23427', 1)",
            D,
        )
        await published_through(at(0, 8) + timedelta(minutes=2))
        repaired = await live(service)
        moved = {unit for unit, event in repaired.items() if event.id != again[unit].id}
        assert moved == {"62", "612", "23427"}

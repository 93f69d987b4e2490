"""Intake and activation together: an account counts when its dossier is approved and its phone is on."""

import random
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest

from tests.support.directory import AWAY, GONE, HOME, publish_directory
from tests.support.postgres import Database
from tests.support.services import (
    NOW,
    Service,
    activation,
    activation_line,
    amendment_line,
    approval_line,
    at,
    citizen,
    drained,
    intake,
    intake_line,
)
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.restatements import (
    AccountRestated,
    ApprovalRestated,
    AttemptFailed,
    DossierRestated,
    FailedAttempt,
    Failure,
    IntakeRestated,
    Segment,
    deltas,
)

pytestmark = pytest.mark.anyio

Cells = dict[tuple[str, str, str, int, date], int]
Line = dict[str, Any]


@dataclass
class World:
    """Both services."""

    intake: Service
    activation: Service
    database: Database

    async def take(self, *lines: Line) -> list[str]:
        return await self.intake.accept("/v1/intakes", *lines)

    async def decide(self, *lines: Line) -> None:
        await self.intake.accept("/v1/approvals", *lines)

    async def amend(self, *lines: Line) -> None:
        await self.intake.accept("/v1/amendments", *lines)

    async def switch(self, *lines: Line) -> list[str]:
        return await self.activation.accept("/v1/activations", *lines)

    async def counted(self, record: str) -> list[tuple[str, str | None, int, str, str]]:
        """The days on which an account counts: from, until, level, residence, collecting."""
        await drained(self.intake, self.activation)
        document = await self.activation.get(f"/v1/accounts/{record}")
        return [
            (part["from_day"], part["until_day"], part["level"], part["residence"], part["collecting"])
            for part in document["segments"]
        ]

    async def events(self, service: str, topic: str) -> list[Any]:
        """All events of a topic, partition by partition."""
        decoder = EventDecoder[Any](
            [IntakeRestated, ApprovalRestated, DossierRestated, AccountRestated, AttemptFailed]
        )
        connection = await asyncpg.connect(self.database.dsn(service))
        try:
            rows = await connection.fetch(f"SELECT body FROM log_{topic} ORDER BY partition, seq")
        finally:
            await connection.close()
        return [decoder.decode(row[0]) for row in rows]


@pytest.fixture(scope="module")
async def world(module_database: Database, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    await publish_directory(module_database)
    folder = tmp_path_factory.mktemp("services")
    async with (
        intake(module_database, folder) as one,
        activation(module_database, folder) as other,
    ):
        yield World(one, other, module_database)


async def test_an_account_counts_from_the_day_of_its_activation(world: World) -> None:
    who = citizen()
    [record] = await world.take(intake_line(who))
    await world.decide(approval_line(who))
    await drained(world.intake, world.activation)
    assert await world.switch(activation_line(who)) == [record]
    assert await world.counted(record) == [("2023-11-15", None, 2, HOME, AWAY)]
    document = await world.activation.get(f"/v1/accounts/{record}", key="reader")
    assert document["activated"]
    assert [part["approved"] for part in document["dossier"]] == [False, True]


async def test_an_activation_before_its_approval_waits_and_counts_once_on_the_approvals_day(
    world: World,
) -> None:
    who = citizen()
    assert await world.switch(activation_line(who, occurred_at=at(13))) == [""]
    [record] = await world.take(intake_line(who))
    await drained(world.intake, world.activation)
    before = await world.activation.cells()
    await world.decide(approval_line(who, occurred_at=at(16)))
    assert await world.counted(record) == [("2023-11-16", None, 2, HOME, AWAY)]
    after = await world.activation.cells()
    grown = Counter(after)
    grown.subtract(before)
    assert {cell: n for cell, n in grown.items() if n} == {
        ("activated", "residence", HOME, 2, date(2023, 11, 16)): 1,
        ("activated", "collecting", AWAY, 2, date(2023, 11, 16)): 1,
    }
    [again] = await world.activation.bulk("/v1/activations", [activation_line(who, occurred_at=at(13))])
    assert (again["status"], again["record_id"]) == ("duplicate", record)
    assert len(await restatements_of(world, record)) == 1


async def restatements_of(world: World, record: str) -> list[AccountRestated]:
    return [
        event
        for event in await world.events("activation", "activation")
        if isinstance(event, AccountRestated) and event.data.record_id == record
    ]


async def test_an_activation_after_its_approval_is_known_when_it_was_accepted(world: World) -> None:
    who = citizen()
    await world.switch(activation_line(who))
    [record] = await world.take(intake_line(who))
    await world.decide(approval_line(who))
    await drained(world.intake, world.activation)
    [restated] = await restatements_of(world, record)
    assert restated.data.known_day == NOW.date()
    assert restated.data.change == "dossier"
    assert restated.subject == HOME
    assert restated.campaign == "kon-tum-2023"


async def test_a_void_after_the_activation_and_taking_again(world: World) -> None:
    """The phone stays on: the account counts again once the new dossier is approved."""
    who = citizen()
    [record] = await world.take(intake_line(who))
    await world.decide(approval_line(who))
    await world.switch(activation_line(who))
    await drained(world.intake, world.activation)
    await world.amend(amendment_line(who, "void"))
    assert await world.counted(record) == []
    assert (await world.intake.get(f"/v1/intakes/{record}"))["state"] == "voided"
    [again] = await world.take(intake_line(who, residence_unit=AWAY, occurred_at=at(17)))
    assert again == record
    assert await world.counted(record) == []
    await world.decide(approval_line(who, occurred_at=at(18)))
    assert await world.counted(record) == [("2023-11-18", None, 2, AWAY, AWAY)]
    document = await world.activation.get(f"/v1/accounts/{record}")
    assert document["version"] == 3


async def test_moves_upgrades_and_corrections_are_followed(world: World) -> None:
    who = citizen()
    [record] = await world.take(intake_line(who, level=1, occurred_at=at(10)))
    await world.decide(approval_line(who, occurred_at=at(11)))
    await world.switch(activation_line(who, occurred_at=at(12), collecting_unit=None, channel=None))
    await world.take(intake_line(who, level=2, collecting_unit=GONE, occurred_at=at(14)))
    await world.amend(amendment_line(who, "move", residence_unit=AWAY, occurred_at=at(16)))
    assert await world.counted(record) == [
        ("2023-11-12", "2023-11-14", 1, HOME, HOME),
        ("2023-11-14", "2023-11-16", 2, HOME, HOME),
        ("2023-11-16", None, 2, AWAY, AWAY),
    ]
    await world.amend(amendment_line(who, "correct", residence_unit=GONE, level=2))
    assert await world.counted(record) == [
        ("2023-11-12", "2023-11-16", 2, GONE, GONE),
        ("2023-11-16", None, 2, AWAY, AWAY),
    ]
    # A level 1 that was wrong from the start takes the upgrade back with it.
    await world.amend(amendment_line(who, "correct", level=1))
    assert [part[2] for part in await world.counted(record)] == [1, 1]


async def test_a_revoked_approval_takes_the_activation_with_it_and_a_new_one_gives_it_back(
    world: World,
) -> None:
    who = citizen()
    [record] = await world.take(intake_line(who))
    await world.decide(approval_line(who))
    await world.switch(activation_line(who))
    await world.decide(approval_line(who, decision="rejected", reason="wrong_photo", occurred_at=at(17)))
    assert await world.counted(record) == [("2023-11-15", "2023-11-17", 2, HOME, AWAY)]
    assert (await world.intake.get(f"/v1/intakes/{record}"))["state"] == "rejected"
    await world.decide(approval_line(who, occurred_at=at(19)))
    assert await world.counted(record) == [
        ("2023-11-15", "2023-11-17", 2, HOME, AWAY),
        ("2023-11-19", None, 2, HOME, AWAY),
    ]


async def test_an_account_switched_off_and_on_again(world: World) -> None:
    who = citizen()
    [record] = await world.take(intake_line(who, occurred_at=at(10)))
    await world.decide(approval_line(who, occurred_at=at(10)))
    await drained(world.intake, world.activation)
    await world.switch(activation_line(who, occurred_at=at(11)))
    await world.switch(activation_line(who, result="deactivated", occurred_at=at(14)))
    assert await world.counted(record) == [("2023-11-11", "2023-11-14", 2, HOME, AWAY)]
    document = await world.activation.get(f"/v1/accounts/{record}")
    assert not document["activated"]
    await world.switch(activation_line(who, result="reactivated", occurred_at=at(17), collecting_unit=GONE))
    assert await world.counted(record) == [
        ("2023-11-11", "2023-11-14", 2, HOME, AWAY),
        ("2023-11-17", None, 2, HOME, GONE),
    ]
    changes = [event.data.change for event in await restatements_of(world, record)]
    assert changes == ["activated", "deactivated", "reactivated"]


async def test_what_is_done_after_midnight_counts_on_the_day_on_which_the_shift_began(world: World) -> None:
    first, second = citizen(), citizen()
    night: Line = {"occurred_at": at(12, 0), "working_day": "2023-11-11"}
    [record, other] = await world.take(
        intake_line(first, **night), intake_line(second, occurred_at=at(12, 0))
    )
    await world.decide(approval_line(first, **night), approval_line(second, **night))
    await drained(world.intake, world.activation)
    await world.switch(
        activation_line(first, result="failed", reason="other", **night),
        activation_line(first, **night),
        activation_line(second, **night),
    )
    # Nothing counts before the intake's own day.
    assert await world.counted(other) == [("2023-11-12", None, 2, HOME, AWAY)]
    assert await world.counted(record) == [("2023-11-11", None, 2, HOME, AWAY)]
    dossier = await world.intake.get(f"/v1/intakes/{record}")
    assert [(part["from_day"], part["approved"]) for part in dossier["segments"]] == [("2023-11-11", True)]
    topics = [
        ("intake", "intake"),
        ("intake", "approval"),
        ("intake", "dossier"),
        ("activation", "activation"),
    ]
    for service, topic in topics:
        told = [each.data for each in await world.events(service, topic) if each.data.record_id == record]
        restatements = [each for each in told if not isinstance(each, FailedAttempt)]
        assert {each.working_day for each in restatements} == {date(2023, 11, 11)}, topic
        assert {each.known_day for each in told} == {NOW.date()}
    [failure] = [each.failure for each in told if isinstance(each, FailedAttempt)]
    assert failure == Failure(unit=AWAY, reason="other", day=date(2023, 11, 11))


async def test_failures_are_kept_by_reason_and_may_come_right_later(world: World) -> None:
    """Asked for a day of its own, so that other tests' attempts do not count."""
    first, second, third = citizen(), citizen(), citizen()
    for who in (first, second):
        await world.take(intake_line(who, occurred_at=at(1)))
        await world.decide(approval_line(who, occurred_at=at(1)))
    await drained(world.intake, world.activation)
    await world.switch(
        activation_line(first, result="failed", reason="old_device", occurred_at=at(2, 9)),
        activation_line(first, result="failed", reason="old_device", occurred_at=at(2, 11)),
        activation_line(second, result="failed", reason="old_device", occurred_at=at(2)),
        activation_line(third, result="failed", reason="network", occurred_at=at(2), collecting_unit=None),
        activation_line(third, result="failed", reason="network", occurred_at=at(3)),
        activation_line(first, occurred_at=at(4)),
    )
    days = {"first_day": "2023-11-02", "last_day": "2023-11-02"}
    failures = await world.activation.get("/v1/failures", key="reader", **days)
    assert failures["failures"] == [
        {"reason": "old_device", "attempts": 3, "accounts": 2, "activated_since": 1},
        {"reason": "network", "attempts": 1, "accounts": 1, "activated_since": 0},
    ]
    failures = await world.activation.get("/v1/failures", unit=AWAY, **days)
    assert [each["reason"] for each in failures["failures"]] == ["old_device"]
    failed = [
        event
        for event in await world.events("activation", "activation")
        if isinstance(event, AttemptFailed) and event.data.occurred_at.day in (2, 3)
    ]
    assert Counter(event.data.reason for event in failed) == {"old_device": 3, "network": 2}
    # Whom nobody helped and nothing is known of, is placed in the province of the campaign.
    assert Counter(event.subject for event in failed) == {AWAY: 4, "62": 1}


@pytest.mark.parametrize("unit", ["\x00", "x", "2334\n", "1" * 11])
async def test_failures_of_what_is_no_unit_are_refused(world: World, unit: str) -> None:
    answer = await world.activation.client.get(
        "/v1/failures",
        params={"first_day": "2023-11-02", "last_day": "2023-11-02", "unit": unit},
        headers={"Authorization": "Bearer nimda"},
    )
    assert (answer.status_code, answer.json()["field"]) == (422, "unit")


async def test_versions_rise_by_one_with_every_change_and_states_chain(world: World) -> None:
    """Each event begins where the one before it ended."""
    for service, topic in (("intake", "intake"), ("intake", "approval"), ("activation", "activation")):
        last: dict[str, tuple[int, tuple[Segment, ...]]] = {}
        for event in await world.events(service, topic):
            if isinstance(event, AttemptFailed):
                continue
            version, after = last.get(event.data.record_id, (0, ()))
            assert event.data.version > version
            assert event.data.before == after
            if topic == "activation":
                assert event.data.version == version + 1
            last[event.data.record_id] = event.data.version, event.data.after
    versions: dict[str, int] = {}
    for event in await world.events("intake", "dossier"):
        assert event.data.version == versions.get(event.data.record_id, 0) + 1
        versions[event.data.record_id] = event.data.version


async def live(world: World, dice: random.Random, count: int) -> None:
    """Citizens' lives, each in a different order, some of it contradictory: whatever is refused is refused."""
    citizens = [citizen() for _ in range(count)]

    def moment() -> Line:
        """When; a third of what is done at night belongs to the day before."""
        day, hour = dice.randint(1, 19), dice.randint(0, 23)
        shift = {"working_day": at(day, hour - 24)[:10]} if hour < 6 and dice.random() < 0.3 else {}
        return {"occurred_at": at(day, hour)} | shift

    def some_line(who: str) -> tuple[Service, str, Line]:
        unit = dice.choice([HOME, AWAY, GONE])
        pick = dice.random()
        if pick < 0.35:
            return world.intake, "/v1/intakes", intake_line(
                who, level=dice.choice([1, 2]), residence_unit=unit, collecting_unit=dice.choice([HOME, AWAY]),
                cohorts=dice.choice([[], ["workers"], ["elderly", "fishermen"]]), **moment(),
            )  # fmt: skip
        if pick < 0.55:
            good = dice.random() < 0.8
            return world.intake, "/v1/approvals", approval_line(
                who, decision="approved" if good else "rejected", reason=None if good else "photo", **moment()
            )  # fmt: skip
        if pick < 0.7:
            kind = dice.choice(["move", "correct", "void"])
            said: Line = {} if kind == "void" else {"residence_unit": unit}
            if kind == "correct":
                said["level"] = dice.choice([1, 2])
            return world.intake, "/v1/amendments", amendment_line(who, kind, **moment(), **said)
        result = dice.choice(["succeeded", "succeeded", "failed", "deactivated", "reactivated"])
        reason = {"reason": "network"} if result == "failed" else {}
        helped: Line = {"collecting_unit": dice.choice([HOME, GONE, None])}
        return world.activation, "/v1/activations", activation_line(
            who, result=result, **moment(), **reason, **helped
        )  # fmt: skip

    for _ in range(12):
        batches: dict[tuple[str, str], tuple[Service, list[Line]]] = {}
        for who in dice.sample(citizens, count):
            service, path, line = some_line(who)
            batches.setdefault((path, path), (service, []))[1].append(line)
        for (path, _), (service, lines) in batches.items():
            for answer in await service.bulk(path, lines):
                assert answer["status"] in ("accepted", "duplicate") or answer["problem"]["retryable"], answer
    await drained(world.intake, world.activation)


def recount(
    indicator: str, parts: list[dict[str, Any]], into: Counter[tuple[str, str, str, int, date]]
) -> None:
    """Count a record's days by hand, from the document that the service answers: day by day."""
    first, last = date(2020, 1, 1), date(2024, 1, 1)
    for attribution in ("residence", "collecting"):
        state: tuple[str, int] | None = None
        moment = first
        starts = {part["from_day"] for part in parts} | {part["until_day"] for part in parts}
        while moment < last:
            if moment.isoformat() in starts:
                now = next(
                    (
                        (part[attribution], part["level"])
                        for part in parts
                        if part["from_day"] <= moment.isoformat()
                        and (part["until_day"] is None or moment.isoformat() < part["until_day"])
                    ),
                    None,
                )
                if now != state:
                    if state is not None:
                        into[indicator, attribution, state[0], state[1], moment] -= 1
                    if now is not None:
                        into[indicator, attribution, now[0], now[1], moment] += 1
                    state = now
            moment += timedelta(days=1)


def fold(events: list[Any], indicator: str) -> Counter[tuple[str, str, str, int, date]]:
    """What the aggregator comes to: deltas(after) − deltas(before) of every event."""
    cells: Counter[tuple[str, str, str, int, date]] = Counter()
    for event in events:
        if not isinstance(event, AttemptFailed):
            for sign, parts in ((1, event.data.after), (-1, event.data.before)):
                for moment, n, part in deltas(parts):
                    cells[indicator, "residence", part.residence, part.level, moment] += sign * n
                    cells[indicator, "collecting", part.collecting, part.level, moment] += sign * n
    return cells


async def test_the_tallies_equal_a_recount_and_the_sum_of_all_events(world: World) -> None:
    await live(world, random.Random(11), 60)
    intake_cells, activation_cells = await world.intake.cells(), await world.activation.cells()
    by_hand: Counter[tuple[str, str, str, int, date]] = Counter()
    connection = await asyncpg.connect(world.database.dsn("intake"))
    records = [row[0] for row in await connection.fetch("SELECT record_id::text FROM record")]
    await connection.close()
    for record in records:
        document = await world.intake.get(f"/v1/intakes/{record}")
        recount("intake", document["segments"], by_hand)
        recount("approved", [part for part in document["segments"] if part["approved"]], by_hand)
    assert {cell: n for cell, n in by_hand.items() if n} == intake_cells

    by_hand.clear()
    connection = await asyncpg.connect(world.database.dsn("activation"))
    accounts = await connection.fetch("SELECT record_id::text FROM account WHERE record_id IS NOT NULL")
    await connection.close()
    for (account,) in accounts:
        recount("activated", (await world.activation.get(f"/v1/accounts/{account}"))["segments"], by_hand)
    assert {cell: n for cell, n in by_hand.items() if n} == activation_cells

    folded = fold(await world.events("intake", "intake"), "intake")
    folded.update(fold(await world.events("intake", "approval"), "approved"))
    assert {cell: n for cell, n in folded.items() if n} == intake_cells
    folded = fold(await world.events("activation", "activation"), "activated")
    assert {cell: n for cell, n in folded.items() if n} == activation_cells
    assert len(intake_cells) > 50
    assert len(activation_cells) > 20


async def test_the_tally_says_where_the_logs_stood(world: World) -> None:
    for service, topics in ((world.intake, ["intake", "approval"]), (world.activation, ["activation"])):
        tally = await service.get("/v1/tally")
        assert tally["service"] == service.kit.service
        heads = await service.kit.log.heads()
        assert tally["heads"] == {topic: heads[topic] for topic in topics}


async def test_activation_knows_every_approved_dossier_as_intake_has_it(world: World) -> None:
    await drained(world.intake, world.activation)
    ours = await asyncpg.connect(world.database.dsn("intake"))
    theirs = await asyncpg.connect(world.database.dsn("activation"))
    try:
        rows = await ours.fetch("SELECT record_id::text, segments::text FROM record")
        known = await theirs.fetch(
            "SELECT record_id::text, dossier::text FROM account WHERE record_id IS NOT NULL"
        )
    finally:
        await ours.close()
        await theirs.close()
    decode = msgspec.json.decode
    dossiers = {row[0]: row[1] for row in rows}
    assert len(known) > 20
    for record, dossier in known:
        assert decode(dossier) == decode(dossiers[record])


async def test_versions_that_were_taken_in_before_change_nothing(world: World) -> None:
    """As after the consumer's position was set back by hand."""
    who = citizen()
    [record] = await world.take(intake_line(who))
    await world.decide(approval_line(who))
    await world.switch(activation_line(who))
    await world.amend(amendment_line(who, "move", residence_unit=AWAY, occurred_at=at(17)))
    await drained(world.intake, world.activation)
    cells, log = await world.activation.cells(), await world.activation.kit.log.heads()
    await world.activation.kit.pool.execute("UPDATE consumer_position SET next = 1")
    # One more event, so that it is seen when everything has been taken in again.
    await world.take(intake_line(citizen()))
    await drained(world.intake, world.activation)
    assert await world.activation.cells() == cells
    assert await world.activation.kit.log.heads() == log
    assert len(await restatements_of(world, record)) == 2


async def test_a_restarted_activation_folds_nothing_twice(database: Database, tmp_path: Path) -> None:
    await publish_directory(database)
    citizens = [citizen() for _ in range(40)]
    async with intake(database, tmp_path) as desk:
        await desk.accept("/v1/intakes", *[intake_line(who) for who in citizens])
        await desk.accept("/v1/approvals", *[approval_line(who) for who in citizens[:30]])
        async with activation(database, tmp_path) as phones:
            await phones.accept("/v1/activations", *[activation_line(who) for who in citizens])
            await drained(desk, phones)
            cells = await phones.cells()
        await desk.accept("/v1/approvals", *[approval_line(who) for who in citizens[30:]])
        async with activation(database, tmp_path) as phones:
            await drained(desk, phones)
            grown = await phones.cells()
            assert (await phones.get("/v1/clock"))["now"] == (await desk.get("/v1/clock"))["now"]
    assert cells == {
        ("activated", "residence", HOME, 2, date(2023, 11, 15)): 30,
        ("activated", "collecting", AWAY, 2, date(2023, 11, 15)): 30,
    }
    assert list(grown.values()) == [40, 40]

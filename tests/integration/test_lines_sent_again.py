"""Lines that come twice, by whatever way: on record once, answered each time, counted once."""

import asyncio
import itertools
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import pytest

from tests.support.directory import AWAY, publish_directory
from tests.support.postgres import Database
from tests.support.services import (
    Service,
    activation,
    activation_line,
    amendment_line,
    approval_line,
    at,
    citizen,
    intake,
    intake_line,
)

pytestmark = pytest.mark.anyio

Line = dict[str, Any]


@pytest.fixture(scope="module")
async def services(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Service]]:
    await publish_directory(module_database)
    folder = tmp_path_factory.mktemp("services")
    async with (
        intake(module_database, folder) as one,
        activation(module_database, folder) as other,
    ):
        yield {"intake": one, "activation": other}


@pytest.fixture
def desk(services: dict[str, Service]) -> Service:
    return services["intake"]


def statuses(answers: list[dict[str, Any]]) -> list[str]:
    return [answer["status"] for answer in answers]


async def lines_on_record(database: Database, service: str, lines: list[Line]) -> int:
    connection = await asyncpg.connect(database.dsn(service))
    try:
        count: int = await connection.fetchval(
            "SELECT count(*) FROM line WHERE line_id = ANY($1)", [line["line_id"] for line in lines]
        )
        return count
    finally:
        await connection.close()


async def test_the_same_line_twice_in_one_batch_is_accepted_once(desk: Service) -> None:
    line = intake_line(citizen())
    first, second, third = await desk.bulk("/v1/intakes", [line, line, line])
    assert (first["status"], second["status"], third["status"]) == ("accepted", "duplicate", "duplicate")
    assert first["record_id"] == second["record_id"] == third["record_id"]
    assert "differs" not in second


async def test_a_line_sent_again_is_a_duplicate_however_and_whenever(desk: Service) -> None:
    line = intake_line(citizen())
    answer = await desk.post("/v1/intakes", line)
    assert (answer.status_code, answer.json()["status"]) == (201, "accepted")
    record = answer.json()["record_id"]
    again = await desk.post("/v1/intakes", line)
    assert (again.status_code, again.json()["status"], again.json()["record_id"]) == (
        200,
        "duplicate",
        record,
    )
    [bulk] = await desk.bulk("/v1/intakes", [line])
    assert (bulk["status"], bulk["record_id"]) == ("duplicate", record)
    # Also when it would no longer be possible, and when it is written otherwise.
    await desk.accept("/v1/amendments", amendment_line(line["citizen_id"], "void"))
    reordered = dict(reversed(line.items())) | {"occurred_at": "2023-11-12T02:00:00Z", "cohorts": []}
    [late] = await desk.bulk("/v1/intakes", [reordered])
    assert (late["status"], late["record_id"]) == ("duplicate", record)
    assert (await desk.get(f"/v1/intakes/{record}"))["state"] == "voided"


@pytest.mark.parametrize(
    "change",
    [
        {"citizen_id": "other"},
        {"level": 1},
        {"residence_unit": AWAY},
        {"collecting_unit": AWAY},
        {"team": "Tổ 4"},
        {"channel": "home"},
        {"cohorts": ["workers"]},
        {"occurred_at": at(11)},
        {"working_day": "2023-11-11"},
    ],
)
async def test_the_same_id_with_other_content_is_refused(desk: Service, change: Line) -> None:
    line = intake_line(citizen(), occurred_at=at(12, 1))
    await desk.accept("/v1/intakes", line)
    other = line | (change if change != {"citizen_id": "other"} else {"citizen_id": citizen()})
    [answer] = await desk.bulk("/v1/intakes", [other])
    assert answer["status"] == "rejected"
    assert (answer["problem"]["type"], answer["problem"]["field"]) == (
        "urn:tiendo:problem:line-id-reused",
        "line_id",
    )
    single = await desk.post("/v1/intakes", other)
    assert single.status_code == 409


async def test_a_working_day_that_is_said_or_meant_is_the_same_and_another_one_differs(desk: Service) -> None:
    who, night = citizen(), at(12, 1)
    line = intake_line(who, occurred_at=night, working_day="2023-11-12")
    await desk.accept("/v1/intakes", line)
    [again] = await desk.bulk("/v1/intakes", [{k: v for k, v in line.items() if k != "working_day"}])
    assert (again["status"], again.get("differs")) == ("duplicate", None)
    # Of a shift that began on the eve, say others; and it is the working day that says so.
    answers = await desk.bulk(
        "/v1/intakes",
        [
            intake_line(who, occurred_at=night, working_day="2023-11-11"),
            intake_line(who, occurred_at=at(13, 1), working_day="2023-11-12"),
            intake_line(who, occurred_at=at(13, 1)),
        ],
        key="other",
    )
    assert [answer.get("differs") for answer in answers] == [["working_day"], None, ["occurred_at"]]


async def test_an_id_names_one_line_among_all_kinds(desk: Service) -> None:
    who = citizen()
    line = intake_line(who)
    await desk.accept("/v1/intakes", line)
    [answer] = await desk.bulk("/v1/approvals", [approval_line(who, line_id=line["line_id"])])
    assert answer["problem"]["type"] == "urn:tiendo:problem:line-id-reused"


async def test_two_systems_may_both_number_their_lines(desk: Service) -> None:
    first = [intake_line(citizen(), line_id=str(number)) for number in range(1, 4)]
    second = [intake_line(citizen(), line_id=str(number)) for number in range(1, 4)]
    assert statuses(await desk.bulk("/v1/intakes", first, key="province")) == ["accepted"] * 3
    assert statuses(await desk.bulk("/v1/intakes", second, key="other")) == ["accepted"] * 3
    assert statuses(await desk.bulk("/v1/intakes", second, key="province")) == ["rejected"] * 3


async def test_two_systems_that_report_the_same_citizen_count_once(desk: Service) -> None:
    who = citizen()
    [record] = await desk.accept("/v1/intakes", intake_line(who))
    [answer] = await desk.bulk(
        "/v1/intakes", [intake_line(who, collecting_unit=AWAY, occurred_at=at(11))], key="other"
    )
    assert (answer["status"], answer["record_id"]) == ("duplicate", record)
    assert answer["differs"] == ["collecting_unit", "occurred_at"]
    [part] = (await desk.get(f"/v1/intakes/{record}"))["segments"]
    assert (part["collecting"], part["from_day"]) == ("23341", "2023-11-12")


async def test_an_approval_without_an_intake_is_accepted_later_under_the_same_id(desk: Service) -> None:
    who = citizen()
    approval = approval_line(who)
    [answer] = await desk.bulk("/v1/approvals", [approval])
    assert answer["status"] == "rejected"
    assert (answer["problem"]["type"], answer["problem"]["status"], answer["problem"]["retryable"]) == (
        "urn:tiendo:problem:no-dossier",
        409,
        True,
    )
    assert (await desk.post("/v1/approvals", approval)).status_code == 409
    await desk.accept("/v1/intakes", intake_line(who))
    assert (await desk.post("/v1/approvals", approval)).status_code == 201
    assert (await desk.post("/v1/approvals", approval)).status_code == 200


async def test_an_intake_and_its_approval_may_come_in_any_order_within_a_chunk(desk: Service) -> None:
    """Lines of one kind are taken in their order; each sees what those before it did."""
    who = citizen()
    answers = await desk.bulk(
        "/v1/intakes",
        [intake_line(who, level=1), intake_line(who, level=2, occurred_at=at(13)), intake_line(who, level=1)],
    )
    assert statuses(answers) == ["accepted", "accepted", "duplicate"]
    assert answers[2]["differs"] == ["level"]
    document = await desk.get(f"/v1/intakes/{answers[0]['record_id']}")
    assert [part["level"] for part in document["segments"]] == [1, 2]
    assert document["version"] == 2


@pytest.mark.parametrize("singly", [False, True])
async def test_the_same_lines_at_the_same_moment_are_accepted_once_each(
    desk: Service, module_database: Database, singly: bool
) -> None:
    lines = [intake_line(citizen()) for _ in range(40 if singly else 300)]

    async def send(dice: random.Random) -> list[dict[str, Any]]:
        if not singly:
            return await desk.bulk("/v1/intakes", lines)
        answers = await asyncio.gather(*[desk.post("/v1/intakes", line) for line in lines])
        assert {answer.status_code for answer in answers} <= {200, 201}
        return [answer.json() for answer in answers]

    everything = await asyncio.gather(*[send(random.Random(number)) for number in range(4)])
    for answers in zip(*everything, strict=True):
        assert sorted(statuses(list(answers))) == ["accepted", "duplicate", "duplicate", "duplicate"]
        assert len({answer["record_id"] for answer in answers}) == 1
    assert await lines_on_record(module_database, "intake", lines) == len(lines)


async def test_the_same_citizens_at_the_same_moment_from_many_systems_count_once(
    desk: Service, module_database: Database
) -> None:
    """New to all of them, under line ids of their own, in different orders, in overlapping batches."""
    citizens = [citizen() for _ in range(120)]
    before = await desk.cells()

    async def send(number: int) -> list[dict[str, Any]]:
        some = random.Random(number).sample(citizens, 80)
        lines = [intake_line(who) for who in some]
        answers = await desk.bulk("/v1/intakes", lines, key="province" if number % 2 else "other")
        return [answer | {"citizen": who} for answer, who in zip(answers, some, strict=True)]

    async with asyncio.timeout(60):
        answers = list(itertools.chain(*await asyncio.gather(*[send(number) for number in range(8)])))
    accepted = Counter(answer["citizen"] for answer in answers if answer["status"] == "accepted")
    assert set(statuses(answers)) == {"accepted", "duplicate"}
    assert accepted == dict.fromkeys({answer["citizen"] for answer in answers}, 1)
    records = {(answer["citizen"], answer["record_id"]) for answer in answers}
    assert len(records) == len(accepted)
    after = await desk.cells()
    grown = sum(n for cell, n in after.items() if cell[:2] == ("intake", "residence")) - sum(
        n for cell, n in before.items() if cell[:2] == ("intake", "residence")
    )
    assert grown == len(accepted)


async def test_batches_that_overlap_in_opposite_orders_lose_no_line_and_do_not_deadlock(
    desk: Service, module_database: Database
) -> None:
    """Known citizens, whose records are locked: half of the batches go forwards, half backwards."""
    citizens = [citizen() for _ in range(60)]
    await desk.accept("/v1/intakes", *[intake_line(who, level=1) for who in citizens])
    kinds: dict[str, Callable[[str], Line]] = {
        "/v1/approvals": approval_line,
        "/v1/intakes": lambda who: intake_line(who, occurred_at=at(14)),
        "/v1/amendments": lambda who: amendment_line(who, "move", residence_unit=AWAY),
    }

    async def send(path: str, number: int) -> list[dict[str, Any]]:
        order = citizens if number % 2 else citizens[::-1]
        return await desk.bulk(path, [kinds[path](who) for who in order])

    async with asyncio.timeout(60):
        everything = await asyncio.gather(*[send(path, number) for path in kinds for number in range(4)])
    for start in range(0, 12, 4):
        counts = Counter(itertools.chain(*map(statuses, everything[start : start + 4])))
        assert counts == {"accepted": 60, "duplicate": 180}


async def test_an_activation_sent_again_is_a_duplicate(services: dict[str, Service]) -> None:
    phones = services["activation"]
    who = citizen()
    line, failed = activation_line(who), activation_line(who, result="failed", reason="network")
    for each in (failed, line):
        answer = await phones.post("/v1/activations", each)
        assert (answer.status_code, answer.json()["status"]) == (201, "accepted")
        answer = await phones.post("/v1/activations", each)
        assert (answer.status_code, answer.json()["status"]) == (200, "duplicate")
    at_night = activation_line(citizen(), result="failed", reason="network", occurred_at=at(15, 0))
    await phones.accept("/v1/activations", at_night)
    for change, sent in (({"citizen_id": citizen()}, line), ({"working_day": "2023-11-14"}, at_night)):
        [reused] = await phones.bulk("/v1/activations", [sent | change])
        assert reused["problem"]["type"] == "urn:tiendo:problem:line-id-reused"
    # The same attempt and the same activation, told by another system.
    answers = await phones.bulk(
        "/v1/activations",
        [
            activation_line(who, result="failed", reason="network"),
            activation_line(who, collecting_unit=None, channel=None),
        ],
        key="other",
    )
    assert statuses(answers) == ["duplicate", "duplicate"]
    assert answers[1]["differs"] == ["collecting_unit", "channel"]


async def test_the_same_activations_at_the_same_moment_are_accepted_once_each(
    services: dict[str, Service], module_database: Database
) -> None:
    phones = services["activation"]
    citizens = [citizen() for _ in range(150)]
    lines = [activation_line(who) for who in citizens] + [
        activation_line(who, result="failed", reason="old_device") for who in citizens
    ]

    async def send(dice: random.Random) -> dict[str, str]:
        some = dice.sample(lines, len(lines))
        answers = await phones.bulk("/v1/activations", some)
        return {answer["line_id"]: answer["status"] for answer in answers}

    everything = await asyncio.gather(*[send(random.Random(number)) for number in range(4)])
    for line in lines:
        assert sorted(answers[line["line_id"]] for answers in everything) == ["accepted"] + ["duplicate"] * 3
    assert await lines_on_record(module_database, "activation", lines) == len(lines)


async def test_a_deactivation_without_an_activation_is_accepted_later_under_the_same_id(
    services: dict[str, Service],
) -> None:
    phones = services["activation"]
    who = citizen()
    off = activation_line(who, result="deactivated", occurred_at=at(16))
    answer = await phones.post("/v1/activations", off)
    assert (answer.status_code, answer.json()["retryable"]) == (409, True)
    await phones.accept("/v1/activations", activation_line(who), off)

"""Dead letters of the real services: seen, replayed once, discarded with a reason, bounded."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
import structlog.testing
from prometheus_client import REGISTRY

from tests.support.aggregator import (
    KEY,
    Producers,
    RunningAggregator,
    aggregator,
    eventually,
    restated,
    segment,
)
from tests.support.directory import AWAY, HOME, publish_directory
from tests.support.lives import (
    D,
    counted,
    lives,
    reconcile,
    started,
    tallies,
    totals,
)
from tests.support.postgres import Database
from tests.support.services import (
    Service,
    activation,
    activation_line,
    amendment_line,
    approval_line,
    citizen,
    drained,
    intake,
    intake_line,
)
from tests.support.services import at as hour_of
from tiendo_common.eventlog import dead_letters
from tiendo_common.eventlog.dead_letters import DeadLetter
from tiendo_common.eventlog.port import Partition
from tiendo_common.events.envelope import encode
from tiendo_common.observability import metrics

pytestmark = pytest.mark.anyio

PROBLEM = "application/problem+json"
LETTERS = "/v1/dead-letters"


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[tuple[RunningAggregator, Producers]]:
    """An aggregator that counts, with the logs that it reads."""
    async with started(database, tmp_path) as (service, feed):
        yield service, feed


async def poison(service: RunningAggregator, feed: Producers, *bodies: bytes) -> list[int]:
    """Let the aggregator meet these in intake/3; the letters, oldest first."""
    for body in bodies:
        await feed.append_body("intake", 3, body)
    await service.drain(feed)
    page = await service.get(LETTERS, consumer="counting", limit=500)
    return [letter["id"] for letter in page["letters"]][-len(bodies) :]


async def bury(
    pool: asyncpg.Pool,
    consumer: str,
    at: Partition,
    body: bytes,
    *,
    sequence: int | None = 1,
    offset: int = 7,
) -> int:
    """A letter as a build before this one left it."""
    letter = DeadLetter(at, sequence, "not read then", body, None if sequence else offset)
    async with pool.acquire() as connection:
        await dead_letters.bury(connection, consumer, [letter])
    number: int = await pool.fetchval("SELECT max(id) FROM dead_letter")
    return number


async def post(
    client: httpx2.AsyncClient, path: str, body: Any = None, *, key: str = KEY, status: int = 200
) -> Any:
    """The answer's document, of the status that it must have."""
    answer = await client.post(
        f"{LETTERS}{path}",
        content=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {key}", "Content-Type": "application/json"},
    )
    assert answer.status_code == status, answer.text
    if status != 200:
        assert answer.headers["content-type"] == PROBLEM
    return answer.json()


def waiting(consumer: str) -> float | None:
    return REGISTRY.get_sample_value("tiendo_dead_letters", {"consumer": consumer})


async def test_poison_is_listed_without_its_body_and_shown_with_it(
    world: tuple[RunningAggregator, Producers],
) -> None:
    service, feed = world
    bodies = [
        b'{"type": "vn.tiendo.intake.intake-restated.v1", "id": "e-1", "data": {"level": ',
        b'{"type":"com.example.something","id":"1"}',
        "Xã Đăk Môn".encode(),
        b"\xff\xfe\x00",
        b"",
    ]
    await feed.append(lives(20))
    ids = await poison(service, feed, *bodies)
    page = await service.get(LETTERS)
    assert {letter["consumer"] for letter in page["letters"]} == {"counting"}
    assert page["waiting"] == {"counting": 5}
    assert page["next_after"] is None
    assert all("body" not in letter for letter in page["letters"])
    mine = page["letters"]
    assert [letter["id"] for letter in mine] == ids == sorted(ids)
    assert [(each["type"], each["event_id"]) for each in mine] == [
        ("vn.tiendo.intake.intake-restated.v1", "e-1"),
        ("com.example.something", "1"),
        *[(None, None)] * 3,
    ]
    assert [each["size"] for each in mine] == [len(body) for body in bodies]
    assert {(each["topic"], each["partition"], each["offset"], each["state"]) for each in mine} == {
        ("intake", 3, None, "waiting")
    }
    sequences = [each["sequence"] for each in mine]
    assert sequences == list(range(sequences[0], sequences[0] + 5))
    assert all(each["reason"] for each in mine)
    shown = [(await service.get(f"{LETTERS}/{number}"))["body"] for number in ids]
    assert [(body["encoding"], body["content"], body["cut"]) for body in shown] == [
        ("text", bodies[0].decode(), 0),
        ("text", bodies[1].decode(), 0),
        ("text", "Xã Đăk Môn", 0),
        ("base64", "//4A", 0),
        ("text", "", 0),
    ]


async def test_a_list_has_pages(world: tuple[RunningAggregator, Producers]) -> None:
    service, feed = world
    ids = await poison(service, feed, *[b"%d" % n for n in range(5)])
    found: list[int] = []
    after = 0
    while True:
        page = await service.get(LETTERS, consumer="counting", state="waiting", limit=2, after=after)
        found += [letter["id"] for letter in page["letters"]]
        if page["next_after"] is None:
            break
        after = page["next_after"]
    assert found == ids
    assert (await service.get(LETTERS, state="discarded"))["letters"] == []


@pytest.mark.parametrize("letter", ["ă", "\x00"])
async def test_of_a_large_body_the_end_is_left_out_and_no_character_torn(
    world: tuple[RunningAggregator, Producers], letter: str
) -> None:
    service, feed = world
    whole = ("x" + letter * 70_000).encode()
    text, raw = await poison(service, feed, whole, whole + b"\xff")
    shown = await service.get(f"{LETTERS}/{text}")
    assert shown["size"] == len(whole)
    assert shown["body"]["cut"] == len(whole) - len(shown["body"]["content"].encode())
    assert whole.decode().startswith(shown["body"]["content"])
    assert 65_530 < len(shown["body"]["content"].encode()) <= 65_536
    shown = await service.get(f"{LETTERS}/{raw}")
    assert (shown["body"]["encoding"], shown["body"]["cut"]) == ("base64", len(whole) + 1 - 65_536)


async def test_what_a_mended_build_can_read_is_counted_as_if_it_never_had_been_a_letter(
    world: tuple[RunningAggregator, Producers], database: Database
) -> None:
    """And in any order: the record's later events were folded long before."""
    service, feed = world
    others = lives(40)
    first, second = segment(D, "23281"), segment(D, "23284", level=1)
    taken = restated("intake", [first], known=D, record="r")
    moved = restated("intake", [second], [first], known=D, record="r")
    gone = restated("intake", [], [second], known=D, record="r")
    await feed.append([*others, gone])
    await service.drain(feed)
    # Sequences that the position has passed, in a partition that has some.
    partition = next(
        n for n, next_ in enumerate((await service.positions())["counting"]["intake"]) if next_ > 2
    )
    place = Partition("intake", partition)
    letters = [
        await bury(service.kit.pool, "counting", place, encode(new.event), sequence=sequence)
        for sequence, new in enumerate((taken, moved), 1)
    ]
    events = [*others, taken, moved, gone]
    assert not (await reconcile(service, await tallies(feed, events)))["clean"]
    for number in reversed(letters):  # the younger one first
        answer = await post(service.client, f"/{number}/replay")
        assert (answer["state"], answer["settled_by"], answer["note"]) == ("replayed", "admin", None)
        assert answer["settled_at"]
    assert await totals(database) == counted(events)
    by_channel = await service.kit.pool.fetchval("SELECT sum(n) FROM breakdown WHERE dimension = 0")
    assert by_channel == counted(events).total()
    assert (await reconcile(service, await tallies(feed, events)))["clean"]
    assert await service.kit.pool.fetchval("SELECT count(*) FROM dead_letter WHERE state = 'replayed'") == 2
    problem = await post(service.client, f"/{letters[0]}/replay", status=409)
    assert "replayed by admin already" in problem["detail"]
    await post(service.client, f"/{letters[0]}/discard", {"reason": "late"}, status=409)
    assert await totals(database) == counted(events)


async def test_a_letter_that_two_people_replay_at_once_counts_once(
    world: tuple[RunningAggregator, Producers], database: Database, tmp_path: Path
) -> None:
    """In one replica, and in two."""
    service, feed = world
    event = restated("intake", [segment(D, "23281")], known=D)
    await feed.append([restated("intake", [segment(D, "23284")], known=D, record="r") for _ in range(3)])
    await service.drain(feed)
    partition = (await service.positions())["counting"]["intake"].index(4)
    number = await bury(service.kit.pool, "counting", Partition("intake", partition), encode(event.event))
    async with aggregator(database, tmp_path) as replica:
        answers = await asyncio.gather(
            *[
                each.client.post(f"{LETTERS}/{number}/{how}", json={"reason": "no"})
                for each in (service, replica, service, replica)
                for how in ("replay", "discard", "replay")
            ]
        )
        assert sorted(answer.status_code for answer in answers) == [200] + [409] * 11
    state = next(answer.json()["state"] for answer in answers if answer.status_code == 200)
    n = await service.kit.pool.fetchval("SELECT coalesce(sum(n), 0) FROM total WHERE unit = '23281'")
    assert n == (2 if state == "replayed" else 0)


@pytest.mark.parametrize("case", ["poison", "newer", "foreign", "retired", "ahead", "unwritable"])
async def test_what_cannot_be_replayed_stays_as_it_is_and_the_problem_says_why(
    world: tuple[RunningAggregator, Producers], database: Database, case: str
) -> None:
    service, feed = world
    (number,) = await poison(service, feed, b"{")
    pool, place = service.kit.pool, Partition("intake", 3)
    body = encode(restated("intake", [segment(D, "23281")], known=D).event)
    await pool.execute("UPDATE consumer_position SET next = 2 WHERE topic = 'intake'")
    said = "cannot be read"
    if case != "poison":
        await pool.execute("DELETE FROM dead_letter")
    if case == "newer":
        newer = body.replace(b"intake-restated.v1", b"intake-restated.v2")
        number, said = await bury(pool, "counting", place, newer), "intake-restated.v2"
    elif case == "foreign":
        number, said = await bury(pool, "counting", place, body, sequence=None), "no log of ours"
    elif case == "retired":
        number, said = await bury(pool, "grand totals", place, body), "no consumer 'grand totals'"
    elif case == "ahead":
        number, said = (
            await bury(pool, "counting", place, body, sequence=2),
            "has yet to read intake/3 from 2 on",
        )
    elif case == "unwritable":
        nothing = body.replace(b"23281", b"23\\u000081")
        number, said = await bury(pool, "counting", place, nothing), "cannot be written"
    before = await service.get(f"{LETTERS}/{number}")
    problem = await post(service.client, f"/{number}/replay", status=409)
    assert said in problem["detail"]
    assert problem["remedy"]
    assert not problem["retryable"]
    assert await service.get(f"{LETTERS}/{number}") == before
    assert not await totals(database)
    assert waiting(before["consumer"]) == 1
    await post(service.client, f"/{number}/discard", {"reason": "nothing can be done with it"})
    assert waiting(before["consumer"]) == 0


async def test_a_letter_is_discarded_once_with_a_reason_and_the_name_of_who_did_it(
    world: tuple[RunningAggregator, Producers],
) -> None:
    service, feed = world
    (number,) = await poison(service, feed, b"{")
    for body in (
        None,
        {},
        {"reason": None},
        {"reason": ""},
        {"reason": " \t "},
        {"reason": "two\nlines"},
        {"reason": "zero\x00"},
        {"reason": "half a pair \ud800"},
        {"reason": "x" * 501},
        {"reason": "said 062099000001"},
        {"reason": 7},
        {"reason": "good", "note": "bad"},
        ["good"],
    ):
        problem = await post(service.client, f"/{number}/discard", body, status=422)
        assert problem["field"]
    assert (await service.get(f"{LETTERS}/{number}"))["state"] == "waiting"
    answer = await post(service.client, f"/{number}/discard", {"reason": " bản ghi thử nghiệm "})
    assert (answer["state"], answer["settled_by"], answer["note"]) == (
        "discarded",
        "admin",
        "bản ghi thử nghiệm",
    )
    problem = await post(service.client, f"/{number}/discard", {"reason": "again"}, status=409)
    assert "discarded by admin already" in problem["detail"]
    await post(service.client, f"/{number}/replay", status=409)
    assert (await service.get(f"{LETTERS}/{number}"))["note"] == "bản ghi thử nghiệm"


async def test_only_an_admin_sees_and_settles_letters(
    world: tuple[RunningAggregator, Producers], tmp_path: Path
) -> None:
    service, feed = world
    (number,) = await poison(service, feed, b"{")
    file = tmp_path / "api-keys.json"
    keys = json.loads(file.read_text())["keys"]
    scopes = ["campaign:write", "progress:read", "intake:write"]
    digest = hashlib.sha256(b"reader").hexdigest()
    keys.append({"name": "reader", "sha256": digest, "scopes": scopes})
    file.write_text(json.dumps({"keys": keys}))
    service.kit.keys.refresh()
    which = {"consumer": "counting"}
    for key, status in (("reader", 403), ("nobody", 401), ("", 401)):
        headers = {"Authorization": f"Bearer {key}"}
        for path in (LETTERS, f"{LETTERS}/{number}"):
            answer = await service.client.get(path, headers=headers)
            assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
        for path, body in (
            (f"/{number}/replay", None),
            (f"/{number}/discard", {"reason": "none of my business"}),
            ("/replay", which),
            ("/discard", which | {"reason": "none of my business"}),
        ):
            await post(service.client, path, body, key=key or "-", status=status)
    assert (await service.get(f"{LETTERS}/{number}"))["state"] == "waiting"


async def test_what_is_asked_for_badly_is_a_problem(world: tuple[RunningAggregator, Producers]) -> None:
    service, _ = world
    for path, status in (
        ("/1", 404),
        (f"/{2**63 - 1}", 404),
        (f"/{2**63}", 422),
        ("/0", 422),
        ("/-1", 422),
        ("/one", 422),
        ("/%00", 422),
        ("/1/replay", 405),
        ("?state=lost", 422),
        ("?limit=0", 422),
        ("?limit=501", 422),
        ("?after=-1", 422),
        (f"?after={2**63}", 422),
        ("?consumer=", 422),
        ("?consumer=%00", 422),
        ("?consumer=nobody", 422),
    ):
        answer = await service.client.get(LETTERS + path)
        assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), path
    await post(service.client, "/1/replay", status=404)
    await post(service.client, "/1/discard", {"reason": "gone"}, status=404)
    for body in (
        None,
        {},
        {"consumer": "nobody"},
        {"consumer": "counting", "limit": 501},
        {"consumer": "counting", "limit": 0},
        {"consumer": "counting", "after": "x"},
        {"consumer": "counting", "most": 3},
    ):
        await post(service.client, "/replay", body, status=422)
    await post(service.client, "/discard", {"consumer": "counting"}, status=422)
    problem = await post(service.client, "/replay", {"consumer": "nobody"}, status=422)
    assert (problem["field"], "counting" in problem["remedy"]) == ("consumer", True)


async def test_many_are_settled_some_at_a_time_and_one_that_cannot_be_spares_the_others(
    world: tuple[RunningAggregator, Producers], database: Database
) -> None:
    service, feed = world
    await poison(service, feed, *[b"{"] * 8)
    pool, place = service.kit.pool, Partition("intake", 3)
    # A mended build can read all but the third.
    events = [restated("intake", [segment(D, "23281")], known=D) for _ in range(7)]
    await pool.execute("DELETE FROM dead_letter")
    for consumer in ("counting", "retired"):
        bodies = [encode(new.event) for new in events]
        for sequence, body in enumerate([*bodies[:2], b"{", *bodies[2:]], 1):
            await bury(pool, consumer, place, body, sequence=sequence)
    first = await post(service.client, "/replay", {"consumer": "counting", "limit": 5})
    assert (first["settled"], first["refused"]) == (4, 1)
    assert [outcome["state"] for outcome in first["outcomes"]] == ["replayed"] * 2 + ["waiting"] + [
        "replayed"
    ] * 2
    assert "cannot be read" in first["outcomes"][2]["problem"]["detail"]
    second = await post(
        service.client, "/replay", {"consumer": "counting", "limit": 5, "after": first["next_after"]}
    )
    assert (second["settled"], second["refused"], second["next_after"]) == (3, 0, None)
    assert await totals(database) == counted(events)
    assert waiting("counting") == 1
    assert waiting("retired") == 8
    reason = {"reason": "cut short by the producer"}
    rest = await post(service.client, "/discard", {"consumer": "counting", **reason})
    assert [outcome["id"] for outcome in rest["outcomes"]] == [first["outcomes"][2]["id"]]
    assert (await post(service.client, "/discard", {"consumer": "counting", **reason}))["outcomes"] == []
    assert (await service.get(LETTERS))["waiting"] == {"retired": 8}


async def test_the_gauge_is_right_from_the_start_and_no_body_is_logged(
    database: Database, tmp_path: Path
) -> None:
    async with started(database, tmp_path) as (service, feed):
        await poison(service, feed, b"{", b"[]")
        kept = await bury(service.kit.pool, "retired", Partition("intake", 3), b'"a secret body"')
    for name in ("counting", "retired"):
        metrics.DEAD_LETTERS.labels(name).set(77)
    async with aggregator(database, tmp_path) as service:
        assert (waiting("counting"), waiting("retired")) == (2, 1)
        ids = [letter["id"] for letter in (await service.get(LETTERS, consumer="counting"))["letters"]]
        with structlog.testing.capture_logs() as lines:
            await post(service.client, f"/{kept}/replay", status=409)
            await post(service.client, f"/{kept}/discard", {"reason": "nobody reads it"})
            for number in ids:
                await post(service.client, f"/{number}/discard", {"reason": "nobody reads it"})
        assert (waiting("counting"), waiting("retired")) == (0, 0)
    settled = [line for line in lines if line["event"] == "dead letter settled"]
    assert [(line["letter"], line["state"], line["by"]) for line in settled] == [
        (number, "discarded", "admin") for number in (kept, *ids)
    ]
    assert "secret" not in str(lines)


async def test_past_the_bound_a_partition_stops_until_some_are_settled(
    world: tuple[RunningAggregator, Producers], database: Database
) -> None:
    """All of it as an operator sees it: through HTTP."""
    service, feed = world
    await service.become_ready()
    await service.kit.pool.execute(
        "INSERT INTO dead_letter (consumer, topic, partition, seq, reason, body) "
        "SELECT 'counting', 'intake', 3, n, 'not read then', '' FROM generate_series(1000001, 1001000) AS n"
    )
    await feed.append_body("intake", 3, b"one too many")

    async def stopped() -> bool:
        answer = await service.client.get("/readyz")
        return answer.status_code == 503 and "intake/3: another dead letter" in answer.text

    await eventually(stopped)
    events = lives(60)
    await feed.append(events)
    heads = await feed.heads()

    async def others_went_on() -> bool:
        wanted = {topic: list(next_) for topic, next_ in heads.items()}
        wanted["intake"][3] = 1
        return (await service.positions())["counting"] == wanted

    await eventually(others_went_on)
    assert (await service.get(LETTERS, limit=1))["waiting"]["counting"] == 1000
    missing = (await service.client.get("/readyz")).json()["missing"]
    assert len(missing) == 1
    assert missing[0].startswith("consumer counting: ")
    which = {"consumer": "counting", "limit": 2, "reason": "written by a build that is gone"}
    assert (await post(service.client, "/discard", which))["settled"] == 2
    await service.drain(feed)
    await service.become_ready()
    assert await totals(database) == counted(events)
    page = await service.get(LETTERS, consumer="counting", state="waiting", limit=500, after=0)
    assert page["waiting"]["counting"] == 999


class Dossiers:
    """Intake and activation, and a way to make activation meet a dossier's version that it cannot read."""

    def __init__(self, database: Database, folder: Path, desk: Service) -> None:
        self.database = database
        self.folder = folder
        self.desk = desk

    async def spoil(self, record: str, version: int) -> bytes:
        """Spoil it in the log; what it was."""
        pool = self.desk.kit.pool
        for row in await pool.fetch("SELECT partition, seq, body FROM log_dossier"):
            data = json.loads(row["body"])["data"]
            if (data["record_id"], data["version"]) == (record, version):
                await pool.execute(
                    "UPDATE log_dossier SET body = $3 WHERE partition = $1 AND seq = $2",
                    row["partition"],
                    row["seq"],
                    row["body"][:-9],
                )
                body: bytes = row["body"]
                return body
        raise AssertionError("no such version")

    async def mended(self, phones: Service, body: bytes) -> int:
        """The one letter, as a mended build sees it: one whose body can be read."""
        (letter,) = (await phones.get(LETTERS))["letters"]
        assert letter["type"] == "vn.tiendo.intake.dossier-restated.v1"
        await phones.kit.pool.execute("DELETE FROM dead_letter")
        at = Partition(letter["topic"], letter["partition"])
        return await bury(phones.kit.pool, "dossiers", at, body, sequence=letter["sequence"])


@pytest.fixture
async def dossiers(database: Database, tmp_path: Path) -> AsyncIterator[Dossiers]:
    await publish_directory(database)
    async with intake(database, tmp_path) as desk:
        yield Dossiers(database, tmp_path, desk)


async def test_a_dossier_that_cannot_be_read_and_comes_alone_is_put_aside(dossiers: Dossiers) -> None:
    [record] = await dossiers.desk.accept("/v1/intakes", intake_line(citizen()))
    await dossiers.spoil(record, 1)
    async with activation(dossiers.database, dossiers.folder) as phones:
        await drained(dossiers.desk, phones)
        assert (await phones.get(LETTERS))["waiting"] == {"dossiers": 1}
        await phones.ready()


async def test_a_dossiers_version_is_followed_when_it_is_replayed(dossiers: Dossiers) -> None:
    who = citizen()
    [record] = await dossiers.desk.accept("/v1/intakes", intake_line(who))
    await dossiers.desk.accept("/v1/approvals", approval_line(who))
    body = await dossiers.spoil(record, 2)
    async with activation(dossiers.database, dossiers.folder) as phones:
        await drained(dossiers.desk, phones)
        await phones.accept("/v1/activations", activation_line(who))
        assert await phones.cells() == {}
        number = await dossiers.mended(phones, body)
        await post(phones.client, f"/{number}/replay", key="nimda")
        segments = (await phones.get(f"/v1/accounts/{record}"))["segments"]
        assert [(part["from_day"], part["residence"]) for part in segments] == [("2023-11-15", HOME)]
        [event] = await phones.kit.pool.fetch("SELECT body FROM log_activation")
        assert json.loads(event[0])["data"]["record_id"] == record


async def test_a_dossiers_version_changes_nothing_when_it_is_replayed_after_a_later_one(
    dossiers: Dossiers,
) -> None:
    who = citizen()
    [record] = await dossiers.desk.accept("/v1/intakes", intake_line(who))
    await dossiers.desk.accept("/v1/approvals", approval_line(who))
    await dossiers.desk.accept("/v1/amendments", amendment_line(who, "move", residence_unit=AWAY))
    body = await dossiers.spoil(record, 2)
    async with activation(dossiers.database, dossiers.folder) as phones:
        await drained(dossiers.desk, phones)
        await phones.accept("/v1/activations", activation_line(who))
        before = await phones.get(f"/v1/accounts/{record}")
        number = await dossiers.mended(phones, body)
        await post(phones.client, f"/{number}/replay", key="nimda")
        assert await phones.get(f"/v1/accounts/{record}") == before
        assert [part["residence"] for part in before["segments"]] == [AWAY]


@pytest.mark.parametrize("end", ["void", "reject"])
async def test_an_approval_that_is_replayed_does_not_outlive_what_took_it_back(
    dossiers: Dossiers, end: str
) -> None:
    """Nobody has an account yet when the approval cannot be read and is then taken back."""
    who = citizen()
    [record] = await dossiers.desk.accept("/v1/intakes", intake_line(who))
    await dossiers.desk.accept("/v1/approvals", approval_line(who))
    if end == "void":
        await dossiers.desk.accept("/v1/amendments", amendment_line(who, "void"))
    else:
        await dossiers.desk.accept(
            "/v1/approvals",
            approval_line(who, decision="rejected", reason="wrong_photo", occurred_at=hour_of(13, 15)),
        )
    body = await dossiers.spoil(record, 2)
    async with activation(dossiers.database, dossiers.folder) as phones:
        await drained(dossiers.desk, phones)
        number = await dossiers.mended(phones, body)
        await post(phones.client, f"/{number}/replay", key="nimda")
        await phones.accept("/v1/activations", activation_line(who))
        assert await phones.cells() == {}

"""What the services publish: valid under the contracts, the same as the event model says, silent on who it is."""

import asyncio
import base64
import contextlib
import json
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Any

import asyncpg
import jsonschema  # type: ignore[import-untyped]
import pytest

from tests.support.event_model import DAYS, Citizen, ToActivation, ToIntake, Told
from tests.support.postgres import Database
from tiendo_activation.consumer import DossierProjection
from tiendo_activation.http_schemas import ActivationLine
from tiendo_activation.http_schemas import submission as activation_submission
from tiendo_activation.rules import Switched
from tiendo_activation.use_cases import Accounts
from tiendo_common.clock import VIETNAM, DrivenClock, local_day
from tiendo_common.database.migrate import migrate
from tiendo_common.database.pool import make_pool
from tiendo_common.eventlog.consumer import Batch
from tiendo_common.eventlog.port import Chunk, Partition, Position
from tiendo_common.eventlog.postgres import PostgresEventLog, PostgresLogReader
from tiendo_common.events.catalogue import TOPICS, EventDecoder, type_of
from tiendo_common.events.contracts import FOLDER, schema_path
from tiendo_common.events.directory import Directory
from tiendo_common.events.envelope import Event
from tiendo_common.events.state import (
    CampaignPublication,
    CampaignPublished,
    UnitPublication,
    UnitPublished,
    UnitSpan,
)
from tiendo_common.identity import PersonHasher, PersonKey
from tiendo_intake.http_schemas import (
    AmendmentLine,
    ApprovalLine,
    IntakeLine,
    amendment_submission,
    approval_submission,
    intake_submission,
)
from tiendo_intake.use_cases import IntakeDesk, Submission

UNITS = ("23500", "23521", "23524")
TODAY = date(2023, 11, 20)
NOON = datetime.combine(TODAY, time(12), VIETNAM)
HASHER = PersonHasher([PersonKey(1, b"k" * 32)])
LIVES, ROUNDS = 60, 16


def directory() -> Directory:
    """Three communes and a campaign."""
    known = Directory()
    attributes: dict[str, Any] = {
        "id": "1",
        "source": "/vn/test",
        "subject": "62",
        "time": NOON,
        "partitionkey": "1",
    }
    for code in UNITS:
        span = UnitSpan(from_day=date(2004, 1, 1), until_day=None, parent="615", level="commune", name=code)
        unit = UnitPublication(code=code, spans=(span,), loaded=len(UNITS))
        known.put_unit(UnitPublished(data=unit, **attributes))
    campaign = CampaignPublication(
        campaign="kon-tum-2023", name="Kon Tum", province="62",
        first_day=DAYS[0], last_day=TODAY, day_cut_off=time(21),
    )  # fmt: skip
    known.put_campaign(CampaignPublished(data=campaign, **attributes))
    return known


def at(day: date) -> datetime:
    return datetime.combine(day, time(9), VIETNAM)


def random_line(chance: random.Random, common: dict[str, Any]) -> Submission:
    """Something that a provincial system could say of a citizen, understood as the routes understand it."""
    unit, other = chance.choice(UNITS), chance.choice(UNITS)
    said = {**common, "occurred_at": at(chance.choice(DAYS))}
    kind = chance.choice(["intake", "intake", "approved", "approved", "rejected", "move", "correct", "void"])
    if kind == "intake":
        line = IntakeLine(
            level=chance.choice([1, 2]), residence_unit=unit, collecting_unit=other, channel="mobile",
            cohorts=("workers",), team="Tổ 3", **said,
        )  # fmt: skip
        return intake_submission("test", line)
    if kind == "approved":
        return approval_submission("test", ApprovalLine(decision="approved", **said))
    if kind == "rejected":
        return approval_submission("test", ApprovalLine(decision="rejected", reason="photo", **said))
    if kind == "move":
        amendment = AmendmentLine(kind="move", residence_unit=unit, reason="moved_house", **said)
    elif kind == "correct":
        right: dict[str, Any] = chance.choice(
            [{"level": chance.choice([1, 2])}, {"residence_unit": unit}, {"channel": "home"}]
        )
        amendment = AmendmentLine(kind="correct", reason="typing_error", **right, **said)
    else:
        amendment = AmendmentLine(kind="void", reason="duplicate", **said)
    return amendment_submission("test", amendment)


def random_switch(chance: random.Random, common: dict[str, Any]) -> ActivationLine:
    return ActivationLine(
        result=chance.choice(["succeeded", "succeeded", "deactivated", "reactivated"]),
        collecting_unit=chance.choice([None, *UNITS]),
        channel="home",
        occurred_at=at(chance.choice(DAYS)),
        **common,
    )


@dataclass
class Life:
    """A citizen in the services and in the model."""

    number: str
    model: Citizen


class Province:
    """Intake and activation as they run, on a database of their own."""

    def __init__(self, pools: dict[str, asyncpg.Pool]) -> None:
        self.pools = pools
        clock = DrivenClock(NOON)
        parts = (clock, HASHER, directory())
        logs = {service: PostgresEventLog(service, pool) for service, pool in pools.items()}
        self._desk = IntakeDesk(pools["intake"], logs["intake"], *parts, "/vn/intake")
        self._accounts = Accounts(pools["activation"], logs["activation"], *parts, "/vn/activation")
        self._dossiers = {Partition("dossier", number): Position(1) for number in range(16)}
        self._lines = 0

    def _common(self, life: Life) -> dict[str, Any]:
        self._lines += 1
        return {"line_id": str(self._lines), "citizen_id": life.number, "campaign": "kon-tum-2023"}

    async def take(self, lives: Sequence[Life], chance: random.Random) -> None:
        """Intake takes a line of each of these."""
        submissions = [random_line(chance, self._common(life)) for life in lives]
        await self._desk.submit(submissions)
        for life, submission in zip(lives, submissions, strict=True):
            life.model.send(ToIntake(submission.kind, submission.action))

    async def switch(self, lives: Sequence[Life], chance: random.Random) -> None:
        """Activation takes a line of each of these."""
        lines = [random_switch(chance, self._common(life)) for life in lives]
        await self._accounts.submit([activation_submission("test", line) for line in lines])
        for life, line in zip(lives, lines, strict=True):
            assert line.result != "failed"
            switched = Switched(
                local_day(line.occurred_at), line.result != "deactivated", TODAY, line.collecting_unit, "home"
            )
            life.model.send(ToActivation(line.result, line.result, switched))

    async def fail(self, lives: Sequence[Life]) -> None:
        """An attempt of each of these fails."""
        said: dict[str, Any] = {"result": "failed", "reason": "network", "occurred_at": NOON, "team": "Tổ 3"}
        lines = [ActivationLine(**said, **self._common(life)) for life in lives]
        await self._accounts.submit([activation_submission("test", line) for line in lines])

    async def follow(self, lives: Sequence[Life]) -> None:
        """Activation reads all dossiers there are."""
        reader = PostgresLogReader(self.pools["activation"])
        projection = DossierProjection(self._accounts)
        while chunks := await reader.fetch(self._dossiers, 500):
            work = projection.prepare(Batch(chunks))
            async with self.pools["activation"].acquire() as connection, connection.transaction():
                await projection.apply(connection, [work])
            self._dossiers |= {chunk.partition: chunk.after for chunk in chunks}
        for life in lives:
            while life.model.followed < len(life.model.desk.dossiers):
                life.model.follow()

    async def published(self, topic: str) -> list[bytes]:
        """Every event of a topic, as its consumer reads it."""
        reader = PostgresLogReader(self.pools[TOPICS[topic].consumers[0]])
        chunks: list[Chunk] = await reader.fetch(
            {Partition(topic, number): Position(1) for number in range(TOPICS[topic].partitions)}, 1_000_000
        )
        return [body for chunk in chunks for body in chunk.bodies]


@contextlib.asynccontextmanager
async def province(database: Database) -> AsyncIterator[Province]:
    async with contextlib.AsyncExitStack() as stack:
        pools: dict[str, asyncpg.Pool] = {}
        for service in ("intake", "activation", "aggregator"):
            await migrate(database.dsn(service), service)
            pools[service] = await stack.enter_async_context(make_pool(database.dsn(service), service))
        yield Province(pools)


@dataclass
class Published:
    """What the lives led to: on each topic, and by the model."""

    lives: list[Life]
    bodies: dict[str, list[bytes]]


@pytest.fixture(scope="module")
def published(module_database: Database) -> Published:
    """Sixty lives at random (always the same), side by side."""

    async def live() -> Published:
        chance = random.Random(20231111)
        lives = [Life(f"06209{number:07}", Citizen()) for number in range(LIVES)]
        async with province(module_database) as services:
            await services.fail(lives[:10])
            for _ in range(ROUNDS):
                await services.take(lives, chance)
                await services.switch([life for life in lives if chance.random() < 0.3], chance)
                if chance.random() < 0.4:
                    await services.follow(lives)
            await services.follow(lives)
            await services.fail(lives[5:20])
            topics = ("intake", "approval", "dossier", "activation")
            return Published(lives, {topic: await services.published(topic) for topic in topics})

    return asyncio.run(live())


def restatements(bodies: Sequence[bytes], topic: str) -> dict[str, list[Any]]:
    """The restatements of a topic by record, in order."""
    decoder = EventDecoder[Event](TOPICS[topic].events)
    found: defaultdict[str, list[Any]] = defaultdict(list)
    for event in map(decoder.decode, bodies):
        data = event.data  # type: ignore[attr-defined]
        if hasattr(data, "version"):
            found[data.record_id].append(data)
    return found


def test_every_published_event_is_valid_under_its_schema(published: Published) -> None:
    validators = {
        type_of(event): jsonschema.Draft202012Validator(
            json.loads((FOLDER / schema_path(event)).read_bytes()), format_checker=jsonschema.FormatChecker()
        )
        for topic in published.bodies
        for event in TOPICS[topic].events
    }
    seen = set()
    for bodies in published.bodies.values():
        for body in bodies:
            document = json.loads(body)
            assert list(validators[document["type"]].iter_errors(document)) == []
            assert document["subject"]
            assert document["partitionkey"]
            seen.add(document["type"])
    assert seen == set(validators)


def test_the_services_publish_what_the_event_model_says(published: Published) -> None:
    hashes = {data.person_hash: record for record, (data, *_) in dossiers(published).items()}
    in_topic = {topic: restatements(bodies, topic) for topic, bodies in published.bodies.items()}
    told = 0
    for life in published.lives:
        record = hashes[HASHER.hash(life.number)]
        for topic, expected in zip(("intake", "approval", "activation"), life.model.topics, strict=True):
            assert spans(in_topic[topic][record]) == spans(expected)
            told += len(expected)
        said = in_topic["dossier"][record]
        assert [data.segments for data in said] == [each.segments for each in life.model.desk.dossiers]
        assert [data.version for data in said] == list(range(1, len(said) + 1))
    assert told > 5 * LIVES


def dossiers(published: Published) -> dict[str, list[Any]]:
    return restatements(published.bodies["dossier"], "dossier")


def spans(events: Sequence[Any] | Sequence[Told]) -> list[tuple[Any, Any]]:
    return [(each.before, each.after) for each in events]


def test_versions_of_accounts_rise_by_one(published: Published) -> None:
    for said in restatements(published.bodies["activation"], "activation").values():
        assert [data.version for data in said] == list(range(1, len(said) + 1))


def test_no_event_holds_a_personal_number_and_no_public_one_its_hash(published: Published) -> None:
    for topic, bodies in published.bodies.items():
        everything = b"\n".join(bodies)
        for life in published.lives:
            digest = HASHER.hash(life.number)
            assert life.number.encode() not in everything
            assert (base64.b64encode(digest) in everything) == (topic == "dossier")
            assert digest.hex().encode() not in everything

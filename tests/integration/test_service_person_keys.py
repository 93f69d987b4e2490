"""Rotating the person keys: every hash is lifted before anybody is served, and no citizen counts twice."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import asyncpg
import pytest
import structlog.testing

from tests.support.directory import AWAY, publish_directory
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
    person_keys_file,
)
from tiendo_activation import storage as activation_storage
from tiendo_common.identity import PersonHasher, PersonKey
from tiendo_common.service.person_keys import HashedTable, WrongPersonKeys, lift_hashes
from tiendo_intake import storage as intake_storage

pytestmark = pytest.mark.anyio

Line = dict[str, Any]


def hasher(folder: Path, *ids: int) -> PersonHasher:
    return PersonHasher.from_file(person_keys_file(folder, *ids))


class Lives:
    """Citizens with everything that can be on record about them, and every line that was sent."""

    def __init__(self) -> None:
        self.turn = 0
        self.citizens = [citizen() for _ in range(30)]
        self.sent: dict[str, list[Line]] = {
            "/v1/intakes": [intake_line(who, level=1) for who in self.citizens],
            "/v1/approvals": [approval_line(who) for who in self.citizens[:20]],
            "/v1/amendments": [amendment_line(who, "move", residence_unit=AWAY) for who in self.citizens[:5]],
        }
        self.tried: list[Line] = [
            *(activation_line(who, result="failed", reason="network") for who in self.citizens),
            *(activation_line(who) for who in self.citizens[10:25]),
            # Nothing else is known of these.
            *(activation_line(citizen(), result="failed", reason="other") for _ in range(5)),
            *(activation_line(citizen()) for _ in range(5)),
        ]

    async def happen(self, desk: Service, phones: Service) -> None:
        for path, lines in self.sent.items():
            await desk.accept(path, *lines)
        await phones.accept("/v1/activations", *self.tried)
        await drained(desk, phones)

    async def are_known(self, desk: Service, phones: Service) -> None:
        """Everything sent again is a duplicate: by its line id, and under another one."""
        self.turn += 1
        for suffix in ("", f" again {self.turn}"):
            for path, lines in [*self.sent.items(), ("/v1/activations", self.tried)]:
                again = [line | {"line_id": f"{line['line_id']}{suffix}"} for line in lines]
                answers = await (phones if path == "/v1/activations" else desk).bulk(path, again)
                assert {answer["status"] for answer in answers} == {"duplicate"}, path


@pytest.fixture
async def published(database: Database) -> Database:
    await publish_directory(database)
    return database


async def until(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(60):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.01)


async def keys_in(database: Database, service: str) -> dict[str, set[int]]:
    """Under which keys the rows of each table are."""
    storage = intake_storage if service == "intake" else activation_storage
    connection = await asyncpg.connect(database.dsn(service))
    try:
        return {
            table.name: {
                row[0] for row in await connection.fetch(f"SELECT DISTINCT key_id FROM {table.name}")
            }
            for table in storage.HASHED
        }
    finally:
        await connection.close()


async def test_after_a_rotation_everybody_is_known_as_before(published: Database, tmp_path: Path) -> None:
    lives = Lives()
    async with intake(published, tmp_path) as desk, activation(published, tmp_path) as phones:
        await lives.happen(desk, phones)
        before = await desk.cells(), await phones.cells()
        failures = await phones.get("/v1/failures", first_day="2023-11-01", last_day="2023-11-20")
    for keys in ([1, 2], [1, 2, 5], [1, 2, 5]):
        async with (
            intake(published, tmp_path, person_keys=keys) as desk,
            activation(published, tmp_path, person_keys=keys) as phones,
        ):
            assert set().union(*(await keys_in(published, "intake")).values()) == {keys[-1]}
            assert set().union(*(await keys_in(published, "activation")).values()) == {keys[-1]}
            await lives.are_known(desk, phones)
            assert (await desk.cells(), await phones.cells()) == before
            assert failures == await phones.get("/v1/failures", first_day="2023-11-01", last_day="2023-11-20")
            # Life goes on for those known, and for those who are new.
            await desk.accept("/v1/approvals", approval_line(lives.citizens[-keys[-1]]))
            new = citizen()
            [record] = await desk.accept("/v1/intakes", intake_line(new))
            await desk.accept("/v1/approvals", approval_line(new))
            await phones.accept("/v1/activations", activation_line(new))
            await drained(desk, phones)
            assert (await phones.get(f"/v1/accounts/{record}"))["activated"]
            lives.sent["/v1/approvals"] = [
                line
                for line in lives.sent["/v1/approvals"]
                if line["citizen_id"] != lives.citizens[-keys[-1]]
            ]
            before = await desk.cells(), await phones.cells()
            if keys == [1, 2, 5]:
                break


async def test_services_need_not_rotate_together(published: Database, tmp_path: Path) -> None:
    """Activation is given the new keys first: dossiers come under the old key, and are lifted on arrival."""
    lives = Lives()
    async with (
        intake(published, tmp_path) as desk,
        activation(published, tmp_path, person_keys=[1, 2]) as phones,
    ):
        await lives.happen(desk, phones)
        await lives.are_known(desk, phones)
        assert sum((await phones.cells()).values()) == 2 * 10


async def test_a_dossier_under_a_key_that_activation_lacks_stops_it(
    published: Database, tmp_path: Path
) -> None:
    """It would otherwise take the citizen for another."""
    who = citizen()
    async with (
        intake(published, tmp_path, person_keys=[1, 2]) as desk,
        activation(published, tmp_path, person_keys=[1]) as phones,
    ):
        await phones.accept("/v1/activations", activation_line(who))
        await desk.accept("/v1/intakes", intake_line(who))
        await desk.accept("/v1/approvals", approval_line(who))

        async def halted() -> bool:
            return "person key 2" in (await phones.client.get("/readyz")).text

        await until(halted)
        assert await phones.cells() == {}
    async with (
        intake(published, tmp_path, person_keys=[1, 2]) as desk,
        activation(published, tmp_path, person_keys=[1, 2]) as phones,
    ):
        await drained(desk, phones)
        assert len(await phones.cells()) == 2


@pytest.mark.parametrize(
    ("service", "keys", "says"),
    [
        (intake, [1], "the newest in the keys file is 1"),
        (activation, [1], "the newest in the keys file is 1"),
        (intake, [2], "not those that the database was written with"),
        (activation, [2, 3], "not those that the database was written with"),
    ],
)
async def test_a_start_without_the_keys_of_the_database_fails(
    published: Database, tmp_path: Path, service: Callable[..., Any], keys: list[int], says: str
) -> None:
    async with (
        intake(published, tmp_path, person_keys=[1, 2]),
        activation(published, tmp_path, person_keys=[1, 2]),
    ):
        pass
    with structlog.testing.capture_logs() as logs:
        async with (
            service(published, tmp_path, person_keys=keys, wait=False) as refused,
        ):

            async def failed() -> bool:
                return bool(refused.app.state.runtime.failed)

            await until(failed)
            assert (await refused.client.get("/readyz")).status_code == 503
            answer = await refused.post("/v1/intakes", intake_line(citizen()))
            assert answer.status_code in (404, 503)
    [failure] = [entry for entry in logs if entry["event"] == "the start failed"]
    assert isinstance(failure["exc_info"], bool | BaseException)
    with pytest.raises(WrongPersonKeys, match=says):
        await lift_again(published, "intake" if service is intake else "activation", hasher(tmp_path, *keys))


async def lift_again(database: Database, service: str, keys: PersonHasher, *, batch: int = 5000) -> int:
    storage = intake_storage if service == "intake" else activation_storage
    async with asyncpg.create_pool(database.dsn(service), min_size=0, max_size=2) as pool:
        return await lift_hashes(pool, keys, storage.HASHED, batch=batch)


async def test_replicas_with_the_old_keys_write_nothing_once_the_rotation_began(
    published: Database, tmp_path: Path
) -> None:
    """They answer "later", so whoever sent the line sends it again and reaches a new one."""
    known, new = citizen(), citizen()
    line, attempt = intake_line(known, level=1), activation_line(known)
    async with intake(published, tmp_path) as old_desk, activation(published, tmp_path) as old_phones:
        await old_desk.accept("/v1/intakes", line)
        await old_phones.accept("/v1/activations", attempt)
        await drained(old_desk, old_phones)
        async with (
            intake(published, tmp_path, person_keys=[1, 2]) as desk,
            activation(published, tmp_path, person_keys=[1, 2]) as phones,
        ):
            for path, said in (
                ("/v1/intakes", intake_line(new)),
                ("/v1/intakes", intake_line(known, level=1)),
                ("/v1/intakes", intake_line(known, level=2)),
                ("/v1/intakes", line),
            ):
                for answer in (await old_desk.post(path, said), await old_desk.post(f"{path}/bulk", said)):
                    assert (answer.status_code, answer.headers.get("retry-after")) == (503, "1"), answer.text
                    assert answer.json()["retryable"]
            # A decision on a citizen whom it does not find: later, too.
            answer = await old_desk.post("/v1/approvals", approval_line(known))
            assert (answer.status_code, answer.json()["retryable"]) == (409, True)
            for said in (
                activation_line(new),
                activation_line(new, result="failed", reason="network"),
                activation_line(known),
                attempt,
            ):
                assert (await old_phones.post("/v1/activations", said)).status_code == 503
            [again] = await desk.bulk("/v1/intakes", [line])
            assert again["status"] == "duplicate"
            await desk.accept("/v1/intakes", intake_line(new), intake_line(known, level=2))
            [again] = await phones.bulk("/v1/activations", [attempt])
            assert again["status"] == "duplicate"
            assert await keys_in(published, "intake") == {"record": {2}, "line": {2}}


async def test_lifting_that_was_broken_off_goes_on(published: Database, tmp_path: Path) -> None:
    """Broken off after every batch, by a database that ends the session; the old keys no longer start."""
    lives = Lives()
    async with intake(published, tmp_path) as desk, activation(published, tmp_path) as phones:
        await lives.happen(desk, phones)
    admin = await asyncpg.connect(published.admin_dsn)
    try:
        for service in ("intake", "activation"):
            await break_after(admin, service, 2)
            tries = 0
            while True:
                tries += 1
                try:
                    await lift_again(published, service, hasher(tmp_path, 1, 2), batch=7)
                except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                    with pytest.raises(WrongPersonKeys):
                        await lift_again(published, service, hasher(tmp_path, 1))
                    continue
                break
            assert tries == 3
            await admin.execute(f"DROP TRIGGER breaks ON {service}.line")
    finally:
        await admin.close()
    async with (
        intake(published, tmp_path, person_keys=[1, 2]) as desk,
        activation(published, tmp_path, person_keys=[1, 2]) as phones,
    ):
        await lives.are_known(desk, phones)


async def break_after(admin: asyncpg.Connection, service: str, batches: int) -> None:
    """From the second update statement of lines in a session on, the session is ended."""
    await admin.execute(
        f"""
        CREATE FUNCTION {service}.break() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            PERFORM set_config('test.updates', current_setting('test.updates', true) || 'x', false);
            IF length(current_setting('test.updates')) > {batches} THEN
                PERFORM pg_terminate_backend(pg_backend_pid());
            END IF;
            RETURN NULL;
        END $$;
        CREATE TRIGGER breaks AFTER UPDATE ON {service}.line FOR EACH STATEMENT EXECUTE FUNCTION {service}.break();
        """
    )


async def test_of_two_replicas_that_start_together_one_lifts(published: Database, tmp_path: Path) -> None:
    lives = Lives()
    async with intake(published, tmp_path) as desk, activation(published, tmp_path) as phones:
        await lives.happen(desk, phones)
    for service, rows in (("intake", 30 + 55), ("activation", 40 + 35 + 55)):
        keys = hasher(tmp_path, 1, 2)
        lifted = await asyncio.gather(*[lift_again(published, service, keys, batch=3) for _ in range(3)])
        assert sorted(lifted)[:2] == [0, 0]
        assert max(lifted) == rows


async def test_a_database_without_hashes_takes_the_keys_that_it_is_given(
    published: Database, tmp_path: Path
) -> None:
    async with intake(published, tmp_path, person_keys=[3, 4]) as desk:
        line = intake_line(citizen())
        await desk.accept("/v1/intakes", line)
    async with intake(published, tmp_path, person_keys=[3, 4, 9]) as desk:
        [again] = await desk.bulk("/v1/intakes", [line])
        assert again["status"] == "duplicate"


async def test_lifting_goes_through_a_table_whose_key_is_the_hash_itself(database: Database) -> None:
    """A lifted row may come up again further on, and must not be lifted twice."""
    keys = [PersonKey(1, b"1" * 32), PersonKey(2, b"2" * 32)]
    old, new = PersonHasher(keys[:1]), PersonHasher(keys)
    numbers = [citizen() for _ in range(500)]
    table = HashedTable("hashed", "person_hash", {"person_hash": "bytea", "n": "int"})
    async with asyncpg.create_pool(database.dsn("intake"), min_size=0, max_size=2) as pool:
        await pool.execute(
            "CREATE TABLE hashed (person_hash bytea, n int, key_id smallint, PRIMARY KEY (person_hash, n));"
            "CREATE TABLE person_key (singleton boolean PRIMARY KEY DEFAULT true, key_id smallint NOT NULL, "
            "mark bytea NOT NULL, lifted boolean NOT NULL)"
        )
        assert await lift_hashes(pool, old, [table]) == 0
        await pool.executemany(
            "INSERT INTO hashed VALUES ($1, $2, 1)",
            [(old.hash(who), n) for who in numbers for n in (1, 2, 3)],
        )
        assert await lift_hashes(pool, new, [table], batch=7) == 1500
        rows = await pool.fetch("SELECT person_hash, n, key_id FROM hashed")
        assert {tuple(row) for row in rows} == {(new.hash(who), n, 2) for who in numbers for n in (1, 2, 3)}
        assert await lift_hashes(pool, new, [table], batch=7) == 0

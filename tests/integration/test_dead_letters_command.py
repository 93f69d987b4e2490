"""`tiendo dead-letters`, and what `tiendo doctor` says of them: run as commands beside services of their own."""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import psutil
import pytest

from tests.support.aggregator import eventually
from tests.support.command import run_command
from tests.support.directory import publish_directory
from tests.support.postgres import Database
from tests.support.scratch import scratch_folder
from tests.support.services import (
    Spawned,
    approval_line,
    citizen,
    intake_line,
    spawned,
)
from tiendo.doctor import examine
from tiendo.folders import DataFolder

pytestmark = pytest.mark.anyio

#: What a terminal would take for a command, and a table for its own.
NASTY = b'{"type": "com.example.[red]\\u001b[2Jx", "id": "1"}'


def command(*arguments: str, status: int = 0) -> str:
    """What it prints: on standard output, or on standard error if that is all."""
    ended = run_command("dead-letters", *arguments)
    assert ended.status == status, ended.out + ended.err
    return ended.out or ended.err


@dataclass
class Running:
    """Intake, which has no consumers, and activation, which has one; as `tiendo up` leaves word of them."""

    data: Path
    intake: Spawned
    activation: Spawned
    database: Database

    def command(self, *arguments: str, status: int = 0) -> str:
        return command(*arguments, "--data", str(self.data), status=status)

    def read(self, *arguments: str, status: int = 0) -> Any:
        return json.loads(self.command(*arguments, "--json", status=status))

    async def bury(self, *bodies: bytes, sequence: int | None = None) -> list[str]:
        """Letters that an earlier build of activation left; at sequences that its position has passed."""
        connection = await asyncpg.connect(self.database.dsn("activation"))
        try:
            return [
                "activation/"
                + str(
                    await connection.fetchval(
                        "INSERT INTO dead_letter (consumer, topic, partition, seq, reason, body) "
                        "SELECT 'dossiers', 'dossier', 0, $2::bigint - count(*), 'not read then', $1 "
                        "FROM dead_letter RETURNING id",
                        body,
                        sequence or 0,
                    )
                )
                for body in bodies
            ]
        finally:
            await connection.close()


@contextlib.asynccontextmanager
async def running(database: Database, scratch: Path) -> AsyncIterator[Running]:
    services = scratch / "services"
    services.mkdir()
    await publish_directory(database)
    async with (
        spawned(database, "intake", services) as desk,
        spawned(database, "activation", services) as phones,
    ):
        for service in (desk, phones):
            await service.listening()
            await service.ready()
        folder = DataFolder(scratch / "data")
        folder.make()
        folder.admin_key_file.write_text("nimda\n")
        folder.write_json(
            folder.instance_file,
            {
                "pid": os.getpid(),
                "born": psutil.Process().create_time(),
                "clock": "wall",
                "services": {
                    "intake": f"http://127.0.0.1:{desk.port}",
                    "activation": f"http://127.0.0.1:{phones.port}",
                },
                "postgres": {"kind": "outside", "url": "postgresql://elsewhere/tiendo", "pgdata": None},
            },
        )
        yield Running(folder.root, desk, phones, database)


@pytest.fixture(scope="module")
async def services(anyio_backend: object, module_database: Database) -> AsyncIterator[Running]:
    with scratch_folder() as scratch:
        async with running(module_database, scratch) as services:
            yield services


async def dossier(services: Running) -> bytes:
    """A dossier's event that can be read, of somebody who is not known to activation."""
    who = citizen()
    answer = await services.intake.post("/v1/intakes", intake_line(who), key="province")
    assert answer.status_code == 201
    await services.intake.accept("/v1/approvals", approval_line(who))
    connection = await asyncpg.connect(services.database.dsn("intake"))
    try:
        body: bytes = await connection.fetchval(
            "SELECT body FROM log_dossier WHERE convert_from(body, 'UTF8')::jsonb -> 'data' ->> 'record_id' = $1 "
            "ORDER BY seq DESC LIMIT 1",
            answer.json()["record_id"],
        )
    finally:
        await connection.close()
    return body


async def test_letters_of_all_services_are_listed_and_shown(services: Running) -> None:
    good, bad, worse, raw = await services.bury(
        await dossier(services), NASTY, b'{"a": "\x1b[2J"}', b"\xff\x00"
    )
    document = services.read("list")
    assert [letter["letter"] for letter in document["letters"]] == [good, bad, worse, raw]
    assert document["waiting"] == {"activation/dossiers": 4}
    assert not document["more"]
    assert services.read("list", "--limit", "2")["more"]
    assert services.read("list", "--consumer", "dossiers") == document
    assert services.read("list", "--consumer", "activation/dossiers", "--state", "all") == document
    table = services.command("list")
    for text in (good, "dossiers", "dossier/0@", "vn.tiendo.intake.dossier-restated.v1", "not read then"):
        assert text in table
    assert r"com.example.[red]\x1b[2Jx" in table.replace("\n", "")
    assert "\x1b" not in table
    assert "Waiting: activation/dossiers 4" in table

    shown = services.read("show", good)
    assert shown["letter"] == good
    assert json.loads(shown["body"]["content"])["type"] == "vn.tiendo.intake.dossier-restated.v1"
    text = services.command("show", bad)
    assert "\x1b" not in text
    assert NASTY.decode() in text
    assert r'{"a": "\x1b[2J"}' in services.command("show", worse)
    assert "/wA=" in services.command("show", raw)
    services.command("discard", good, bad, worse, raw, "--reason", "seen")


async def test_letters_are_replayed_and_what_cannot_be_is_said(services: Running) -> None:
    one, two, bad = await services.bury(await dossier(services), await dossier(services), b"{")
    assert "replayed" in services.command("replay", one)
    refused = services.command("replay", one, status=1)
    assert refused.splitlines() == [
        f"tiendo: {one}: Dead letter {one.split('/')[1]} was replayed by admin already.",
        f"What to do: tiendo dead-letters show {one} says more.",
    ]
    assert "It still cannot be read" in services.command("replay", bad, status=1)
    both = services.command("replay", two, bad, status=1)
    assert "1 settled, 1 as they were" in both
    assert "Install a build that can read it" in both
    answer = services.read("replay", two, bad, status=1)
    assert (answer["settled"], answer["refused"]) == (0, 2)
    assert [letter["problem"]["status"] for letter in answer["letters"]] == [409, 409]
    states = {
        letter["letter"]: letter["state"] for letter in services.read("list", "--state", "all")["letters"]
    }
    assert (states[one], states[two], states[bad]) == ("replayed", "replayed", "waiting")
    services.command("discard", bad, "--reason", "cut short")


async def test_letters_are_discarded_with_a_reason(services: Running) -> None:
    (letter,) = await services.bury(b"{")
    assert "--reason" in services.command("discard", letter, status=2)
    for reason in ("", "  ", "of 062099000001", "a\nb"):
        services.command("discard", letter, "--reason", reason, status=1)
    assert "discarded" in services.command("discard", letter, "--reason", "một bản ghi thử")
    shown = services.command("show", letter)
    assert "discarded by admin" in shown
    assert "một bản ghi thử" in shown
    assert "một bản ghi thử" in services.command("list", "--state", "discarded")
    assert "was discarded by admin already" in services.command("discard", letter, "--reason", "x", status=1)


async def test_all_of_a_consumer_are_settled_also_when_there_are_many(services: Running) -> None:
    bodies = [await dossier(services), *[b"{"] * 450, await dossier(services)]
    letters = await services.bury(*bodies)
    answer = services.read("replay", "--all", "--consumer", "dossiers", status=1)
    assert (answer["settled"], answer["refused"]) == (2, 450)
    assert [letter["letter"] for letter in answer["letters"]] == letters
    said = services.command("discard", "--all", "--consumer", "activation/dossiers", "--reason", "cut short")
    assert "450 settled, 0 as they were" in said
    assert services.read("list") == {"letters": [], "more": False, "waiting": {}}
    assert services.command("list").strip() == "No dead letter waits."
    said = services.command("replay", "--all", "--consumer", "dossiers")
    assert said.strip() == "No dead letter of it waits."


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay"], "not clear which"),
        (["replay", "--all"], "--consumer NAME"),
        (["replay", "--consumer", "dossiers"], "not clear which"),
        (["replay", "activation/1", "--all", "--consumer", "dossiers"], "not clear which"),
        (["replay", "17"], "'17' is no dead letter"),
        (["replay", "activation/"], "no dead letter"),
        (["replay", "activation/0"], "no dead letter"),
        (["replay", "activation/-1"], "no dead letter"),
        (["replay", "activation/1x"], "no dead letter"),
        (["replay", "activation/9223372036854775808"], "no dead letter"),
        (["replay", "activation/" + "9" * 5000], "no dead letter"),
        (["replay", "nobody/1"], "Choose one of intake, activation"),
        (["replay", "activation/999999"], "list --state all shows which there are"),
        (["show", "activation/999999"], "no dead letter 999999"),
        (["show", "intake/1"], "intake has no consumers"),
        (["replay", "intake/1"], "intake has no consumers"),
        (["replay", "--all", "--consumer", "nobody"], "Choose one of activation/dossiers"),
        (["replay", "--all", "--consumer", "activation/nobody"], "consumers of this service are dossiers"),
        (["list", "--consumer", "activation/nobody"], "consumers of this service are dossiers"),
        (["list", "--consumer", "nobody/dossiers"], "Choose one of intake, activation"),
    ],
    ids=lambda part: " ".join(part)[:40] if isinstance(part, list) else None,
)
async def test_what_is_not_clear_or_not_there_is_refused(
    services: Running, arguments: list[str], said: str
) -> None:
    refused = services.command(*arguments, status=1)
    assert refused.startswith("tiendo: ")
    assert "What to do: " in refused
    assert said in refused


async def test_without_an_instance_it_says_how_to_start_one(tmp_path: Path) -> None:
    refused = command("list", "--data", str(tmp_path), status=1)
    assert f"tiendo up --data {tmp_path}" in refused


async def test_doctor_says_what_waits_and_what_stopped(database: Database) -> None:
    with scratch_folder() as scratch:
        async with running(database, scratch) as services:
            checks = {check.name: check for check in examine(services.data, 8400)}
            assert checks["activation"].state == "ok"
            assert not [name for name in checks if "letter" in name or "stopped" in name]
            connection = await asyncpg.connect(database.dsn("activation"))
            await connection.execute(
                "INSERT INTO dead_letter (consumer, topic, partition, seq, reason, body) "
                "SELECT 'dossiers', 'dossier', 0, -n, 'not read then', '' FROM generate_series(1, 1000) AS n"
            )
            oldest = await connection.fetchval("SELECT min(id) FROM dead_letter")
            await connection.close()
            producer = await asyncpg.connect(database.dsn("intake"))
            await producer.execute(
                "WITH grown AS (UPDATE log_partition SET next = next + 1 WHERE topic = 'dossier' "
                "AND partition = 4 RETURNING next) INSERT INTO log_dossier (partition, seq, event_id, body) "
                "SELECT 4, next - 1, gen_random_uuid(), '' FROM grown"
            )
            await producer.close()

            async def unready() -> bool:
                return (await services.activation.client.get("/readyz")).status_code == 503

            await eventually(unready)
            checks = {check.name: check for check in examine(services.data, 8400)}
            assert checks["activation"].state == "fail"
            waits = checks["activation dead letters"]
            assert (waits.state, waits.detail) == ("warn", "1,000 wait: dossiers 1,000")
            assert waits.remedy == f"tiendo dead-letters list --data {services.data}"
            stopped = checks["activation/dossiers stopped"]
            assert stopped.state == "fail"
            assert stopped.detail.startswith("dossier/4: another dead letter, where 1000 wait already")
            assert "tiendo dead-letters list" in stopped.remedy
            # Not `--all`: that would go on to the letter which is buried meanwhile.
            services.command("discard", f"activation/{oldest}", "--reason", "of a build that is gone")
            await services.activation.ready()

            async def buried() -> bool:
                # In a thread: the consumer that is to bury it runs on this loop.
                checks = await asyncio.to_thread(examine, services.data, 8400)
                return "1,000 wait: dossiers 1,000" in {check.detail for check in checks}

            await eventually(buried)
            checks = {check.name: check for check in examine(services.data, 8400)}
            assert "activation/dossiers stopped" not in checks
            assert checks["activation/dossiers"].detail.startswith("0 behind")

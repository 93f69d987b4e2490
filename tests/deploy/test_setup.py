"""`tiendo setup`, the job that prepares servers which somebody else runs."""

import asyncio
import json
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import pytest

from tests.support.command import run_command
from tests.support.kafka import KafkaNode
from tests.support.postgres import PostgresServer
from tiendo.errors import Refused
from tiendo.setup import read_passwords
from tiendo_common.database.bootstrap import SERVICES, role_of
from tiendo_common.events.catalogue import TOPICS

#: As all databases of the session's server have them: roles belong to the server.
PASSWORDS = {service: f"of-{service}" for service in SERVICES}


def setup(*arguments: str | Path, status: int = 0, **environment: str) -> str:
    """What `tiendo setup` says: on standard error, if it must fail."""
    ended = run_command("setup", *arguments, settings=environment)
    assert ended.status == status, ended.out + ended.err
    return ended.err if status else ended.out


@pytest.fixture
def passwords(tmp_path: Path) -> Path:
    folder = tmp_path / "passwords"
    folder.mkdir()
    for service, password in PASSWORDS.items():
        (folder / service).write_text(f"{password}\n")
    return folder


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[str]:
    """The name of a database that is not there yet."""
    name = f"test_{secrets.token_hex(6)}"

    async def drop() -> None:
        admin = await asyncpg.connect(postgres_server.admin_dsn())
        await admin.execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        await admin.close()

    yield name
    asyncio.run(drop())


def schemas(server: PostgresServer, database: str) -> set[str]:
    """The schemas that the services find when each connects as its own role."""

    async def look() -> set[str]:
        found = set()
        for service in SERVICES:
            dsn = server.server.dsn(role_of(service), PASSWORDS[service], database)
            connection = await asyncpg.connect(dsn)
            found.add(str(await connection.fetchval("SELECT current_schema()")))
            await connection.close()
        return found

    return asyncio.run(look())


def test_a_server_is_prepared_and_once_more_without_harm(
    postgres_server: PostgresServer, database: str, passwords: Path, tmp_path: Path
) -> None:
    url = tmp_path / "postgres-url"
    url.write_text(f"{postgres_server.admin_dsn()}\n")
    for _ in range(2):
        setup("--passwords", passwords, "--database", database, TIENDO_POSTGRES_FILE=str(url))
        assert schemas(postgres_server, database) == set(SERVICES)


def test_setup_waits_for_a_server_that_is_coming_up(
    postgres_server: PostgresServer, database: str, passwords: Path, unused_port: int
) -> None:
    server = postgres_server.server
    behind = f"{server.socket_folder}/.s.PGSQL.{server.port}"
    url = postgres_server.admin_dsn().split("?")[0].replace("@/", f"@127.0.0.1:{unused_port}/")
    began = time.monotonic()
    with _Door(unused_port, behind, after=4.0):
        setup("--postgres", url, "--passwords", passwords, "--database", database, "--deadline", "60")
    assert time.monotonic() - began > 4.0
    assert schemas(postgres_server, database) == set(SERVICES)


class _Door:
    """A port that leads to a Unix socket, opened after a while."""

    def __init__(self, port: int, behind: str, *, after: float) -> None:
        self._port, self._behind, self._after = port, behind, after
        self._closed = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._serve()))

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._closed.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self) -> None:
        await asyncio.sleep(self._after)
        async with await asyncio.start_server(self._lead, "127.0.0.1", self._port):
            await self._closed.wait()

    async def _lead(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_unix_connection(self._behind)
        await asyncio.gather(_carry(reader, inner_writer), _carry(inner_reader, writer))


async def _carry(source: asyncio.StreamReader, to: asyncio.StreamWriter) -> None:
    while piece := await source.read(65_536):
        to.write(piece)
        await to.drain()
    to.close()


def test_a_server_that_does_not_come_up_ends_it_at_the_deadline(passwords: Path, unused_port: int) -> None:
    url = f"postgresql://postgres:secret@127.0.0.1:{unused_port}/postgres"
    said = setup("--postgres", url, "--passwords", passwords, "--deadline", "1", status=1)
    assert said.startswith("tiendo: The PostgreSQL server that was named cannot be used: No session within")
    assert "secret" not in said


def test_what_waiting_cannot_mend_is_said_at_once(
    postgres_server: PostgresServer, passwords: Path, tmp_path: Path
) -> None:
    for url in (postgres_server.server.dsn("nobody", "x", "postgres"), "mysql://here"):
        said = setup("--postgres", url, "--passwords", passwords, "--deadline", "3600", status=1)
        assert "cannot be used" in said
    assert "nothing to set up" in setup(status=1)
    assert "passwords are missing" in setup("--postgres", "postgresql://x", status=1)
    assert "No such file" in setup("--postgres-file", tmp_path / "none", "--passwords", passwords, status=1)


def test_keys_and_passwords_are_made_in_a_folder_once(tmp_path: Path) -> None:
    data = tmp_path / "data"
    setup("--data", data)
    before = {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()}
    assert {"admin.key", "api-keys.json", "person-keys.json", "database-passwords.json"} <= before.keys()
    setup("--data", data)
    assert {path.name: path.read_bytes() for path in data.iterdir() if path.is_file()} == before


def test_topics_are_made_and_once_more_without_harm(kafka_node: KafkaNode) -> None:
    prefix = f"setup-{secrets.token_hex(4)}."
    arguments = ("--log", f"kafka://{kafka_node.bootstrap}", "--replication", "1")
    said = setup(*arguments, TIENDO_KAFKA_TOPIC_PREFIX=prefix)
    assert {f"{prefix}{topic}" for topic in TOPICS} <= set(said.replace(",", " ").replace(".\n", " ").split())
    assert "made now: none" in setup(*arguments, TIENDO_KAFKA_TOPIC_PREFIX=prefix)


def test_brokers_that_are_not_there_are_named(unused_port: int) -> None:
    said = setup("--log", f"kafka://127.0.0.1:{unused_port}", "--deadline", "1", status=1)
    assert f"the brokers at 127.0.0.1:{unused_port} cannot be reached" in said


def test_settings_of_the_broker_that_contradict_each_other_are_said(unused_port: int) -> None:
    said = setup("--log", f"kafka://127.0.0.1:{unused_port}", status=1, TIENDO_KAFKA_SECURITY="SASL_SSL")
    assert said.startswith("tiendo cannot start with the settings it was given:")


def test_passwords_come_from_files_from_json_or_from_the_services_own_urls(
    passwords: Path, tmp_path: Path
) -> None:
    assert read_passwords(passwords) == PASSWORDS
    document = tmp_path / "passwords.json"
    document.write_text(json.dumps(PASSWORDS))
    assert read_passwords(document) == PASSWORDS
    for service in SERVICES:
        (passwords / service).write_text(f"postgresql://{role_of(service)}:of-{service}@db:5432/tiendo\n")
    assert read_passwords(passwords) == PASSWORDS
    (passwords / "intake").write_text("postgresql://tiendo_intake:p%40ss@db/tiendo")
    assert read_passwords(passwords)["intake"] == "p@ss"


@pytest.mark.parametrize(
    "text", ["", "postgresql://tiendo_notifier:x@db/tiendo", "postgresql://tiendo_intake@db/tiendo"]
)
def test_a_password_that_is_empty_or_anothers_is_refused(text: str, passwords: Path) -> None:
    (passwords / "intake").write_text(text)
    with pytest.raises(Refused, match="the password of intake"):
        read_passwords(passwords)


def test_passwords_that_are_missing_are_refused(passwords: Path, tmp_path: Path) -> None:
    (passwords / "notifier").unlink()
    with pytest.raises(Refused, match="notifier: No such file"):
        read_passwords(passwords)
    (tmp_path / "passwords.json").write_text('{"intake": "x"}')
    with pytest.raises(Refused, match="is no JSON object"):
        read_passwords(tmp_path / "passwords.json")

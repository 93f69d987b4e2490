"""The real intake and activation for tests: their applications whole, on a real database.

In this process they are spoken to through ASGI; `spawned` runs one as the process that it is.
"""

import asyncio
import contextlib
import hashlib
import itertools
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
from fastapi import FastAPI

from tests.support.directory import AWAY, CAMPAIGN, HOME
from tests.support.ports import held_port
from tests.support.postgres import Database
from tiendo_activation.main import wire_activation
from tiendo_activation.settings import Settings as ActivationSettings
from tiendo_common.clock import VIETNAM
from tiendo_common.identity import PersonHasher
from tiendo_common.service.kit import Kit
from tiendo_common.service.runtime import build_app
from tiendo_intake.main import wire_intake
from tiendo_intake.settings import Settings as IntakeSettings

#: Each key's scopes; the key itself is its name, reversed.
KEYS = {
    "admin": ["admin"],
    "province": ["intake:write", "activation:write"],
    "other": ["intake:write", "activation:write"],
    "reader": ["intake:read", "activation:read"],
}
#: The instant at which driven clocks stand once a service is up.
NOW = datetime(2023, 11, 20, 20, 0, tzinfo=VIETNAM)

_numbers = itertools.count(1)


def citizen(century_and_year: str = "199") -> str:
    """A personal number that no other test uses."""
    return f"062{century_and_year}{next(_numbers):06}"


def at(number: int, hour: int = 9) -> str:
    """An hour of a day of November 2023, as lines write it; negative hours are of the day before."""
    return (datetime(2023, 11, number, tzinfo=VIETNAM) + timedelta(hours=hour)).isoformat()


def _common(citizen_id: str, line_id: str | None, occurred_at: str) -> dict[str, Any]:
    return {
        "line_id": line_id or f"line {next(_numbers)}",
        "citizen_id": citizen_id,
        "occurred_at": occurred_at,
        "campaign": CAMPAIGN,
    }


def intake_line(
    citizen_id: str, *, line_id: str | None = None, occurred_at: str = at(12), **said: Any
) -> dict[str, Any]:
    """A dossier of level 2 taken at HOME, but for what is said otherwise."""
    ordinary = {"level": 2, "residence_unit": HOME, "collecting_unit": HOME, "channel": "mobile"}
    return _common(citizen_id, line_id, occurred_at) | ordinary | said


def approval_line(
    citizen_id: str, *, line_id: str | None = None, occurred_at: str = at(13), **said: Any
) -> dict[str, Any]:
    return _common(citizen_id, line_id, occurred_at) | {"decision": "approved"} | said


def amendment_line(
    citizen_id: str, kind: str, *, line_id: str | None = None, occurred_at: str = at(14), **said: Any
) -> dict[str, Any]:
    return _common(citizen_id, line_id, occurred_at) | {"kind": kind, "reason": "by_request"} | said


def activation_line(
    citizen_id: str, *, line_id: str | None = None, occurred_at: str = at(15), **said: Any
) -> dict[str, Any]:
    """Switched on with the help of AWAY, but for what is said otherwise."""
    ordinary = {"result": "succeeded", "collecting_unit": AWAY, "channel": "home"}
    return _common(citizen_id, line_id, occurred_at) | ordinary | said


def ndjson(lines: Iterable[dict[str, Any] | bytes]) -> bytes:
    """One line each; bytes are taken as they are."""
    return b"\n".join(
        line if isinstance(line, bytes) else json.dumps(line, ensure_ascii=False).encode() for line in lines
    )


@dataclass
class Service:
    """A running service and a client to speak to it with."""

    client: httpx2.AsyncClient
    app: FastAPI | None = None

    @property
    def kit(self) -> Kit:
        assert self.app is not None
        kit: Kit = self.app.state.kit
        return kit

    async def post(
        self, path: str, body: dict[str, Any] | bytes, key: str = "province", **headers: str
    ) -> httpx2.Response:
        """Post a line."""
        content = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        kind = "application/x-ndjson" if path.endswith("/bulk") else "application/json"
        return await self.client.post(
            path,
            content=content,
            headers={"Authorization": f"Bearer {key[::-1]}", "Content-Type": kind} | headers,
        )

    async def bulk(
        self, path: str, lines: Sequence[dict[str, Any] | bytes], key: str = "province"
    ) -> list[dict[str, Any]]:
        """Post lines; their answers, in order, as many as lines that are not empty."""
        answer = await self.post(f"{path}/bulk", ndjson(lines), key)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "application/x-ndjson"
        return [json.loads(line) for line in answer.text.splitlines()]

    async def accept(self, path: str, *lines: dict[str, Any]) -> list[str]:
        """Post lines that must be accepted; their record ids."""
        answers = await self.bulk(path, lines)
        assert [answer["status"] for answer in answers] == ["accepted"] * len(lines), answers
        return [answer.get("record_id", "") for answer in answers]

    async def get(self, path: str, key: str = "admin", **params: str) -> Any:
        """The document that a GET answers."""
        answer = await self.client.get(path, params=params, headers={"Authorization": f"Bearer {key[::-1]}"})
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def move_clock(self, now: datetime) -> None:
        answer = await self.client.post(
            "/v1/clock", json={"now": now.isoformat()}, headers={"Authorization": "Bearer nimda"}
        )
        assert answer.status_code == 200, answer.text

    async def ready(self) -> None:
        """Wait until it is."""
        async with asyncio.timeout(60):
            while True:
                answer = await self.client.get("/readyz")
                if answer.status_code == 200:
                    return
                assert "failed" not in answer.text, answer.text
                await asyncio.sleep(0.02)

    async def cells(self) -> dict[tuple[str, str, str, int, date], int]:
        """The tally's cells."""
        tally = await self.get("/v1/tally")
        return {
            (indicator, attribution, unit, level, date.fromisoformat(day)): n
            for indicator, attribution, unit, level, day, n in tally["cells"]
        }


def api_keys_file(folder: Path) -> Path:
    path = folder / "api-keys.json"
    path.write_text(
        json.dumps(
            {
                "keys": [
                    {
                        "name": name,
                        "sha256": hashlib.sha256(name[::-1].encode()).hexdigest(),
                        "scopes": scopes,
                    }
                    for name, scopes in KEYS.items()
                ]
            }
        )
    )
    return path


def person_keys_file(folder: Path, *ids: int) -> Path:
    """Secret keys of these ids; a key's secret follows from its id."""
    path = folder / f"person-keys-{'-'.join(map(str, ids))}.json"
    path.write_text(json.dumps({"keys": [{"id": number, "secret": f"{number:02x}" * 32} for number in ids]}))
    return path


def _settings(
    database: Database, service: str, folder: Path, clock: str, person_keys: Sequence[int], port: int = 1
) -> dict[str, Any]:
    return {
        "port": port,
        "database_url": database.dsn(service),
        "clock": clock,
        "api_keys_file": api_keys_file(folder),
        "person_keys_file": person_keys_file(folder, *person_keys),
    }


@contextlib.asynccontextmanager
async def intake(
    database: Database,
    folder: Path,
    *,
    clock: str = "driven",
    person_keys: Sequence[int] = (1,),
    wait: bool = True,
) -> AsyncIterator[Service]:
    """The intake service; its driven clock stands at NOW."""
    settings = IntakeSettings.model_validate(_settings(database, "intake", folder, clock, person_keys))

    def wire(kit: Kit) -> None:
        wire_intake(kit, PersonHasher.from_file(settings.person_keys_file))

    async with _run(build_app("intake", settings, wire), wait) as service:
        yield service


@contextlib.asynccontextmanager
async def activation(
    database: Database,
    folder: Path,
    *,
    clock: str = "driven",
    person_keys: Sequence[int] = (1,),
    wait: bool = True,
) -> AsyncIterator[Service]:
    """The activation service; needs a running intake, or one that ran, to become ready."""
    settings = ActivationSettings.model_validate(
        _settings(database, "activation", folder, clock, person_keys)
    )

    def wire(kit: Kit) -> None:
        wire_activation(kit, PersonHasher.from_file(settings.person_keys_file))

    async with _run(build_app("activation", settings, wire), wait) as service:
        yield service


@contextlib.asynccontextmanager
async def _run(app: FastAPI, wait: bool) -> AsyncIterator[Service]:
    async with (
        app.router.lifespan_context(app),
        httpx2.AsyncClient(
            # As a server does: what the application lets through is a bare 500.
            transport=httpx2.ASGITransport(app, raise_app_exceptions=False),
            base_url="http://service",
            timeout=60,
        ) as client,
    ):
        service = Service(client, app)
        if wait:
            await service.ready()
            if service.kit.clock.driven and service.kit.clock.now() < NOW:
                await service.move_clock(NOW)
        yield service


async def drained(intake: Service, activation: Service) -> None:
    """Wait until activation has taken in every dossier of intake."""
    async with asyncio.timeout(60):
        while True:
            heads = (await intake.kit.log.heads())["dossier"]
            [consumer] = activation.kit.consumers
            if (await consumer.positions())["dossier"] == heads:
                return
            await asyncio.sleep(0.01)


@dataclass
class Spawned(Service):
    """A service in a process of its own."""

    process: subprocess.Popen[bytes] | None = None
    log: Path = Path()
    port: int = 0

    async def listening(self) -> None:
        """Wait until the process answers."""
        async with asyncio.timeout(60):
            while True:
                assert self.process is not None
                assert self.process.poll() is None, self.log.read_text()
                with contextlib.suppress(httpx2.TransportError):
                    if (await self.client.get("/livez")).status_code == 200:
                        return
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def spawned(
    database: Database, service: str, folder: Path, *, clock: str = "wall", person_keys: Sequence[int] = (1,)
) -> AsyncIterator[Spawned]:
    """`python -m tiendo_<service>`, not waited for; killed at the end if it still runs."""
    with held_port() as port:
        settings = _settings(database, service, folder, clock, person_keys, port)
        env = {f"TIENDO_{name.upper()}": str(value) for name, value in settings.items()}
        log = folder / f"{service}-{port}.log"
        async with httpx2.AsyncClient(
            base_url=f"http://127.0.0.1:{port}", timeout=60, trust_env=False
        ) as client:
            with _process([sys.executable, "-m", f"tiendo_{service}"], env, log) as process:
                yield Spawned(client, None, process, log, port)


@contextlib.contextmanager
def _process(command: list[str], env: dict[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as file:
        process = subprocess.Popen(command, env={**os.environ, **env}, stderr=file, stdout=file)
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()


async def dump(database: Database) -> str:
    """All tables of all services as text; bytes also as the characters that they may be."""
    connection = await asyncpg.connect(database.admin_dsn)
    try:
        tables = await connection.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables "
            "WHERE schemaname IN ('intake', 'activation', 'aggregator', 'notifier')"
        )
        parts = []
        for (table,) in tables:
            parts += [
                f"{table}: {row[0]}" for row in await connection.fetch(f"SELECT t::text FROM {table} AS t")
            ]
            columns = await connection.fetch(
                "SELECT attname FROM pg_attribute WHERE attrelid = $1::text::regclass "
                "AND atttypid = 'bytea'::regtype AND attnum > 0 AND NOT attisdropped",
                table,
            )
            for (column,) in columns:
                rows = await connection.fetch(f"SELECT encode({column}, 'escape') FROM {table}")
                parts += [f"{table}.{column}: {row[0]}" for row in rows]
        return "\n".join(parts)
    finally:
        await connection.close()

"""The baseline: the same rows, written as fast as one durable connection takes them in set-based SQL.

For each accepted line: its record row (inserted or updated), its event rows and its line id, with the
services' own columns and unique indexes, on the same server. No HTTP, no checks, no hashing, no consumers:
all rows are ready in memory before the clock starts.
"""

import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec

from tiendo_activation.storage import ACCOUNT_COLUMNS
from tiendo_common.eventlog.postgres import LOG_COLUMNS
from tiendo_common.service.idempotency import LINE_COLUMNS
from tiendo_intake.storage import RECORD_COLUMNS

CHUNK = 1000


@dataclass(frozen=True)
class Rows:
    """The rows of one line."""

    key: bytes
    record: tuple[Any, ...]
    events: tuple[tuple[str, tuple[Any, ...]], ...]
    line: tuple[Any, ...]


async def insert_select(
    connection: asyncpg.Connection, table: str, columns: dict[str, str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """One INSERT ... SELECT for all rows."""
    if rows:
        arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(columns.values(), 1))
        await connection.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({arrays})",
            *zip(*rows, strict=True),
        )


async def copy_rows(
    connection: asyncpg.Connection, table: str, columns: dict[str, str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """COPY: not SQL any more, and faster; a second, harder baseline."""
    if rows:
        await connection.copy_records_to_table(table, records=rows, columns=list(columns))


class _Said(msgspec.Struct):
    record_id: str | None = None
    version: int = 0
    person_hash: bytes | None = None
    segments: msgspec.Raw = msgspec.Raw(b"[]")


class _Body(msgspec.Struct):
    data: _Said


_body = msgspec.json.Decoder(_Body)


@dataclass(frozen=True)
class Bare:
    """A service's rows and how to write them bare."""

    dsn: str
    table: str
    columns: dict[str, str]
    changing: tuple[str, ...]
    topics: tuple[str, ...]
    rows: Sequence[Rows]
    by_copy: bool = False

    async def seconds(self) -> float:
        """Write all rows into empty copies of the tables, a chunk a transaction; the time it took."""
        connection = await asyncpg.connect(self.dsn)
        try:
            names = [self.table, "line", *(f"log_{topic}" for topic in self.topics)]
            for name in names:
                await connection.execute(f"DROP TABLE IF EXISTS bare_{name}")
                await connection.execute(f"CREATE TABLE bare_{name} (LIKE {name} INCLUDING ALL)")
            seen: set[bytes] = set()
            began = time.perf_counter()
            for start in range(0, len(self.rows), CHUNK):
                await self._write(connection, self.rows[start : start + CHUNK], seen)
            took = time.perf_counter() - began
            for name in names:
                await connection.execute(f"DROP TABLE bare_{name}")
            return took
        finally:
            await connection.close()

    async def _write(self, connection: asyncpg.Connection, chunk: Sequence[Rows], seen: set[bytes]) -> None:
        newest = {rows.key: rows.record for rows in chunk}
        new = sorted(record for key, record in newest.items() if key not in seen)
        changed = [record for key, record in newest.items() if key in seen]
        seen.update(newest)
        events: defaultdict[str, list[tuple[Any, ...]]] = defaultdict(list)
        for rows in chunk:
            for topic, event in rows.events:
                events[topic].append(event)
        insert = copy_rows if self.by_copy else insert_select
        async with connection.transaction():
            await insert(connection, f"bare_{self.table}", self.columns, new)
            if changed:
                await self._update(connection, changed)
            await insert(connection, "bare_line", LINE_COLUMNS, sorted(rows.line for rows in chunk))
            for topic, some in events.items():
                await insert(connection, f"bare_log_{topic}", LOG_COLUMNS, some)

    async def _update(self, connection: asyncpg.Connection, records: list[tuple[Any, ...]]) -> None:
        places = [list(self.columns).index(name) for name in ("person_hash", *self.changing)]
        arrays = ", ".join(
            f"${number}::{self.columns[name]}[]"
            for number, name in enumerate(("person_hash", *self.changing), 1)
        )
        await connection.execute(
            f"UPDATE bare_{self.table} AS old SET {', '.join(f'{name} = new.{name}' for name in self.changing)} "
            f"FROM unnest({arrays}) AS new (person_hash, {', '.join(self.changing)}) "
            "WHERE old.person_hash = new.person_hash",
            *([record[place] for record in records] for place in places),
        )


async def intake_rows(dsn: str, most: int) -> Bare:
    """The first `most` lines that intake accepted, in their order."""
    connection = await asyncpg.connect(dsn)
    try:
        dossiers = await _events(connection, "dossier", "true", most)
        beside: defaultdict[tuple[str | None, int], list[tuple[str, tuple[Any, ...]]]] = defaultdict(list)
        for topic in ("intake", "approval"):
            for row in await _events(connection, topic, f"event_id <= '{dossiers[-1][2]}'", most):
                said = _body.decode(row[3]).data
                beside[said.record_id, said.version].append((topic, row))
        facts: dict[str | None, str] = {
            row[0]: row[1] for row in await connection.fetch("SELECT record_id::text, facts FROM record")
        }
        lines = await _lines(connection, len(dossiers))
    finally:
        await connection.close()
    rows = []
    for row, line in zip(dossiers, lines, strict=True):
        said = _body.decode(row[3]).data
        assert said.person_hash is not None
        record = (
            said.person_hash,
            1,
            said.record_id,
            said.version,
            facts[said.record_id],
            bytes(said.segments).decode(),
        )
        events = (("dossier", row), *beside[said.record_id, said.version])
        rows.append(Rows(said.person_hash, record, events, line))
    changing = ("version", "facts", "segments")
    return Bare(dsn, "record", RECORD_COLUMNS, changing, ("dossier", "intake", "approval"), rows)


async def activation_rows(dsn: str, most: int) -> Bare:
    """The first `most` lines that changed an account, in their order."""
    connection = await asyncpg.connect(dsn)
    try:
        changes = await _events(connection, "activation", "true", most)
        columns = ", ".join(
            f"{name}::text" if kind == "uuid" else name for name, kind in ACCOUNT_COLUMNS.items()
        )
        accounts = {
            row["record_id"]: tuple(row) for row in await connection.fetch(f"SELECT {columns} FROM account")
        }
        lines = await _lines(connection, len(changes))
    finally:
        await connection.close()
    rows = []
    for row, line in zip(changes, lines, strict=False):
        account = accounts.get(_body.decode(row[3]).data.record_id or "")
        if account is not None:
            rows.append(Rows(account[0], account, (("activation", row),), line))
    return Bare(dsn, "account", ACCOUNT_COLUMNS, ("version", "switches", "segments"), ("activation",), rows)


async def _events(connection: asyncpg.Connection, topic: str, where: str, most: int) -> list[tuple[Any, ...]]:
    rows = await connection.fetch(
        f"SELECT partition, seq, event_id::text, body, key FROM log_{topic} WHERE {where} "
        "ORDER BY event_id LIMIT $1",
        most,
    )
    return [tuple(row) for row in rows]


async def _lines(connection: asyncpg.Connection, count: int) -> list[tuple[Any, ...]]:
    rows = await connection.fetch(f"SELECT {', '.join(LINE_COLUMNS)} FROM line LIMIT $1", count)
    return [tuple(row) for row in rows]

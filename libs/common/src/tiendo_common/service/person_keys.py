"""Person keys in the database: every keyed hash in it is under one key chain, and says under which.

A rotation appends a key to the keys file. Then, at its next start, a service lifts all that it holds before
it serves. Beside it, replicas with the old keys may still run: they would not find a lifted citizen and take
them for a new one. So the tables refuse rows under an older key from the first moment of the rotation.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import asyncpg
import structlog

from tiendo_common.errors import TiendoError
from tiendo_common.eventlog.port import Connection
from tiendo_common.identity import PersonHasher

log = structlog.get_logger(__name__)

#: Made by the migrations of each service that holds keyed hashes. `key_id` is the newest key of all;
#: `lifted` whether every hash is under it; `mark` recognises the keys without giving them away.
PERSON_KEY_TABLE = """
CREATE TABLE person_key (
    singleton boolean PRIMARY KEY DEFAULT true CHECK (singleton),
    key_id smallint NOT NULL,
    mark bytea NOT NULL,
    lifted boolean NOT NULL
)
"""

#: Any constant will do, as long as it is the same for all replicas of a service.
LOCK_SPACE = 0x70657273
#: Rows lifted in one transaction.
BATCH = 5000
#: Seconds that a replica waits for the one that does the lifting; then its start tries again.
PATIENCE = 50.0

ROTATED = "key_in_use"


class WrongPersonKeys(TiendoError):
    """The keys file is not the one that the database was written with: every citizen would count twice."""


@dataclass(frozen=True, slots=True)
class HashedTable:
    """A table with a column of keyed hashes, and beside it `key_id`, the key that each is under.

    `key` maps the columns of the primary key, in its order, to their types.
    """

    name: str
    hashed: str
    key: Mapping[str, str]


async def lift_hashes(
    pool: asyncpg.Pool, hasher: PersonHasher, tables: Sequence[HashedTable], *, batch: int = BATCH
) -> int:
    """Bring every hash under the newest key; how many were lifted.

    Works in transactions of `batch` rows and may be broken off at any of them: the next start goes on. One
    replica does it, the others wait. `tables` come in the order in which transactions write to them. Raises
    WrongPersonKeys, asyncpg.PostgresError.
    """
    async with pool.acquire() as connection:
        await connection.execute(
            "SELECT pg_advisory_lock($1, hashtext(current_schema()))", LOCK_SPACE, timeout=PATIENCE
        )
        try:
            if await _up_to_date(connection, hasher):
                return 0
            await _announce(connection, hasher, tables)
            lifted = 0
            for table in tables:
                lifted += await _lift_table(connection, hasher, table, batch)
            await connection.execute("UPDATE person_key SET lifted = true")
        finally:
            await connection.execute("SELECT pg_advisory_unlock($1, hashtext(current_schema()))", LOCK_SPACE)
    log.info("personal hashes lifted to the newest key", key_id=hasher.key_id, rows=lifted)
    return lifted


async def _up_to_date(connection: Connection, hasher: PersonHasher) -> bool:
    """Whether nothing is to be lifted. A database without hashes takes the keys that it is given."""
    stored = await connection.fetchrow("SELECT key_id, mark, lifted FROM person_key")
    if stored is None:
        await connection.execute(
            "INSERT INTO person_key (key_id, mark, lifted) VALUES ($1, $2, true)",
            hasher.key_id,
            hasher.mark(hasher.key_id),
        )
        return True
    if stored["key_id"] > hasher.key_id:
        raise WrongPersonKeys(
            f"The database holds hashes under person key {stored['key_id']}; the newest in the keys file is "
            f"{hasher.key_id}. Restore the newer file."
        )
    if stored["mark"] != hasher.mark(stored["key_id"]):
        raise WrongPersonKeys(
            f"The person keys up to {stored['key_id']} are not those that the database was written with. "
            "Restore them: a key is never changed or taken away, only added."
        )
    return bool(stored["lifted"]) and stored["key_id"] == hasher.key_id


async def _announce(connection: Connection, hasher: PersonHasher, tables: Sequence[HashedTable]) -> None:
    """From here on nobody writes a row under an older key, and no start succeeds with older keys."""
    async with connection.transaction():
        await connection.execute("SET LOCAL lock_timeout = '5s'")
        for table in tables:
            # NOT VALID: what is there has yet to be lifted; what is written is checked from now on.
            await connection.execute(
                f"ALTER TABLE {table.name} DROP CONSTRAINT IF EXISTS {ROTATED}, "
                f"ADD CONSTRAINT {ROTATED} CHECK (key_id >= {hasher.key_id:d}) NOT VALID"
            )
        await connection.execute(
            "UPDATE person_key SET key_id = $1, mark = $2, lifted = false",
            hasher.key_id,
            hasher.mark(hasher.key_id),
        )


async def _lift_table(connection: Connection, hasher: PersonHasher, table: HashedTable, batch: int) -> int:
    """Go through the table by its primary key. Where the hash is part of that, a lifted row may come up
    again further on: it is passed over."""
    key = ", ".join(table.key)
    after = ", ".join(f"${place}::{kind}" for place, kind in enumerate(table.key.values(), 3))
    following = f"AND ({key}) > ({after})"
    page = (  # names are our own, from the storage rooms
        f"SELECT {key}, {table.hashed}, key_id FROM {table.name} WHERE key_id < $1 %s "  # noqa: S608
        f"ORDER BY {key} LIMIT $2"
    )
    arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(table.key.values(), 3))
    same = " AND ".join(f"old.{column} = new.{column}_" for column in table.key)
    update = (
        f"UPDATE {table.name} AS old SET {table.hashed} = new.lifted, key_id = $1 "  # noqa: S608
        f"FROM unnest($2::bytea[], {arrays}) AS new (lifted, {', '.join(f'{name}_' for name in table.key)}) "
        f"WHERE {same}"
    )
    lifted = 0
    last: tuple[Any, ...] = ()
    while True:
        async with connection.transaction():
            rows = await connection.fetch(page % (following if last else ""), hasher.key_id, batch, *last)
            if not rows:
                return lifted
            keys = [tuple(row[column] for column in table.key) for row in rows]
            await connection.execute(
                update,
                hasher.key_id,
                [hasher.lift(row[table.hashed], row["key_id"]) for row in rows],
                *(list(column) for column in zip(*keys, strict=True)),
            )
        lifted += len(rows)
        last = keys[-1]

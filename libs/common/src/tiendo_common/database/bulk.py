"""Many rows in one statement."""

from collections.abc import Sequence
from typing import Any

from asyncpg import Connection
from asyncpg.pool import PoolConnectionProxy

#: From this many rows on COPY is faster; below, its fixed cost is higher than that of an INSERT.
COPY_FROM = 48


async def insert_rows(
    connection: Connection | PoolConnectionProxy,
    table: str,
    columns: dict[str, str],
    rows: Sequence[tuple[Any, ...]],
) -> None:
    """Insert rows; `columns` maps each column to its type. Raises asyncpg.UniqueViolationError.

    Whoever may meet another transaction's uncommitted keys must bring the rows in the order of their keys.
    """
    if len(rows) >= COPY_FROM:
        await connection.copy_records_to_table(table, records=rows, columns=list(columns))
    elif rows:
        arrays = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(columns.values(), 1))
        await connection.execute(
            f"INSERT INTO {table} ({', '.join(columns)}) SELECT * FROM unnest({arrays})",  # noqa: S608
            *zip(*rows, strict=True),
        )

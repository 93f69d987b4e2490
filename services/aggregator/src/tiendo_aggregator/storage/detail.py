"""What an instance counts, settled by the first aggregator that starts on its schema."""

import asyncpg

from tiendo_aggregator.rules.detail import Detail


async def settled_detail(pool: asyncpg.Pool, wanted: Detail) -> Detail:
    """What the counters of this schema hold: what is `wanted`, if nobody has said before."""
    async with pool.acquire() as connection, connection.transaction():
        await connection.execute("INSERT INTO detail (counts) VALUES ($1) ON CONFLICT DO NOTHING", wanted)
        settled: Detail = await connection.fetchval("SELECT counts FROM detail")
        return settled

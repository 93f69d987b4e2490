"""Connections to PostgreSQL."""

import asyncpg

#: What may happen to any statement while the server restarts or the network breaks. Nothing was committed,
#: or it was and the caller's retry will find that out: both are safe to try again.
PASSING_FAULTS = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    # A pooled connection that the server has just ended, used before its closing was noticed.
    asyncpg.InternalClientError,
    asyncpg.OperatorInterventionError,
    asyncpg.InsufficientResourcesError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    ConnectionError,
    TimeoutError,
    OSError,
)


async def _keep(_connection: asyncpg.Connection) -> None:
    """Skip the reset statement on release: transactions are scoped, and sessions set nothing else."""


def make_pool(dsn: str, service: str, *, most: int = 12) -> asyncpg.Pool:
    """A pool that connects when it is asked for a connection: to make it, the server need not be there."""
    return asyncpg.create_pool(
        dsn,
        # A pool whose first connection fails is closed for good.
        min_size=0,
        max_size=most,
        command_timeout=60,
        reset=_keep,
        server_settings={
            "application_name": f"tiendo-{service}",
            "timezone": "UTC",
            # A process that stands still in a transaction holds its locks: nobody could take its partitions over.
            # Ours do little else between two statements; the others say so (let_think).
            "idle_in_transaction_session_timeout": "10000",
            # Every statement on the hot path is a short indexed one: no plan of theirs wants these.
            "jit": "off",
        },
    )


async def let_think(connection: asyncpg.Connection | asyncpg.pool.PoolConnectionProxy) -> None:
    """Let the session do nothing for two minutes until its transaction ends: for work between two statements that may
    be long on a slow machine, where no partition waits for it."""
    await connection.execute("SET LOCAL idle_in_transaction_session_timeout = '120s'")

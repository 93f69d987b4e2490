"""SQLAlchemy on our connections. Apart from them, since loading it costs a fifth of a second, and most of the command
line does without."""

from typing import Any

import asyncpg
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine


def make_engine(dsn: str, **options: Any) -> AsyncEngine:
    """SQLAlchemy's engine on the same driver. The driver reads the URL itself: SQLAlchemy's dialect does not
    know its parameters (sslmode, for one)."""

    async def connect() -> asyncpg.Connection:
        return await asyncpg.connect(dsn)

    return create_async_engine("postgresql+asyncpg://", async_creator=connect, **options)

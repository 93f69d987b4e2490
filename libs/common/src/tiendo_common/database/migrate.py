"""Migrations: each service has its own, runs them at its start, one replica at a time."""

from importlib.resources import as_file, files
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from tiendo_common.database.engine import make_engine
from tiendo_common.database.pool import PASSING_FAULTS
from tiendo_common.database.roles import schema_of

#: Any constant will do, as long as it is the same for all replicas of a service.
LOCK_SPACE = 0x7469656E


async def migrate(dsn: str, service: str) -> list[str]:
    """Bring the service's schema up to date; the revisions that were applied.

    Holds an advisory lock, so replicas that start together take turns. A statement that waits for
    another's lock gives up after 5 s, one that runs for long after 10 min: a start that fails loudly is
    better than a service that hangs. Raises asyncpg's errors for faults that may pass.
    """
    engine = make_engine(dsn)
    try:
        async with engine.connect() as connection:
            await connection.execute(
                text("SELECT pg_advisory_lock(:space, hashtext(:service))"),
                {"space": LOCK_SPACE, "service": service},
            )
            await connection.execute(text("SET lock_timeout = '5s'"))
            await connection.execute(text("SET statement_timeout = '10min'"))
            await connection.commit()
            applied = await connection.run_sync(_upgrade, service)
            await connection.commit()
            return applied
    except DBAPIError as error:
        fault = error.orig.__cause__ if error.orig is not None else None
        if isinstance(fault, PASSING_FAULTS):
            raise fault from error
        raise
    finally:
        await engine.dispose()


def _upgrade(connection: Connection, service: str) -> list[str]:
    applied: list[str] = []
    with as_file(files(f"tiendo_{service}") / "migrations") as folder:
        config = Config()
        config.set_main_option("script_location", str(folder).replace("%", "%%"))
        scripts = ScriptDirectory.from_config(config)

        def steps(revision: Any, _context: MigrationContext) -> Any:
            # Alembic's own commands get the steps in the same way.
            todo = scripts._upgrade_revs("head", revision)
            applied.extend(str(step.to_revisions_no_deps[0]) for step in todo)
            return todo

        with EnvironmentContext(config, scripts, fn=steps) as environment:
            environment.configure(connection=connection, version_table_schema=schema_of(service), fn=steps)
            with environment.begin_transaction():
                environment.run_migrations()
    return applied

"""Roles, schemas and rights of the four services in one database. Safe to run again at every start."""

import asyncio
import time
from collections.abc import Mapping
from typing import cast

import asyncpg

from tiendo_common.database.roles import SERVICES, role_of, schema_of
from tiendo_common.errors import TiendoError

__all__ = ["SERVICES", "DatabaseUnreachable", "ensure_roles", "role_of", "schema_of", "wait_until_up"]

# Two launchers may bootstrap one outside server at once; roles belong to the whole server.
_LOCK = 7_413_690_114


class DatabaseUnreachable(TiendoError):
    """No session could be opened before the deadline."""


async def ensure_roles(admin_dsn: str, passwords: Mapping[str, str], database: str = "tiendo") -> None:
    """Bring roles, the database, schemas and rights to what the services need.

    `admin_dsn` names a role that may create roles and databases, and any database it can connect to.
    `passwords` has one for each of SERVICES; they are set each time, so that the file which holds them rules.

    Afterwards: each role may log in and nothing more; owns the schema named like its service, which is its
    search path; may look into (USAGE) the other schemas, where the tables it may read are granted to it one
    by one by their owner's migrations. PUBLIC may neither connect nor create. Raises asyncpg.PostgresError.
    """
    admin = await asyncpg.connect(admin_dsn)
    try:
        await admin.execute("SELECT pg_advisory_lock($1)", _LOCK)
        for service in SERVICES:
            await _ensure_role(admin, role_of(service), passwords[service])
        if not await admin.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", database):
            await _create_database(admin, database)
        inside = await asyncpg.connect(admin_dsn, database=database)
        try:
            async with inside.transaction():
                await _ensure_rights(inside, database)
        finally:
            await inside.close()
    finally:
        await admin.close()


async def wait_until_up(dsn: str, deadline: float) -> None:
    """Return once a session can be opened. Raises DatabaseUnreachable after `deadline` seconds, and at once
    what waiting cannot mend: a wrong password, an unknown role or database."""
    until = time.monotonic() + deadline
    while True:
        try:
            connection = await asyncpg.connect(dsn, timeout=max(0.1, until - time.monotonic()))
        except (
            OSError,
            TimeoutError,
            asyncpg.CannotConnectNowError,
            asyncpg.TooManyConnectionsError,
        ) as away:
            if time.monotonic() >= until:
                raise DatabaseUnreachable(f"No session within {deadline:g} s: {away}") from away
            await asyncio.sleep(0.05)
        else:
            await connection.close()
            return


async def _ensure_role(admin: asyncpg.Connection, role: str, password: str) -> None:
    exists = await admin.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role)
    superuser = await admin.fetchval("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
    attributes = "LOGIN"
    if superuser or not exists:
        # Only a superuser may say these of a role that exists, even if they are what it is.
        attributes += " NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS"
    await _run(admin, f"{'ALTER' if exists else 'CREATE'} ROLE %I {attributes} PASSWORD %L", role, password)
    if not superuser:
        # Who isn't a superuser may give a schema away only to a role that they can become.
        await _run(admin, "GRANT %I TO CURRENT_USER", role)


async def _create_database(admin: asyncpg.Connection, database: str) -> None:
    # The same order of strings on every machine. Servers before 17 have no built-in locale: theirs is taken.
    locale = " LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8' LOCALE 'C'"
    known = admin.get_server_version() >= (17,)
    await _run(
        admin, f"CREATE DATABASE %I TEMPLATE template0 ENCODING 'UTF8'{locale if known else ''}", database
    )


async def _ensure_rights(inside: asyncpg.Connection, database: str) -> None:
    await _run(inside, "REVOKE ALL ON DATABASE %I FROM PUBLIC", database)
    await inside.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    for service in SERVICES:
        role, schema = role_of(service), schema_of(service)
        await _run(inside, "CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION %I", schema, role)
        await _run(inside, "ALTER SCHEMA %I OWNER TO %I", schema, role)
        await _run(inside, "GRANT CONNECT, TEMPORARY ON DATABASE %I TO %I", database, role)
        await _run(inside, "ALTER ROLE %I IN DATABASE %I SET search_path = %I", role, database, schema)
        for other in SERVICES:
            if other != service:
                await _run(inside, "GRANT USAGE ON SCHEMA %I TO %I", schema, role_of(other))


async def _run(connection: asyncpg.Connection, statement: str, *names: str) -> None:
    """Execute a statement whose names and literals PostgreSQL itself has quoted: it takes no parameters."""
    places = ", ".join(f"${n}::text" for n in range(2, len(names) + 2))
    quoted = await connection.fetchval(f"SELECT format($1::text, {places})", statement, *names)
    await connection.execute(cast("str", quoted))

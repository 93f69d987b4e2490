"""`tiendo setup`: brings servers that somebody else runs to what the services need. Safe to run again."""

import asyncio
import json
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import asyncpg
import typer

from tiendo.carrier import named_broker, prepare_topics
from tiendo.errors import DatabaseFailed, Refused
from tiendo.folders import DataFolder
from tiendo.stack import DATABASE
from tiendo_common.database.bootstrap import (
    SERVICES,
    DatabaseUnreachable,
    ensure_roles,
    role_of,
    wait_until_up,
)
from tiendo_common.database.pool import PASSING_FAULTS

_PAUSE = 0.5  # seconds between tries


def setup(
    postgres: Annotated[
        str | None,
        typer.Option(
            envvar="TIENDO_POSTGRES",
            show_envvar=True,
            help="URL of a role that may create roles and databases. It stands in the list of processes: "
            "better --postgres-file.",
        ),
    ] = None,
    postgres_file: Annotated[
        Path | None, typer.Option(envvar="TIENDO_POSTGRES_FILE", help="File with that URL.")
    ] = None,
    passwords: Annotated[
        Path | None,
        typer.Option(
            help="The services' passwords: a folder with a file for each (intake, activation, aggregator, "
            "notifier), or a JSON file with these names. A postgresql:// URL stands for the password in it."
        ),
    ] = None,
    database: Annotated[str, typer.Option(help="The database's name.")] = DATABASE,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Make the keys that are missing in this folder, and the passwords, if --passwords names no others."
        ),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(
            envvar="TIENDO_LOG",
            help="kafka://HOST:PORT: make and check the topics there. The right to do so: TIENDO_KAFKA_…",
        ),
    ] = None,
    replication: Annotated[
        int, typer.Option(min=1, envvar="TIENDO_KAFKA_REPLICATION", help="Copies of each topic.")
    ] = 3,
    deadline: Annotated[float, typer.Option(help="Seconds to wait for servers that are coming up.")] = 120.0,
) -> None:
    """Prepare a PostgreSQL server, and Kafka's topics, for the services. To be run before each new version."""
    url = _admin_url(postgres, postgres_file)
    broker = named_broker(log) if log else None
    if url is None and data is None and broker is None:
        raise Refused(
            "There is nothing to set up.",
            remedy="Name a server: --postgres-file, --log; or a folder: --data.",
        )
    until = time.monotonic() + deadline
    if data is not None:
        DataFolder(data).make()
        typer.echo(f"The keys are in {data}.")
        passwords = passwords or DataFolder(data).database_passwords_file
    if url is not None:
        if passwords is None:
            raise Refused("The services' passwords are missing.", remedy="Name --passwords, or --data.")
        asyncio.run(_prepare_database(url, read_passwords(passwords), database, until))
        typer.echo(f"PostgreSQL has the roles and schemas of {', '.join(SERVICES)}.")
    if broker is not None:
        made = asyncio.run(prepare_topics(broker, replication, patience=until - time.monotonic()))
        typer.echo(f"Kafka has the topics; made now: {', '.join(made) or 'none'}.")


def read_passwords(place: Path) -> dict[str, str]:
    """The password of each service's role, from a folder of files or a JSON file. Raises Refused."""
    try:
        if place.is_dir():
            found = {service: (place / service).read_text(encoding="utf-8").strip() for service in SERVICES}
        else:
            document = json.loads(place.read_text(encoding="utf-8"))
            found = {service: str(document[service]).strip() for service in SERVICES}
    except OSError as problem:
        raise Refused(
            f"No passwords: {problem.filename}: {problem.strerror}.",
            remedy="--passwords takes a folder with the files intake, activation, aggregator and notifier.",
        ) from problem
    except (ValueError, KeyError, TypeError) as problem:
        raise Refused(
            f"No passwords: {place} is no JSON object with {', '.join(SERVICES)}.", remedy="Mend the file."
        ) from problem
    return {service: _password(service, text) for service, text in found.items()}


def _password(service: str, text: str) -> str:
    """A password as it is, or taken from the URL that the service itself connects with."""
    role: str | None = role_of(service)
    if text.startswith(("postgresql://", "postgres://")):
        parts = urlsplit(text)
        role, text = parts.username, unquote(parts.password or "")
    if not text or role != role_of(service):
        raise Refused(
            f"What is given as the password of {service} is empty, or the URL of another role.",
            remedy=f"Its role is {role_of(service)}.",
        )
    return text


def _admin_url(postgres: str | None, file: Path | None) -> str | None:
    if file is None:
        return postgres or None
    try:
        return file.read_text(encoding="utf-8").strip()
    except OSError as problem:
        raise Refused(
            f"{file}: {problem.strerror}.", remedy="--postgres-file names a file with the URL of the server."
        ) from problem


async def _prepare_database(url: str, passwords: Mapping[str, str], database: str, until: float) -> None:
    try:
        while True:
            await wait_until_up(url, deadline=max(0.1, until - time.monotonic()))
            try:
                return await ensure_roles(url, passwords, database)
            except ValueError:
                raise  # a URL that is none does not become one; asyncpg calls it an InterfaceError, too
            except PASSING_FAULTS:
                if time.monotonic() + _PAUSE > until:
                    raise
                await asyncio.sleep(_PAUSE)
    except (DatabaseUnreachable, ValueError, asyncpg.PostgresError, *PASSING_FAULTS) as problem:
        raise DatabaseFailed(
            f"The PostgreSQL server that was named cannot be used: {problem}",
            remedy="Name the URL of a role that may create roles and databases, such as "
            "postgresql://user:password@host:5432/postgres.",
        ) from problem

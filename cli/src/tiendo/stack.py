"""One whole Tiendo on this machine: PostgreSQL, the four services, and the file that says where they are."""

import asyncio
import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import asyncpg
import psutil

from tiendo.carrier import named_broker, prepare_topics, refuse_if_ahead
from tiendo.errors import DatabaseFailed
from tiendo.folders import ClockMode, DataFolder, facts_folder
from tiendo.supervisor import HOST, Program, Say, Supervisor, check_port, end_leftovers
from tiendo_common.database.bootstrap import (
    SERVICES,
    DatabaseUnreachable,
    ensure_roles,
    role_of,
    wait_until_up,
)
from tiendo_common.database.embedded.errors import LauncherError
from tiendo_common.database.embedded.server import EmbeddedPostgres, Server

DATABASE = "tiendo"
DEFAULT_PORT_BASE = 8400
OUTSIDE_PATIENCE = 10.0  # seconds to reach a server that somebody else runs


@dataclass(frozen=True)
class Instance:
    """Where a running Tiendo is, and the right to ask it anything."""

    data: Path
    pid: int  # of the process that supervises it
    clock: ClockMode
    services: Mapping[str, str]
    admin_key: str
    postgres: Mapping[str, Any]

    def url(self, service: str) -> str:
        """The base URL of a service, without a slash at the end."""
        return self.services[service]

    @property
    def headers(self) -> dict[str, str]:
        """The admin's authorization, to send with every request."""
        return {"Authorization": f"Bearer {self.admin_key}"}

    def database_url(self, service: str) -> str:
        """The URL that a service connects to its schema with."""
        return with_role(
            self.postgres["url"], role_of(service), DataFolder(self.data).database_passwords()[service]
        )


@dataclass(frozen=True)
class Plan:
    """What to start. `postgres`: the administrator's URL of an outside server; None: the embedded one. `log`: what
    carries events, as the services' setting says it; None: as the environment says."""

    data: DataFolder
    clock: ClockMode | None = None  # None: as recorded
    port_base: int = DEFAULT_PORT_BASE
    postgres: str | None = None
    log: str | None = None
    replication: int = 1  # copies of each topic


# (plan, the clock mode settled on, service -> database URL) -> the table, in the order of starting
Table = Callable[[Plan, ClockMode, Mapping[str, str]], list[Program]]


@dataclass(frozen=True)
class Running:
    """An instance of our own."""

    instance: Instance
    supervisor: Supervisor
    server: Server | None
    seconds: float  # from nothing to ready


def with_role(url: str, role: str, password: str) -> str:
    """A PostgreSQL URL with another user; host, database and parameters stay."""
    parts = urlsplit(url)
    address = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(role, safe='')}:{quote(password, safe='')}@{address}"))


def service_table(plan: Plan, clock: ClockMode, database_urls: Mapping[str, str]) -> list[Program]:
    """The four services, each `python -m tiendo_<name>` on its port."""
    # The administrator's URL is for us alone; what else is set for Tiendo (the province, say) is passed on.
    inherited = {name: value for name, value in os.environ.items() if name != "TIENDO_POSTGRES"}
    facts = str(facts_folder())
    table = []
    for offset, name in enumerate(SERVICES):
        env = {
            **inherited,
            "TIENDO_HOST": HOST,
            "TIENDO_PORT": str(plan.port_base + offset),
            "TIENDO_DATABASE_URL": database_urls[name],
            "TIENDO_CLOCK": clock,
            "TIENDO_API_KEYS_FILE": str(plan.data.api_keys_file),
            **({"TIENDO_LOG": plan.log} if plan.log else {}),
            "PYTHONUNBUFFERED": "1",
        }
        if name in ("intake", "activation"):
            env["TIENDO_PERSON_KEYS_FILE"] = str(plan.data.person_keys_file)
        if name == "aggregator":
            env["TIENDO_DATA_FACTS"] = facts
            counts = plan.data.counts()
            if counts is not None:
                env.setdefault("TIENDO_COUNTS", counts)
        if name == "notifier":
            # On one machine, the program that wants to be told is most often on it, too.
            env.setdefault("TIENDO_WEBHOOK_ALLOW", "127.0.0.0/8,::1/128")
        table.append(
            Program(
                name=name,
                argv=(sys.executable, "-m", f"tiendo_{name}"),
                env=env,
                port=plan.port_base + offset,
                log_file=plan.data.logs / f"{name}.log",
            )
        )
    return table


@contextlib.asynccontextmanager
async def running(plan: Plan, say: Say, table: Table = service_table) -> AsyncIterator[Running]:
    """Start everything, keep it running for the duration, stop it in order. Raises Refused, LauncherError."""
    began = time.monotonic()
    data = plan.data
    data.make()
    with data.held():
        await end_leftovers(data.processes_file, say)
        for offset, name in enumerate(SERVICES):
            check_port(plan.port_base + offset, name)
        clock = data.settle_clock(plan.clock)
        # The file of an instance that was killed would send others to a place where nothing is.
        data.instance_file.unlink(missing_ok=True)
        broker = named_broker(plan.log)
        async with database(plan, say) as (urls, server):
            if broker is not None:
                await prepare_topics(broker, plan.replication, patience=20)
                await refuse_if_ahead(broker, urls)
            supervisor = Supervisor(table(plan, clock, urls), record=data.processes_file, say=say)
            await supervisor.start()
            try:
                if "TIENDO_COUNTS" in os.environ:
                    data.note_counts(os.environ["TIENDO_COUNTS"])
                instance = Instance(
                    data=data.root,
                    pid=os.getpid(),
                    clock=clock,
                    services={program.name: program.url for program in supervisor.programs},
                    admin_key=data.admin_key(),
                    postgres={
                        "kind": "outside" if server is None else "embedded",
                        "url": without_user(urls[SERVICES[0]]),
                        "pgdata": None if server is None else str(server.pgdata),
                    },
                )
                data.write_json(
                    data.instance_file,
                    {
                        "pid": instance.pid,
                        "born": psutil.Process().create_time(),
                        "clock": instance.clock,
                        "services": dict(instance.services),
                        "postgres": dict(instance.postgres),
                    },
                )
                yield Running(instance, supervisor, server, time.monotonic() - began)
            finally:
                data.instance_file.unlink(missing_ok=True)
                await supervisor.stop()


@contextlib.asynccontextmanager
async def database(plan: Plan, say: Say) -> AsyncIterator[tuple[Mapping[str, str], Server | None]]:
    """A database with the services' roles for the duration: the URL of each service, and the server if it is
    ours. Raises Refused, LauncherError."""
    passwords = plan.data.database_passwords()

    def urls(url: str) -> dict[str, str]:
        return {name: with_role(url, role_of(name), passwords[name]) for name in SERVICES}

    if plan.postgres is not None:
        await _prepare_outside(plan.postgres, passwords)
        yield urls(without_user(plan.postgres)), None
        return
    launcher = EmbeddedPostgres(plan.data.postgres, log_file=plan.data.logs / "postgres.log")
    try:
        server = await asyncio.to_thread(launcher.start)
        await ensure_roles(launcher.admin_dsn(server), passwords, DATABASE)
        watcher = asyncio.create_task(_watch_server(launcher, say))
        try:
            yield urls(server.url(DATABASE)), server
        finally:
            watcher.cancel()
            await asyncio.gather(watcher, return_exceptions=True)
    finally:
        how = await asyncio.to_thread(launcher.stop)
        if how == "immediate":
            say("PostgreSQL did not end in 60 s: it was stopped at once and recovers at the next start")


async def _watch_server(launcher: EmbeddedPostgres, say: Say) -> None:
    """Start the server again whenever it is gone. The socket stays where it was: the services find it."""
    pause = 1.0
    while True:
        await asyncio.sleep(0.5)
        if launcher.alive():
            continue
        say(f"PostgreSQL ended: starting it again in {pause:.0f} s")
        await asyncio.sleep(pause)
        began = time.monotonic()
        try:
            server = await asyncio.to_thread(launcher.start)
        except (LauncherError, OSError) as problem:  # a full disk, for one
            say(str(problem))
            pause = min(pause * 2, 30.0)
        else:
            say(f"PostgreSQL takes sessions again, pid {server.pid}, after {time.monotonic() - began:.1f} s")
            pause = 1.0


async def _prepare_outside(url: str, passwords: Mapping[str, str]) -> None:
    try:
        # asyncpg.ClientConfigurationError is a ValueError: what is no postgresql:// URL ends here too.
        await wait_until_up(url, deadline=OUTSIDE_PATIENCE)
        await ensure_roles(url, passwords, DATABASE)
    except (
        OSError,
        ValueError,
        DatabaseUnreachable,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
    ) as problem:
        raise DatabaseFailed(
            f"The PostgreSQL server that was named cannot be used: {problem}",
            remedy="Give --postgres the URL of a role that may create roles and databases: "
            "postgresql://user:password@host:5432/postgres",
        ) from problem


def without_user(url: str) -> str:
    """A PostgreSQL URL of our database without who connects to it."""
    parts = urlsplit(url)
    about_host = [pair for pair in parse_qsl(parts.query) if pair[0] not in ("user", "password", "dbname")]
    query = f"?{urlencode(about_host, safe='/')}" if about_host else ""
    return f"postgresql://{parts.netloc.rpartition('@')[2]}/{DATABASE}{query}"

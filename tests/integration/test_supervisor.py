"""`tiendo up` and what it stands on: real processes, a real PostgreSQL, stand-ins for the four services."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import asyncpg
import httpx2
import psutil
import pytest

from tests.support.scratch import scratch_folder
from tests.support.standins import standin, standin_table
from tiendo.errors import DatabaseFailed, OtherClock, PortTaken, Refused, ServiceFailed
from tiendo.folders import DataFolder
from tiendo.instance import Instance, attach, running_instance
from tiendo.stack import Plan, running, service_table, with_role
from tiendo.supervisor import Supervisor, check_port, end_leftovers, free_port_base
from tiendo_common.database.bootstrap import SERVICES
from tiendo_common.database.embedded.server import EmbeddedPostgres

ROOT = Path(__file__).parents[2]


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder for data; whatever a failed test leaves running in it is ended."""
    with scratch_folder() as scratch:
        yield scratch
        for record in scratch.rglob("processes.json"):
            asyncio.run(end_leftovers(record, lambda _: None, grace=1))
        for record in scratch.rglob("server.json"):
            EmbeddedPostgres(record.parent).stop(timeout=5)


def free_ports() -> int:
    """The first of four in a row."""
    return free_port_base(18_400 + os.getpid() % 1000 * 10)


@pytest.fixture
def ports() -> int:
    return free_ports()


def eventually(what: str, seconds: float = 60) -> Iterator[None]:
    """Loop until the caller breaks out; fail when the time is over."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        yield
        time.sleep(0.05)
    pytest.fail(f"waited {seconds:g} s in vain: {what}")


class Up:
    """`tiendo up` with stand-ins, in a process of its own."""

    def __init__(self, data: Path, ports: int, clock: str | None = None, **manners: str) -> None:
        program = (
            "from pathlib import Path; from tiendo.up import up; "
            "from tests.support.standins import standin_table; "
            f"up(Path({str(data)!r}), port_base={ports}, clock={clock!r}, postgres=None, table=standin_table)"
        )
        self.data = data
        self.output = data.with_name(f"{data.name}.{time.monotonic_ns()}.out")
        with self.output.open("w") as output:
            self.process = subprocess.Popen(
                [sys.executable, "-c", program],
                stdout=output,
                stderr=output,
                cwd=ROOT,
                env={
                    **os.environ,
                    "PYTHONPATH": str(ROOT),
                    **{f"STANDIN_{k}": v for k, v in manners.items()},
                },
            )

    def said(self) -> str:
        return self.output.read_text()

    def ready(self) -> Instance:
        for _ in eventually("a running instance"):
            instance = attach(self.data)
            if instance is not None and instance.pid == self.process.pid and "is ready after" in self.said():
                return instance
            assert self.process.poll() is None, self.said()
        raise AssertionError

    def wait_to_say(self, text: str) -> None:
        for _ in eventually(f"{text!r} in {self.said()}"):
            if text in self.said():
                return

    def stop(self, sign: signal.Signals = signal.SIGTERM) -> int:
        self.process.send_signal(sign)
        return self.process.wait(60)


@contextlib.contextmanager
def tiendo_up(data: Path, ports: int, clock: str | None = None, **manners: str) -> Iterator[Up]:
    up = Up(data, ports, clock, **manners)
    try:
        yield up
    finally:
        if up.process.poll() is None:
            up.stop()


@pytest.fixture(scope="module")
def left_alone() -> Iterator[Up]:
    """One that runs, for tests that leave it as it is."""
    with scratch_folder() as scratch, tiendo_up(scratch / "data", free_ports()) as up:
        up.ready()
        yield up


def pids(data: Path) -> dict[str, int]:
    """The pids of the services by the supervisor's own record."""
    return {name: entry["pid"] for name, entry in json.loads((data / "processes.json").read_text()).items()}


def alive(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


# --- the supervisor alone ------------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_programs_are_ready_after_the_start_and_end_in_the_opposite_order(
    folder: Path, ports: int
) -> None:
    programs = [standin(name, ports + n, folder) for n, name in enumerate(SERVICES)]
    supervisor = Supervisor(programs, record=folder / "processes.json", say=pytest.fail)
    await supervisor.start()
    async with httpx2.AsyncClient() as client:
        for program in programs:
            assert (await client.get(f"{program.url}/readyz")).status_code == 200
    await supervisor.stop()
    assert (folder / "ended").read_text().split() == list(reversed(SERVICES))
    assert not (folder / "processes.json").exists()


@pytest.mark.anyio
async def test_a_program_that_was_killed_is_started_again_and_that_is_said(folder: Path, ports: int) -> None:
    said: list[str] = []
    supervisor = Supervisor(
        [standin("intake", ports, folder), standin("activation", ports + 1, folder)],
        record=folder / "processes.json",
        say=said.append,
    )
    await supervisor.start()
    before = supervisor.pid("intake")
    other = supervisor.pid("activation")
    assert before is not None
    os.kill(before, signal.SIGKILL)
    async with asyncio.timeout(60):
        while len(said) < 2:  # noqa: ASYNC110 - what is said is what is tested
            await asyncio.sleep(0.05)
    after = supervisor.pid("intake")
    assert said == [
        "intake ended with signal SIGKILL: starting it again in 1 s",
        f"intake is ready again, pid {after}",
    ]
    assert after != before
    assert supervisor.pid("activation") == other
    await supervisor.stop()


@pytest.mark.anyio
async def test_a_program_that_keeps_dying_is_started_again_ever_later(folder: Path, ports: int) -> None:
    said: list[str] = []
    supervisor = Supervisor(
        [standin("intake", ports, folder, "once")], record=folder / "processes.json", say=said.append
    )
    await supervisor.start()
    pid = supervisor.pid("intake")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(60):
        while len(said) < 3:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    assert [line.rsplit(" in ", 1)[1] for line in said[:3]] == ["1 s", "2 s", "4 s"]
    await supervisor.stop()


@pytest.mark.anyio
async def test_a_program_that_does_not_end_is_killed_and_that_is_said(folder: Path, ports: int) -> None:
    said: list[str] = []
    programs = [standin("intake", ports, folder), standin("notifier", ports + 1, folder, "stubborn")]
    supervisor = Supervisor(programs, record=folder / "processes.json", say=said.append, grace=3)
    await supervisor.start()
    await supervisor.stop()
    assert said == ["notifier did not end in 3 s: killed (SIGKILL)"]
    assert (folder / "ended").read_text() == "intake\n"


@pytest.mark.anyio
async def test_a_program_that_cannot_start_is_reported_with_its_last_words(folder: Path, ports: int) -> None:
    programs = [standin("intake", ports, folder), standin("activation", ports + 1, folder, "fails")]
    supervisor = Supervisor(programs, record=folder / "processes.json", say=pytest.fail)
    with pytest.raises(ServiceFailed) as failed:
        await supervisor.start()
    assert "activation ended with status 3" in failed.value.detail
    assert failed.value.detail.endswith("something it needs is missing")
    assert supervisor.pid("intake") is None, "the others are stopped"


@pytest.mark.anyio
async def test_a_program_that_another_one_waits_for_is_the_one_reported(folder: Path, ports: int) -> None:
    programs = [standin("intake", ports, folder, "late"), standin("aggregator", ports + 1, folder, "fails")]
    supervisor = Supervisor(programs, record=folder / "processes.json", say=pytest.fail)
    with pytest.raises(ServiceFailed, match="aggregator ended with status 3"):
        await supervisor.start()


@pytest.mark.anyio
async def test_a_program_that_is_never_ready_is_reported_with_what_it_lacks(folder: Path, ports: int) -> None:
    programs = [standin("intake", ports, folder, "late")]
    # On a busy machine the stand-in itself may take longer than the patience to answer at all.
    for patience in (1, 5, 30):
        supervisor = Supervisor(
            programs, record=folder / "processes.json", say=pytest.fail, patience=patience
        )
        with pytest.raises(ServiceFailed) as failed:
            await supervisor.start()
        if "nothing answers on its port" not in failed.value.detail:
            break
    assert f'was not ready in {patience} s ({{"missing": ["patience"]}})' in failed.value.detail


def test_a_taken_port_is_refused_with_who_holds_it_and_another_choice(ports: int) -> None:
    with socket.create_server(("127.0.0.1", ports)), pytest.raises(PortTaken) as taken:
        check_port(ports, "intake")
    assert f"Port {ports}, which intake needs, is taken" in taken.value.detail
    assert f"(pid {os.getpid()})" in taken.value.detail
    assert "--port-base" in taken.value.remedy


# --- tiendo up -----------------------------------------------------------------------------------------------


def test_up_says_on_one_screen_what_runs_where_and_stops_in_order(folder: Path, ports: int) -> None:
    data = folder / "data"
    with tiendo_up(data, ports) as up:
        instance = up.ready()
        for offset, name in enumerate(SERVICES):
            assert instance.url(name) == f"http://127.0.0.1:{ports + offset}"
            assert instance.url(name) in up.said()
            assert str(pids(data)[name]) in up.said()
        for fact in (data, data / "admin.key", data / "logs", f"kill {instance.pid}", "the machine's"):
            assert str(fact) in up.said()
        assert json.loads((data / "instance.json").read_text())["services"] == dict(instance.services)
        running_pids = [*pids(data).values(), EmbeddedPostgres(data / "postgres").start().pid]
        assert up.stop(signal.SIGINT) == 0
    assert (data / "logs" / "ended").read_text().split() == list(reversed(SERVICES))
    assert not any(alive(pid) for pid in running_pids)
    assert not (data / "instance.json").exists()
    assert attach(data) is None


def test_secrets_and_the_clock_survive_a_second_start(folder: Path, ports: int) -> None:
    data = DataFolder(folder / "data")
    kept = []
    for asked in ("driven", None):
        with tiendo_up(data.root, ports, asked) as up:
            assert up.ready().clock == "driven"
        kept.append({file.name: file.read_text() for file in data.private_files})
    assert kept[0] == kept[1]
    assert stat.S_IMODE(data.root.stat().st_mode) & 0o067 == 0, "others may read nothing in it"
    for file in (*data.private_files, *data.logs.glob("*.log")):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600, file
    (person_key,) = json.loads(data.person_keys_file.read_text())["keys"]
    assert len(bytes.fromhex(person_key["secret"])) == 32
    with tiendo_up(data.root, ports, "wall") as up:
        assert up.process.wait(60) == 1
        assert "made with the driven clock" in up.said()


def test_services_connect_as_their_own_roles(left_alone: Up) -> None:
    async def who(url: str) -> tuple[str, str]:
        connection = await asyncpg.connect(url)
        try:
            row = await connection.fetchrow("SELECT current_user::text, current_schema()::text")
            assert row is not None
            return row[0], row[1]
        finally:
            await connection.close()

    for service in SERVICES:
        url = left_alone.ready().database_url(service)
        assert asyncio.run(who(url)) == (f"tiendo_{service}", service)


def test_a_second_up_on_the_same_data_is_refused_with_the_pid_of_the_first(
    left_alone: Up, ports: int
) -> None:
    with tiendo_up(left_alone.data, ports) as second:
        assert second.process.wait(60) == 1
        assert f"already running on {left_alone.data}, with pid {left_alone.process.pid}" in second.said()


def test_a_service_that_cannot_start_stops_everything_and_shows_its_log(folder: Path, ports: int) -> None:
    data = folder / "data"
    with tiendo_up(data, ports, aggregator="fails") as up:
        assert up.process.wait(60) == 1
        assert "something it needs is missing" in up.said()
    assert not EmbeddedPostgres(data / "postgres").alive()


def test_after_a_kill_of_up_the_next_one_ends_what_was_left_and_takes_over(folder: Path, ports: int) -> None:
    data = folder / "data"
    with tiendo_up(data, ports) as first:
        first.ready()
        left = pids(data)
        first.process.kill()
        first.process.wait(60)
    assert all(alive(pid) for pid in left.values())
    assert attach(data) is None, "what a killed one wrote leads nowhere"
    with tiendo_up(data, ports) as second:
        second.ready()
        for name, pid in left.items():
            assert f"{name} (pid {pid}) was left behind" in second.said()
            assert not alive(pid)
        assert second.stop() == 0


def test_a_killed_postgres_is_started_again_at_the_same_address(folder: Path, ports: int) -> None:
    data = folder / "data"
    with tiendo_up(data, ports) as up:
        instance = up.ready()
        services = pids(data)
        lock = Path(instance.postgres["pgdata"]) / "postmaster.pid"
        os.kill(int(lock.read_text().split()[0]), signal.SIGKILL)
        up.wait_to_say("PostgreSQL ended: starting it again in 1 s")
        up.wait_to_say("PostgreSQL takes sessions again")

        async def one() -> object:
            connection = await asyncpg.connect(instance.database_url("intake"))
            try:
                return await connection.fetchval("SELECT 1")
            finally:
                await connection.close()

        assert asyncio.run(one()) == 1
        assert pids(data) == services, "the services are left alone: they wait for the database themselves"


def test_a_second_signal_kills_what_does_not_end(folder: Path, ports: int) -> None:
    with tiendo_up(folder / "data", ports, notifier="stubborn") as up:
        up.ready()
        up.process.send_signal(signal.SIGINT)
        up.wait_to_say("Stopping")
        assert up.stop(signal.SIGINT) == 0
        assert "notifier was told to hurry: killed (SIGKILL)" in up.said()


def test_a_folder_with_other_things_in_it_is_not_taken_for_data(folder: Path) -> None:
    (folder / "letter.txt").write_text("Dear aunt")
    with pytest.raises(Refused, match="is not empty"):
        DataFolder(folder).make()
    assert [file.name for file in folder.iterdir()] == ["letter.txt"]


# --- what other commands use ---------------------------------------------------------------------------------


@pytest.mark.anyio
async def test_a_command_attaches_to_what_runs_and_leaves_it_running(left_alone: Up) -> None:
    data, expected = left_alone.data, left_alone.ready()
    async with running_instance(data, table=standin_table) as instance:
        assert instance == expected
        assert instance.headers == {"Authorization": f"Bearer {(data / 'admin.key').read_text().strip()}"}
    with pytest.raises(OtherClock):
        async with running_instance(data, clock="driven"):
            pytest.fail("attached to a wall clock")
    assert attach(data) == expected


@pytest.mark.anyio
async def test_what_is_counted_is_said_once_and_remembered(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(data: DataFolder) -> str | None:
        programs = service_table(Plan(data), "wall", dict.fromkeys(SERVICES, "postgresql://nowhere"))
        return {program.name: program.env for program in programs}["aggregator"].get("TIENDO_COUNTS")

    data = DataFolder(folder / "data")
    assert told(data) is None
    monkeypatch.setenv("TIENDO_COUNTS", "totals")
    async with running_instance(data.root, table=standin_table):
        pass
    monkeypatch.delenv("TIENDO_COUNTS")
    assert told(data) == "totals"
    # Another word is heard, and refused by the aggregator, which knows.
    monkeypatch.setenv("TIENDO_COUNTS", "all")
    assert told(data) == "all"


@pytest.mark.anyio
async def test_a_command_starts_an_instance_for_itself_where_none_runs(folder: Path) -> None:
    data = folder / "data"
    async with running_instance(data, clock="driven", table=standin_table) as instance:
        assert instance.clock == "driven"
        assert attach(data) == instance
        async with httpx2.AsyncClient() as client:
            assert (await client.get(f"{instance.url('notifier')}/readyz")).status_code == 200
        left = pids(data)
    assert attach(data) is None
    assert not any(alive(pid) for pid in left.values())


@pytest.mark.anyio
async def test_an_instance_of_a_command_s_own_is_on_the_ports_that_were_asked_for(
    folder: Path, ports: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIENDO_PORT_BASE", str(ports))
    async with running_instance(folder / "data", table=standin_table) as instance:
        assert [urlsplit(url).port for url in instance.services.values()] == [ports + n for n in range(4)]
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", ports + 2))
        taken.listen()
        with pytest.raises(PortTaken) as refused:
            async with running_instance(folder / "data", table=standin_table):
                pytest.fail("started elsewhere than asked")
    assert "TIENDO_PORT_BASE" in refused.value.remedy


@pytest.mark.anyio
@pytest.mark.parametrize("asked", ["80", "70000", "8400x", "-1"])
async def test_ports_that_are_none_are_refused(
    folder: Path, monkeypatch: pytest.MonkeyPatch, asked: str
) -> None:
    monkeypatch.setenv("TIENDO_PORT_BASE", asked)
    with pytest.raises(Refused, match="TIENDO_PORT_BASE"):
        async with running_instance(folder / "data", table=standin_table):
            pytest.fail("started on ports that are none")


@pytest.mark.anyio
async def test_an_outside_server_takes_the_place_of_the_embedded_one(folder: Path, ports: int) -> None:
    launcher = EmbeddedPostgres(folder / "outside", durable=False)
    server = await asyncio.to_thread(launcher.start)
    try:
        plan = Plan(DataFolder(folder / "data"), port_base=ports, postgres=launcher.admin_dsn(server))
        async with running(plan, pytest.fail, standin_table) as now:
            assert now.server is None
            assert launcher.admin_dsn(server).split(":")[2].split("@")[0] not in json.dumps(
                now.instance.postgres
            )
            connection = await asyncpg.connect(now.instance.database_url("activation"))
            assert await connection.fetchval("SELECT current_schema()") == "activation"
            await connection.close()
        assert not (folder / "data" / "postgres").exists()
    finally:
        await asyncio.to_thread(launcher.stop)


@pytest.mark.anyio
@pytest.mark.parametrize("url", ["mysql://a@b/c", "postgresql://a:b@127.0.0.1:1/postgres"])
async def test_an_outside_server_that_cannot_be_used_is_refused(
    folder: Path, ports: int, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tiendo.stack.OUTSIDE_PATIENCE", 0.2)
    with pytest.raises(DatabaseFailed, match="cannot be used"):
        async with running(Plan(DataFolder(folder / "data"), port_base=ports, postgres=url), pytest.fail):
            pytest.fail("started")


def test_a_database_url_takes_another_role_and_keeps_the_rest() -> None:
    url = "postgresql://admin:s%40@db.example:5433/tiendo?sslmode=require"
    assert with_role(url, "r", "p/w") == "postgresql://r:p%2Fw@db.example:5433/tiendo?sslmode=require"
    assert (
        with_role("postgresql:///tiendo?host=/s&port=1", "r", "p")
        == "postgresql://r:p@/tiendo?host=/s&port=1"
    )

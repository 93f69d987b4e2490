"""One run: everything started, loaded, hurt, healed, drained and checked; what it started is ended, whatever happens.

Names in reports: a *request* counts as acknowledged when its answer is in the journal; *repeats dropped* are records
that the broker had twice; *fenced* are batches that a consumer dropped because another owned its partition.
"""

import asyncio
import contextlib
import json
import os
import random
import shutil
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg
import httpx2
import psutil

from tests.chaos import alerts, faults
from tests.chaos.alerts import Sink
from tests.chaos.checks import Evidence, Verdict, check_all
from tests.chaos.faults import Surroundings
from tests.chaos.fleet import FENCED, HOST, REPEATS, Fleet, Replica, end_abandoned, inherited
from tests.chaos.journal import Journal
from tests.chaos.kafka_log import KafkaLog
from tests.chaos.lines import Campaign, closing_time
from tests.chaos.load import Load
from tests.chaos.log_under_test import LogUnderTest, PostgresLog
from tests.chaos.poison import Poison
from tests.chaos.proxy import Proxy
from tests.chaos.sampling import CONSUMERS, Rising, watch_metrics
from tests.chaos.server import DATABASE, DatabaseUnderTest, can_mount, unmount
from tests.support.aggregator import DATA
from tiendo.folders import DataFolder
from tiendo.supervisor import free_port_base
from tiendo_aggregator.rules.units import Gazetteer, merge_editions
from tiendo_aggregator.storage.facts import read_editions
from tiendo_common.database.bootstrap import SERVICES, ensure_roles, role_of
from tiendo_common.database.embedded.server import EmbeddedPostgres
from tiendo_common.database.roles import schema_of
from tiendo_common.errors import TiendoError
from tiendo_notifier.rules.tries import PAUSES
from tiendo_notifier.use_cases.deliver import Sender

PROVINCE = "51"  # Quảng Ngãi, 96 communes
MUTANTS = Path(__file__).parent / "mutants"
_PREFIX = "tiendo-chaos-"
#: Seconds for what must end by itself: starts, answers to what is under way, consumers that catch up.
PATIENCE = 120.0
#: What of the server's log tells how a run went.
_TELLING = ("deadlock detected", "No space left on device", "PANIC", "idle-in-transaction")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """What to run. `kinds`: which faults, None for all that can be had; `mutant`: a broken build."""

    seed: int
    seconds: float
    log: str = "postgres"
    rate: float = 130.0
    kinds: tuple[str, ...] | None = None
    mutant: str | None = None
    keep_in: Path = Path(tempfile.gettempdir())

    @property
    def command(self) -> str:
        """What repeats it."""
        more = f" --rate {self.rate:g}" if self.rate != Wanted.rate else ""
        more += f" --faults {','.join(self.kinds)}" if self.kinds else ""
        more += f" --mutant {self.mutant}" if self.mutant else ""
        return (
            f"python -m tests.chaos --seeds 1 --first-seed {self.seed} --seconds {self.seconds:g} "
            f"--log {self.log}{more}"
        )


@dataclass
class Outcome:
    """What came of it."""

    wanted: Wanted
    verdicts: list[Verdict] = field(default_factory=list)
    faults: Counter[str] = field(default_factory=Counter)
    skipped: dict[str, str] = field(default_factory=dict)
    counts: dict[str, str] = field(default_factory=dict)
    kept: Path | None = None

    @property
    def good(self) -> bool:
        return bool(self.verdicts) and all(verdict.good for verdict in self.verdicts)


class Impossible(TiendoError):
    """CI lacks what some faults need."""

    def __init__(self, missing: Mapping[str, str]) -> None:
        listed = "; ".join(f"{name} {why}" for name, why in missing.items())
        super().__init__(f"These faults must be possible in CI: {listed}.")


def log_named(name: str, folder: Path) -> LogUnderTest:
    """The mode to run in."""
    if name == "postgres":
        return PostgresLog()
    if name == "kafka":
        return KafkaLog(folder)
    raise ValueError(f"no such log: {name}")


def unavailable(kinds: Sequence[str]) -> dict[str, str]:
    """Those faults that this machine cannot have, and why. In CI there is no such excuse."""
    missing = {}
    if "disk" in kinds and not can_mount():
        missing["disk"] = "needs root with the right to mount"
    if "clock" in kinds and faults.fake_time_library() is None:
        missing["clock"] = "needs libfaketime (Debian package of that name)"
    if missing and os.environ.get("CI"):
        raise Impossible(missing)
    return missing


async def run(wanted: Wanted, say: Say) -> Outcome:
    """Run one seed. The folder of a good run is removed; a failed one keeps its logs and its journal."""
    remove_abandoned()
    root = _new_folder()
    outcome = Outcome(wanted)
    began = time.monotonic()
    log_lines: list[str] = []

    def note(text: str) -> None:
        line = f"{time.monotonic() - began:6.1f} s  {text}"
        log_lines.append(line)
        say(line)

    try:
        await _Run(wanted, root, outcome, note).live()
    except Exception as error:
        if isinstance(error, Impossible):
            raise
        outcome.verdicts.append(Verdict("the run came to its end", "", [repr(error)]))
        log_lines.append(traceback.format_exc())
    finally:
        outcome.counts["duration"] = f"{time.monotonic() - began:.0f} s"
        # One that a person broke off has no verdicts, and is not worth keeping.
        if outcome.verdicts and not outcome.good:
            outcome.kept = _keep(root, wanted, log_lines)
        shutil.rmtree(root, ignore_errors=True)
    return outcome


class _Run:
    """A run's parts, and its way through them."""

    def __init__(self, wanted: Wanted, root: Path, outcome: Outcome, say: Say) -> None:
        self.wanted = wanted
        self.cpu = 0.0
        self.outcome = outcome
        self.say = say
        self.data = DataFolder(root / "data")
        self.logs = root / "logs"
        self.journal = Journal(root / "journal.jsonl")
        self.log = log_named(wanted.log, root)
        self.poison = Poison()
        self.sink = Sink()
        kinds = wanted.kinds or (*faults.EVERYWHERE, *self.log.faults)
        self.outcome.skipped = unavailable(kinds)
        self.kinds = [kind for kind in kinds if kind not in self.outcome.skipped]
        # The disk is small in every run that could fill it up, so that seeds differ in faults alone.
        self.database = DatabaseUnderTest(
            self.data.postgres, self.logs / "postgres.log", say, small_disk="disk" in self.kinds
        )

    async def live(self) -> None:
        """All of it."""
        self.data.make()
        self.logs.mkdir(mode=0o700)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self.journal.close)
            stack.push_async_callback(self.database.stop)
            await self.database.start()
            await ensure_roles(self.database.admin_dsn("postgres"), self.data.database_passwords(), DATABASE)
            stack.push_async_callback(self.log.stop)
            await self.log.start()
            stack.push_async_callback(self.sink.stop)
            await self.sink.start()
            fleet = await stack.enter_async_context(self._fleet())
            self.say("PostgreSQL takes sessions; the services start")
            await self._until("ready", self._ready(fleet))
            now = datetime.now(UTC)
            campaign = Campaign(_communes(now), PROVINCE, now)
            self.cut_off = closing_time(now, self.wanted.seconds * 0.6)
            await self._put(fleet, campaign)
            self.say("ready; the load begins")
            load = Load(
                fleet.replicas,
                self.data.admin_key(),
                campaign,
                self.journal,
                self.wanted.seed,
                self.wanted.rate,
            )
            stack.push_async_callback(load.close)
            await self._under_load(fleet, load, campaign)

    async def _under_load(self, fleet: Fleet, load: Load, campaign: Campaign) -> None:
        chance = random.Random(f"{self.wanted.seed}/faults")
        around = Surroundings(self.database, fleet, load, self.poison, self.say, chance)
        self.cpu = -time.process_time()
        schedule = faults.plan(self.kinds, self.wanted.seconds, chance)
        rising = Rising(self.database.admin_dsn)
        began = time.monotonic()
        async with _background(rising.run(), watch_metrics(fleet)):
            stop = asyncio.Event()
            loading = asyncio.create_task(load.run(stop))
            try:
                async with asyncio.TaskGroup() as hurting:
                    seconds = self.wanted.seconds
                    hurting.create_task(alerts.close_days(around, campaign.id, seconds * 0.3, PATIENCE))
                    hurting.create_task(
                        faults.inflict(around, schedule, {**faults.EVERYWHERE, **self.log.faults})
                    )
                await asyncio.sleep(max(0.0, began + self.wanted.seconds - time.monotonic()))
            finally:
                stop.set()
                await loading
            loaded = time.monotonic() - began
            self.cpu += time.process_time()
            self.say(f"healed after {loaded:.0f} s; waiting for answers, then for consumers")
            await self._until("answered", load.settle())
            await self._until("ready again", self._ready(fleet))
            undrained = await self._drain()
            await asyncio.gather(*(fleet.read_metrics(replica) for replica in fleet.replicas))
        connection = await asyncpg.connect(self.database.admin_dsn())
        try:
            await rising.sample(connection)
            evidence = Evidence(
                connection,
                fleet,
                load,
                self.log,
                self.poison,
                self.sink,
                rising,
                self.journal.file,
                self.data.person_keys_file,
                self.data.admin_key(),
                campaign.id,
                around.failed,
                await fleet.unready(),
                undrained,
            )
            self.outcome.verdicts = await check_all(evidence)
        finally:
            await connection.close()
        self.outcome.faults = around.done
        self._count(fleet, load, loaded)

    def _count(self, fleet: Fleet, load: Load, seconds: float) -> None:
        journal = self.journal
        self.outcome.counts = {
            "CPU seconds of load and proxies": f"{self.cpu:.0f} in {seconds:.0f} s",
            "requests acknowledged": f"{journal.requests:,} ({journal.requests / seconds:.0f} a second)",
            "lines answered": f"{journal.lines:,}, of these {journal.rejected:,} rejected",
            "requests sent again": f"{load.sent_again:,} ({_listed(load.failures)})",
            "lines sent again for want of an answer": f"{journal.repeats:,}",
            "answered duplicate": f"{journal.duplicates:,}",
            "batches sent twice at once": f"{load.twins:,}",
            "repeats dropped by readers": f"{_counted(fleet, REPEATS):,}",
            "zombies fenced": f"{_counted(fleet, FENCED):,}",
            "poison appended": f"{sum(len(ids) for ids in self.poison.event_ids.values()):,}",
            "starts of services": f"{sum(r.starts for r in fleet.replicas):,}",
            "restarts of PostgreSQL": f"{self.database.starts:,}, {self.database.hung:,} times for want of sessions",
            "said in PostgreSQL's log": _listed(_occurrences(self.logs / "postgres.log", _TELLING)),
        }

    @contextlib.asynccontextmanager
    async def _fleet(self) -> AsyncIterator[Fleet]:
        passwords = self.data.database_passwords()
        replicas: list[Replica] = []
        async with contextlib.AsyncExitStack() as stack:
            base = free_port_base(9500 + os.getpid() % 1000 * 10, 2 * len(SERVICES))
            for number in (1, 2):
                for service in SERVICES:
                    proxy = Proxy(self.database.dial)
                    await proxy.start()
                    stack.push_async_callback(proxy.stop)
                    more, proxies = await self.log.connect()
                    url = (
                        f"postgresql://{role_of(service)}:{quote(passwords[service], safe='')}"
                        f"@{HOST}:{proxy.port}/{DATABASE}"
                    )
                    port = base + len(replicas)
                    env = {**self._environment(port, url), **more}
                    log_file = self.logs / f"{service}-{number}.log"
                    replicas.append(Replica(service, number, port, env, log_file, [proxy, *proxies]))
            chance = random.Random(f"{self.wanted.seed}/rests")
            fleet = Fleet(replicas, self.say, lambda: chance.uniform(0.2, 1.2))
            stack.push_async_callback(self._stop, fleet)
            await fleet.start()
            yield fleet

    async def _stop(self, fleet: Fleet) -> None:
        late = await fleet.stop()
        if late:
            self.say(f"did not end in time and were killed: {', '.join(late)}")

    def _environment(self, port: int, database_url: str) -> Mapping[str, str]:
        env = {
            **inherited(),
            "TIENDO_HOST": HOST,
            "TIENDO_PORT": str(port),
            "TIENDO_DATABASE_URL": database_url,
            "TIENDO_CLOCK": "wall",
            "TIENDO_API_KEYS_FILE": str(self.data.api_keys_file),
            "TIENDO_PERSON_KEYS_FILE": str(self.data.person_keys_file),
            "TIENDO_DATA_FACTS": str(DATA),
            "TIENDO_GRACE": "5",
            "TIENDO_WEBHOOK_ALLOW": f"{HOST}/32",
            "PYTHONUNBUFFERED": "1",
        }
        if self.wanted.mutant is not None:
            env["PYTHONPATH"] = os.pathsep.join(filter(None, [str(MUTANTS), env.get("PYTHONPATH")]))
            env["TIENDO_CHAOS_MUTANT"] = self.wanted.mutant
        return env

    async def _put(self, fleet: Fleet, campaign: Campaign) -> None:
        headers = {"Authorization": f"Bearer {self.data.admin_key()}"}
        async with httpx2.AsyncClient(timeout=30, trust_env=False, headers=headers) as http:
            answer = await http.put(
                f"{fleet.of('aggregator')[0].url}/v1/campaigns/{campaign.id}",
                json=campaign.document(self.cut_off),
            )
            assert answer.status_code == 200, answer.text
            await alerts.subscribe(
                http, fleet.of("notifier")[0].url, self.sink, campaign.id, campaign.communes
            )

    async def _until(self, what: str, work: Coroutine[Any, Any, None]) -> None:
        """Wait for something that must come; if it doesn't, the checks say what that means."""
        try:
            async with asyncio.timeout(PATIENCE):
                await work
        except TimeoutError:
            self.say(f"not {what} after {PATIENCE:.0f} s")

    async def _ready(self, fleet: Fleet) -> None:
        while True:
            if await self.database.answers() and not await fleet.unready():
                return
            await asyncio.sleep(0.2)

    async def _drain(self) -> list[str]:
        """Wait until every consumer stands at the end of every topic, and what the log has of its own is done;
        what is still behind after a while in which nothing moved."""
        behind: list[str] = []
        moved = time.monotonic()
        # Those that a killed notifier had in its hands are free again when its claim runs out; and a sink that has
        # denied four times in a row is left alone for a minute.
        while time.monotonic() - moved < max(Sender.CLAIMS[""], PAUSES[3]) + 15:
            left = await self._behind()
            if not left:
                return []
            if left != behind:
                behind, moved = left, time.monotonic()
            await asyncio.sleep(0.3)
        return behind

    async def _behind(self) -> list[str]:
        connection = await asyncpg.connect(self.database.admin_dsn())
        try:
            unsettled = await self.log.settled(connection)
            left = [unsettled] if unsettled else []
            heads: dict[tuple[str, int], int] = {}
            for service in ("intake", "activation", "aggregator"):
                rows = await connection.fetch(
                    f"SELECT topic, partition, next FROM {schema_of(service)}.log_partition"
                )
                heads |= {(row["topic"], row["partition"]): row["next"] for row in rows}
            for service in CONSUMERS:
                rows = await connection.fetch(
                    f"SELECT consumer, topic, partition, next FROM {schema_of(service)}.consumer_position"
                )
                for consumer, topic, partition, next_ in rows:
                    if next_ != heads[topic, partition]:
                        left.append(
                            f"{consumer} at {next_} of {topic}/{partition}, head {heads[topic, partition]}"
                        )
            pending = await connection.fetchval(
                "SELECT count(*) FROM notifier.delivery WHERE state = 'pending'"
            )
            left += [f"{pending} deliveries are pending"] if pending else []
            closed = await connection.fetchval("SELECT max(day) FROM aggregator.closed_day")
            left += [f"nothing is closed after {closed}"] if closed != self.cut_off.date() else []
        finally:
            await connection.close()
        return left


@contextlib.asynccontextmanager
async def _background(*work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    """Coroutines that run beside the body; one that fails is heard of at its end."""
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result


def _communes(now: datetime) -> list[str]:
    tree = Gazetteer(merge_editions(read_editions(DATA))).as_of(now.date())
    return list(tree.communes(PROVINCE))


def _counted(fleet: Fleet, metric: str) -> int:
    return sum(replica.counted[metric] + replica.counted_before[metric] for replica in fleet.replicas)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {n:,}" for name, n in sorted(counts.items())) or "none"


def _occurrences(file: Path, texts: Sequence[str]) -> dict[str, int]:
    said = file.read_text(errors="replace")
    return {text: said.count(text) for text in texts if text in said}


def _new_folder() -> Path:
    """A folder that every account may pass through: root's server runs as another."""
    root = Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{os.getpid()}-"))
    root.chmod(0o711)
    return root


def _keep(root: Path, wanted: Wanted, lines: Sequence[str]) -> Path:
    """Move what tells of a failure to a folder that stays."""
    mutant = f"-{wanted.mutant}" if wanted.mutant else ""
    kept = Path(
        tempfile.mkdtemp(
            prefix=f"tiendo-failed-chaos-{wanted.log}-seed-{wanted.seed}{mutant}-", dir=wanted.keep_in
        )
    )
    for name in ("logs", "journal.jsonl"):
        if (root / name).exists():
            shutil.move(root / name, kept / name)
    (kept / "run.txt").write_text("\n".join([wanted.command, *lines]) + "\n", encoding="utf-8")
    (kept / "wanted.json").write_text(json.dumps(wanted.__dict__, default=str) + "\n", encoding="utf-8")
    return kept


def remove_abandoned() -> None:
    """End and remove what runs that were killed left behind: services, servers, mounts, folders."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}[0-9]*"):
        pid = int(folder.name.removeprefix(_PREFIX).split("-")[0])
        if folder.stat().st_uid != os.geteuid() or psutil.pid_exists(pid):
            continue
        keys = str(folder / "data" / "api-keys.json")
        end_abandoned(keys)
        for record in folder.rglob("server.json"):
            EmbeddedPostgres(record.parent).stop(timeout=10)
            unmount(record.parent)
        shutil.rmtree(folder, ignore_errors=True)

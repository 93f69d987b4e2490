"""The faults: each takes hold, lasts a while, and heals, also when it is cancelled."""

import asyncio
import contextlib
import random
import signal
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx2

from tests.chaos.fleet import UNANSWERED, Fleet, Replica
from tests.chaos.load import Load
from tests.chaos.poison import Poison
from tests.chaos.proxy import Manner, Proxy
from tests.chaos.server import DatabaseUnderTest
from tiendo_common.database.pool import PASSING_FAULTS

#: Longer than a lease (6 s): whoever wakes then owns nothing any more. Shorter than the server waits in a transaction
#: (10 s): after that it ends the session, and nothing late is left to be fenced.
BEYOND_LEASE = (7.0, 9.5)
#: Longer than the client's patience, shorter than the services' own.
SOME_SECONDS = (2.0, 6.0)
#: How long a busy machine may take to come to a statement that is waited for; behind a dead broker it comes to none.
UNTIL_CAUGHT = 60.0
SKEW = 3600
#: What only the statement says that moves a consumer's positions.
POSITION = b"UPDATE consumer_position AS old SET next"
#: And the one after it, in the same transaction.
EFFECTS = b"INSERT INTO counter AS old"


class Surroundings:
    """What faults are done to. A replica is under one fault at a time, so that each heals what it did."""

    def __init__(
        self,
        database: DatabaseUnderTest,
        fleet: Fleet,
        load: Load,
        poison: Poison,
        say: Callable[[str], None],
        chance: random.Random,
    ) -> None:
        self.database = database
        self.fleet = fleet
        self.load = load
        self.poison = poison
        self.say = say
        self.chance = chance
        self.done: Counter[str] = Counter()
        #: Faults that were meant to happen and could not.
        self.failed: list[str] = []
        self._busy: set[str] = set()

    @contextlib.asynccontextmanager
    async def victim(self, services: Sequence[str] = (), *, alone: bool = False) -> AsyncIterator[Replica]:
        """A replica that nothing is being done to, of one of these services; waits for one, for a while.

        `alone`: the other replica of the service is left in peace, too. Raises LookupError.
        """
        until = time.monotonic() + 25
        while not (free := self._free(services, alone=alone)):
            if time.monotonic() > until:
                raise LookupError("every replica is under a fault already")
            await asyncio.sleep(0.2)
        # Rather one that runs: to kill the dead is no fault.
        chosen = self.chance.choice([replica for replica in free if replica.running] or free)
        taken = {replica.name for replica in (self.fleet.of(chosen.service) if alone else [chosen])}
        self._busy |= taken
        try:
            yield chosen
        finally:
            self._busy -= taken

    def _free(self, services: Sequence[str], *, alone: bool) -> list[Replica]:
        return [
            replica
            for replica in self.fleet.replicas
            if (not services or replica.service in services)
            and self._busy.isdisjoint(
                other.name for other in (self.fleet.of(replica.service) if alone else [replica])
            )
        ]


Fault = Callable[[Surroundings], Awaitable[None]]


async def kill_service(around: Surroundings) -> None:
    """SIGKILL of a replica."""
    async with around.victim() as replica:
        await around.fleet.read_metrics(replica)
        around.say(f"SIGKILL {replica.name}")
        replica.signal(signal.SIGKILL)


async def end_service(around: Surroundings) -> None:
    """SIGTERM of a replica, as in a rolling restart."""
    async with around.victim() as replica:
        await around.fleet.read_metrics(replica)
        around.say(f"SIGTERM {replica.name}")
        replica.signal(signal.SIGTERM)


async def pause_service(around: Surroundings) -> None:
    """SIGSTOP of a replica for longer than its leases, then SIGCONT."""
    async with around.victim() as replica:
        seconds = around.chance.uniform(*BEYOND_LEASE)
        around.say(f"SIGSTOP {replica.name} for {seconds:.1f} s")
        replica.signal(signal.SIGSTOP)
        try:
            await asyncio.sleep(seconds)
        finally:
            replica.signal(signal.SIGCONT)


async def late_commit(around: Surroundings) -> None:
    """An aggregator's network stops at the very moment at which it would move a position, for longer than its
    lease. What arrives then comes from somebody who owns nothing any more."""
    await _hold_at(around, POSITION, "about to move a position")


async def stuck_commit(around: Surroundings) -> None:
    """The same a step later: the position is moved, its row is locked, and nothing is committed yet."""
    await _hold_at(around, EFFECTS, "in the middle of a batch")


async def _hold_at(around: Surroundings, statement: bytes, what: str) -> None:
    async with around.victim(("aggregator",), alone=True) as replica:
        proxy = replica.proxies[0]
        seconds = around.chance.uniform(*BEYOND_LEASE)
        try:
            await proxy.hold_at(statement, UNTIL_CAUGHT)
            around.say(f"{replica.name} was {what}: held for {seconds:.1f} s")
            await asyncio.sleep(seconds)
        finally:
            proxy.heal()


async def kill_postgres(around: Surroundings) -> None:
    """SIGKILL of the postmaster and all its workers."""
    rest = around.chance.uniform(0.1, 2.5)
    killed = around.database.kill(rest)
    around.say(f"SIGKILL PostgreSQL, {killed} processes, back in {rest:.1f} s or later")


async def cut(around: Surroundings) -> None:
    """All connections of a replica are reset, three times in a row."""
    async with around.victim() as replica:
        for _ in range(3):
            count = sum(proxy.cut() for proxy in replica.proxies)
            around.say(f"cut {count} connections of {replica.name}")
            await asyncio.sleep(around.chance.uniform(0.2, 1.0))


async def delay(around: Surroundings) -> None:
    """Everything between a replica and its server takes longer."""
    await _misbehave(around, Manner.DELAY, SOME_SECONDS, around.chance.choice((0.02, 0.1, 0.3)))


async def hold(around: Surroundings) -> None:
    """Nothing arrives for longer than a lease; then all of it does."""
    await _misbehave(around, Manner.HOLD, BEYOND_LEASE)


async def lose_up(around: Surroundings) -> None:
    """Half-open: what a replica asks is lost, and the connection stays."""
    await _misbehave(around, Manner.LOSE_UP, SOME_SECONDS)


async def lose_down(around: Surroundings) -> None:
    """Half-open: what a replica asked is done, and the answer is lost."""
    await _misbehave(around, Manner.LOSE_DOWN, SOME_SECONDS)


async def deaf(around: Surroundings) -> None:
    """Half-open: connections are cut, and new ones are accepted and never forwarded."""
    await _misbehave(around, Manner.DEAF, SOME_SECONDS)


async def refuse(around: Surroundings) -> None:
    """Connections are cut, and new ones refused."""
    await _misbehave(around, Manner.REFUSE, SOME_SECONDS)


async def _misbehave(
    around: Surroundings, manner: Manner, span: tuple[float, float], seconds: float = 0.0
) -> None:
    async with around.victim() as replica:
        lasting = around.chance.uniform(*span)
        around.say(f"network of {replica.name}: {manner.value} for {lasting:.1f} s")
        with _behaving(replica.proxies, manner, seconds):
            if manner in (Manner.DEAF, Manner.REFUSE):
                for proxy in replica.proxies:
                    proxy.cut()
            await asyncio.sleep(lasting)


@contextlib.contextmanager
def _behaving(proxies: Sequence[Proxy], manner: Manner, seconds: float) -> Iterator[None]:
    for proxy in proxies:
        proxy.behave(manner, seconds)
    try:
        yield
    finally:
        for proxy in proxies:
            proxy.heal()


async def twins(around: Surroundings) -> None:
    """Batches that arrive twice at once, in different orders, at both replicas."""
    count = around.chance.randrange(4, 9)
    around.say(f"{count} batches twice at once, shuffled")
    around.load.burst(count)


async def poison(around: Surroundings) -> None:
    """Bodies that are no events, appended to the logs."""
    for _ in range(around.chance.randrange(2, 6)):
        try:
            around.say(f"poison: {await around.poison.append(around.database.admin_dsn(), around.chance)}")
        except PASSING_FAULTS as error:
            around.say(f"poison: perhaps, the server went away ({type(error).__name__})")


async def full_disk(around: Surroundings) -> None:
    """No room where PostgreSQL keeps its data."""
    seconds = around.chance.uniform(3.0, 7.0)
    try:
        taken = await asyncio.to_thread(around.database.fill_disk)
        around.say(f"disk full for {seconds:.1f} s ({taken >> 20} MB of ballast)")
        # Room that a checkpoint makes meanwhile is taken, too.
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            await asyncio.sleep(0.5)
            await asyncio.to_thread(around.database.fill_disk)
    finally:
        around.database.empty_disk()


async def clock(around: Surroundings) -> None:
    """A replica is killed and comes back with a clock that is an hour off; so it stays for a while."""
    async with around.victim() as replica:
        skew = around.chance.choice((-SKEW, SKEW))
        around.say(f"clock of {replica.name}: {skew:+d} s")
        replica.preload = fake_time(skew)
        await around.fleet.read_metrics(replica)
        replica.signal(signal.SIGKILL)
        try:
            await _sees(replica, skew)
            await asyncio.sleep(around.chance.uniform(6.0, 12.0))
        finally:
            replica.preload = {}
            replica.signal(signal.SIGKILL)


async def _sees(replica: Replica, skew: int) -> None:
    """Return once the replica says that it is so late, by its own clock. Raises TimeoutError."""
    async with asyncio.timeout(30), httpx2.AsyncClient(timeout=2, trust_env=False) as http:
        while True:
            with contextlib.suppress(*UNANSWERED, KeyError, ValueError):
                now = datetime.fromisoformat((await http.get(f"{replica.url}/v1/clock")).json()["now"])
                if abs((now - datetime.now(UTC)).total_seconds() - skew) < 60:
                    return
            await asyncio.sleep(0.2)


def fake_time_library() -> str | None:
    """Where libfaketime is, if it is installed."""
    return next((str(path) for path in Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1")), None)


def fake_time(skew: int) -> dict[str, str]:
    """Environment of a process whose clock is `skew` seconds off. Spans stay what they are."""
    library = fake_time_library()
    assert library is not None
    return {"LD_PRELOAD": library, "FAKETIME": f"{skew:+d}s", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}


#: The faults of every mode, by the names that reports and `--faults` use.
EVERYWHERE: dict[str, Fault] = {
    "kill": kill_service,
    "end": end_service,
    "postgres": kill_postgres,
    "pause": pause_service,
    "late": late_commit,
    "stuck": stuck_commit,
    "cut": cut,
    "delay": delay,
    "hold": hold,
    "lose-up": lose_up,
    "lose-down": lose_down,
    "deaf": deaf,
    "refuse": refuse,
    "twins": twins,
    "poison": poison,
    "disk": full_disk,
    "clock": clock,
}


def plan(kinds: Sequence[str], seconds: float, chance: random.Random) -> list[tuple[float, str]]:
    """When which fault begins: every 3 to 8 s, each kind before any comes again."""
    answer: list[tuple[float, str]] = []
    bag: list[str] = []
    at = chance.uniform(1.0, 3.0)
    while at < seconds - 1:
        bag = bag or chance.sample(kinds, len(kinds))
        answer.append((at, bag.pop()))
        at += chance.uniform(3.0, 8.0)
    return answer


async def inflict(
    around: Surroundings, schedule: Sequence[tuple[float, str]], faults: dict[str, Fault]
) -> None:
    """Let the faults happen as planned, one beside the other where they last; returns when all are over."""
    began = time.monotonic()

    async def one(name: str) -> None:
        try:
            await faults[name](around)
            around.done[name] += 1
        except (LookupError, TimeoutError, OSError) as error:
            around.failed.append(f"{name}: {error!r}")

    async with asyncio.TaskGroup() as lasting:
        for at, name in schedule:
            await asyncio.sleep(max(0.0, began + at - time.monotonic()))
            lasting.create_task(one(name))

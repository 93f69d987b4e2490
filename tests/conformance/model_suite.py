"""Appending, claiming and folding in any order, against a model so plain that it can't be wrong."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    rule,
    run_state_machine_as_test,
)

from tests.conformance.backend import FACTS, LogBackend, append_in
from tests.conformance.consumer_world import Replica
from tests.support.events import intake_event
from tiendo_common.clock import new_event_id
from tiendo_common.errors import Fenced
from tiendo_common.eventlog.consumer import Batch, Effects
from tiendo_common.eventlog.port import Connection, Partition, Position
from tiendo_common.events.catalogue import EventDecoder
from tiendo_common.events.envelope import PARTITIONS, partition_of
from tiendo_common.events.restatements import IntakeRestated

ResultT = TypeVar("ResultT")
Run = Callable[[Coroutine[Any, Any, ResultT]], ResultT]

REPLICAS = st.integers(0, 2)
#: Records enough to touch several partitions, few enough to touch them again and again.
RECORDS = st.lists(st.sampled_from([f"record-{n}" for n in range(8)]), min_size=1, max_size=6)


class Folding:
    """Notes which events a consumer folded."""

    def __init__(self, consumer: str) -> None:
        self._consumer = consumer
        self._decoder = EventDecoder([IntakeRestated])

    def prepare(self, batch: Batch) -> list[IntakeRestated]:
        return list(batch.events(self._decoder))

    async def apply(self, connection: Connection, works: Sequence[list[IntakeRestated]]) -> None:
        await connection.executemany(
            "INSERT INTO folded (consumer, event_id) VALUES ($1, $2)",
            [(self._consumer, event.id) for work in works for event in work],
        )


class Stepped(Replica):
    """A replica that does one thing at a time, when it is told to."""

    LEASE = 3600.0
    in_hand: tuple[Batch, list[IntakeRestated], dict[Partition, Position]] | None = None

    async def claim(self) -> None:
        self.in_hand = None
        await self._claim()

    async def take(self, limit: int) -> None:
        positions = self._claims.positions()
        chunks = await self._reader.fetch(positions, limit) if positions else []
        if chunks:
            batch = Batch(chunks)
            self.in_hand = batch, self._projection.prepare(batch), positions

    async def fold(self) -> list[str]:
        """The events that took effect. Raises Fenced."""
        assert self.in_hand is not None
        batch, work, since = self.in_hand
        self.in_hand = None
        await self._store(Effects.of(batch, work, since))
        return [event.id for event in work]

    async def leave(self) -> None:
        self.in_hand = None
        await self._release()
        await self.disconnect()

    async def disconnect(self) -> None:
        await self._reader.close()

    def holds_any(self) -> bool:
        return bool(self._claims.held)

    def standing(self) -> dict[Partition, tuple[int, int]]:
        """Epoch and next sequence of what it believes to hold of the batch in hand."""
        assert self.in_hand is not None
        held = {chunk.partition: self._claims.held[chunk.partition] for chunk in self.in_hand[0].chunks}
        return {partition: (each.epoch, each.position.next) for partition, each in held.items()}


class LogModel(RuleBasedStateMachine):
    """The model: a list of events for each partition, and the set of those that were folded."""

    run: Run[Any]
    backend: LogBackend
    #: The log outlives each example; a consumer of a new name begins at its beginning.
    log: list[list[str]]

    def __init__(self) -> None:
        super().__init__()
        self.name = new_event_id()
        self.folded: list[str] = []
        self.epochs = [0] * PARTITIONS
        self.replicas = [self.newcomer() for _ in range(3)]

    def newcomer(self) -> Stepped:
        return Stepped(
            self.name,
            [FACTS],
            Folding(self.name),
            pool=self.backend.pool("aggregator"),
            reader=self.backend.reader("aggregator"),
        )

    @rule(records=RECORDS, commit=st.sampled_from([True, True, True, False]))
    def append(self, records: list[str], commit: bool) -> None:
        events = [intake_event(record) for record in records]

        async def work() -> None:
            async with self.backend.pool("intake").acquire() as connection:
                transaction = connection.transaction()
                await transaction.start()
                await append_in(self.backend, connection, events)
                await (transaction.commit() if commit else transaction.rollback())
            await self.backend.settled()

        self.run(work())
        if commit:
            for record, new in zip(records, events, strict=True):
                self.log[partition_of(record)].append(new.event.id)

    @rule(number=REPLICAS)
    def claim(self, number: int) -> None:
        self.run(self.replicas[number].claim())

    @rule(number=REPLICAS, limit=st.sampled_from([1, 20, 1000]))
    def take(self, number: int, limit: int) -> None:
        """One that holds nothing claims first: most examples would fold nothing else."""
        replica = self.replicas[number]
        if not replica.holds_any():
            self.run(replica.claim())
        if replica.in_hand is None:
            self.run(replica.take(limit))

    # Not a precondition: what is drawn must not hang on the log, which holds more when an example is tried again.
    @rule(number=REPLICAS)
    def fold(self, number: int) -> None:
        """This one, or the next that has something in hand."""
        turns = (*self.replicas[number:], *self.replicas[:number])
        replica = next((each for each in turns if each.in_hand), None)
        if replica is None:
            return
        standing = {Partition(FACTS, row["partition"]): (row["epoch"], row["next"]) for row in self.rows()}
        owned = all(standing[partition] == mine for partition, mine in replica.standing().items())
        try:
            events = self.run(replica.fold())
        except Fenced:
            assert not owned
            self.run(replica.claim())
            return
        assert owned
        self.folded += events

    @rule()
    def leases_run_out(self) -> None:
        for table, column in (("consumer_position", "lease_until"), ("consumer_member", "seen_until")):
            self.run(
                self.backend.pool("aggregator").execute(
                    f"UPDATE {table} SET {column} = clock_timestamp() - interval '1 s' WHERE consumer = $1",
                    self.name,
                )
            )

    @rule(number=REPLICAS, properly=st.booleans())
    def end(self, number: int, properly: bool) -> None:
        """It leaves; or dies, and its claims are left to run out: what it was connected to notices that it is gone."""
        replica = self.replicas[number]
        self.run(replica.leave() if properly else replica.disconnect())
        self.replicas[number] = self.newcomer()

    @invariant()
    def effects_are_those_of_the_model(self) -> None:
        rows = self.run(
            self.backend.pool("aggregator").fetch(
                "SELECT event_id::text FROM folded WHERE consumer = $1", self.name
            )
        )
        assert sorted(row[0] for row in rows) == sorted(self.folded)
        assert len(set(self.folded)) == len(self.folded)

    @invariant()
    def positions_stand_behind_what_was_folded(self) -> None:
        folded = set(self.folded)
        for row in self.rows():
            part = self.log[row["partition"]]
            assert folded.issuperset(part[: row["next"] - 1])
            assert folded.isdisjoint(part[row["next"] - 1 :])

    @invariant()
    def epochs_never_fall(self) -> None:
        for row in self.rows():
            assert row["epoch"] >= self.epochs[row["partition"]]
            self.epochs[row["partition"]] = row["epoch"]

    def rows(self) -> list[Any]:
        rows: list[Any] = self.run(
            self.backend.pool("aggregator").fetch(
                "SELECT partition, epoch, next FROM consumer_position WHERE consumer = $1", self.name
            )
        )
        return rows

    def teardown(self) -> None:
        """Whatever happened, whoever comes last folds all the rest."""
        self.leases_run_out()
        last = self.newcomer()
        self.run(last.claim())
        self.run(last.take(100_000))
        while last.in_hand:
            self.folded += self.run(last.fold())
            self.run(last.take(100_000))
        for replica in (*self.replicas, last):
            self.run(replica.disconnect())
        assert sorted(self.folded) == sorted(event for part in self.log for event in part)
        self.effects_are_those_of_the_model()


class LogModelConformance:
    """Inherit, and bring the fixture `backend`."""

    @pytest.fixture
    async def backend(self) -> LogBackend:
        raise NotImplementedError  # each log's own module brings one

    async def test_any_order_of_appends_claims_folds_and_deaths_folds_each_event_once(
        self, backend: LogBackend
    ) -> None:
        await backend.pool("aggregator").execute(
            "CREATE TABLE folded (consumer text, event_id uuid, PRIMARY KEY (consumer, event_id))"
        )
        loop = asyncio.get_running_loop()

        def run(work: Coroutine[Any, Any, ResultT]) -> ResultT:
            return asyncio.run_coroutine_threadsafe(work, loop).result(30)

        class Bound(LogModel):
            pass

        Bound.run = staticmethod(run)
        Bound.backend = backend
        Bound.log = [[] for _ in range(PARTITIONS)]
        await asyncio.to_thread(
            run_state_machine_as_test,
            Bound,
            settings=settings(
                max_examples=25,
                stateful_step_count=30,
                deadline=None,
                suppress_health_check=list(HealthCheck),
            ),
        )

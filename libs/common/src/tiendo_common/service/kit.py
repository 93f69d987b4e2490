"""What the skeleton hands to a service's `main.py` to wire its parts with."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import asyncpg
import structlog
from fastapi import FastAPI

from tiendo_common.clock import DRIVEN_EPOCH, Clock, DrivenClock, WallClock
from tiendo_common.database.pool import PASSING_FAULTS, make_pool
from tiendo_common.errors import Retry
from tiendo_common.eventlog.consumer import Consumer
from tiendo_common.eventlog.kafka.connection import Broker
from tiendo_common.eventlog.kafka.control import Control
from tiendo_common.eventlog.kafka.publisher import KafkaPublisher
from tiendo_common.eventlog.kafka.reader import KafkaLogReader
from tiendo_common.eventlog.port import EventLog, LogReader
from tiendo_common.eventlog.postgres import PostgresEventLog, PostgresLogReader
from tiendo_common.service.auth import ApiKeys
from tiendo_common.service.bodies import Rooms
from tiendo_common.service.driven import StoredClock
from tiendo_common.service.rounds import go_round
from tiendo_common.service.settings import ServiceSettings

log = structlog.get_logger(__name__)


@dataclass
class Kit:
    """The parts that all services share, and the lists to which a service adds its own.

    `rooms` is the memory that large requests share; `body_limits` are how many bytes the bodies may have of
    paths that begin so, where that is less than usual.

    `started` run once, in order, after the migrations; `background` tasks run from then to the stop;
    `readiness` checks answer None when ready, else what is missing; `moved` are called after a driven
    clock was moved.
    """

    service: str
    settings: ServiceSettings
    app: FastAPI
    clock: Clock
    pool: asyncpg.Pool
    log: EventLog
    broker: Broker | None
    keys: ApiKeys
    stored_clock: StoredClock | None
    rooms: Rooms = field(default_factory=Rooms)
    body_limits: dict[str, int] = field(default_factory=dict)
    started: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    background: list[tuple[str, Callable[[], Awaitable[None]]]] = field(default_factory=list)
    readiness: list[Callable[[], str | None]] = field(default_factory=list)
    consumers: list[Consumer[Any]] = field(default_factory=list)
    moved: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    measured: list[Callable[[], Awaitable[None]]] = field(default_factory=list)
    control: Control | None = None

    @classmethod
    def make(cls, service: str, settings: ServiceSettings, app: FastAPI) -> "Kit":
        pool = make_pool(settings.database_url, service)
        clock: Clock = DrivenClock(DRIVEN_EPOCH) if settings.clock == "driven" else WallClock()
        return cls(
            service=service,
            settings=settings,
            app=app,
            clock=clock,
            pool=pool,
            log=PostgresEventLog(service, pool),
            broker=settings.broker(),
            keys=ApiKeys(settings.api_keys_file),
            stored_clock=StoredClock(clock, pool) if isinstance(clock, DrivenClock) else None,
        )

    @property
    def source(self) -> str:
        """The CloudEvents source of this service's events."""
        return f"/{self.settings.province}/{self.service}"

    def reader(self, name: str) -> LogReader:
        """A reading side of its own for each consumer and replica; `name` is what lag tools show it under."""
        if self.broker is None:
            return PostgresLogReader(self.pool)
        if self.control is None:
            self.control = Control(self.broker)
        return KafkaLogReader(self.broker, f"{self.service}.{name}", self.control)

    def publish_log(self) -> None:
        """Carry this service's events to the broker, where there is one."""
        if self.broker is None:
            return
        publisher = KafkaPublisher(self.service, self.pool, self.broker, driven=self.clock.driven)
        self.background.append(("publisher", publisher.run))
        self.readiness.append(lambda: publisher.stopped)
        self.measured.append(publisher.measure)

    def add_consumer(self, consumer: Consumer[Any]) -> None:
        """Run a consumer from start to stop; the service is not ready while it is halted."""
        self.consumers.append(consumer)
        self.measured.append(consumer.measure_lag)
        self.background.append((f"consumer {consumer.name}", consumer.run))
        self.readiness.append(
            lambda: (
                None
                if consumer.ready
                else f"consumer {consumer.name}: {consumer.halted or 'no watermark passed yet'}"
            )
        )

    def publish_watermarks(self, limit: Callable[[], datetime | None] | None = None) -> None:
        """Say regularly how far this service's topics are complete.

        `limit` bounds it by what the service itself has read, for a producer whose facts follow another's.
        """

        async def publish() -> None:
            now = self.clock.now()
            bound = limit() if limit else now
            if bound is not None:
                await self.log.publish_watermark(min(now, bound))

        self.background.append(
            ("watermarks", lambda: go_round(publish, self.clock, 1.0, "watermark not published"))
        )
        self.moved.append(publish)

    async def measure(self) -> None:
        """Keep the gauges current until cancelled."""
        while True:
            await asyncio.sleep(5)
            self.keys.refresh()
            for measure in self.measured:
                try:
                    await measure()
                except (Retry, *PASSING_FAULTS) as error:
                    log.info("not measured", reason=str(error))

"""Counts that communes declare: who owes them, in which state they are, beside the records and never among them."""

from collections.abc import AsyncIterator
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.support.aggregator import Producers, RunningAggregator, aggregator, plan_document, producers
from tests.support.postgres import Database
from tiendo_common.clock import VIETNAM

pytestmark = pytest.mark.anyio

CAMPAIGN = "/v1/campaigns/kon-tum-2023"
FIRST = date(2023, 11, 11)
#: Two communes of Kon Tum city's neighbourhood and one of another district.
ONE, TWO, OTHER = "23281", "23284", "23427"
DECLARING: dict[str, Any] = {"cut_off": "16:30:00", "units": [ONE, TWO, OTHER]}


def at(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=VIETNAM)


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[Producers]:
    async with producers(database) as each:
        yield each


@pytest.fixture
async def service(database: Database, feed: Producers, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    async with aggregator(database, tmp_path) as each:
        await each.move_clock(at(FIRST - timedelta(1), 21, 30))
        await each.put_plan(declaring=DECLARING)
        yield each


async def log_of(service: RunningAggregator, topic: str) -> list[dict[str, Any]]:
    """The documents on a state topic, in the order of the log."""
    rows = await service.kit.pool.fetch(f"SELECT body FROM log_{topic} ORDER BY seq")
    return [msgspec.json.decode(row["body"]) for row in rows]


async def test_the_plan_says_who_declares_and_readers_are_told(service: RunningAggregator) -> None:
    assert (await service.get(CAMPAIGN))["declaring"] == DECLARING
    [campaign] = await log_of(service, "campaigns")
    assert campaign["data"]["daily_declarations"] == DECLARING
    await service.put_plan()
    assert (await service.get(CAMPAIGN))["declaring"] is None
    [campaign] = await log_of(service, "campaigns")
    assert "daily_declarations" not in campaign["data"]


async def test_a_plan_with_others_than_its_communes_is_refused(service: RunningAggregator) -> None:
    for declaring, field in (
        ({"cut_off": "16:30:00", "units": [ONE, "00001"]}, "declaring.units.0"),
        ({"cut_off": "16:30:00+07:00", "units": [ONE]}, "declaring.cut_off"),
        ({"cut_off": "16:30:00", "unit": [ONE]}, "declaring.units"),
    ):
        answer = await service.client.put(CAMPAIGN, json=plan_document(declaring=declaring))
        assert answer.status_code == 422
        assert answer.json()["field"] == field

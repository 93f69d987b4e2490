"""What intake and activation see of the aggregator: units and a campaign, in its own tables and log."""

from datetime import UTC, date, datetime, time
from typing import Any, Literal

import asyncpg

from tests.support.postgres import Database
from tiendo_common.clock import new_event_id
from tiendo_common.eventlog.port import NewEvent
from tiendo_common.eventlog.postgres import PostgresEventLog
from tiendo_common.eventlog.schema import log_generations, log_tables
from tiendo_common.events.catalogue import owned_by
from tiendo_common.events.state import (
    CampaignPublication,
    CampaignPublished,
    UnitPublication,
    UnitPublished,
    UnitSpan,
)

Level = Literal["province", "district", "commune"]

CAMPAIGN = "kon-tum-2023"
PROVINCE, DISTRICT = "62", "610"
#: Three communes of 2023; the last is gone with the reform, when the new one comes.
HOME, AWAY, GONE, NEW = "23341", "23344", "23347", "23350"
REFORM = date(2025, 7, 1)
_BEGINNING = date(2004, 1, 1)


def _unit(
    code: str,
    level: Level,
    name: str,
    parent: str | None,
    since: date = _BEGINNING,
    until: date | None = None,
) -> UnitPublication:
    span = UnitSpan(from_day=since, until_day=until, parent=parent, level=level, name=name)
    return UnitPublication(code=code, spans=(span,), loaded=6)


UNITS = (
    _unit(PROVINCE, "province", "Tỉnh Kon Tum", None),
    _unit(DISTRICT, "district", "Huyện Đăk Glei", PROVINCE, until=REFORM),
    _unit(HOME, "commune", "Xã Đăk Môn", DISTRICT),
    _unit(AWAY, "commune", "Xã Xốp", DISTRICT),
    _unit(GONE, "commune", "Xã Ngọc Linh", DISTRICT, until=REFORM),
    _unit(NEW, "commune", "Xã mới", PROVINCE, since=REFORM),
)


async def publish_directory(database: Database) -> None:
    """Make the aggregator's log and publish the units and the campaign, as its own role."""
    pool = await asyncpg.create_pool(database.dsn("aggregator"), min_size=0, max_size=2)
    try:
        topics = owned_by("aggregator")
        for statement in [*log_tables(topics), *log_generations(topics)]:
            await pool.execute(statement)
        campaign = CampaignPublication(
            campaign=CAMPAIGN,
            name="Kon Tum: 50 ngày đêm",
            province=PROVINCE,
            first_day=date(2023, 11, 11),
            last_day=date(2023, 12, 30),
            day_cut_off=time(21),
        )
        events = [
            NewEvent("units", UnitPublished(**_attributes(unit.code), data=unit), key=unit.code)
            for unit in UNITS
        ]
        events.append(
            NewEvent("campaigns", CampaignPublished(**_attributes(CAMPAIGN), data=campaign), key=CAMPAIGN)
        )
        async with pool.acquire() as connection, connection.transaction():
            await PostgresEventLog("aggregator", pool).append(connection, events)
    finally:
        await pool.close()


def _attributes(key: str) -> dict[str, Any]:
    return {
        "id": new_event_id(),
        "source": "/vn/aggregator",
        "subject": PROVINCE,
        "time": datetime(2023, 11, 1, tzinfo=UTC),
        "partitionkey": key,
    }

"""As of and known at: figures can be printed again, and late records show."""

from collections.abc import AsyncIterator
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from tests.support.aggregator import (
    Producers,
    RunningAggregator,
    aggregator,
    eventually,
    producers,
    restated,
    segment,
)
from tests.support.postgres import Database
from tests.support.two_times import FIRST, UNITS, Fact, counted, events, facts
from tiendo_aggregator.http_schemas.progress import ProgressAnswer
from tiendo_common.clock import VIETNAM

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

CAMPAIGN = "/v1/campaigns/kon-tum-2023"


def evening(day: date) -> datetime:
    return datetime.combine(day, time(21, 30), VIETNAM)


@pytest.fixture
async def feed(database: Database) -> AsyncIterator[Producers]:
    async with producers(database) as each:
        yield each


@pytest.fixture
async def service(database: Database, feed: Producers, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    async with aggregator(database, tmp_path) as each:
        eve = evening(FIRST - timedelta(1))
        await each.move_clock(eve)
        await feed.complete_to(eve)
        await each.put_plan()
        yield each


async def end_of(service: RunningAggregator, feed: Producers, day: date) -> None:
    """Move on to the evening of a day, after all that was sent, and wait until it is closed."""
    await service.drain(feed)
    await feed.complete_to(evening(day))
    await service.move_clock(evening(day))
    last = min(day, date(2024, 1, 5))  # a week after the campaign

    async def closed() -> bool:
        return bool((await service.get(CAMPAIGN))["closed_through"] == str(last))

    await eventually(closed)


def figures(answer: dict[str, Any]) -> list[Any]:
    """What of a progress answer is printed."""
    return [(unit["code"], unit["indicators"], unit["figures"]) for unit in answer["units"]]


async def test_a_review_of_december_is_printed_again_in_january(
    service: RunningAggregator, feed: Producers
) -> None:
    review, january = date(2023, 12, 7), date(2024, 1, 15)
    commune = UNITS[0]
    taken = segment(FIRST, commune, level=1)
    await feed.append(
        [
            restated("intake", [taken], known=FIRST, record="a"),
            restated("intake", [segment(review, UNITS[1])], known=review),
            restated("activated", [segment(review, UNITS[1])], known=review),
        ]
    )
    await end_of(service, feed, review)
    printed = await service.get(f"{CAMPAIGN}/progress", as_of=str(review), depth=2)
    # What is written from what the rules made is what the interface says that it is.
    assert ProgressAnswer.model_validate(printed).model_dump(mode="json") == printed
    upgraded = [
        segment(FIRST, commune, level=1, until=date(2023, 12, 1)),
        segment(date(2023, 12, 1), commune),
    ]
    await feed.append(
        [
            restated("intake", upgraded, [taken], known=january, record="a"),
            restated("intake", [segment(FIRST - timedelta(5), commune)], known=january),
            restated("intake", [segment(date(2023, 12, 2), UNITS[2])], known=date(2023, 12, 8)),
        ]
    )
    await end_of(service, feed, january)
    now = await service.get(f"{CAMPAIGN}/progress", as_of=str(review), depth=2)
    again = await service.get(f"{CAMPAIGN}/progress", as_of=str(review), known_at=str(review), depth=2)
    assert figures(again) == figures(printed)
    assert (printed["known_at"], again["known_at"]) == (None, str(review))
    province = now["units"][0]["indicators"]["intake"]
    assert (province["value"], province["level_2"], province["baseline"]) == (4, 4, 1)
    # On the ninth the record of the eighth was known, the others not.
    ninth = await service.get(f"{CAMPAIGN}/progress", as_of=str(review), known_at="2023-12-09")
    assert ninth["units"][0]["indicators"]["intake"]["value"] == 3


async def test_a_late_record_shows_as_a_revision_of_its_own_day_and_of_those_after(
    service: RunningAggregator, feed: Producers
) -> None:
    first, second, third = (FIRST + timedelta(n) for n in range(3))
    await feed.append([restated("intake", [segment(first, UNITS[0])], known=first)])
    await end_of(service, feed, first)
    await end_of(service, feed, second)
    await feed.append([restated("intake", [segment(first, UNITS[0], collecting=UNITS[1])], known=third)])
    await end_of(service, feed, third)
    answer = await service.get(f"{CAMPAIGN}/revisions")
    assert (answer["unit"], answer["closed_through"]) == ("62", str(third))
    days = {day["day"]: day for day in answer["days"]}
    assert list(days) == [str(FIRST + timedelta(n)) for n in range(-1, 3)]
    late = {
        "known_day": str(third),
        "indicator": "intake",
        "change": {"value": 1, "level_1": 0, "level_2": 1},
    }
    assert [day["late"] for day in days.values()] == [[], [late], [], []]
    assert [
        tuple(day["indicators"]["intake"][which]["value"] for which in ("then", "now", "change"))
        for day in days.values()
    ] == [(0, 0, 0), (1, 2, 1), (1, 2, 1), (2, 2, 0)]
    # It can be asked as of and as known on each day, for each unit and for either attribution.
    for params, changes in (
        ({"known_at": str(second)}, [0, 0, 0]),
        ({"as_of": str(first)}, [0, 1]),
        ({"unit": UNITS[1]}, [0, 0, 0, 0]),
        ({"unit": UNITS[1], "by": "collecting"}, [0, 1, 1, 0]),
    ):
        found = await service.get(f"{CAMPAIGN}/revisions", **params)
        assert [day["indicators"]["intake"]["change"]["value"] for day in found["days"]] == changes, params


async def test_before_a_day_is_closed_nothing_can_be_revised(service: RunningAggregator) -> None:
    answer = await service.get(f"{CAMPAIGN}/revisions")
    assert (answer["closed_through"], answer["days"]) == (None, [])


async def test_what_is_not_known_yet_cannot_be_asked(service: RunningAggregator) -> None:
    for path in ("progress", "revisions"):
        for known_at in ("2023-11-11", "2023-02-29", "yesterday"):
            answer = await service.client.get(f"{CAMPAIGN}/{path}", params={"known_at": known_at})
            assert (answer.status_code, answer.json()["field"]) == (422, "known_at"), answer.text
    assert (await service.client.get("/v1/campaigns/nowhere/revisions")).status_code == 404


async def test_every_figure_known_at_every_day_is_what_the_records_said_then(
    service: RunningAggregator, feed: Producers
) -> None:
    accepted = some_lives()
    assert len(accepted) >= 20
    await feed.append(events(accepted))
    await end_of(service, feed, FIRST + timedelta(15))
    for known in range(-3, 15, 3):
        for day in range(-4, 15, 3):
            as_of, known_at = FIRST + timedelta(day), FIRST + timedelta(known)
            answer = await service.get(
                f"{CAMPAIGN}/progress", as_of=str(as_of), known_at=str(known_at), depth=2
            )
            found = {unit["code"]: unit["indicators"] for unit in answer["units"]}
            for code, units in [("62", UNITS), *((unit, (unit,)) for unit in UNITS)]:
                for indicator, standing in found[code].items():
                    for level in (1, 2):
                        assert standing[f"level_{level}"] == counted(
                            accepted, indicator, level, units, as_of, known_at
                        )
                    assert standing["baseline"] == sum(
                        counted(accepted, indicator, level, units, FIRST - timedelta(1), known_at)
                        for level in (1, 2)
                    )


def some_lives() -> list[Fact]:
    """The largest of a hundred, the same ones each time."""
    found: list[list[Fact]] = []

    @settings(
        max_examples=100, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(facts(max_size=40))
    def draw(accepted: list[Fact]) -> None:
        found.append(accepted)

    draw()
    return max(found, key=len)

"""What was told of a commune that is divided by shares: parted over HTTP, counted once, undone to the byte."""

import json
from collections.abc import AsyncIterator
from datetime import date, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.aggregator import RunningAggregator, aggregator, eventually, producers
from tests.support.counters import count_in
from tests.support.directory import AWAY, HOME
from tests.support.postgres import Database
from tests.support.units import country, tree_document
from tiendo_aggregator.rules.units import FIRST_DAY
from tiendo_common.clock import VIETNAM

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

CAMPAIGN = "/v1/campaigns/kon-tum-2023"
#: The part that is new, the day on which it comes, and the day before.
PART, DAY, EVE = "23339", "2023-11-18", "2023-11-17"
TODAY = date(2023, 11, 20)
BASELINE, EARLY = date(2023, 11, 1), date(2023, 11, 12)
SOURCE = "Bảo hiểm xã hội"


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 12, tzinfo=VIETNAM)


def count(value: int, level_1: int | None = None, level_2: int | None = None) -> dict[str, int | None]:
    return {"value": value, "level_1": level_1, "level_2": level_2}


@pytest.fixture
async def service(database: Database, tmp_path: Path) -> AsyncIterator[RunningAggregator]:
    """Kon Tum on 20 November, of which much was told on the 17th; since the 18th there is a further commune."""
    async with producers(database) as feed, aggregator(database, tmp_path) as each:
        await each.move_clock(noon(date(2023, 11, 10)))
        await each.put_plan(declaring={"cut_off": "16:30:00", "units": [HOME, AWAY]})
        await each.move_clock(noon(TODAY))
        # As intake says it once it has placed them: of eleven, three are in the new part from the 18th on.
        await count_in(
            each,
            {
                ("intake", 2, HOME, BASELINE): 4,
                ("intake", 2, HOME, EARLY): 7,
                ("intake", 2, HOME, date(2023, 11, 18)): -3,
                ("intake", 2, PART, date(2023, 11, 18)): 3,
            },
        )
        units = tree_document(country(), FIRST_DAY)
        [home] = [unit for unit in units if unit["code"] == HOME]
        units.append({**home, "code": PART, "name": "Xã mới"})
        await send(each, "PUT", f"/v1/units/editions/{DAY}", {"units": units})
        for id_, more in (("cards", {"targets": {HOME: 80}}), ("services", {"adds_up": False})):
            await send(
                each, "PUT", f"{CAMPAIGN}/measures/{id_}", {"name": id_, "out_of": "những gì có", **more}
            )
        await tell(each, "cards", HOME, EVE, 95, 100)
        await tell(each, "services", HOME, EVE, 23, 25)
        await remain(each, HOME, EVE, abroad=10, seriously_ill=3)
        round_ = {"name": "R", "level": "district", "first_day": EVE, "last_day": DAY, "units": [HOME, AWAY]}
        await send(each, "PUT", f"{CAMPAIGN}/rechecks/r", round_)
        done = {"done_on": EVE, "checked_by": "Tổ 2", "corrections": [{"why": "wrong", "entries": 7}]}
        await send(each, "PUT", f"{CAMPAIGN}/rechecks/r/units/{HOME}", done)
        await declare(each, HOME, EVE, count(9, 3, 6))
        claims = [
            {"unit": HOME, "says": "hơn 70%", "indicator": "intake", "over": "target", "at_least": "70"}
        ]
        figures = {HOME: {"intake": count(101)}, "62": {"intake": count(1000)}}
        await send(
            each, "PUT", f"{CAMPAIGN}/ministry/{EVE}", {"source": "C06", "figures": figures, "claims": claims}
        )
        choice = {"use": "ministry", "reason": "đã ký"}
        await send(each, "PUT", f"{CAMPAIGN}/ministry/{EVE}/choices/{HOME}/intake", choice)
        await send(each, "POST", f"{CAMPAIGN}/exemptions", exempting("1/QĐ", EVE, 4))
        await feed.complete_to(noon(TODAY))
        yield each


async def send(service: RunningAggregator, method: str, path: str, document: Any = None) -> Any:
    answer = await service.client.request(method, path, json=document)
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


async def tell(service: RunningAggregator, id_: str, unit: str, day: str, value: int, out_of: int) -> None:
    line = {"unit": unit, "day": day, "value": value, "out_of": out_of, "source": SOURCE}
    await send(service, "POST", f"{CAMPAIGN}/measures/{id_}/standings", {"standings": [line]})


async def remain(service: RunningAggregator, unit: str, day: str, **citizens: int) -> None:
    lines = [{"reason": reason, "citizens": n} for reason, n in citizens.items()]
    document = {"source": "xã", "lines": lines}
    await send(service, "PUT", f"{CAMPAIGN}/remaining/{unit}/intake/{day}", document)


async def declare(service: RunningAggregator, unit: str, day: str, said: dict[str, int | None]) -> None:
    document = {"source": "Báo cáo nhanh", "counts": {"intake": said}}
    await send(service, "PUT", f"{CAMPAIGN}/declared/{unit}/{day}", document)


def exempting(number: str, from_day: str, citizens: int) -> dict[str, Any]:
    line = {"unit": HOME, "citizens": citizens, "reason": "abroad"}
    return {"number": number, "signed_by": "A", "from_day": from_day, "document": "D", "lines": [line]}


async def apply(service: RunningAggregator, **change: Any) -> int:
    row = {"from_code": HOME, "resolution": "1/NQ"}
    answer = await send(
        service,
        "POST",
        "/v1/reorganisations",
        {
            "effective_on": DAY,
            "resolution": "1/NQ",
            "within": ["62"],
            "placing": "by-share",
            "shares": {HOME: {HOME: 3, PART: 1}},
            "rows": [
                {**row, "to_code": HOME, "share": "part-main"},
                {**row, "to_code": PART, "share": "part"},
            ],
            **change,
        },
    )
    id_: int = answer["id"]
    return id_


async def said(service: RunningAggregator, path: str, **asked: str) -> dict[str, dict[str, Any]]:
    """Every unit of an answer, by code."""
    answer = await service.get(f"{CAMPAIGN}/{path}", depth=9, **asked)
    return {each["code"]: each for each in answer["units"]}


async def measured(service: RunningAggregator, id_: str, **asked: str) -> dict[str, dict[str, Any]]:
    answer = await service.get(f"{CAMPAIGN}/measures", depth=9, **asked)
    [found] = [each for each in answer["measures"] if each["id"] == id_]
    return {each["code"]: each for each in found["units"]}


async def export(service: RunningAggregator) -> str:
    """Everything that is said of the campaign, on the eve and today."""
    answers = []
    for as_of in (EVE, str(TODAY)):
        for path in ("progress", "pace", "remaining", "declared", "measures", "rechecks", "exemptions"):
            asked = {} if path == "exemptions" else {"depth": 9}
            answers.append(await service.get(f"{CAMPAIGN}/{path}", as_of=as_of, **asked))
        answers.append(await service.get(f"{CAMPAIGN}/ministry", as_of=as_of))
    return json.dumps([{**each, "complete_to": None} for each in answers])


def both(units: dict[str, dict[str, Any]], *names: str) -> tuple[list[Any], list[Any]]:
    """A number of the two parts."""
    found = []
    for code in (HOME, PART):
        value: Any = units[code]
        for name in names:
            value = value[name]
        found.append(value)
    return found[:1], found[1:]


async def test_what_was_told_is_parted_as_the_eligible_are_and_undone_to_the_byte(
    service: RunningAggregator,
) -> None:
    untouched = await export(service)
    whole = (await said(service, "progress", as_of=EVE))[HOME]["indicators"]["intake"]
    id_ = await apply(service)
    on_day: dict[str, str] = {"as_of": EVE, "tree": DAY}

    cards = await measured(service, "cards", **on_day)
    assert [
        (cards[code]["value"], cards[code]["out_of"], cards[code]["target"]) for code in (HOME, PART)
    ] == [
        (71, 75, 60),
        (24, 25, 20),
    ]
    assert (cards["62"]["value"], cards["62"]["out_of"], cards["62"]["of_divided"]) == (95, 100, 2)
    assert await measured(service, "cards", as_of=str(TODAY)) == cards
    services = await measured(service, "services", **on_day)
    assert (services[HOME]["value"], services[HOME]["of_divided"]) == (23, 1)
    assert (services[PART]["how"], services["62"]["how"]) == ("not_reported", "not_reported")

    remaining = await said(service, "remaining", **on_day)
    assert [remaining[code]["indicators"]["intake"]["by_reason"] for code in (HOME, PART, "62")] == [
        {"abroad": 7, "seriously_ill": 2},
        {"abroad": 3, "seriously_ill": 1},
        {"abroad": 10, "seriously_ill": 3},
    ]
    assert [remaining[code]["exempt"] for code in (HOME, PART)] == [3, 1]

    declared = await said(service, "declared", **on_day)
    beside = {code: declared[code]["indicators"]["intake"] for code in (HOME, PART, "62")}
    assert [(each["declared"]["level_1"], each["declared"]["level_2"]) for each in beside.values()] == [
        (2, 4),
        (1, 2),
        (3, 6),
    ]
    assert [each["records"]["value"] for each in beside.values()] == [8, 3, 11]
    assert [each["communes"] for each in beside.values()] == [1, 1, 1]
    assert (declared[HOME]["state"], declared["62"]["states"]["late"]) == (None, 1)

    ministry = await service.get(f"{CAMPAIGN}/ministry", **on_day)
    figures = {each["code"]: each["indicators"]["intake"] for each in ministry["units"]}
    assert [figures[code]["ministry"]["value"] for code in (HOME, PART, "62")] == [76, 25, 1000]
    assert [(each["used"], each["of_divided"]) for each in (figures[HOME], figures[PART])] == [
        ("ministry", True)
    ] * 2
    # A share isn't parted: it was claimed of a commune that is no more.
    assert ministry["claims"] == []
    assert len((await service.get(f"{CAMPAIGN}/ministry", as_of=EVE))["claims"]) == 1

    [checked] = (await service.get(f"{CAMPAIGN}/rechecks", depth=9, **on_day))["rounds"]
    of_round = {each["code"]: each for each in checked["units"]}
    assert [(of_round[code]["printed"], of_round[code]["of_divided"]) for code in (HOME, PART, "62")] == [
        ("1/1", 1),
        ("0/0", 0),
        ("1/2", 1),
    ]

    # Of the days before nobody was placed: their counts are parted. Since then each counts where he was placed.
    for asked in (on_day, {"as_of": str(TODAY)}):
        units = await said(service, "progress", **asked)
        intake = [units[code]["indicators"]["intake"] for code in (HOME, PART)]
        assert [(each["value"], each["baseline"]) for each in intake] == [(8, 3), (3, 1)]
        for name in ("planned", "target", "exempt"):
            assert sum(each[name] for each in intake) == whole[name], name
    alone = await service.get(f"{CAMPAIGN}/pace", unit=PART, as_of=str(TODAY))
    [pace] = alone["units"]
    assert (pace["indicators"]["intake"]["baseline"], pace["indicators"]["intake"]["value"]) == (1, 3)
    curve = await service.get(f"{CAMPAIGN}/ranks", as_of=str(TODAY))
    assert curve["as_of"] == str(TODAY)

    assert (await service.client.delete(f"/v1/reorganisations/{id_}")).status_code == 200
    assert await export(service) == untouched


async def test_after_the_division_each_part_speaks_for_itself(service: RunningAggregator) -> None:
    await apply(service)
    now = {"as_of": str(TODAY)}
    await tell(service, "cards", HOME, DAY, 70, 90)
    cards = await measured(service, "cards", **now)
    assert [(cards[code]["value"], cards[code]["of_divided"]) for code in (HOME, PART, "62")] == [
        (70, 0),
        (24, 1),
        (94, 1),
    ]
    await remain(service, PART, DAY, abroad=5)
    remaining = await said(service, "remaining", **now)
    assert [remaining[code]["indicators"]["intake"]["explained"] for code in (HOME, PART, "62")] == [
        9,
        5,
        14,
    ]
    await send(service, "POST", f"{CAMPAIGN}/exemptions", exempting("2/QĐ", DAY, 6))
    assert [
        (await said(service, "progress", **now))[code]["indicators"]["intake"]["exempt"]
        for code in (HOME, PART)
    ] == [9, 1]
    await declare(service, PART, DAY, count(2))
    declared = await said(service, "declared", as_of=DAY)
    assert (declared[PART]["state"], declared[HOME]["state"], declared[AWAY]["state"]) == (
        "late",
        "not_reported",
        "not_reported",
    )

    for path, field in (
        (f"measures?as_of={TODAY}&tree={EVE}", "tree"),
        (f"declared?as_of={DAY}&tree={EVE}", "tree"),
        (f"ministry?as_of={DAY}&tree={EVE}", "tree"),
        (f"declared?as_of={EVE}&tree=2023-02-29", "tree"),
        (f"funnel?as_of={EVE}&tree={DAY}&depth=9", "tree"),
        (f"measures?as_of={EVE}&unit={PART}", "unit"),
    ):
        answer = await service.client.get(f"{CAMPAIGN}/{path}")
        assert (answer.status_code, answer.json()["field"]) == (422, field), (path, answer.text)
    whole = await service.get(f"{CAMPAIGN}/funnel", as_of=EVE, tree=DAY)
    assert whole["units"][0]["taken"] == 11
    document = {"name": "m", "adds_up": "perhaps"}
    answer = await service.client.put(f"{CAMPAIGN}/measures/m", json=document)
    assert (answer.status_code, answer.json()["field"]) == (422, "adds_up")


async def test_revisions_of_parts_begin_with_the_division_and_those_of_the_whole_end_there(
    service: RunningAggregator,
) -> None:
    async def revised(unit: str, **asked: str) -> dict[str, Any]:
        answer: dict[str, Any] = await service.get(f"{CAMPAIGN}/revisions", unit=unit, **asked)
        return answer

    async def closed() -> bool:
        return bool((await revised("62"))["closed_through"] == "2023-11-19")

    await eventually(closed)
    province = await revised("62")
    await apply(service)
    for unit, stands in ((HOME, 8), (PART, 3)):
        answer = await revised(unit)
        assert (answer["divided_on"], answer["days"][0]["day"]) == (DAY, DAY)
        assert [each["indicators"]["intake"]["now"]["value"] for each in answer["days"]] == [stands] * 2
    whole = await revised(HOME, as_of=EVE)
    assert (whole["divided_on"], whole["days"][0]["day"]) == (None, "2023-11-10")
    assert whole["days"][-1]["indicators"]["intake"]["now"]["value"] == 11
    # Teams go on where they were, and the whole is what it was.
    assert (await revised(HOME, by="collecting"))["divided_on"] is None
    assert (await revised("62"))["days"] == province["days"]
    assert (await revised("62"))["divided_on"] is None

"""The funnel over the three services as they are: who waits where and since when, proven like the counters."""

import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.aggregator import KEY, RunningAggregator, aggregator, eventually
from tests.support.directory import AWAY, HOME
from tests.support.postgres import Database
from tests.support.services import (
    NOW,
    Service,
    activation,
    activation_line,
    amendment_line,
    approval_line,
    at,
    citizen,
    drained,
    intake,
    intake_line,
)
from tests.support.units import REFORM, reform_mapping

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

CAMPAIGN = "/v1/campaigns/kon-tum-2023"
DAY = "2023-11-20"


@dataclass
class World:
    """All three services on one database."""

    intake: Service
    activation: Service
    aggregator: RunningAggregator

    async def settle(self) -> None:
        """Wait until everything that was told is counted."""
        await drained(self.intake, self.activation)
        heads = await self.intake.kit.log.heads() | await self.activation.kit.log.heads()
        del heads["dossier"]

        async def counted() -> bool:
            return (await self.aggregator.positions())["counting"] == heads

        await eventually(counted)

    async def move_clock(self, days: int) -> None:
        for each in (self.intake, self.activation, self.aggregator):
            await each.move_clock(NOW + timedelta(days))

    async def funnel(self, **asked: str | int) -> dict[str, dict[str, Any]]:
        answer = await self.aggregator.get(f"{CAMPAIGN}/funnel", **{"as_of": DAY, "depth": 9, **asked})
        return {each["code"]: each for each in answer["units"]}

    async def reconcile(self) -> Any:
        asked = {"province": "62", "breakdowns": "true", "teams": "true"}
        tallies = [await each.get("/v1/tally", **asked) for each in (self.intake, self.activation)]
        answer = await self.aggregator.client.post(
            "/v1/reconciliations", json={"campaign": "kon-tum-2023", "tallies": tallies}
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def rebuild(self, **asked: str) -> Any:
        answer = await self.aggregator.client.post("/v1/rebuilds", json={"province": "62", **asked})
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextlib.asynccontextmanager
async def whole_world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    """Kon Tum on the evening of 20 November."""
    folders = [tmp_path / name for name in ("aggregator", "others")]
    for folder in folders:
        folder.mkdir()
    async with contextlib.AsyncExitStack() as stack:
        counting = await stack.enter_async_context(aggregator(database, folders[0]))
        await counting.move_clock(NOW)
        await counting.put_plan()
        taking = await stack.enter_async_context(intake(database, folders[1]))
        switching = await stack.enter_async_context(activation(database, folders[1]))
        await counting.become_ready()
        yield World(taking, switching, counting)


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with whole_world(database, tmp_path) as each:
        yield each


async def live(world: World) -> dict[str, str]:
    """Eleven lives, told on 20 November; the citizens by letter."""
    who = {letter: citizen() for letter in "abcdefghijk"}

    def taken(letter: str, on: int, **said: Any) -> dict[str, Any]:
        return intake_line(who[letter], occurred_at=at(on), **said)

    def decided(letter: str, on: int, decision: str = "approved", **said: Any) -> dict[str, Any]:
        reason = {} if decision == "approved" else {"reason": "photo"}
        return approval_line(who[letter], occurred_at=at(on, 10), decision=decision, **reason, **said)

    def tried(letter: str, on: int, reason: str | None = None) -> dict[str, Any]:
        said = {} if reason is None else {"result": "failed", "reason": reason}
        return activation_line(who[letter], occurred_at=at(on, 11), **said)

    await world.intake.accept("/v1/intakes", taken("a", 12), taken("b", 19), taken("j", 12))
    # An attempt of somebody whose dossier waits, and one that comes before its approval is told.
    await world.activation.accept(
        "/v1/activations", tried("j", 14, "other"), tried("i", 14, "network"), tried("k", 14, "network")
    )
    await world.intake.accept(
        "/v1/intakes",
        *(taken(letter, 12) for letter in "cefhik"), taken("d", 11), taken("g", 12, level=1),
    )  # fmt: skip
    await world.intake.accept(
        "/v1/approvals",
        decided("c", 13), decided("d", 11), decided("e", 14), decided("f", 13, "rejected"),
        decided("g", 13, "rejected"), decided("h", 13), decided("h", 15, "rejected"), decided("i", 13),
        decided("k", 13),
    )  # fmt: skip
    await world.intake.accept("/v1/approvals", decided("h", 18))
    await world.intake.accept("/v1/intakes", taken("g", 16))
    await world.activation.accept("/v1/activations", tried("c", 15), tried("d", 19), tried("k", 14))
    await drained(world.intake, world.activation)
    await world.activation.accept("/v1/activations", tried("i", 16), tried("i", 15, "old_device"))
    await world.intake.accept(
        "/v1/amendments",
        amendment_line(who["e"], "move", occurred_at=at(18), residence_unit=AWAY),
        amendment_line(who["k"], "void", occurred_at=at(18)),
    )
    await world.settle()
    return who


def waiting(backlog: dict[str, Any]) -> tuple[int, list[int], str | None, int | None]:
    assert backlog["undated"] == 0
    bands = [each["citizens"] for each in backlog["bands"]]
    return backlog["citizens"], bands, backlog["oldest_since"], backlog["oldest_days"]


async def test_who_waits_is_told_by_unit_and_age_and_proven(world: World) -> None:
    who = await live(world)
    units = await world.funnel()
    home, away, province = units[HOME], units[AWAY], units["62"]
    assert [home[name] for name in ("taken", "approved", "activated", "rejected")] == [9, 4, 3, 1]
    assert waiting(home["undecided"]) == (4, [1, 0, 3, 0], "2023-11-12", 8)
    assert waiting(home["not_activated"]) == (1, [1, 0, 0, 0], "2023-11-18", 2)
    # The one who moved brought the days that she has waited.
    assert waiting(away["not_activated"]) == (1, [0, 1, 0, 0], "2023-11-14", 6)
    assert waiting(away["undecided"]) == (0, [0, 0, 0, 0], None, None)
    assert waiting(province["not_activated"]) == (2, [1, 1, 0, 0], "2023-11-14", 6)
    assert home["activations"] == {"in_time": 2, "late": 1, "undated": 0}
    # Attempts stand where they were made. The account of a dossier that was voided did not come right.
    assert home["failures"] == []
    assert [(each["reason"], each["attempts"], each["came_right"]) for each in away["failures"]] == [
        ("network", 2, 1), ("old_device", 1, 1), ("other", 1, 0),
    ]  # fmt: skip
    assert province["failures"] == away["failures"]
    # The counted figures are those that progress tells.
    standing = (await world.aggregator.get(f"{CAMPAIGN}/progress", as_of=DAY))["units"][0]["indicators"]
    assert [standing[each]["value"] for each in ("intake", "approved", "activated")] == [
        province["taken"], province["approved"], province["activated"],
    ]  # fmt: skip
    # As of an earlier day: she had not moved, and had waited 3 days; nobody had waited longer than 5 for a decision.
    earlier = await world.funnel(as_of="2023-11-17")
    assert waiting(earlier[HOME]["not_activated"]) == (2, [0, 2, 0, 0], "2023-11-11", 6)
    assert waiting(earlier[HOME]["undecided"]) == (3, [0, 3, 0, 0], "2023-11-12", 5)

    # Told a day later, of the same day: a decision, and an activation that was too late.
    await world.move_clock(1)
    await world.intake.accept("/v1/approvals", approval_line(who["a"], occurred_at=at(20, 10)))
    await world.activation.accept("/v1/activations", activation_line(who["a"], occurred_at=at(21, 11)))
    await world.settle()
    now, then = (await world.funnel())[HOME], (await world.funnel(known_at=DAY))[HOME]
    assert then == home
    assert waiting(now["undecided"]) == (3, [1, 0, 2, 0], "2023-11-12", 8)
    assert waiting(now["not_activated"]) == (2, [2, 0, 0, 0], "2023-11-18", 2)
    on_21 = (await world.funnel(as_of="2023-11-21"))[HOME]
    assert waiting(on_21["not_activated"]) == (1, [0, 1, 0, 0], "2023-11-18", 3)

    # On the tree of the reform both communes' people stand where their communes went.
    reform = {"effective_on": str(REFORM), "resolution": "202/2025/QH15", "placing": "all-to-kept-code"}
    answer = await world.aggregator.client.post(
        "/v1/reorganisations", json={**reform, "rows": reform_mapping()}
    )
    assert answer.status_code == 200, answer.text
    reformed = await world.funnel(tree=str(REFORM), depth=0)
    [root] = reformed.values()
    assert (root["code"], root["taken"], waiting(root["undecided"])[:2]) == ("51", 10, (3, [1, 0, 2, 0]))

    verdict = await world.reconcile()
    assert verdict["clean"], verdict["differing"]
    rebuilt = await world.rebuild()
    assert rebuilt["equal"]
    assert rebuilt["checksum_rebuilt"] == verdict["checksum_records"] == verdict["checksum_counters"]
    # A passage changed by hand is named, and put right by order.
    await world.aggregator.kit.pool.execute(
        "UPDATE waited SET n[2] = n[2] + 1 WHERE (unit, what, day, block) = ($1, 2, '2023-11-13', 0)",
        HOME,
    )
    verdict = await world.reconcile()
    [wrong] = verdict["differing"]
    assert (wrong["unit"], wrong["dimension"], wrong["value"], wrong["level"]) == (
        HOME,
        "decided",
        "2023-11-12",
        0,
    )
    assert (wrong["records"], wrong["counters"]) == (5, 6)
    assert verdict["checksum_records"] != verdict["checksum_counters"]
    repaired = await world.rebuild(repair_because="edited by hand")
    assert (repaired["differing"], repaired["repaired"]) == (1, True)
    assert (await world.reconcile())["clean"]


async def test_cards_come_from_the_measure_that_is_named(world: World) -> None:
    await live(world)
    client = world.aggregator.client
    assert {each["with_card"] for each in (await world.funnel()).values()} == {None}
    measure = {"name": "Thẻ CCCD còn hạn", "decimals": 0}
    answer = await client.put(f"{CAMPAIGN}/measures/chip_cards", json=measure)
    assert answer.status_code == 200, answer.text
    told = [{"unit": HOME, "day": "2023-11-18", "value": 12, "source": "Công an tỉnh"}]
    answer = await client.post(f"{CAMPAIGN}/measures/chip_cards/standings", json={"standings": told})
    assert answer.status_code == 200, answer.text
    units = await world.funnel(cards="chip_cards")
    assert [(units[code]["with_card"], units[code]["card_no_account"]) for code in (HOME, AWAY)] == [
        (12, 8), (None, None),
    ]  # fmt: skip
    assert (units["62"]["with_card"], units["62"]["card_communes"]) == (12, 1)
    assert units[HOME]["card_oldest_day"] == "2023-11-18"

    for asked, status, field in (
        ({"cards": "no_such"}, 404, "measure"),
        ({"cards": "No such"}, 422, "cards"),
        ({"unit": "00001"}, 422, "unit"),
        ({"known_at": "2030-01-01"}, 422, "known_at"),
        ({"as_of": "2023-11-31"}, 422, "as_of"),
        ({"tree": "2023-01-01"}, 422, "tree"),
        ({"depth": "11"}, 422, "depth"),
    ):  # fmt: skip
        answer = await client.get(f"{CAMPAIGN}/funnel", params={"as_of": DAY} | asked)
        problem = answer.json()
        assert (answer.status_code, problem["field"]) == (status, field), answer.text
    answer = await client.get("/v1/campaigns/no-such/funnel")
    assert answer.status_code == 404
    answer = await client.get(f"{CAMPAIGN}/funnel", headers={"Authorization": f"Bearer {KEY}x"})
    assert answer.status_code == 401

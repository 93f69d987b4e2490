"""Decisions prove themselves: their stored inputs decide the same, and make the same incidents."""

from typing import Any

import asyncpg
import pytest

from tests.support.decisions import decided_again
from tests.support.notifier import CAMPAIGN, SIBLING, UNIT, Notifier, at, day_of, progress, target
from tests.support.pasts import BEFORE_TOLD_DAYS
from tests.support.postgres import Database
from tiendo_common.database.migrate import migrate

pytestmark = pytest.mark.anyio


def again_of(stored: dict[str, Any]) -> dict[str, Any]:
    """What the rules make of a decision's inputs today, as the interface tells it."""
    decision, held = decided_again(stored["inputs"], stored["policy"], historical=stored["historical"])
    return {
        "outcome": decision.outcome,
        "rule": decision.rule,
        "severity": decision.severity.name.lower() if decision.severity else None,
        "reason": decision.reason,
        "kept_back": held,
        "told": decision.tell is not None and held is None,
    }


async def lived(notifier: Notifier) -> list[dict[str, Any]]:
    """A campaign with ups and downs, a silence and a change of thresholds; its decisions, oldest first."""
    await notifier.aggregator.publish(target(), target(SIBLING))
    values = [80, 150, 260, 380, 470, 560, 640, 700, 700, 700, 990, 1100]
    for number, value in enumerate(values, 1):
        await notifier.move_clock(at(day_of(number)))
        if number == 4:
            await notifier.put_policy("610", thresholds={"behind_closings": 2, "start_percent": 0})
        if number == 7:
            until = at(day_of(9), 8).isoformat()
            await notifier.http.post("/v1/silences", json={"unit": UNIT, "reason": "floods", "until": until})
        done = value - ([0, *values][number - 1])
        await notifier.aggregator.publish(
            progress(day_of(number), done, value), progress(day_of(number), 100, code=SIBLING)
        )
        await notifier.consumed()
    return list(reversed((await notifier.get("decisions", campaign=CAMPAIGN, limit=500))["decisions"]))


async def test_the_inputs_of_each_decision_decide_the_same_again(notifier: Notifier) -> None:
    decisions = await lived(notifier)
    assert {"opened", "worsened", "resolved", "held"} <= {each["outcome"] for each in decisions}
    assert any(each["kept_back"] for each in decisions)
    for stored in decisions:
        again = again_of(stored)
        assert again == {name: stored[name] for name in again if name != "told"} | {
            "told": stored["message"] is not None
        }


async def test_policies_are_stored_once_each_and_those_of_builds_before_are_moved(
    notifier: Notifier, database: Database
) -> None:
    decisions = await lived(notifier)
    connection = await asyncpg.connect(database.dsn("notifier"))
    try:
        used = {str(each["policy"]) for each in decisions}
        assert await connection.fetchval("SELECT count(*) FROM applied_policy") == len(used) < len(decisions)
        # As it was.
        await connection.execute(
            f"""
            {BEFORE_TOLD_DAYS};
            UPDATE alembic_version SET version_num = '20261129_0041';
            ALTER TABLE decision ADD policy jsonb;
            UPDATE decision SET policy = document FROM applied_policy AS held WHERE held.id = applied_policy;
            ALTER TABLE decision DROP COLUMN applied_policy;
            DROP TABLE applied_policy;
            CREATE UNIQUE INDEX decision_once ON decision (campaign, unit, indicator, day)
                WHERE policy IS NOT NULL AND indicator <> 'live'
            """
        )
        await migrate(database.dsn("notifier"), "notifier")
        moved = (await notifier.get("decisions", campaign=CAMPAIGN, limit=500))["decisions"]
        assert list(reversed(moved)) == decisions
        assert await connection.fetchval("SELECT count(*) FROM applied_policy") == len(used)
    finally:
        await connection.close()


async def test_the_decisions_alone_make_the_same_incidents(notifier: Notifier) -> None:
    decisions = await lived(notifier)
    made: list[dict[str, Any]] = []
    for stored in decisions:
        again = again_of(stored)
        if again["outcome"] == "opened":
            made.append({"unit": stored["unit"], "opened_day": stored["day"], "resolved_day": None})
        if made and stored["incident"]:
            made[-1] |= {"severity": again["severity"], "rule": again["rule"] or made[-1]["rule"]}
        if again["outcome"] == "resolved":
            made[-1]["resolved_day"] = stored["day"]
    found = (await notifier.get("incidents"))["incidents"]
    assert [{name: each[name] for name in made[0]} for each in reversed(found)] == made


async def test_rules_are_known_by_what_became_of_their_incidents(notifier: Notifier) -> None:
    await lived(notifier)
    (incident, *_) = (await notifier.get("incidents", unresolved=True))["incidents"] or [None]
    if incident is not None:
        await notifier.http.post(f"/v1/incidents/{incident['id']}/acknowledgement", json={})
    found = {each["rule"]: each for each in (await notifier.get("rules", campaign=CAMPAIGN))["rules"]}
    incidents = (await notifier.get("incidents"))["incidents"]
    for rule, figures in found.items():
        of_rule = [each for each in incidents if rule in each["rules"]]
        assert figures["fired"] == len(of_rule)
        assert figures["led"] == sum(each["rule"] == rule for each in of_rule)
        assert figures["told"] == sum(any(step["message"] for step in each["steps"]) for each in of_rule)
        assert figures["resolved"] == sum(each["state"] == "resolved" for each in of_rule)
    assert {"quota_missed", "behind_pace"} <= found.keys()
    assert not (await notifier.get("rules", campaign="nowhere"))["rules"]

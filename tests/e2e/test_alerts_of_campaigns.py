"""What the default rules would have told of two campaigns, as docs/alerts-replayed.md has it."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.test_whole_campaign import tiendo
from tests.support.scratch import scratch_folder

pytestmark = [pytest.mark.long, pytest.mark.timeout(2400)]

CAMPAIGNS = Path(__file__).parents[2] / "data/campaigns"
GOOD_NEWS = ("incident.resolved", "target.reached_early", "together.ended")


def backtest_of(campaign: str) -> dict[str, Any]:
    """What the defaults come to on a replay's record."""
    with scratch_folder() as folder:
        data = ("--data", str(folder / "data"))
        # Bình Phước's 1.7 million lines take seven minutes where nothing else runs.
        replayed = tiendo("replay", campaign, *data, "--json", patience=1700)
        assert replayed.returncode == 0, replayed.stdout[:2000] + replayed.stderr[-2000:]
        (folder / "defaults.toml").write_text("off = []\n")
        said = tiendo(
            "alerts", "backtest", campaign, "--rules", str(folder / "defaults.toml"), *data, "--json"
        )
        assert said.returncode == 0, said.stderr[-2000:]
    return dict(json.loads(said.stdout)["rules"])


def warnings(found: dict[str, Any], indicator: str) -> list[dict[str, Any]]:
    """The messages that something is wrong with an indicator, oldest first."""
    return [
        each for each in found["alerts"] if each["kind"] not in GOOD_NEWS and each["indicator"] == indicator
    ]


def named(alerts: list[dict[str, Any]]) -> set[str]:
    """The units that these say are in trouble."""
    return {unit for each in alerts for unit in each["members"] or [each["unit"]]}


def check_for_everybody(found: dict[str, Any]) -> None:
    """Few messages, and one before each miss."""
    assert found["score"]["most_a_unit_a_week"] < 3
    assert found["misses"]
    assert all(miss["lead_days"] >= 1 for miss in found["misses"])


def test_the_low_communes_of_kon_tum_are_named_first_and_those_that_did_well_not_at_all() -> None:
    communes = tomllib.loads((CAMPAIGNS / "kon-tum-2023.toml").read_text())["facts"]["communes"]
    low, met = ({commune["code"] for commune in communes[name]} for name in ("low", "met"))
    found = backtest_of("kon-tum-2023")
    check_for_everybody(found)
    of_intake = warnings(found, "intake")
    first = [each for each in of_intake if each["day"] == of_intake[0]["day"]]
    assert low <= named(first)
    assert len(named(first)) <= len(low) + 4
    assert of_intake[0]["day"] <= "2023-11-18"
    assert not met & named(of_intake)
    assert not met & {each["unit"] for each in warnings(found, "activated")}


def test_binh_phuoc_hears_once_that_activation_will_be_missed_and_little_else() -> None:
    """Also of its cohorts, of which a commune has a few dozen people: no commune is called for them."""
    found = backtest_of("binh-phuoc-2023")
    check_for_everybody(found)
    score = found["score"]
    assert score["missed"] == score["missed_told"]
    assert score["median_lead_days"] >= 60
    assert score["told_not_missed"] <= 20
    of_activation = warnings(found, "activated")
    # The province, of itself and of its districts; and each of the eleven districts, of its communes.
    assert len(of_activation) <= 2 + 11
    assert {each["day"] for each in of_activation} == {of_activation[0]["day"]}
    assert len(named(warnings(found, "intake"))) <= 10
    for cohort in ("officials", "employees", "armed_forces"):
        told = named(warnings(found, f"intake:level-2:{cohort}"))
        assert all(len(unit) < 5 for unit in told), told
        assert len(told) <= 10

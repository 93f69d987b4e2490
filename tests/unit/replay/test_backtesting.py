"""The back-test as it is printed."""

from typing import Any

import pytest

from tests.unit.replay.support import campaign
from tiendo.replay.backtesting import print_backtest
from tiendo.replay.campaigns.campaign import Language


def missed(error: str, communes: str) -> dict[str, Any]:
    return {"error": 0, "error_percent": error, "communes_percent": communes}


def answer(*, holds: bool = True, planned: bool = True) -> dict[str, Any]:
    origin = {
        "number": 10,
        "days_ahead": 40,
        "told": {
            "forecast": 1_100,
            "low": 900,
            "high": 1_300,
            "planned_pace": 1_500 if planned else None,
            "straight_line": 700,
        },
        "actual": 1_000,
        "forecast": missed("10.0", "21.5"),
        "planned_pace": missed("50.0", "60.1") if planned else None,
        "straight_line": missed("-30.0", "33.3"),
        "interval_holds": holds,
        "communes": 102,
        "communes_inside": 80,
        "coverage_percent": "78.4",
    }
    goals = {"activated": [origin], "intake": [], "intake:level-2:officials:by-2023-11-30": [origin]}
    return {"through": "2023-12-30", "indicators": goals}


def printed(capsys: pytest.CaptureFixture[str], said: dict[str, Any], language: Language = "en") -> str:
    print_backtest(campaign("kon-tum-2023"), said, language)
    return " ".join(capsys.readouterr().out.split())


def test_errors_of_all_three_ways_and_intervals_that_held_stand_side_by_side(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = printed(capsys, answer())
    assert "10 (+40) 1,000 1,100 (10.0%) 900–1,300 ✓ 1,500 (50.0%) 700 (-30.0%)" in text
    assert "21.5% · 60.1% · 33.3% 80/102 = 78.4%" in text
    assert "intakes: told at the end of a day, from what was known then, of 2023-12-30 no day" in text


def test_an_interval_that_failed_and_a_way_that_says_nothing_are_shown_as_such(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = printed(capsys, answer(holds=False, planned=False), "vi")
    assert "900–1.300 ✗ - 700 (-30,0%) 21,5% · - · 33,3%" in text
    assert "kích hoạt: dự báo cuối mỗi ngày" in text


def test_in_vietnamese_numbers_and_days_are_written_as_its_readers_do(
    capsys: pytest.CaptureFixture[str],
) -> None:
    text = printed(capsys, answer(), "vi")
    assert "10 (+40) 1.000 1.100 (10,0%) 900–1.300 ✓ 1.500 (50,0%) 700 (-30,0%)" in text
    assert "80/102 = 78,4%" in text
    assert "cho ngày 30/12/2023" in text
    assert "2023-12-30" not in text


def test_a_narrowed_target_is_told_by_what_it_is_of(capsys: pytest.CaptureFixture[str]) -> None:
    assert "intakes, level 2, officials, by 2023-11-30: told at the end" in printed(capsys, answer())
    vietnamese = "thu nhận hồ sơ, mức độ 2, cán bộ, công chức, viên chức, đến ngày 30/11/2023: dự báo"
    assert vietnamese in printed(capsys, answer(), "vi")

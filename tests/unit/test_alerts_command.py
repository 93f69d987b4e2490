"""`tiendo alerts backtest` says what is wrong with what it was given."""

from pathlib import Path

import pytest

from tiendo.alerts import _document, _print, backtest
from tiendo.errors import Refused


def test_rules_are_read_from_toml_and_json_alike(tmp_path: Path) -> None:
    toml, json = tmp_path / "rules.toml", tmp_path / "rules.json"
    toml.write_text(
        'off = ["stalled"]\n[thresholds]\nbehind_percent = 85\n[units.610.thresholds]\nbehind_percent = 80\n'
    )
    json.write_text(
        '{"off": ["stalled"], "thresholds": {"behind_percent": 85}, '
        '"units": {"610": {"thresholds": {"behind_percent": 80}}}}'
    )
    asked = _document("kon-tum-2023", toml)
    assert asked == _document("kon-tum-2023", json)
    assert asked == {
        "campaign": "kon-tum-2023",
        "rules": {"off": ["stalled"], "thresholds": {"behind_percent": 85}},
        "units": {"610": {"thresholds": {"behind_percent": 80}}},
    }


@pytest.mark.parametrize(("name", "text", "says"), [
    ("rules.toml", "= 3", "cannot be read"),
    ("rules.json", "[1]", "no table of rules"),
    ("rules.json", "{", "cannot be read"),
    ("rules.toml", None, "No such file"),
])  # fmt: skip
def test_a_file_that_holds_no_rules_is_refused(
    tmp_path: Path, name: str, text: str | None, says: str
) -> None:
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(Refused, match=says) as refused:
        _document("kon-tum-2023", tmp_path / name)
    assert refused.value.remedy


def test_without_anything_on_record_it_says_what_to_do_first(tmp_path: Path) -> None:
    (tmp_path / "rules.toml").write_text("")
    with pytest.raises(Refused) as refused:
        backtest("kon-tum-2023", tmp_path / "nothing", tmp_path / "rules.toml")
    assert "tiendo replay kon-tum-2023" in refused.value.remedy


def test_in_vietnamese_rules_numbers_and_days_are_in_its_readers_words(
    capsys: pytest.CaptureFixture[str],
) -> None:
    score = {
        "alerts": 1_234, "a_unit_a_week": 0.5, "most_a_unit_a_week": 2, "missed": 14, "missed_told": 14,
        "median_lead_days": None, "told_not_missed": 0,
    }  # fmt: skip
    alert = {
        "day": "2023-11-17", "unit": "23341", "unit_name": "Đăk Pék", "indicator": "intake:level-2",
        "rule": "behind_pace", "severity": "warning", "kind": "incident.opened",
    }  # fmt: skip
    good = {**alert, "indicator": "report", "rule": None, "severity": None, "kind": "target.reached_early"}
    tried = {
        "first_day": "2023-11-11", "last_day": "2023-12-07", "over": False, "score": score,
        "alerts": [alert, good],
    }  # fmt: skip
    _print(("r.toml", "mặc định"), tried, {**tried, "alerts": []}, "vi")
    text = " ".join(capsys.readouterr().out.split())
    assert "11/11/2023 đến 07/12/2023; chiến dịch đang diễn ra" in text
    assert "tin cảnh báo 1.234 1.234 mỗi đơn vị mỗi tuần, bình quân 0,5 0,5" in text
    assert "17/11/2023 Đăk Pék (23341) thu nhận hồ sơ, mức độ 2 chậm tiến độ cảnh báo +" in text
    assert "báo cáo đạt trước hạn +" in text
    assert text.endswith("+ chỉ có với r.toml; 0 tin chỉ có với mặc định")
    _print(("r.toml", "defaults"), tried, tried, "en")
    assert "2023-11-17 Đăk Pék (23341) intake:level-2 behind_pace warning" in " ".join(
        capsys.readouterr().out.split()
    )

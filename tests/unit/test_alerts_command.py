"""`tiendo alerts backtest` says what is wrong with what it was given."""

from pathlib import Path

import pytest

from tiendo.alerts import _document, backtest
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

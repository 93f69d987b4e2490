"""How campaigns of files go on after their last day: what their days are to bring, and what ends them."""

from datetime import date
from pathlib import Path

import pytest

from tests.unit.replay.support import FOLDER, campaign
from tests.unit.replay.test_campaign_files import load_edited
from tiendo.replay.campaigns.campaign import Campaign, Daily, GoingOn, Stop
from tiendo.replay.campaigns.reading import load_campaign
from tiendo_aggregator.http_schemas.plan import CampaignDocument

GOES_ON = """
[assumptions.going_on]
indicator = "intake"
reason = "Ours."

[[assumptions.going_on.daily]]
indicator = "intake"
citizens = 1_200
reason = "Ours."

[[assumptions.going_on.daily]]
indicator = "activated"
level = 2
citizens = 800
reason = "Ours."

[assumptions.going_on.stop]
number = "310/QĐ-UBND"
signed_by = "Chủ tịch"
last_day = 2024-03-31
reason = "Ours."

"""
_BEFORE = "[assumptions.counts.approved]"
_FACT = '[facts.going_on]\nindicator = "intake"'


def edited(tmp_path: Path, name: str, old: str, new: str, scale: float = 1.0) -> Campaign:
    text = (FOLDER / "campaigns" / f"{name}.toml").read_text(encoding="utf-8")
    path = tmp_path / f"{name}.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return load_campaign(path, FOLDER, scale=scale)


def test_binh_phuoc_goes_on_as_published_and_ends_by_an_assumption() -> None:
    binh_phuoc = campaign("binh-phuoc-2023")
    assert binh_phuoc.going_on == GoingOn(
        "intake", (), Stop("không công bố", "không công bố", date(2023, 12, 31))
    )
    assert "assumptions.going_on.stop" in {assumed.key for assumed in binh_phuoc.assumptions}
    assert campaign("kon-tum-2023").going_on is None


def test_what_later_days_are_to_bring_reaches_the_aggregator(tmp_path: Path) -> None:
    kon_tum = edited(tmp_path, "kon-tum-2023", _BEFORE, GOES_ON + _BEFORE)
    assert kon_tum.going_on is not None
    assert kon_tum.going_on.daily == (Daily("intake", 1_200), Daily("activated", 800, level=2))
    assert {assumed.key for assumed in kon_tum.assumptions} >= {
        "assumptions.going_on",
        "assumptions.going_on.daily[0]",
        "assumptions.going_on.daily[1]",
        "assumptions.going_on.stop",
    }
    read = CampaignDocument.model_validate(kon_tum.document({})).going_on
    assert read is not None
    assert read.stop is not None
    assert read.stop.last_day == date(2024, 3, 31)
    assert [(each.indicator, each.level, each.citizens) for each in read.daily] == [
        ("intake", None, 1_200),
        ("activated", 2, 800),
    ]


def test_a_scaled_campaign_asks_less_of_its_later_days(tmp_path: Path) -> None:
    kon_tum = edited(tmp_path, "kon-tum-2023", _BEFORE, GOES_ON + _BEFORE, scale=0.1)
    assert kon_tum.going_on is not None
    assert [each.citizens for each in kon_tum.going_on.daily] == [120, 80]


def test_what_days_are_to_bring_may_be_published(tmp_path: Path) -> None:
    daily = '\n[[facts.going_on.daily]]\nindicator = "intake"\ncitizens = 90\ntext = "90 a day"\n\n'
    end = 'aged 14 and over are reached"\n'
    binh_phuoc = edited(tmp_path, "binh-phuoc-2023", end, end + daily)
    assert binh_phuoc.going_on is not None
    assert binh_phuoc.going_on.daily == (Daily("intake", 90),)
    assert binh_phuoc.going_on.stop is not None


@pytest.mark.parametrize(
    ("name", "old", "new", "key", "words"),
    [
        ("binh-phuoc-2023", "last_day = 2023-12-31", "last_day = 2023-09-20", "assumptions.going_on.stop.last_day",
         "not after the last day"),
        ("binh-phuoc-2023", _FACT, "[facts.going_on]", "facts.going_on.indicator", "is missing"),
        ("kon-tum-2023", "citizens = 800", "citizens = -1", "assumptions.going_on.daily[1].citizens", "negative"),
        ("kon-tum-2023", "level = 2", "level = 3", "assumptions.going_on.daily[1].level", "no level"),
        ("kon-tum-2023", 'citizens = 1_200\nreason = "Ours."', "citizens = 1_200",
         "assumptions.going_on.daily[0].reason", "is missing"),
        ("kon-tum-2023", "signed_by =", "signed =", "assumptions.going_on.stop.signed_by", "is missing"),
        ("binh-phuoc-2023", _BEFORE, GOES_ON + _BEFORE, "file", "isn't TOML"),
        ("binh-phuoc-2023", "[assumptions.going_on.stop]", "[facts.going_on.stop]", "facts.going_on.stop.text",
         "is missing"),
    ],
)  # fmt: skip
def test_each_fault_of_going_on_is_named(
    tmp_path: Path, name: str, old: str, new: str, key: str, words: str
) -> None:
    more = (_BEFORE, GOES_ON.replace(old, new, 1) + _BEFORE) if name == "kon-tum-2023" else (old, new)
    error = load_edited(tmp_path, name, *more)
    assert error.key == key
    assert words in error.problem


def test_what_is_published_is_not_assumed_as_well(tmp_path: Path) -> None:
    stop = (
        '[facts.going_on.stop]\nnumber = "1"\nsigned_by = "A"\nlast_day = 2023-10-31\ntext = "It ended"\n\n'
    )
    error = load_edited(tmp_path, "binh-phuoc-2023", _FACT, stop + _FACT)
    assert (error.key, error.problem) == (
        "assumptions.going_on.stop",
        "is published, so it can't be assumed",
    )
    again = '[assumptions.going_on]\nindicator = "intake"\nreason = "Ours."\n\n'
    stop = "[assumptions.going_on.stop]"
    error = load_edited(tmp_path, "binh-phuoc-2023", stop, again + stop)
    assert (error.key, error.problem) == ("assumptions.going_on.indicator", "is an unknown key")

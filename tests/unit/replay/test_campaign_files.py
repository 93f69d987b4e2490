"""Campaign files: what they say, and what the loader refuses with file, key and remedy."""

import tomllib
from collections import Counter
from dataclasses import replace
from datetime import date, time
from pathlib import Path
from random import Random

import pytest

from tests.unit.replay.support import CAMPAIGNS, FOLDER, campaign
from tiendo.replay.campaigns.campaign import Campaign, Count, cut_percent
from tiendo.replay.campaigns.reading import find_campaign, load_campaign
from tiendo.replay.campaigns.table import CampaignFileError
from tiendo.replay.citizens import Lives
from tiendo.replay.population import populate
from tiendo.replay.schedule import Schedule
from tiendo_common.nights import DayEnd


def load_edited(tmp_path: Path, name: str, old: str, new: str) -> CampaignFileError:
    text = (FOLDER / "campaigns" / f"{name}.toml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / f"{name}.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(CampaignFileError) as raised:
        load_campaign(path, FOLDER)
    assert raised.value.file == path
    assert str(path) in raised.value.detail
    assert raised.value.remedy
    return raised.value


def test_kon_tum_has_the_published_counts_and_marks_what_is_assumed() -> None:
    kon_tum = campaign("kon-tum-2023", 1.0)
    assert kon_tum.counts["intake"] == Count(75_908, 218_020)
    assert kon_tum.counts["activated"] == Count(17_791, 164_978)
    assert kon_tum.counts["approved"].total == 234_319
    assert kon_tum.baseline["intake"].total == 0
    assert (kon_tum.target("intake"), kon_tum.target("activated")) == (421_100, 335_512)
    assert [target.indicator for target in kon_tum.targets if not target.published] == ["intake"]
    assert kon_tum.figures_as_of == date(2023, 12, 7)
    assert {a.key for a in kon_tum.assumptions} >= {
        "assumptions.targets[0]",
        "assumptions.counts.approved",
        "assumptions.baseline",
        "assumptions.eligible",
        "assumptions.eligible_spread",
    }
    assert len(kon_tum.communes) == 102
    assert len(kon_tum.met) == 5
    assert len(kon_tum.low) == 14


def test_kon_tum_needs_exactly_6641_activations_a_day() -> None:
    kon_tum = campaign("kon-tum-2023", 1.0)
    target = kon_tum.target("activated")
    assert target is not None
    left = target - kon_tum.counts["activated"].total
    assert divmod(left, (kon_tum.last_day - kon_tum.figures_as_of).days) == (6_641, 0)


def test_binh_phuoc_grew_from_its_baseline_by_what_was_published() -> None:
    binh_phuoc = campaign("binh-phuoc-2023", 1.0)
    assert binh_phuoc.counts["intake"].total == 607_583
    assert binh_phuoc.baseline["intake"].total == 265_417
    assert binh_phuoc.baseline["activated"].total == 108_078
    assert sum(binh_phuoc.eligible.values()) == 859_549
    assert (binh_phuoc.last_day - binh_phuoc.first_day).days + 1 == 93
    assert [claim.percent for claim in binh_phuoc.claims] == ["70"]


def test_what_was_published_beyond_accounts_stands_in_the_files_at_its_own_decimals() -> None:
    published = {
        name: {each.id: dict(each.published) for each in campaign(name).measures} for name in CAMPAIGNS[2:]
    }
    assert published == {
        "bac-lieu-2023": {
            "chip_cards": {"percent": "100"},
            "online_dossiers": {"more_than": 200_000, "percent_of_target": "105.1"},
            "procedures_simplified": {"value": 155},
            "fields_simplified": {"value": 11},
        },
        "dien-bien-2023": {
            "district_committees": {"value": 10},
            "commune_groups": {"value": 129},
            "hamlet_groups": {"value": 1_447},
            "provinces_with_teams": {"value": 21},
            "essential_services_online": {"value": 25, "out_of": 25},
            "residence_services_online": {"percent": "100"},
        },
        "quang-binh-2023": {
            "without_card": {"value": 100},
            "essential_services_online": {"value": 23, "out_of": 25},
            "clinics_accepting_card": {"percent": "100"},
            "cards_synchronised_with_insurance": {"percent": "95.1"},
        },
    }
    assert [(each.indicator, each.percent) for each in campaign("bac-lieu-2023", 1.0).figures] == [
        ("intake", "112"),
        ("activated", "112"),
    ]
    # Everything that the reports leave open of a measure is an assumption with its own reason.
    for name in CAMPAIGNS[2:]:
        reasons = {each.key for each in campaign(name).assumptions}
        for each in campaign(name).measures:
            open_ = "value" not in each.published or (
                each.out_of is not None and "out_of" not in each.published
            )
            assert (f"assumptions.measures.{each.id}" in reasons) == open_, each.id


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_what_each_unit_tells_of_a_measure_sums_to_what_was_published(name: str) -> None:
    loaded = campaign(name)
    for measure in loaded.measures:
        told = measure.standings(loaded.units, loaded.figures_as_of)
        assert sum(each["value"] for each in told) == measure.value
        if measure.out_of is not None:
            assert sum(each["out_of"] for each in told) == measure.out_of
            assert min(each["out_of"] for each in told) > 0
    dien_bien = {each.id: each for each in campaign("dien-bien-2023").measures}
    units = campaign("dien-bien-2023").units
    tellers = {id_: len(each.standings(units, date(2023, 7, 15))) for id_, each in dien_bien.items()}
    assert (tellers["district_committees"], tellers["commune_groups"]) == (10, 129)


def test_dien_bien_re_checks_its_communes_at_three_levels_one_after_the_other() -> None:
    dien_bien = campaign("dien-bien-2023")
    [recheck] = dien_bien.rechecks
    assert [round_.level for round_ in recheck.rounds] == ["commune", "district", "province"]
    assert (len(recheck.units), recheck.done) == (115, 115)
    assert all(dien_bien.units.by_code[code].name.startswith("Xã ") for code in recheck.units)
    days = [dien_bien.first_day, *(round_.last_day for round_ in recheck.rounds)]
    assert days == sorted(set(days))
    corrected: Counter[str] = Counter()
    for round_ in recheck.rounds:
        for _, said in recheck.reports(round_):
            corrected.update({line["why"]: line["entries"] for line in said["corrections"]})
    assert corrected == recheck.corrected


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_eligible_and_targets_sum_to_the_province_exactly(name: str) -> None:
    loaded = campaign(name, 1.0)
    for indicator in ("intake", "activated"):
        spread = loaded.commune_targets(indicator)
        assert spread is not None
        assert sum(spread.values()) == loaded.target(indicator)
    assert min(loaded.eligible.values()) > 500
    kinds: dict[str, list[int]] = {}
    for code, eligible in loaded.eligible.items():
        kinds.setdefault(loaded.units.by_code[code].kind, []).append(eligible)
    means = {kind: sum(values) / len(values) for kind, values in kinds.items()}
    assert means["ward"] > means["commune"]
    assert means["town"] > means["commune"]


def test_the_document_for_the_aggregator_says_what_its_contract_asks() -> None:
    document = campaign("kon-tum-2023", 1.0).document({})
    assert document["plan_number"] == "3903/KH-UBND"
    assert document["targets"] == [
        {"indicator": "activated", "value": 335_512},
        {"indicator": "intake", "value": 421_100},
    ]
    assert document["figures"] == [
        {"id": "intake_of_target", "indicator": "intake", "over": "target", "decimals": 1},
        {"id": "activated_of_approved", "indicator": "activated", "over": "approved", "decimals": 0},
    ]


NARROWED = """[[facts.targets]]
indicator = "intake"
level = 2
cohort = "workers"
percent_of_eligible = "100"
text = "At the end 100% of workers and public employees had level 2"

[[facts.targets]]
indicator = "activated"
due = 2023-08-31
value = 200_000
text = "By the end of August 200,000 activated"

"""
_BEFORE = "# Both percentages are cut"


def narrowed(tmp_path: Path, scale: float) -> Campaign:
    """Bình Phước's file with two targets more."""
    text = (FOLDER / "campaigns" / "binh-phuoc-2023.toml").read_text(encoding="utf-8")
    assert _BEFORE in text
    path = tmp_path / "binh-phuoc-2023.toml"
    path.write_text(text.replace(_BEFORE, NARROWED + _BEFORE, 1), encoding="utf-8")
    return load_campaign(path, FOLDER, scale=scale)


def test_phases_and_narrowed_targets_reach_the_aggregator_as_they_stand_in_the_file(tmp_path: Path) -> None:
    phases = campaign("kon-tum-2023", 1.0).document({})["phases"]
    assert isinstance(phases, list)
    assert [(each["first_day"], each["last_day"]) for each in phases] == [
        ("2023-11-11", "2023-12-10"),
        ("2023-12-11", "2023-12-30"),
    ]
    binh_phuoc = narrowed(tmp_path, 0.02)
    assert binh_phuoc.sized_cohorts == ["armed_forces", "employees", "officials", "workers"]
    # The whole indicator's stays what a figure is a share of.
    assert binh_phuoc.target("activated") == round(502_775 * 0.02)
    lives = Lives(binh_phuoc, 3)
    sizes = lives.sizes()
    document = binh_phuoc.document(sizes)
    targets, cohorts = document["targets"], document["cohorts"]
    assert isinstance(targets, list)
    assert isinstance(cohorts, dict)
    for cohort in ("officials", "workers"):
        asked = {"indicator": "intake", "percent_of_eligible": "100", "level": 2, "cohort": cohort}
        assert asked in targets
    assert {"indicator": "activated", "value": 4_000, "due": "2023-08-31"} in targets
    assert cohorts["officials"]["eligible"] == sizes["officials"]
    assert sizes["officials"].keys() == binh_phuoc.eligible.keys()
    # As many as the lines tell of, but for whoever lives elsewhere or was taken twice.
    told = sum(
        '"officials"' in line
        for day in Schedule(lives).days
        for round_ in day.rounds
        for phase in round_.phases
        for chunk in phase.chunks(5_000)
        for line in chunk.lines
    )
    assert 0.8 * told < sum(sizes["officials"].values()) <= told


@pytest.mark.parametrize(
    ("name", "old", "new", "key", "words"),
    [
        ("kon-tum-2023", "last_day = 2023-12-10", "last_day = 2024-02-29", "first_day", "aren't days of"),
        ("kon-tum-2023", "first_day = 2023-12-11\n", "first_day = 2023-12-31\n", "first_day", "aren't days of"),
        (
            "binh-phuoc-2023", 'percent_of_eligible = "100"', 'percent_of_eligible = "101"',
            "percent_of_eligible", "no percentage",
        ),
        ("binh-phuoc-2023", 'percent_of_eligible = "100"', "value = -1", "value", "negative"),
        ("binh-phuoc-2023", 'percent_of_eligible = "100"\n', "", "value", "two ways to say it"),
        ("binh-phuoc-2023", "level = 2\n", "level = 3\n", "level", "no level"),
        ("binh-phuoc-2023", 'cohort = "workers"', 'cohort = "poets"', "cohort", "unknown"),
        ("binh-phuoc-2023", "level = 2\n", "due = 2023-09-20\n", "due", "not before the last day"),
        (
            "binh-phuoc-2023", '[facts.going_on]\nindicator = "intake"', '[facts.going_on]\nindicator = "cards"',
            "indicator", "unknown",
        ),
    ],
)  # fmt: skip
def test_each_fault_of_a_phase_or_a_target_is_named(
    tmp_path: Path, name: str, old: str, new: str, key: str, words: str
) -> None:
    more = (_BEFORE, NARROWED.replace(old, new, 1) + _BEFORE) if old in NARROWED else (old, new)
    error = load_edited(tmp_path, name, *more)
    assert error.key.endswith(key), error.key
    assert words in error.problem


def test_percentages_are_cut_and_not_rounded() -> None:
    assert cut_percent(607_583, 859_549, 2) == "70.68"
    assert cut_percent(328_660, 502_775, 2) == "65.36"
    assert cut_percent(293_928, 421_100, 1) == "69.8"
    assert cut_percent(182_769, 234_319, 0) == "78"
    assert cut_percent(0, 7, 2) == "0.00"
    assert cut_percent(1, 1000, 1) == "0.1"


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_assumptions_are_only_in_their_own_section_and_each_says_why(name: str) -> None:
    values = tomllib.loads((FOLDER / "campaigns" / f"{name}.toml").read_text(encoding="utf-8"))
    assert set(values) >= {"facts", "assumptions", "simulation"}
    assert all(len(assumption.reason) > 20 for assumption in campaign(name).assumptions)


@pytest.mark.parametrize(
    ("name", "old", "new", "key", "says"),
    [
        ("dien-bien-2023", "of = 115\n\n", "of = 116\n\n", "facts.rechecks[0].of", "there are 115"),
        ("dien-bien-2023", "done = 115", "done = 116", "facts.rechecks[0].done", "more than"),
        ("dien-bien-2023", '"district", "province"]', '"province", "district"]', "facts.rechecks[0].levels", "order"),
        (
            "dien-bien-2023",
            "2023-07-05, 2023-07-15]",
            "2023-06-20, 2023-07-15]",
            "assumptions.rechecks.communes_checked.last_days",
            "3 days one after the other",
        ),
        (
            "dien-bien-2023",
            "rechecks.communes_checked]",
            "rechecks.other]",
            "assumptions.rechecks.communes_checked",
            "is missing",
        ),
        ("dien-bien-2023", "wrong = 2_300", "lost = 2_300", "corrections.lost", "unknown key"),
        ("kon-tum-2023", "level_1 = 75_908", "level_1 = 75_909", "facts.figures[0].value", "= 293929"),
        ("kon-tum-2023", 'code = "23521"', 'code = "23522"', "facts.communes.met[0].code", "isn't a commune"),
        ("kon-tum-2023", 'code = "23521"', 'code = "25216"', "facts.communes.met[0].code", "isn't a commune"),
        ("kon-tum-2023", 'code = "23374"', 'code = "23368"', "facts.communes.low[2].code", "Đắk Long"),
        ("kon-tum-2023", 'code = "23497", name = "Tân Lập"', 'code = "23521", name = "Hà Mòn"',
         "facts.communes.met[1].code", "twice"),
        ("kon-tum-2023", "value = 421_100", "value = 425_000", "intake_of_target", "not the published 69.8%"),
        ("kon-tum-2023", "total = 234_319", "total = 234_320", "assumptions.counts.approved", "not 234320"),
        ("kon-tum-2023", "province = \"62\"", "province = \"99\"", "province", "isn't a province"),
        ("kon-tum-2023", "units-2023.csv", "units-1999.csv", "units", "isn't there"),
        ("kon-tum-2023", "decimals = 1", "decimals = \"1\"", "facts.figures[0].decimals", "is a str"),
        ("kon-tum-2023", "decimals = 1", "decimal = 1", "facts.figures[0].decimals", "is missing"),
        ("kon-tum-2023", "outside = 0.015", "outsiders = 0.015", "simulation.outsiders", "unknown key"),
        ("kon-tum-2023", "outside = 0.015", "outside = 15", "simulation.outside", "isn't a share"),
        ("kon-tum-2023", '"38", "49"', '"62", "49"', "simulation.outside_from", "this campaign's own"),
        ("kon-tum-2023", '"38", "49"', '"3", "49"', "simulation.outside_from", "isn't a province"),
        ("kon-tum-2023", "outside_from =", "outside_of =", "simulation.outside_of", "unknown key"),
        ("kon-tum-2023", "figures_as_of = 2023-12-07", "figures_as_of = 2024-12-07", "figures_as_of", "outside"),
        ("kon-tum-2023", 'day_cut_off = "21:00"', 'day_cut_off = "25:00"', "day_cut_off", "time of day"),
        ("kon-tum-2023", 'day_cut_off = "21:00"', 'day_cut_off = "17:00"', "day_cut_off", "before"),
        ("kon-tum-2023", 'day_cut_off = "21:00"', 'day_cut_off = "07:00"\ndays_end_after_midnight = true',
         "day_cut_off", "no hour of the night"),
        ("kon-tum-2023", 'day_cut_off = "21:00"', 'day_cut_off = "02:00"\ndays_end_after_midnight = "yes"',
         "days_end_after_midnight", "is a str"),
        ("dien-bien-2023", "share = 0.06", "share = 6", "assumptions.nights.share", "isn't a share"),
        ("dien-bien-2023", "days_end_after_midnight = true\n", "", "day_cut_off", "before the day's lines come"),
        ("dien-bien-2023", 'day_cut_off = "02:00"', 'day_cut_off = "00:30"', "assumptions.nights.share",
         "days that end at 00:30"),
        ("dien-bien-2023", '"02:00"\ndays_end_after_midnight = true', '"21:00"', "assumptions.nights.share",
         "days that end at 21:00"),
        ("dien-bien-2023", "[assumptions.nights]", "[assumptions.shifts]", "assumptions.nights", "is missing"),
        ("kon-tum-2023", "reason = \"No count from before", "why = \"No count from before", "baseline.reason",
         "is missing"),
        ("kon-tum-2023", 'id = "kon-tum-2023"', 'id = "Kon Tum"', "id", "isn't an id"),
        ("kon-tum-2023", "[facts.communes]", "[facts.communes", "file", "isn't TOML"),
        ("bac-lieu-2023", "more_than = 200_000", "more_than = 201_500", "facts.measures[1].more_than", "not more"),
        ("bac-lieu-2023", "target = 191_700", "target = 192_000", "facts.measures[1].percent_of_target",
         "is 104.9%, not the published 105.1%"),
        ("bac-lieu-2023", "total = 314_300\nlevel_1 = 56_574", "total = 314_301\nlevel_1 = 56_574",
         "assumptions.counts.intake", "not 314301"),
        ("bac-lieu-2023", "value = 280_000", "value = 290_000", "intake_of_target", "not the published 112%"),
        ("dien-bien-2023", "value = 129", 'out_of_what = "Xã"\nvalue = 115\nout_of = 128', "told_by", "129 units"),
        ("dien-bien-2023", 'told_by = "districts"', 'told_by = "wards"', "told_by", "'wards' is unknown"),
        ("dien-bien-2023", "[assumptions.measures.residence_services_online]",
         "[assumptions.measures.residence_services]", "facts.measures[5].value", "is missing"),
        ("quang-binh-2023", 'unit = "19018"', 'unit = "16459"', "facts.measures[0].unit", "isn't in this province"),
        ("quang-binh-2023", 'out_of_what = "Thẻ CCCD đã cấp"\n', "", "out_of", "go together"),
        ("quang-binh-2023", 'id = "without_card"', 'id = "essential_services_online"', "id", "there twice"),
        ("binh-phuoc-2023", "level_1 = 106_167, level_2 = 159_250", "level_1 = 106_167, level_2 = 159_251",
         "assumptions.baseline.intake", "265417 before the campaign"),
        ("binh-phuoc-2023", "denominator = 859_549", "denominator = 859_550", "intake_of_eligible", "859550"),
        ("binh-phuoc-2023", "level_1 = 29_579\nlevel_2 = 299_081", "level_1 = 128_660\nlevel_2 = 200_000",
         "counts at level 1", "must not rise"),
        ("binh-phuoc-2023", '"officials", "employees"', '"officers", "employees"', "level_2", "'officers'"),
    ],
)  # fmt: skip
def test_a_file_that_does_not_add_up_is_refused(
    tmp_path: Path, name: str, old: str, new: str, key: str, says: str
) -> None:
    error = load_edited(tmp_path, name, old, new)
    assert key in error.key
    assert says in error.detail


def test_a_campaign_s_days_may_end_after_midnight(tmp_path: Path) -> None:
    text = (FOLDER / "campaigns" / "kon-tum-2023.toml").read_text(encoding="utf-8")
    night = 'day_cut_off = "02:30"\ndays_end_after_midnight = true'
    path = tmp_path / "kon-tum-2023.toml"
    path.write_text(text.replace('day_cut_off = "21:00"', night), encoding="utf-8")
    kon_tum = load_campaign(path, FOLDER, scale=0.01)
    assert kon_tum.day_end == DayEnd(time(2, 30), after_midnight=True)
    document = kon_tum.document({})
    assert (document["day_cut_off"], document["days_end_after_midnight"]) == ("02:30", True)


def test_what_a_night_shift_does_is_assumed_with_a_reason() -> None:
    dien_bien = campaign("dien-bien-2023")
    assert dien_bien.nights == 0.06
    assert "assumptions.nights" in {assumed.key for assumed in dien_bien.assumptions}
    assert campaign("kon-tum-2023").nights == 0


def test_nobody_is_invented_who_lives_where_another_campaign_counts(tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text('province = "38"\n', encoding="utf-8")
    error = load_edited(tmp_path, "kon-tum-2023", "id = ", "id = ")
    assert error.key == "simulation.outside_from"
    assert "38 is counted by other.toml" in error.detail


def test_an_unknown_campaign_is_answered_with_those_that_are_there() -> None:
    with pytest.raises(CampaignFileError) as raised:
        find_campaign("hanoi-2023", FOLDER)
    assert "kon-tum-2023" in raised.value.remedy
    assert find_campaign("kon-tum-2023", FOLDER).name == "kon-tum-2023.toml"


def test_counts_too_big_for_their_communes_are_refused() -> None:
    kon_tum = campaign("kon-tum-2023")
    too_many = replace(kon_tum, counts={**kon_tum.counts, "intake": Count(10_000, 10_000)})
    with pytest.raises(CampaignFileError, match="do not fit"):
        populate(too_many, Random(1))

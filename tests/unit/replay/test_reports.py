"""Reports: published figures beside counted ones; and what a replay refuses."""

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.unit.replay.support import campaign
from tiendo.errors import Refused
from tiendo.folders import DataFolder
from tiendo.replay.campaigns.campaign import Campaign, Language, cut_percent
from tiendo.replay.course import Course, contest_told, funnel_told, phase_told
from tiendo.replay.driver import check_as_of
from tiendo.replay.printing import print_reconciliation, print_report
from tiendo.replay.report import Report, make_report
from tiendo.replay.systems import remember_seed, seed_for, system_keys

NO_MEASURES: dict[str, Any] = {"measures": []}
NO_ROUNDS: dict[str, Any] = {"rounds": []}
FUNNEL: dict[str, Any] = {
    "eligible": 1000, "with_card": 990, "taken": 900, "approved": 800, "activated": 600, "rejected": 30,
    "card_no_account": 190,
    "undecided": {"citizens": 70, "bands": [{"from_days": 0, "citizens": 70}, {"from_days": 8, "citizens": 0}],
                  "oldest_days": 2},
    "not_activated": {
        "citizens": 200,
        "bands": [
            {"from_days": 3, "citizens": 120}, {"from_days": 8, "citizens": 50}, {"from_days": 15, "citizens": 30},
        ],
        "oldest_days": 44,
    },
    "activations": {"in_time": 550, "late": 50, "undated": 0},
    "failures": [{"reason": "old_device", "attempts": 12, "came_right": 9}],
}  # fmt: skip
NO_COURSE = Course([], [], funnel_told(FUNNEL))


def standing(value: int, one: int, baseline: int, target: int | None) -> dict[str, Any]:
    return {
        "value": value,
        "level_1": one,
        "level_2": value - one,
        "baseline": baseline,
        "since_baseline": value - baseline,
        "target": target,
        "eligible": None,
    }


def progress(campaign: Campaign, *, more: int = 0) -> dict[str, Any]:
    """What the aggregator answers when it counted right, or `more` intakes."""
    indicators = {}
    for name, count in campaign.counts.items():
        extra = more if name == "intake" else 0
        indicators[name] = standing(
            count.total + extra, count.level_1, campaign.baseline[name].total, campaign.target(name)
        )
    figures = []
    for figure in campaign.figures:
        numerator = indicators[figure.indicator]["value"]
        over = {"target": campaign.target(figure.indicator), "eligible": sum(campaign.eligible.values())}
        denominator = over.get(figure.over) or campaign.counts[figure.over].total
        percent = cut_percent(numerator, denominator, figure.decimals)
        figures.append(
            {"id": figure.id, "numerator": numerator, "denominator": denominator, "percent": percent}
        )
    province = {"code": campaign.province, "name": "P", "level": "province", "indicators": indicators}
    units: list[dict[str, Any]] = [{**province, "figures": figures}]
    targets = campaign.commune_targets("intake"), campaign.commune_targets("activated")
    assert targets[0] is not None
    assert targets[1] is not None
    for code in campaign.communes:
        share = 101 if code in campaign.met else 30 if code in campaign.low else 60
        ladder = {
            "intake": standing(-(-targets[0][code] * share // 100), 0, 0, targets[0][code]),
            "activated": standing(targets[1][code] * share // 100, 0, 0, targets[1][code]),
        }
        units.append({"code": code, "name": code, "level": "commune", "indicators": ladder, "figures": []})
    return {"complete_to": "2023-12-07T14:00:00Z", "units": units}


def paces(campaign: Campaign) -> dict[str, Any] | None:
    """What the aggregator answers of the plan on the day of Kon Tum's review; nothing without a target."""
    if not campaign.targets:
        return None
    left = (campaign.last_day - campaign.figures_as_of).days
    indicators: dict[str, dict[str, Any]] = {}
    for each in campaign.targets:
        if each.value is None:
            continue
        value, baseline = campaign.counts[each.indicator].total, campaign.baseline[each.indicator].total
        over = (campaign.figures_as_of - campaign.first_day).days + 1
        planned = max(0, each.value - baseline) * over // (over + left)
        remaining = max(0, each.value - value)
        indicators[each.indicator] = {
            "target": each.value,
            "baseline": baseline,
            "value": value,
            "actual": value - baseline,
            "planned": planned,
            "gap": planned - value + baseline,
            "percent_of_plan": cut_percent(value - baseline, planned, 1),
            "remaining": remaining,
            "days_left": left,
            "needed_per_day": -(-remaining // left) if left else None if remaining else 0,
        }
    return {"units": [{"code": campaign.province, "indicators": indicators}]}


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "en",
            (
                "Pace, activated: 182,769 / 181,176 planned by now (100.8%), ahead by 1,593.",
                "152,743 missing of the target 335,512: 6,641 a day for the 23 days left",
                "Pace, intakes: 293,928 / 227,394 planned by now (129.2%)",
            ),
        ),
        (
            "vi",
            (
                "tính đến ngày 07/12/2023 (đủ số liệu đến 21:00 07/12/2023)",
                "Tiến độ, kích hoạt: 182.769 / 181.176 kế hoạch đến nay (100,8%), vượt 1.593.",
                "Còn thiếu 152.743 so với chỉ tiêu 335.512: mỗi ngày cần 6.641 trong 23 ngày còn lại",
            ),
        ),
    ],
)
def test_what_each_day_left_needs_stands_in_the_report(
    capsys: pytest.CaptureFixture[str], language: Language, words: tuple[str, ...]
) -> None:
    kon_tum = campaign("kon-tum-2023", 1.0)
    report = make_report(
        kon_tum,
        kon_tum.figures_as_of,
        progress(kon_tum),
        paces(kon_tum),
        NO_MEASURES,
        NO_ROUNDS,
        NO_COURSE,
        (7, 3),
    )
    print_report(report, language)
    printed = " ".join(capsys.readouterr().out.split())
    for text in words:
        assert text in printed
    activated = {pace["indicator"]: pace for pace in report.document()["pace"]}["activated"]
    assert (activated["needed_per_day"], activated["days_left"], activated["gap"]) == (6_641, 23, -1_593)


def test_after_the_last_day_the_report_says_what_is_missing_or_met(
    capsys: pytest.CaptureFixture[str],
) -> None:
    binh_phuoc = campaign("binh-phuoc-2023", 1.0)
    report = make_report(
        binh_phuoc,
        binh_phuoc.figures_as_of,
        progress(binh_phuoc),
        paces(binh_phuoc),
        NO_MEASURES,
        NO_ROUNDS,
        NO_COURSE,
        (0, 0),
    )
    print_report(report, "en")
    printed = " ".join(capsys.readouterr().out.split())
    assert "174,115 missing of the target 502,775, and no day is left" in printed
    assert "The target 502,775 is met" in printed
    without = make_report(
        binh_phuoc,
        binh_phuoc.figures_as_of,
        progress(binh_phuoc),
        None,
        NO_MEASURES,
        NO_ROUNDS,
        NO_COURSE,
        (0, 0),
    )
    print_report(without, "en")
    assert "Pace," not in capsys.readouterr().out


def test_what_was_published_is_held_against_what_was_counted() -> None:
    kon_tum = campaign("kon-tum-2023", 1.0)
    report = make_report(
        kon_tum,
        kon_tum.figures_as_of,
        progress(kon_tum),
        paces(kon_tum),
        NO_MEASURES,
        NO_ROUNDS,
        NO_COURSE,
        (7, 3),
    )
    assert report.matches
    intake = report.document()["figures"][0]
    assert intake == {
        "id": "intake_of_target",
        "indicator": "intake",
        "over": "target",
        "value": 293_928,
        "level_1": 75_908,
        "level_2": 218_020,
        "since_baseline": 293_928,
        "numerator": 293_928,
        "denominator": 421_100,
        "percent": "69.8",
        "published": {
            "text": kon_tum.figures[0].text,
            "value": 293_928,
            "level_1": 75_908,
            "level_2": 218_020,
            "percent": "69.8",
        },
        "matches": True,
    }
    assert [(s.id, s.named, s.holds) for s in report.statements] == [
        ("met_intake_target", 5, True),
        ("lead_activation", 5, True),
        ("are_low", 14, True),
    ]


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "en",
            (
                "first 30 days, 2023-11-11 – 2023-12-10, under way: intakes 293,928 (+293,928 in the phase) / 421,100",
                "last 20 days, 2023-12-11 – 2023-12-30, to come",
                "Contest: Thi đua (intakes, level 2, by 2023-12-01, order of finish), as of 2023-12-05",
                "1 Cụm 1 30 +20 2023-11-30 - Cụm 2 5 +5 not yet",
                "Hold a chip card: 990; 190 have a card and no account",
                "Dossiers taken: 900; 70 wait for a decision; 30 rejected",
                "Approved: 800; 200 have an account that is not activated",
                "(80 of them for 8 days or longer, the longest for 44)",
                "Activated: 600; 550 within 7 days of the approval, 50 later",
                "Activations that failed: code sent to an old device 12 (9 came right)",
            ),
        ),
        (
            "vi",
            (
                "30 ngày đầu, 11/11/2023 – 10/12/2023, đang thực hiện: thu nhận hồ sơ 293.928",
                "(+293.928 trong giai đoạn) / 421.100 chỉ tiêu; được phê duyệt",
                "Thi đua: Thi đua (thu nhận hồ sơ, mức độ 2, đến ngày 01/12/2023, thứ tự về đích), tính đến",
                "Được phê duyệt: 800; 200 có tài khoản chưa kích hoạt",
                "(trong đó 80 từ 8 ngày trở lên, lâu nhất 44 ngày)",
                "Kích hoạt không thành công: mã gửi về thiết bị cũ 12 (9 sau đó thành công)",
            ),
        ),
    ],
)  # fmt: skip
def test_phases_contests_and_the_funnel_are_printed(
    capsys: pytest.CaptureFixture[str], language: Language, words: tuple[str, ...]
) -> None:
    kon_tum = campaign("kon-tum-2023", 1.0)
    first, last = (
        {"id": each, "name": vi, "name_en": en, "first_day": begin, "last_day": end}
        for each, vi, en, begin, end in (
            ("a", "30 ngày đầu", "first 30 days", "2023-11-11", "2023-12-10"),
            ("b", "20 ngày cuối", "last 20 days", "2023-12-11", "2023-12-30"),
        )
    )
    group = {"percent": None, "per_1000": None}
    contest = {
        "contest": {
            "id": "c", "name": "Thi đua", "measure": "finish", "indicator": "intake:level-2:by-2023-12-01",
        },
        "day": "2023-12-05",
        "groups": [
            {"name": "Cụm 1", "rank": 1, "value": 30, "gained": 20, "met_on": "2023-11-30", **group},
            {"name": "Cụm 2", "rank": None, "value": 5, "gained": 5, "met_on": None, **group},
        ],
    }  # fmt: skip
    day = "2023-12-07"
    course = Course(
        [phase_told(first, progress(kon_tum), day), phase_told(last, None, day)],
        [contest_told(contest)],
        funnel_told(FUNNEL),
    )
    as_of = kon_tum.figures_as_of
    report = make_report(
        kon_tum, as_of, progress(kon_tum), paces(kon_tum), NO_MEASURES, NO_ROUNDS, course, (7, 3)
    )
    print_report(report, language)
    printed = " ".join(capsys.readouterr().out.split())
    for text in words:
        assert text in printed, printed
    document = report.document()
    assert [(each["id"], each["state"]) for each in document["phases"]] == [
        ("a", "running"),
        ("b", "to_come"),
    ]
    assert document["funnel"]["not_activated"] == {"citizens": 200, "long": 80, "oldest_days": 44}


def test_cohorts_all_of_which_had_level_2_are_held_against_the_counts_where_they_have_a_target() -> None:
    binh_phuoc = campaign("binh-phuoc-2023", 1.0)

    def report(pace: dict[str, Any] | None) -> Report:
        as_of = binh_phuoc.figures_as_of
        return make_report(
            binh_phuoc, as_of, progress(binh_phuoc), pace, NO_MEASURES, NO_ROUNDS, NO_COURSE, (0, 0)
        )

    answer = paces(binh_phuoc)
    assert not report(answer).statements
    assert answer is not None
    [unit] = answer["units"]
    unit["indicators"] |= {
        f"intake:level-2:{cohort}": unit["indicators"]["activated"] | {"remaining": 0}
        for cohort in ("officials", "armed_forces")
    }
    [statement] = report(answer).statements
    assert (statement.id, statement.named, statement.holding) == ("have_level_2", 2, 2)
    unit["indicators"]["intake:level-2:officials"]["remaining"] = 1
    assert not report(answer).matches


def measured(campaign: Campaign, **wrong: int | None) -> dict[str, Any]:
    """What the aggregator answers of the measures; `wrong` ones have another value than was told."""
    measures = []
    for each in campaign.measures:
        value = wrong.get(each.id, each.value)
        unit = {
            "code": each.unit,
            "value": value,
            "out_of": each.out_of,
            "percent": each.out_of and value and cut_percent(value, each.out_of, each.decimals),
            "target": each.target,
            "percent_of_target": each.target and value and cut_percent(value, each.target, each.decimals),
        }
        measures.append({"id": each.id, "units": [unit]})
    return {"measures": measures}


def test_measures_are_held_against_what_was_published(capsys: pytest.CaptureFixture[str]) -> None:
    bac_lieu = campaign("bac-lieu-2023", 1.0)

    def report(**wrong: int | None) -> Report:
        answers = measured(bac_lieu, **wrong)
        return make_report(
            bac_lieu,
            bac_lieu.figures_as_of,
            progress(bac_lieu),
            paces(bac_lieu),
            answers,
            NO_ROUNDS,
            NO_COURSE,
            (0, 0),
        )

    assert report().matches
    assert [each["matches"] for each in report().document()["measures"]] == [True] * 4
    for wrong in ({"fields_simplified": 12}, {"online_dossiers": 200_000}, {"procedures_simplified": None}):
        assert not report(**wrong).matches, wrong
    for language, words in (
        ("en", "Over 200,000 dossiers solved online, 5.1% over target 201,500, 105.1% of the target 191,700"),
        ("vi", "vượt 5,1% chỉ tiêu 201.500, 105,1% chỉ tiêu 191.700"),
    ):
        print_report(report(), "vi" if language == "vi" else "en")
        assert words in " ".join(capsys.readouterr().out.split())
    print_report(report(procedures_simplified=None), "en")
    assert "155 procedures simplified not reported" in " ".join(capsys.readouterr().out.split())


def test_rounds_of_rechecks_are_held_against_what_was_published(capsys: pytest.CaptureFixture[str]) -> None:
    dien_bien = campaign("dien-bien-2023", 1.0)

    def report(outstanding: list[str]) -> Report:
        rounds = [
            {
                "id": f"communes_checked_{level}",
                "units": [
                    {
                        "done": 115 - len(outstanding),
                        "units": 115,
                        "outstanding": [{"code": "03000", "name": name} for name in outstanding],
                        "by_why": {"wrong": 2_300, "missing": 1_150} if level == "commune" else {},
                    }
                ],
            }
            for level in ("commune", "district", "province")
        ]
        return make_report(
            dien_bien, dien_bien.figures_as_of, progress(dien_bien), paces(dien_bien), measured(dien_bien),
            {"rounds": rounds}, NO_COURSE, (0, 0),
        )  # fmt: skip

    assert report([]).matches
    print_report(report([]), "en")
    assert (
        "Population data re-checked at three levels in 115 of 115 communes communes 115/115, districts 115/115, "
        "province 115/115; wrong entries corrected 2,300, missing ones added 1,150"
    ) in " ".join(capsys.readouterr().out.split())
    late = report(["Xã Mường Nhé"])
    assert not late.matches
    [told] = late.document()["rechecks"]
    assert told["rounds"][0] == {
        "level": "commune", "done": 114, "units": 115, "outstanding": ["Xã Mường Nhé"],
    }  # fmt: skip
    print_report(late, "vi")
    assert "cấp xã 114/115 (còn Xã Mường Nhé), cấp huyện 114/115" in " ".join(capsys.readouterr().out.split())


def test_one_citizen_too_many_is_a_difference() -> None:
    kon_tum = campaign("kon-tum-2023", 1.0)
    report = make_report(
        kon_tum,
        kon_tum.figures_as_of,
        progress(kon_tum, more=1),
        paces(kon_tum),
        NO_MEASURES,
        NO_ROUNDS,
        NO_COURSE,
        (0, 0),
    )
    assert [counted.matches for counted in report.figures] == [False, True]
    assert not report.matches


def test_on_another_day_nothing_is_held_against_the_published_figures() -> None:
    kon_tum = campaign("kon-tum-2023", 1.0)
    report = make_report(
        kon_tum,
        date(2023, 11, 20),
        progress(kon_tum, more=5),
        paces(kon_tum),
        NO_MEASURES,
        NO_ROUNDS,
        NO_COURSE,
        (0, 0),
    )
    assert [counted.matches for counted in report.figures] == [None, None]
    assert report.matches
    assert report.statements == ()


@pytest.mark.parametrize(
    ("language", "words"),
    [
        (
            "en",
            (
                "Alerts: 7, still open 3",
                "of target",
                "Intakes (levels 1 and 2) 607,583 of 859,549 eligible",
                "Activation just over 70%",
            ),
        ),
        (
            "vi",
            (
                "Cảnh báo: 7",
                "tính đến ngày 20/09/2023",
                "607.583/859.549 công dân đủ điều kiện",
                "Kích hoạt đạt hơn 70%. 328.660/502.775 là 65,36%",
            ),
        ),
    ],
)
def test_the_report_can_be_read_in_both_languages(
    capsys: pytest.CaptureFixture[str], language: Language, words: tuple[str, ...]
) -> None:
    binh_phuoc = campaign("binh-phuoc-2023", 1.0)
    report = make_report(
        binh_phuoc,
        binh_phuoc.figures_as_of,
        progress(binh_phuoc),
        paces(binh_phuoc),
        NO_MEASURES,
        NO_ROUNDS,
        NO_COURSE,
        (7, 3),
    )
    print_report(report, language)
    printed = " ".join(capsys.readouterr().out.split())
    assert report.matches
    numbers: tuple[str, ...] = ("607,583", "859,549", "70.68%", "+342,166", "65.36%")
    if language == "vi":
        # 607,583 would be a little more than 607.
        assert not re.search(r"\d,\d{3}\b", printed)
        numbers = tuple(text.translate(str.maketrans(",.", ".,")) for text in numbers)
    for text in (*numbers, "✓", *words):
        assert text in printed
    if language == "vi":
        assert not re.search(r"\b(since|of|levels?|just|published|eligible)\b", printed)


def test_differing_counters_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    row = {
        "unit": "23281", "day": "2023-11-12", "indicator": "intake", "level": 1, "attribution": "residence",
        "dimension": None, "value": None, "records": 3, "counters": 2,
    }  # fmt: skip
    part = row | {"dimension": "cohort", "value": "elderly"}
    answer = {"clean": False, "differing_count": 1234, "differing": [row, part]}
    print_reconciliation(campaign("kon-tum-2023"), answer, "en")
    printed = capsys.readouterr().out
    assert "23281 Phường Quang Trung" in printed
    assert "2023-11-12" in printed
    assert "cohort elderly" in printed
    assert "1,234" in printed
    assert "…" in printed


@pytest.mark.parametrize(
    ("compared", "words"),
    [
        ({"breakdowns": True, "teams": True}, None),
        ({"breakdowns": True, "teams": False}, "Work by team was not compared"),
        ({"breakdowns": False, "teams": False}, "Totals alone were compared"),
    ],
)
def test_what_a_clean_verdict_leaves_out_is_said(
    capsys: pytest.CaptureFixture[str], compared: dict[str, bool], words: str | None
) -> None:
    print_reconciliation(campaign("kon-tum-2023"), {"clean": True, "compared": 7, **compared}, "en")
    [clean, *left_out] = capsys.readouterr().out.splitlines()
    assert clean.startswith("✓")
    assert [line[: len(words or "")] for line in left_out] == ([] if words is None else [words])


def test_days_of_which_nothing_is_published_are_refused() -> None:
    kon_tum = campaign("kon-tum-2023")
    assert check_as_of(kon_tum, None) == date(2023, 12, 7)
    assert check_as_of(kon_tum, date(2023, 11, 11)) == date(2023, 11, 11)
    for day in (date(2023, 11, 10), date(2023, 12, 8)):
        with pytest.raises(Refused, match="nothing of kon-tum-2023 is published") as raised:
            check_as_of(kon_tum, day)
        assert "2023-12-07" in raised.value.remedy


def test_a_seed_stays_with_its_data(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    assert seed_for(folder, "kon-tum-2023", None).value == 1
    folder.make()
    remember_seed(folder, "kon-tum-2023", 7)
    for asked in (None, 7):
        seed = seed_for(folder, "kon-tum-2023", asked)
        assert (seed.value, seed.resumed) == (7, True)
    with pytest.raises(Refused, match="seed 7") as raised:
        seed_for(folder, "kon-tum-2023", 8)
    assert "--data" in raised.value.remedy
    assert not seed_for(folder, "binh-phuoc-2023", 8).resumed


def test_the_two_systems_keep_their_names_and_get_new_keys(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path / "data")
    folder.make()
    first, second = system_keys(folder, "kon-tum-2023"), system_keys(folder, "kon-tum-2023")
    assert len({*first, *second}) == 4
    names = [entry["name"] for entry in folder.read_json(folder.api_keys_file)["keys"]]
    assert names == ["admin", "kon-tum-2023: system 1", "kon-tum-2023: system 2"]
    stored = folder.api_keys_file.read_text(encoding="utf-8")
    assert not any(key in stored for key in (*first, *second))

"""The words of an alert."""

from dataclasses import replace
from datetime import date

import pytest

from tests.unit.notifier.test_plan import closing
from tiendo_notifier.rules.messages import clears, in_language
from tiendo_notifier.rules.shares import Part
from tiendo_notifier.rules.table import RULES, RuleName

DAY = date(2023, 12, 7)
WHO, PARENT = "Xã Đăk Môn, Huyện Đăk Glei", "Huyện Đăk Glei"


def test_a_missed_quota_says_who_what_how_far_what_is_needed_who_answers_and_what_to_do() -> None:
    seen = closing(target=5_000, value=1_964, done=35)
    said = clears("opened", "quota_missed", WHO, PARENT, "activated", DAY, seen)
    assert said.text.vi == (
        "Xã Đăk Môn, Huyện Đăk Glei chưa đạt chỉ tiêu kích hoạt ngày 07/12/2023: 35/100, thiếu 65. "
        "Từ nay cần 132 mỗi ngày trong 23 ngày còn lại để đạt 5.000. "
        "Chịu trách nhiệm: Xã Đăk Môn, Huyện Đăk Glei; cấp trên: Huyện Đăk Glei. "
        "Việc cần làm: hỏi vướng mắc trong ngày và chia lại chỉ tiêu ngày mai."
    )
    assert said.text.en == (
        "Xã Đăk Môn, Huyện Đăk Glei missed its activation quota of 7 December 2023: 35 of 100, 65 short. "
        "From now on it needs 132 a day for 23 more days to reach 5,000. "
        "Xã Đăk Môn, Huyện Đăk Glei answers for it; above it: Huyện Đăk Glei. "
        "Next: ask what blocked the days, and share tomorrow's quota out anew."
    )


#: The rules that speak of no target: what they speak of, and a word for it.
ABOUT: dict[RuleName, tuple[str, str]] = {
    "not_reported": ("report", "báo cáo"),
    "activations_failing": ("attempts", "kích hoạt"),
    "data_quality": ("records", "hồ sơ"),
    "stalled_live": ("live", "hồ sơ"),
}


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_names_the_unit_and_has_a_next_step_in_both_languages(rule: RuleName) -> None:
    seen = replace(closing(target=5_000, value=1_300, done=0), recent=30, recent_days=7, expected_high=3_000)
    indicator, work = ABOUT.get(rule, ("intake", "thu nhận"))
    if rule == "activations_failing":
        seen = replace(seen, attempts=(Part("network", 30, 90, 10, 400),))
    if rule == "stalled_live":
        seen = replace(seen, silent_minutes=40, usual_minutes=7)
    if rule == "data_quality":
        seen = replace(seen, records=(Part("voided", 12, 90, 0, 400), Part("rejected", 0, 90, 1, 400)))
    said = clears("worsened", rule, WHO, None, indicator, DAY, seen)
    assert said.behind.vi.startswith(WHO)
    assert said.behind.en.startswith(WHO)
    assert work in said.behind.vi
    assert said.next.vi.startswith("Việc cần làm:")
    assert said.next.en.startswith("Next:")


def test_at_risk_and_a_forecast_say_what_they_go_by() -> None:
    seen = replace(closing(target=5_000, value=1_300), recent=310, recent_days=6, expected_high=3_456)
    risk = clears("opened", "at_risk", WHO, PARENT, "intake", DAY, seen)
    assert "được 310 trong 6 ngày làm việc đến ngày 07/12/2023, chậm 1.400" in risk.behind.vi
    forecast = clears("opened", "forecast_miss", WHO, PARENT, "intake", DAY, seen)
    assert "it comes to 3,456 of 5,000 at best" in forecast.behind.en


def test_good_news_says_what_was_reached_and_asks_for_nothing() -> None:
    reached = clears("resolved", "quota_missed", WHO, PARENT, "intake", DAY, closing(target=50, value=60))
    assert reached.behind.en == f"{WHO} has reached its intake target."
    assert reached.needed.en == "It has 60; the target is 50."
    paced = clears("resolved", "behind_pace", WHO, PARENT, "intake", DAY, closing(target=5_000, value=2_600))
    assert "is back on pace with intake: 2,600 of the 2,700 planned" in paced.behind.en
    early = clears("reached_early", None, WHO, PARENT, "intake", DAY, closing(target=50, value=60))
    assert early.behind.vi == f"{WHO} đạt trước hạn chỉ tiêu thu nhận hồ sơ: 60/50, còn 23 ngày."
    assert {reached.next, paced.next, early.next} == {early.next}


def test_after_the_last_day_it_says_what_is_missing() -> None:
    last = date(2023, 12, 30)
    seen = closing(last, target=5_000, value=4_000)
    said = clears("opened", "target_missed", WHO, PARENT, "intake", last, seen)
    assert said.needed.vi == "Đã hết thời gian, còn thiếu 1.000 so với chỉ tiêu 5.000."
    assert said.needed.en == "No day is left; 1,000 are missing to the target of 5,000."


def test_a_notice_in_one_language_has_the_same_bytes_each_time() -> None:
    notice = '{"data":{"message":{"vi":"Xã","en":"Commune"},"list":[{"vi":"a","en":"b"}],"vi":1}}'
    assert in_language(notice, None) == notice
    assert in_language(notice, "vi") == '{"data":{"message":{"vi":"Xã"},"list":[{"vi":"a"}],"vi":1}}'

"""What late records make of days that were said to be missed."""

from collections.abc import Sequence
from datetime import date, timedelta

from tests.support.pasts import past_of
from tiendo_notifier.rules.life import (
    AT_REST,
    UNMOVED,
    Decision,
    Revised,
    RuleStanding,
    Standing,
    judge,
    telling,
)
from tiendo_notifier.rules.messages import clears
from tiendo_notifier.rules.past import Past, Revision
from tiendo_notifier.rules.plan import Calendar, figures
from tiendo_notifier.rules.revisions import looked_at_again, seen_again
from tiendo_notifier.rules.table import RuleName, Severity
from tiendo_notifier.rules.thresholds import DEFAULTS

#: Ten days, 100 of 1,000 due on each.
CALENDAR = Calendar(date(2023, 11, 1), date(2023, 11, 10))
TARGET = 1000


def past(*done: int) -> Past:
    """Closings with these days' work."""
    return past_of([sum(done[: number + 1]) for number in range(len(done))], done)


def again(known: Past, off: Sequence[RuleName] = ()) -> dict[RuleName, RuleStanding]:
    return looked_at_again(CALENDAR, known, len(known.days), TARGET, DEFAULTS, off)


def last_day(known: Past, before: Standing) -> Decision:
    """What is decided about the last day by what is known of it by now."""
    seen = seen_again(CALENDAR, known.corrected(), 10, TARGET)
    assert seen is not None
    revised = Revised(looked_at_again(CALENDAR, known, 10, TARGET, DEFAULTS, ()), over=True)
    _, decision = judge(before, seen, DEFAULTS, historical=False, revised=revised)
    assert decision is not None
    return decision


def closed(known: Past) -> Standing:
    """The standing after all closings, each told."""
    standing = AT_REST
    for number in range(1, len(known.days) + 1):
        seen = seen_again(CALENDAR, known, number, TARGET)
        assert seen is not None
        standing, decision = judge(standing, seen, DEFAULTS, historical=False)
        if decision is not None:
            standing = telling(standing, decision)
    return standing


def test_what_a_closing_tells_of_earlier_days_counts_from_then_on_and_once() -> None:
    known = past(100, 20, 100)
    late = known.and_revised([Revision(4, 2, 200, 0, 100), Revision(4, 3, 300, 0, 100)])
    assert late.days == known.days
    assert [(day.reached, day.done) for day in late.corrected().days] == [(100, 100), (200, 100), (300, 100)]
    assert late.and_revised([Revision(5, 2, 200, 0, 100)]) is late
    later = late.and_revised([Revision(6, 2, 150, 0, 50)])
    assert [day.done for day in later.corrected().days] == [100, 50, 100]
    assert later.and_revised([Revision(5, 2, 200, 0, 100)]) is later  # an older closing, read again
    assert known.and_revised([Revision(4, 9, 1, 0, 1)]) is known  # a day that was never closed
    assert later.before(6).revised == late.revised


def test_a_run_of_missed_quotas_is_as_long_as_it_is_by_what_is_known_now() -> None:
    known = past(100, 20, 20, 20)
    assert again(known)["quota_missed"] == RuleStanding(3, firing=True)
    late = known.and_revised([Revision(5, 3, 170, 0, 70)])
    assert again(late)["quota_missed"] == RuleStanding(1)
    more = known.and_revised([Revision(5, 1, 20, 0, 20)])  # voided since
    assert again(more)["quota_missed"] == RuleStanding(4, firing=True)
    assert again(known, off=["quota_missed"]).keys() == {"target_missed"}


def test_a_miss_that_was_none_is_withdrawn_and_whoever_was_told_hears_so_once() -> None:
    known = past(*[90] * 10)
    standing = closed(known)
    assert standing.rules["target_missed"].firing
    late = known.and_revised([Revision(12, 10, 1000, 0, 190)])
    decision = last_day(late, standing)
    assert (decision.outcome, decision.rule, decision.tell) == ("withdrawn", "target_missed", "withdrawn")
    assert [finding.rule for finding in decision.findings if finding.withdrawn] == ["target_missed"]


def test_a_miss_that_is_smaller_stays_one_and_a_larger_one_worsens() -> None:
    known = past(*[90] * 10)
    standing = closed(known)
    less = last_day(known.and_revised([Revision(12, 10, 950, 0, 140)]), standing)
    assert (less.outcome, less.tell, less.severity) == ("held", None, Severity.WARNING)
    more = last_day(known.and_revised([Revision(12, 10, 700, 0, 0)]), standing)
    assert (more.outcome, more.tell, more.severity) == ("worsened", "worsened", Severity.CRITICAL)


def test_a_target_that_was_reached_and_is_so_no_more_has_been_missed() -> None:
    known = past(*[100] * 10)
    decision = last_day(known.and_revised([Revision(11, 10, 900, 0, 0)]), closed(known))
    assert (decision.outcome, decision.rule, decision.tell) == ("opened", "target_missed", "opened")


def test_quotas_that_were_not_missed_are_withdrawn_while_what_else_is_wrong_stays() -> None:
    seen = figures(CALENDAR, date(2023, 11, 5), target=TARGET, baseline=0, value=480, done=95)
    fires = RuleStanding(3, firing=True)
    alone = Standing({"quota_missed": fires}, Severity.NOTICE, Severity.NOTICE)
    revised = Revised({"quota_missed": UNMOVED})
    _, decision = judge(alone, seen, DEFAULTS, historical=False, revised=revised)
    assert decision is not None
    assert (decision.outcome, decision.rule, decision.tell) == ("withdrawn", "quota_missed", "withdrawn")

    slow = figures(CALENDAR, date(2023, 11, 5), target=TARGET, baseline=0, value=400, done=95)
    both = Standing({"quota_missed": fires, "behind_pace": fires}, Severity.NOTICE, Severity.NOTICE)
    _, decision = judge(both, slow, DEFAULTS, historical=False, revised=revised)
    assert decision is not None
    assert (decision.outcome, decision.rule, decision.tell) == ("held", "behind_pace", None)
    assert [finding.rule for finding in decision.findings if finding.withdrawn] == ["quota_missed"]

    # The closing itself clears the other one: then not all that was said was wrong.
    _, decision = judge(both, seen, DEFAULTS, historical=False, revised=revised)
    assert decision is not None
    assert decision.outcome == "resolved"


def test_a_day_that_is_bad_again_leaves_nothing_to_withdraw() -> None:
    seen = figures(CALENDAR, date(2023, 11, 5), target=TARGET, baseline=0, value=480, done=10)
    before = Standing({"quota_missed": RuleStanding(4, firing=True)}, Severity.NOTICE, Severity.NOTICE)
    revised = Revised({"quota_missed": RuleStanding(2)})
    _, decision = judge(before, seen, DEFAULTS, historical=False, revised=revised)
    assert decision is not None
    assert decision.outcome == "held"
    assert not any(finding.withdrawn for finding in decision.findings)


def test_an_incident_that_nobody_heard_of_is_withdrawn_in_silence() -> None:
    known = past(*[90] * 10)
    standing = Standing({"target_missed": RuleStanding(1, firing=True)}, Severity.WARNING)
    decision = last_day(known.and_revised([Revision(12, 10, 1000, 0, 190)]), standing)
    assert (decision.outcome, decision.tell) == ("withdrawn", None)


def test_a_revision_says_in_both_languages_what_it_takes_back() -> None:
    seen = seen_again(CALENDAR, past(*[100] * 10), 10, TARGET)
    assert seen is not None
    day = CALENDAR.last_day + timedelta(days=2)
    whole = clears("withdrawn", "target_missed", "Xã Xốp", None, "activated", day, seen)
    quota = clears("withdrawn", "quota_missed", "Xã Xốp", None, "activated", day, seen)
    assert "rút lại cảnh báo không đạt" in whole.behind.vi
    assert "reached its activation target in time" in whole.behind.en
    assert "quotas were not missed" in quota.behind.en
    assert whole.next.en == "Nothing more is to be done."

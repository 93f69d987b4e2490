"""What communes say of those who remain, followed from tree to tree."""

from datetime import UTC, date, datetime

import pytest

from tests.support.units import CENSUS, REFORM, row, small
from tiendo_aggregator.rules.remaining import Remaining, RemainingReport, standing_reports
from tiendo_aggregator.rules.units import History, Reorganisation

FIRST = date(2023, 11, 11)
# 00001 and 00002 are merged into 00008, and that with 00003 into 00009.
GAZETTEER = small("01 -\n00001 01\n00002 01\n00003 01", "01 -\n00003 01\n00008 01", "01 -\n00009 01")
HISTORY = History(
    GAZETTEER,
    [
        Reorganisation(effective_on=CENSUS, rows=(row("00001", "00008"), row("00002", "00008"))),
        Reorganisation(effective_on=REFORM, rows=(row("00003", "00009"), row("00008", "00009"))),
    ],
)


def report(unit: str, day: date, citizens: int) -> RemainingReport:
    lines = (Remaining(reason="abroad", citizens=citizens),)
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    return RemainingReport(unit, "intake", day, 1, lines, "s", "a", moment, day)


EARLY = [report("00001", FIRST, 1), report("00002", FIRST, 2), report("00003", FIRST, 4)]


@pytest.mark.parametrize(
    ("reports", "on", "stands"),
    [
        (EARLY, FIRST, {"00001": 1, "00002": 2, "00003": 4}),
        (EARLY, CENSUS, {"00008": 3, "00003": 4}),
        (EARLY, REFORM, {"00009": 7}),
        # A merged commune speaks for its parts, and not for others; what it said is carried on like theirs.
        ([*EARLY, report("00008", CENSUS, 8)], REFORM, {"00009": 12}),
        ([*EARLY, report("00008", CENSUS, 8), report("00009", REFORM, 16)], REFORM, {"00009": 16}),
        # The order in which they are read does not matter.
        ([report("00009", REFORM, 16), report("00008", CENSUS, 8), *EARLY], REFORM, {"00009": 16}),
    ],
)
def test_nobody_who_remains_is_counted_twice_or_lost(
    reports: list[RemainingReport], on: date, stands: dict[str, int]
) -> None:
    def sums(day: date) -> dict[str, int]:
        found = standing_reports(reports, HISTORY.follow("01", FIRST, day))
        return {
            unit: sum(each.document.lines[0].citizens for each in said) for (unit, _), said in found.items()
        }

    assert sums(on) == stands


def test_a_report_on_a_tree_that_was_taken_back_says_nothing() -> None:
    history = History(GAZETTEER)
    followed = history.follow("01", FIRST, FIRST)
    found = standing_reports([report("00008", FIRST, 8)], followed)
    assert found == {}

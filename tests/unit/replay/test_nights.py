"""Lines of night shifts: done after midnight, of the day on which the shift began."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from typing import Any

import pytest

from tests.unit.replay.support import campaign, run
from tiendo.replay.campaigns.campaign import INDICATORS, Campaign
from tiendo.replay.citizens import Lives
from tiendo.replay.schedule import REJECTED, Round, Schedule, SendingDay
from tiendo_common.clock import VIETNAM
from tiendo_common.nights import DayEnd


def with_nights(name: str = "kon-tum-2023", share: float = 0.1) -> Campaign:
    end = DayEnd(time(2), after_midnight=True)
    return replace(campaign(name), day_end=end, nights=share)


def days(campaign: Campaign, seed: int = 1) -> list[SendingDay]:
    return Schedule(Lives(campaign, seed)).days


def lines(round_: Round) -> Iterator[dict[str, Any]]:
    for phase in round_.phases:
        for chunk in phase.chunks(500):
            for line, expected in zip(chunk.lines, chunk.expected, strict=True):
                if expected != REJECTED:
                    yield json.loads(line)


def nights(campaign: Campaign) -> Iterator[tuple[SendingDay, Round]]:
    for day in days(campaign):
        for round_ in day.rounds:
            if round_.at.date() > day.day:
                yield day, round_


@pytest.mark.parametrize("name", ["kon-tum-2023", "binh-phuoc-2023"])
@pytest.mark.parametrize("shuffled", [False, True])
def test_nights_leave_the_published_counts_what_they_are(name: str, shuffled: bool) -> None:
    done = run(with_nights(name), 1, shuffled=shuffled)
    assert done.surprises == []
    counted = done.register.counts(done.last_day, set(done.campaign.communes))
    before = done.register.counts(done.eve, set(done.campaign.communes))
    for indicator in INDICATORS:
        for level in (1, 2):
            assert counted[indicator][level] == done.campaign.counts[indicator].at(level)
            assert before[indicator][level] == done.campaign.baseline[indicator].at(level)


def test_each_day_has_the_counts_that_it_would_have_without_nights() -> None:
    with_, without = run(with_nights(), 3), run(campaign("kon-tum-2023"), 3)
    communes = set(with_.campaign.communes)
    for day in ("2023-11-12", "2023-11-20", "2023-12-01", "2023-12-07"):
        assert with_.register.counts(day, communes) == without.register.counts(day, communes)


def test_a_night_line_is_of_the_date_after_its_working_day_and_sent_before_that_day_ends() -> None:
    kon_tum = with_nights()
    found = 0
    for day, round_ in nights(kon_tum):
        assert round_.at == datetime.combine(day.day + timedelta(days=1), time(1, 30), VIETNAM)
        assert round_.at < kon_tum.ends_at(day.day)
        for line in lines(round_):
            at = datetime.fromisoformat(line["occurred_at"])
            assert date.fromisoformat(line["working_day"]) == day.day
            assert at.date() == day.day + timedelta(days=1)
            assert at <= round_.at
            found += 1
    assert found > 500


def test_no_line_of_the_day_names_a_working_day() -> None:
    for day in days(with_nights()):
        for round_ in day.rounds:
            if round_.at.date() == day.day:
                assert not any("working_day" in line for line in lines(round_))


def test_only_teams_work_at_night() -> None:
    told = [line for _, round_ in nights(with_nights()) for line in lines(round_)]
    assert all("collecting_unit" in line for line in told)
    assert {"level" in line for line in told} == {False, True}  # takings as well as activations


def test_the_night_shift_does_about_the_share_that_it_is_said_to_do() -> None:
    kon_tum = with_nights(share=0.1)
    by_night = by_day = 0
    for day in days(kon_tum):
        for round_ in day.rounds:
            at_night = round_.at.date() > day.day
            for line in lines(round_):
                if "collecting_unit" in line and ("level" in line or "result" in line):
                    by_night, by_day = by_night + at_night, by_day + (not at_night)
    assert by_night / (by_night + by_day) == pytest.approx(0.1, rel=0.2)


def test_the_last_day_of_the_figures_has_its_night() -> None:
    dien_bien = campaign("dien-bien-2023")
    assert days(dien_bien)[-1].rounds[-1].at == datetime(2023, 7, 16, 1, 30, tzinfo=VIETNAM)


def test_the_eve_of_a_campaign_with_nights_has_none() -> None:
    eve = days(with_nights("binh-phuoc-2023"))[0]
    assert {round_.at for round_ in eve.rounds} == {datetime(2023, 6, 19, 20, tzinfo=VIETNAM)}


def test_of_a_campaign_that_names_no_nights_everything_is_sent_in_the_evening() -> None:
    for day in days(campaign("kon-tum-2023")):
        assert [round_.at for round_ in day.rounds] == [datetime.combine(day.day, time(20), VIETNAM)]

"""Units by day and campaigns, as a producing service knows them."""

from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import Literal

import msgspec
import pytest

from tiendo_aggregator.rules.units import Gazetteer, merge_editions
from tiendo_aggregator.storage.facts import read_editions
from tiendo_common.clock import VIETNAM, local_day
from tiendo_common.errors import Invalid, Unavailable
from tiendo_common.events.directory import CLOCK_SKEW, OLDEST_RECORD, Directory, UnknownCampaign
from tiendo_common.events.state import (
    CampaignPublication,
    CampaignPublished,
    HamletSpan,
    UnitPublication,
    UnitPublished,
    UnitSpan,
)

Level = Literal["province", "district", "commune"]

DAY = date(2023, 11, 12)
REFORM = date(2025, 7, 1)
NOW = datetime(2023, 11, 12, 13, 0, tzinfo=UTC)


def put_unit(
    directory: Directory, code: str, *spans: UnitSpan, loaded: int = 3, hamlets: tuple[HamletSpan, ...] = ()
) -> None:
    data = UnitPublication(code=code, spans=spans, loaded=loaded, hamlets=hamlets or msgspec.UNSET)
    directory.put_unit(
        UnitPublished(id=code, source="/vn/aggregator", subject=code, time=NOW, partitionkey=code, data=data)
    )


def span(level: Level, *, until: date | None = None, since: date = date(2004, 1, 1)) -> UnitSpan:
    return UnitSpan(from_day=since, until_day=until, parent=None, level=level, name=f"a {level}")


@pytest.fixture
def directory() -> Directory:
    directory = Directory()
    put_unit(directory, "62", span("province"))
    put_unit(directory, "610", span("district", until=REFORM))
    # The same code, first a commune and, after a year in which there was none, another.
    put_unit(
        directory,
        "23341",
        span("commune", until=date(2022, 1, 1)),
        span("commune", since=date(2023, 1, 1), until=REFORM),
    )
    directory.put_campaign(
        CampaignPublished(
            id="1",
            source="/vn/aggregator",
            subject="62",
            time=NOW,
            partitionkey="kon-tum-2023",
            data=CampaignPublication(
                campaign="kon-tum-2023",
                name="Kon Tum",
                province="62",
                first_day=date(2023, 11, 11),
                last_day=date(2023, 12, 30),
                day_cut_off=time(21),
            ),
        )
    )
    return directory


def test_it_is_complete_once_as_many_units_are_there_as_were_loaded() -> None:
    directory = Directory()
    with pytest.raises(Unavailable):
        directory.check_complete()
    standings = []
    for code, loaded in (("62", 2), ("62", 2), ("610", 2), ("63", 4)):
        put_unit(directory, code, span("province"), loaded=loaded)
        standings.append(directory.complete)
    assert standings == [False, False, True, False]


@pytest.mark.parametrize(
    ("code", "day"),
    [
        ("62", DAY),
        ("610", REFORM - timedelta(days=1)),
        ("23341", date(2021, 12, 31)),
        ("23341", date(2023, 1, 1)),
        ("23341", DAY),
    ],
)
def test_a_unit_is_known_on_the_days_of_its_spans(directory: Directory, code: str, day: date) -> None:
    directory.check_unit(code, day, "collecting_unit")


def test_what_was_ever_below_a_province_is_what_the_aggregator_says() -> None:
    """The filter of a tally must lose no unit that is to be proven."""
    spans = merge_editions(read_editions(Path(__file__).parents[3] / "data"))
    directory, gazetteer = Directory(), Gazetteer(spans)
    for code, each in spans.items():
        put_unit(directory, code, *each, loaded=len(spans))
    assert directory.complete
    for province in ("62", "70", "51", "01", "00004"):
        ever = directory.ever_below(province)
        assert ever == gazetteer.ever_below(province)
        assert ever
    with pytest.raises(Invalid, match="No unit has the code 99"):
        directory.ever_below("99")


@pytest.mark.parametrize(
    ("code", "day", "says"),
    [
        ("99999", DAY, "No unit has the code 99999"),
        ("610", REFORM, "did not exist on 2025-07-01"),
        ("23341", date(2022, 1, 1), "did not exist on 2022-01-01"),
        (
            "23341",
            date(2022, 12, 31),
            "valid from 2004-01-01 to 2021-12-31 and from 2023-01-01 to 2025-06-30",
        ),
        ("62", date(2003, 12, 31), "did not exist on 2003-12-31"),
    ],
)
def test_a_unit_of_another_date_is_refused(directory: Directory, code: str, day: date, says: str) -> None:
    with pytest.raises(Invalid, match=says) as caught:
        directory.check_unit(code, day, "residence_unit")
    assert caught.value.field == "residence_unit"


@pytest.mark.parametrize("code", ["62", "610"])
def test_where_a_commune_is_needed_nothing_larger_will_do(directory: Directory, code: str) -> None:
    with pytest.raises(Invalid, match="the commune is needed"):
        directory.check_unit(code, DAY, "residence_unit", commune=True)
    directory.check_unit("23341", DAY, "residence_unit", commune=True)


def hamlet(code: str, since: date, until: date | None = None) -> HamletSpan:
    return HamletSpan(code=code, from_day=since, until_day=until, name=f"Thôn {code}")


def test_a_hamlet_stands_for_its_commune_on_its_own_days(directory: Directory) -> None:
    commune = span("commune", until=REFORM)
    put_unit(directory, "23344", commune, hamlets=(hamlet("2334401", DAY, REFORM),))
    # It goes on in another commune, whose document comes by itself.
    put_unit(directory, "23350", span("commune", since=REFORM), hamlets=(hamlet("2334401", REFORM),))
    for day in (DAY, REFORM):
        directory.check_unit("2334401", day, "residence_unit", commune=True)
        directory.check_unit("2334401", day, "collecting_unit")
    with pytest.raises(Invalid, match="valid from 2023-11-12 to 2025-06-30 and from 2025-07-01 on"):
        directory.check_unit("2334401", DAY - timedelta(days=1), "residence_unit", commune=True)
    with pytest.raises(Invalid, match="the commune is needed, or a hamlet of it"):
        directory.check_unit("610", DAY, "residence_unit", commune=True)
    # Where a commune itself is meant, also right after it was good elsewhere.
    directory.check_unit("2334401", DAY, "residence_unit", commune=True)
    with pytest.raises(Invalid, match="No unit has the code 2334401"):
        directory.check_unit("2334401", DAY, "unit", commune=True, hamlets=False)


def test_hamlets_that_a_commune_is_published_without_are_forgotten(directory: Directory) -> None:
    put_unit(directory, "23344", span("commune"), hamlets=(hamlet("1", DAY), hamlet("2", DAY)))
    assert directory.ever_below("23344") == ["1", "2", "23344"]
    directory.check_unit("1", DAY, "residence_unit")
    put_unit(directory, "23344", span("commune"), hamlets=(hamlet("2", DAY),))
    assert directory.ever_below("23344") == ["2", "23344"]
    with pytest.raises(Invalid, match="No unit has the code 1"):
        directory.check_unit("1", DAY, "residence_unit")


def check_moment(directory: Directory, moment: datetime, campaign: str = "kon-tum-2023") -> None:
    directory.check_moment(moment, local_day(moment), NOW, campaign)


def test_an_unknown_campaign_may_be_known_a_moment_later(directory: Directory) -> None:
    with pytest.raises(UnknownCampaign) as caught:
        check_moment(directory, NOW, "kon-tum-2024")
    assert (caught.value.field, caught.value.retryable) == ("campaign", True)


def test_a_time_in_the_future_is_refused_with_a_margin_for_other_clocks(directory: Directory) -> None:
    check_moment(directory, NOW + CLOCK_SKEW)
    with pytest.raises(Invalid, match="future") as caught:
        check_moment(directory, NOW + CLOCK_SKEW + timedelta(seconds=1))
    assert caught.value.field == "occurred_at"


def test_baseline_records_are_accepted_and_far_older_ones_are_not(directory: Directory) -> None:
    oldest = date(2023, 11, 11) - OLDEST_RECORD
    check_moment(directory, datetime.combine(oldest, time(0), VIETNAM))
    with pytest.raises(Invalid, match="three years") as caught:
        check_moment(directory, datetime.combine(oldest, time(0), VIETNAM) - timedelta(seconds=1))
    assert caught.value.field == "occurred_at"


def test_it_knows_which_province_runs_a_campaign(directory: Directory) -> None:
    assert directory.province_of("kon-tum-2023") == "62"

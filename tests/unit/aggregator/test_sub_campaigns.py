"""Sub-campaigns: what makes a campaign a part of another."""

from datetime import date
from typing import Any

import pytest

from tests.support.campaigns import campaign
from tests.support.units import CENSUS, country, row, small
from tiendo_aggregator.errors import PlanContradicted
from tiendo_aggregator.rules.going_on import GoingOn, Stop
from tiendo_aggregator.rules.plan import Campaign, check_place
from tiendo_aggregator.rules.sub_campaigns import check_parent, check_sub_campaigns
from tiendo_aggregator.rules.units import History, Reorganisation
from tiendo_common.errors import Invalid

FIRST, LAST = date(2023, 11, 11), date(2024, 2, 29)
HISTORY = History(country())
#: A district of Kon Tum, one of its communes, and one of another district.
TOWN, WARD, ELSEWHERE = "608", "23281", "23427"


def named(id_: str, first_day: date = FIRST, last_day: date = LAST, **more: Any) -> Campaign:
    return campaign(first_day, last_day, id=id_, **more)


WHOLE = named("whole")
PART = named("part", parent="whole", units=(TOWN,))


def check(one: Campaign, *others: Campaign, history: History = HISTORY) -> None:
    check_parent(one, {each.id: each for each in (*others, one)}, history)


def test_a_campaign_of_some_units_days_or_all_of_them_is_a_part() -> None:
    check(PART, WHOLE)
    check(named("same", parent="whole"), WHOLE)
    check(named("deeper", parent="part", units=(WARD,), first_day=LAST), WHOLE, PART)
    # After the last day of one that goes on.
    open_end = named("whole", going_on=GoingOn(indicator="intake"))
    check(named("late", parent="whole", first_day=date(2024, 3, 1), last_day=date(2024, 4, 1)), open_end)


@pytest.mark.parametrize(
    ("field", "words", "change"),
    [
        ("parent", "part of itself", {"parent": "x"}),
        ("parent", "no campaign 'nobody'", {"parent": "nobody"}),
        ("first_day", "before part does on 2023-11-11", {"first_day": date(2023, 11, 10)}),
        ("last_day", "works to 2024-02-29", {"last_day": date(2024, 3, 1)}),
        ("going_on", "without an end", {"going_on": GoingOn(indicator="intake")}),
        (
            "going_on",
            "to 2024-03-02",
            {"going_on": GoingOn(indicator="intake", stop=Stop(number="1", signed_by="S", last_day=date(2024, 3, 2)))},
        ),
        ("province", "is in 62 on 2023-11-11", {"province": "70", "units": ()}),
        ("units", r"1 communes of x are none of part: .*\(23427\)", {"units": (ELSEWHERE, WARD)}),
        ("units", "92 communes|communes of x are none of part", {"units": ()}),
    ],
)  # fmt: skip
def test_what_is_no_part_is_refused(field: str, words: str, change: dict[str, Any]) -> None:
    x = named("x", **{"parent": "part", "units": (WARD,), **change})
    with pytest.raises(Invalid, match=words) as caught:
        check(x, WHOLE, PART)
    assert caught.value.field == field


def test_parts_of_each_other_are_refused_and_the_ring_is_named() -> None:
    low = named("low", parent="part", units=(TOWN,))
    with pytest.raises(Invalid, match="part in low in part") as caught:
        check(named("part", parent="low", units=(TOWN,)), WHOLE, low)
    assert caught.value.field == "parent"


def test_a_parent_keeps_what_its_parts_are_about() -> None:
    check_sub_campaigns(named("whole", units=(TOWN, ELSEWHERE)), [PART], HISTORY)
    stopped = GoingOn(indicator="intake", stop=Stop(number="1", signed_by="S", last_day=date(2024, 3, 9)))
    late = named("late", parent="whole", units=(TOWN,), last_day=date(2024, 3, 10))
    changes: list[tuple[str, Campaign, dict[str, Any]]] = [
        ("first_day", PART, {"first_day": date(2023, 11, 12)}),
        ("last_day", PART, {"last_day": date(2024, 2, 28)}),
        ("last_day", late, {"going_on": stopped}),
        ("province", PART, {"province": "70"}),
        ("units", PART, {"units": (ELSEWHERE,)}),
        # One ward of the town is left out.
        ("units", PART, {"units": (WARD,)}),
    ]
    for field, part, change in changes:
        with pytest.raises(PlanContradicted, match=f"^{part.id} is a part of this campaign") as caught:
            check_sub_campaigns(named("whole", **change), [WHOLE, part], HISTORY)
        assert caught.value.field == field


def test_a_part_on_a_later_tree_has_what_its_parents_units_became() -> None:
    gazetteer = small(
        "01 -\n00001 01\n00002 01\n02 -\n00003 02", "01 -\n00001 01\n00002 01\n00003 01\n02 -\n00004 02"
    )
    merged = Reorganisation(effective_on=CENSUS, rows=(row("00003", "00003"),))
    after = {"first_day": CENSUS, "last_day": CENSUS}
    parent = named("whole", province="01", first_day=FIRST, last_day=CENSUS)
    # Commune 00003 came from another province: it has never been the parent's.
    part = named("part", parent="whole", province="01", **after)
    with pytest.raises(Invalid, match="00003"):
        check(part, parent, history=History(gazetteer, [merged]))
    check(named("part", parent="whole", province="01", units=("00001",), **after), parent,
          history=History(gazetteer, [merged]))  # fmt: skip


def test_each_fault_of_units_is_named() -> None:
    tree = country().as_of(FIRST)
    faults = [
        (("00001",), "units.0", "no district or commune of Tỉnh Kon Tum"),
        (("62",), "units.0", "no district or commune"),
        ((WARD, WARD), "units.1", "is there twice"),
        ((TOWN, WARD), "units.1", r"\(23281\) is in 608 and in 23281"),
    ]
    for units, field, words in faults:
        with pytest.raises(Invalid, match=words) as caught:
            check_place(named("x", units=units), tree)
        assert caught.value.field == field

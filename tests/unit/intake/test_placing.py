"""Parting a divided commune's records: exact quotas, nobody's choice, and no word about those who had moved away."""

from collections import Counter
from datetime import date, timedelta
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiendo_common.errors import Invalid
from tiendo_intake.rules import Decided, Fact, Moved, Placed, Taken, decide, segments
from tiendo_intake.rules.placing import (
    Division,
    check_division,
    code_to_leave,
    part_of_each,
    quotas,
)

DAY = date(2023, 11, 18)
UNIT, PART, ELSEWHERE, OLD = "23341", "23339", "23344", "39998"
DIVISION = Division(
    reorganisation="1", unit=UNIT, day=DAY, stays=UNIT, shares={UNIT: 3, PART: 1}, taken_in=(OLD,)
)
PLACED = Placed(DAY, UNIT, PART, "1")


def taken(on: int = -5, unit: str = UNIT) -> Taken:
    return Taken(DAY + timedelta(on), 2, unit, unit, "mobile")


def moved(on: int, to: str = ELSEWHERE) -> Moved:
    return Moved(DAY + timedelta(on), to)


def lives(*facts: Fact) -> list[str | None]:
    """Where, on the eve, the day and ten days later."""
    parts = segments(facts)
    answer: list[str | None] = []
    for day in (DAY - timedelta(1), DAY, DAY + timedelta(10)):
        found = [p for p in parts if p.from_day <= day and (p.until_day is None or day < p.until_day)]
        answer.append(found[0].residence if found else None)
    return answer


@given(
    st.sets(st.uuids(), max_size=40),
    st.dictionaries(st.sampled_from(["00001", "00002", "00003"]), st.integers(0, 50), min_size=2).filter(
        lambda shares: any(shares.values())
    ),
    st.randoms(),
)
def test_each_part_has_its_quota_and_the_order_of_the_records_says_nothing(
    ids: set[UUID], shares: dict[str, int], random: object
) -> None:
    division = Division(reorganisation="1", unit=UNIT, day=DAY, stays=min(shares), shares=shares)
    records = [str(each) for each in ids]
    found = part_of_each(division, records)
    random.shuffle(records)  # type: ignore[attr-defined]
    assert part_of_each(division, records) == found
    assert found.keys() == set(records)
    whole = sum(shares.values())
    counted = Counter(found.values())
    for part, weight in shares.items():
        assert abs(counted[part] * whole - len(records) * weight) < whole


def test_quotas_sum_exactly_and_of_equal_remainders_the_earlier_gets_it() -> None:
    assert quotas(10, [1, 3]) == [3, 7]
    assert quotas(10, [1, 1, 1]) == [4, 3, 3]
    assert quotas(0, [1, 2]) == [0, 0]
    assert quotas(5, [0, 2]) == [0, 5]


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        ((taken(),), UNIT),
        ((taken(), Decided(DAY, True)), UNIT),
        ((taken(-1),), UNIT),
        # Taken on the day or later, it was taken in the part that is meant.
        ((taken(0),), None),
        ((taken(unit=ELSEWHERE),), None),
        ((taken(), moved(-1)), None),
        ((taken(), moved(0)), None),
        ((taken(), moved(1)), UNIT),
        ((taken(unit=ELSEWHERE), moved(-1, UNIT)), UNIT),
        ((taken(unit=OLD),), OLD),
        ((taken(unit=OLD), moved(0)), None),
        # He moved within what is divided on its day: which part is meant is his own word.
        ((taken(unit=OLD), moved(0, UNIT)), None),
        ((), None),
    ],
)
def test_placed_is_who_lived_there_on_the_eve(facts: tuple[Fact, ...], wanted: str | None) -> None:
    assert code_to_leave(DIVISION, segments(facts)) == wanted


def test_a_placement_holds_from_the_day_on_for_those_who_lived_there() -> None:
    assert lives(taken(), PLACED) == [UNIT, PART, PART]
    # Told late: the citizen had moved away, or was recorded in the wrong place from the start.
    assert lives(taken(), PLACED, moved(-2)) == [ELSEWHERE, ELSEWHERE, ELSEWHERE]
    assert lives(taken(unit=ELSEWHERE), PLACED) == [ELSEWHERE, ELSEWHERE, ELSEWHERE]
    assert lives(taken(), PLACED, moved(3)) == [UNIT, PART, ELSEWHERE]
    assert lives(taken(), PLACED, moved(0)) == [UNIT, ELSEWHERE, ELSEWHERE]


def test_without_its_placement_a_dossier_is_as_if_there_had_been_none() -> None:
    before = (taken(), Decided(DAY, True))
    after = (*before, PLACED, moved(5))
    assert segments(tuple(fact for fact in after if fact != PLACED)) == segments((*before, moved(5)))
    assert decide(after, moved(7, UNIT))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"shares": {UNIT: 1}}, "shares"),
        ({"shares": {UNIT: 0, PART: 0}}, "shares"),
        ({"stays": ELSEWHERE}, "stays"),
    ],
)
def test_what_parts_nothing_is_refused(change: dict[str, object], field: str) -> None:
    said = {"reorganisation": "1", "unit": UNIT, "day": DAY, "stays": UNIT, "shares": {UNIT: 3, PART: 1}}
    with pytest.raises(Invalid) as refused:
        check_division(Division(**{**said, **change}))  # type: ignore[arg-type]
    assert refused.value.field == field

"""The worked example of docs/events.md is what the rules publish and what a fold makes of it."""

from collections import Counter
from collections.abc import Sequence
from datetime import date
from pathlib import Path

import pytest

from tests.support.event_model import Citizen, ToActivation, ToIntake, Told, fold_segments
from tiendo_activation.rules import Switched
from tiendo_common.events.restatements import Segment
from tiendo_intake.rules import Decided, Moved, Taken, Void

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text(encoding="utf-8")
HA_MON, DAK_HA, DAK_LA = "23521", "23500", "23524"


def november(day: int) -> date:
    return date(2023, 11, day)


STEPS: list[ToIntake | ToActivation] = [
    ToIntake("taken", Taken(november(13), 1, HA_MON, HA_MON, "mobile")),
    ToIntake("approved", Decided(november(15), True)),
    ToActivation("activated", "succeeded", Switched(november(16), True, november(16), HA_MON)),
    ToIntake("upgraded", Taken(november(20), 2, HA_MON, DAK_HA, "fixed")),
    ToIntake("moved", Moved(november(25), DAK_LA)),
    ToIntake("voided", Void()),
]


@pytest.fixture(scope="module")
def told() -> dict[str, dict[str, Told]]:
    """What each step publishes on each topic."""
    citizen = Citizen()
    by_step: dict[str, dict[str, Told]] = {}
    for step in STEPS:
        before = [len(topic) for topic in citizen.topics]
        citizen.send(step)
        citizen.follow()
        by_step[step.name] = {
            each.indicator: each
            for topic, known in zip(citizen.topics, before, strict=True)
            for each in topic[known:]
        }
    return by_step


def spans(segments: Sequence[Segment]) -> str:
    return ", ".join(
        f"{each.from_day.day}–{each.until_day.day if each.until_day else ''} L{each.level} {each.residence}"
        for each in segments
    )


def test_each_step_is_told_where_the_page_says(told: dict[str, dict[str, Told]]) -> None:
    assert {step: set(events) for step, events in told.items()} == {
        "taken": {"intake"},
        "approved": {"approved"},
        "activated": {"activated"},
        "upgraded": {"intake", "approved", "activated"},
        "moved": {"intake", "approved", "activated"},
        "voided": {"intake", "approved", "activated"},
    }


@pytest.mark.parametrize(
    ("step", "indicator", "row"),
    [
        ("taken", "intake", "| taken | intake: recorded |"),
        ("approved", "approved", "| approved | approval: approved |"),
        ("activated", "activated", "| activated | activation: activated |"),
        ("upgraded", "intake", "| upgraded | intake: upgraded |"),
        ("upgraded", "approved", "| | approval: upgraded |"),
        ("upgraded", "activated", "| | activation: dossier |"),
        ("moved", "intake", "| moved | intake: moved |"),
    ],
)
def test_the_page_shows_the_segments_that_are_published(
    step: str, indicator: str, row: str, told: dict[str, dict[str, Told]]
) -> None:
    event = told[step][indicator]
    assert f"{row} {spans(event.before) or '–'} | {spans(event.after)} |" in PAGE


def test_the_page_shows_what_the_counters_come_to(told: dict[str, dict[str, Told]]) -> None:
    sums: Counter[tuple[date, str]] = Counter()
    rows = []
    for step, events in told.items():
        if "intake" not in events:
            continue
        for day, sign, segment in fold_segments(events["intake"]):
            sums[day, f"{segment.residence} L{segment.level}"] += sign
        cells = []
        for day in (november(15), november(20), november(25)):
            places: Counter[str] = Counter()
            for (since, place), n in sums.items():
                places[place] += n * (since <= day)
            cells.append(", ".join(f"{place}: {n}" for place, n in places.items() if n) or "nothing")
        rows.append(f"| {step} | {' | '.join(cells)} |")
    assert "\n".join(rows) in PAGE

"""Progress: sums up the tree, set against the plan."""

from datetime import UTC, date, datetime

import pytest

from tests.support.campaigns import campaign
from tiendo_aggregator.rules.plan import Figure, Plan, unit_targets
from tiendo_aggregator.rules.progress import Count, UnitProgress, publications, unit_progress
from tiendo_aggregator.rules.units import Tree
from tiendo_common.events.state import IndicatorProgress, UnitSpan

D = date(2023, 11, 11)


def unit(level: str, parent: str | None) -> UnitSpan:
    return UnitSpan(from_day=D, until_day=None, parent=parent, level=level, name=f"in {parent}")  # type: ignore[arg-type]


TREE = Tree(
    {
        "62": unit("province", None),
        "611": unit("district", "62"),
        "612": unit("district", "62"),
        "00001": unit("commune", "611"),
        "00002": unit("commune", "611"),
        "00003": unit("commune", "612"),
    }
)
PLAN = Plan(
    campaign=campaign(
        D,
        D,
        figures=(
            Figure(id="of_target", indicator="intake", over="target", decimals=1),
            Figure(id="of_eligible", indicator="intake", over="eligible", decimals=2),
            Figure(id="of_approved", indicator="activated", over="approved", decimals=0),
            Figure(id="no_target", indicator="approved", over="target", decimals=0),
        ),
    ),
    targets={"intake": 300},
    eligible={"00001": 100, "00002": 200, "00003": 700},
)
COUNTS = [
    Count("00001", "intake", 1, 10, 4),
    Count("00001", "intake", 2, 5, 1),
    Count("00003", "intake", 2, 70, 0),
    Count("611", "intake", 2, 2, 0),  # a district's own team
    Count("00003", "activated", 2, 7, 0),
]


def report(root: str = "62", depth: int = 2) -> dict[str, UnitProgress]:
    targets = unit_targets(PLAN, TREE)
    inside = set(TREE.below(root))
    counts = [each for each in COUNTS if each.unit in inside]
    return {each.code: each for each in unit_progress(PLAN, targets, {}, TREE, root, depth, counts)}


def test_each_unit_has_its_own_and_all_below_it() -> None:
    units = report()
    assert list(units) == ["62", "611", "00001", "00002", "612", "00003"]
    assert {code: each.indicators["intake"].value for code, each in units.items()} == {
        "62": 87,
        "611": 17,
        "00001": 15,
        "00002": 0,
        "612": 70,
        "00003": 70,
    }
    intake = units["62"].indicators["intake"]
    assert (intake.level_1, intake.level_2, intake.baseline, intake.since_baseline) == (10, 77, 5, 82)
    assert (intake.target, intake.eligible) == (300, 1000)
    assert units["611"].indicators["intake"].eligible == 300


def test_figures_are_cut_and_null_without_a_denominator() -> None:
    figures = {
        ratio.id: (ratio.numerator, ratio.denominator, ratio.percent) for ratio in report()["62"].figures
    }
    assert figures == {
        "of_target": (87, 300, "29.0"),
        "of_eligible": (87, 1000, "8.70"),
        "of_approved": (7, 0, None),
        "no_target": (0, None, None),
    }


@pytest.mark.parametrize(("depth", "codes"), [(0, ["611"]), (1, ["611", "00001", "00002"])])
def test_depth_limits_what_is_listed_and_not_what_is_summed(depth: int, codes: list[str]) -> None:
    units = report("611", depth)
    assert list(units) == codes
    assert units["611"].indicators["intake"].value == 17


def test_a_unit_that_the_plan_does_not_know_has_no_target_and_no_eligible() -> None:
    tree = Tree({**TREE.units, "00009": unit("commune", "612")})
    [*_, stranger] = unit_progress(PLAN, unit_targets(PLAN, TREE), {}, tree, "62", 2, [])
    assert stranger.code == "00009"
    assert (stranger.indicators["intake"].target, stranger.indicators["intake"].eligible) == (None, None)


def test_published_totals_are_by_residence_and_the_work_by_team() -> None:
    now = datetime(2023, 11, 11, 14, tzinfo=UTC)
    documents = publications("c", TREE, "62", D, now, COUNTS, [("00002", "intake", 9), ("612", "intake", 1)])
    by_unit = {document.unit: document.intake for document in documents}
    assert len(documents) == 6
    assert by_unit["62"] == IndicatorProgress(value=87, baseline=5, done=10)
    assert by_unit["00002"] == IndicatorProgress(value=0, baseline=0, done=9)
    assert by_unit["612"] == IndicatorProgress(value=70, baseline=0, done=1)

"""The generator's lines, held against an independent plain model of the services."""

import json
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.unit.replay.support import CAMPAIGNS, REPORTED, Run, campaign, run
from tiendo.replay.campaigns.campaign import INDICATORS
from tiendo.replay.citizens import Lives
from tiendo.replay.schedule import REJECTED, Chunk, Schedule
from tiendo_activation.http_schemas import ActivationLine
from tiendo_common.service.lines import FactLine, LineDecoder
from tiendo_intake.http_schemas import AmendmentLine, ApprovalLine, IntakeLine


def chunks(name: str, seed: int, scale: float = 0.02) -> Iterator[Chunk]:
    for day in Schedule(Lives(campaign(name, scale), seed)).days:
        for round_ in day.rounds:
            for phase in round_.phases:
                yield from phase.chunks(500)


@pytest.mark.parametrize("name", CAMPAIGNS)
def test_the_services_can_read_every_line_that_is_to_be_accepted(name: str) -> None:
    kinds: dict[str, type[FactLine]] = {
        "/v1/intakes": IntakeLine,
        "/v1/approvals": ApprovalLine,
        "/v1/amendments": AmendmentLine,
        "/v1/activations": ActivationLine,
    }
    decoders = {path: LineDecoder(kind) for path, kind in kinds.items()}
    seen = Counter[str]()
    for chunk in chunks(name, 1):
        for line, expected in zip(chunk.lines, chunk.expected, strict=True):
            if expected != REJECTED:
                decoders[chunk.path].decode(line.encode("latin-1"))
                seen[chunk.path] += 1
    assert set(seen) == set(kinds)


def assert_published(done: Run) -> None:
    residents = set(done.campaign.communes)
    counted = done.register.counts(done.last_day, residents)
    before = done.register.counts(done.eve, residents)
    for indicator in INDICATORS:
        for level in (1, 2):
            assert counted[indicator][level] == done.campaign.counts[indicator].at(level), indicator
            assert before[indicator][level] == done.campaign.baseline[indicator].at(level), indicator


@pytest.fixture(scope="module", params=REPORTED)
def done(request: pytest.FixtureRequest) -> Run:
    return run(campaign(request.param, 0.05), 5)


@pytest.mark.parametrize(
    ("name", "seed"),
    [(name, seed) for name in CAMPAIGNS for seed in ((1, 2, 3, 20231207) if name in REPORTED else (1,))],
)
def test_every_seed_comes_out_with_exactly_the_published_counts(name: str, seed: int) -> None:
    done = run(campaign(name), seed)
    assert done.surprises == []
    assert_published(done)


@pytest.mark.parametrize("name", REPORTED)
def test_the_order_within_a_phase_and_between_services_does_not_matter(name: str) -> None:
    done = run(campaign(name), 4, shuffled=True)
    assert done.surprises == []
    assert_published(done)


@pytest.mark.long  # tests/e2e sends all of it through the services
def test_kon_tum_at_full_size_gives_the_published_figures() -> None:
    done = run(campaign("kon-tum-2023", 1.0), 1, size=4000)
    counted = done.register.counts("2023-12-07", set(done.campaign.communes))
    assert counted["intake"] == Counter({1: 75_908, 2: 218_020})
    assert counted["activated"] == Counter({1: 17_791, 2: 164_978})
    assert counted["approved"].total() == 234_319
    assert done.surprises == []
    assert 700_000 < done.lines < 850_000


def test_shares_are_near_what_was_asked(done: Run) -> None:
    kinds = done.register.kinds
    takings = kinds["taken"]
    for repeat, first in (("taking", "taken"), ("decision", "approved"), ("switch", "succeeded")):
        assert kinds[f"duplicate {repeat}"] / kinds[first] == pytest.approx(0.03, rel=0.2)
    assert done.expected["duplicate"] / done.lines == pytest.approx(0.03, rel=0.2)
    assert kinds["voided"] / takings == pytest.approx(0.01, rel=0.2)
    assert kinds["taken again"] == kinds["voided"]
    assert kinds["corrected"] / takings == pytest.approx(0.005, rel=0.3)
    assert kinds["moved"] / takings == pytest.approx(0.01, rel=0.2)
    assert done.expected["rejected"] / done.lines == pytest.approx(0.002, rel=0.2)
    assert done.singly / done.lines == pytest.approx(0.005, rel=0.3)


def test_a_part_of_the_lines_comes_days_late() -> None:
    done = run(campaign("kon-tum-2023", 0.05), 6)
    assert 0.012 < done.late / done.lines < 0.04


def test_lives_have_all_that_happens_to_dossiers(done: Run) -> None:
    kinds = done.register.kinds
    for kind in ("upgraded", "rejection", "failed", "deactivated", "reactivated", "corrected", "moved"):
        assert kinds[kind] > 0, kind
    repeats = {kind for kind in kinds if kind.startswith("duplicate")}
    assert repeats == {"duplicate taking", "duplicate decision", "duplicate switch"}


def test_some_activations_come_ahead_of_their_approval(done: Run) -> None:
    register = done.register
    ahead = 0
    for citizen, switches in register.switches.items():
        dossier = register.dossiers.get(citizen)
        if dossier and dossier.approved_on("9999") and switches:
            ahead += switches[0][0] < min(day for day, approved in dossier.decisions if approved)
    assert 0.005 < ahead / len(register.switches) < 0.05


def test_citizens_of_other_provinces_are_taken_here_and_not_counted(done: Run) -> None:
    residents = set(done.campaign.communes)
    dossiers = [dossier for dossier in done.register.dossiers.values() if dossier]
    outside = sum(dossier.home_on(done.last_day) not in residents for dossier in dossiers)
    assert outside > 0
    assert len(dossiers) - outside == done.campaign.counts["intake"].total


def test_both_systems_number_their_lines_from_one(done: Run) -> None:
    ids: dict[tuple[str, int], list[int]] = {}
    for chunk in chunks(done.campaign.id, 5):
        for line in chunk.lines:
            try:
                found = json.loads(line.encode("latin-1"))
            except ValueError:
                continue
            if isinstance(found, dict):
                ids.setdefault((chunk.service, chunk.system), []).append(int(found["line_id"]))
    assert set(ids) == {("intake", 0), ("intake", 1), ("activation", 0), ("activation", 1)}
    for numbers in ids.values():
        assert len(set(numbers)) == len(numbers)
        assert 1 in numbers
        assert max(numbers) < len(numbers) * 1.01 + 20  # but for the unreadable ones, none is left out


def test_repeats_differ_in_a_field_sometimes() -> None:
    first: dict[str, dict[str, object]] = {}
    same = other = 0
    for chunk in chunks("kon-tum-2023", 1, 0.05):
        if chunk.path != "/v1/intakes":
            continue
        for line, expected in zip(chunk.lines, chunk.expected, strict=True):
            if expected == REJECTED:
                continue
            said = json.loads(line)
            if chunk.system == 0:
                first.setdefault(said["citizen_id"], said)
            else:
                known = first[said["citizen_id"]]
                keys = ("level", "residence_unit", "collecting_unit", "channel", "cohorts")
                differs = any(said[key] != known[key] for key in keys)
                same, other = same + (not differs), other + differs
    assert other / (same + other) == pytest.approx(0.3, abs=0.1)


def test_no_request_begins_with_a_bracket() -> None:
    for name in REPORTED:
        for chunk in chunks(name, 3):
            assert chunk.singly or not chunk.lines[0].startswith("[")


def test_the_same_seed_says_the_same_again_and_another_does_not() -> None:
    one, again, other = (
        [line for chunk in chunks("binh-phuoc-2023", seed, 0.005) for line in chunk.lines]
        for seed in (7, 7, 8)
    )
    assert one == again
    assert one[0].split(",")[1] != other[0].split(",")[1]


def test_chunks_of_a_phase_can_be_written_in_any_order_of_phases() -> None:
    schedule = Schedule(Lives(campaign("kon-tum-2023", 0.005), 1))
    phases = [phase for day in schedule.days for round_ in day.rounds for phase in round_.phases]
    forwards = [[chunk.lines for chunk in phase.chunks(100)] for phase in phases]
    backwards = [[chunk.lines for chunk in phase.chunks(100)] for phase in reversed(phases)]
    assert forwards == backwards[::-1]


def test_no_two_campaigns_invent_the_same_person() -> None:
    people = [set(Lives(campaign(name, 0.05), 1).numbers) for name in CAMPAIGNS]
    assert all(people)
    assert len(set().union(*people)) == sum(len(each) for each in people)


def test_campaigns_in_one_instance_leave_each_other_their_figures() -> None:
    one, other = (campaign(name) for name in REPORTED)
    for mine, theirs in ((one, other), (other, one)):
        counted = run(mine, 1).register.counts(theirs.last_day.isoformat(), set(theirs.communes))
        assert not counted["intake"]


@pytest.mark.parametrize("name", REPORTED)
def test_nobody_is_younger_than_fourteen_or_counted_twice(name: str) -> None:
    lives = Lives(campaign(name, 0.1), 2)
    assert len(set(lives.numbers)) == len(lives.numbers)
    for number in lives.numbers:
        digits = f"{number:012d}"
        born = 1900 + int(digits[3]) // 2 * 100 + int(digits[4:6])
        assert 1925 <= born <= 2023 - 15
        assert digits[:3] in lives.campaign.birth_provinces


def test_the_named_communes_of_kon_tum_are_best_and_low() -> None:
    kon_tum = campaign("kon-tum-2023", 0.1)
    for seed in (1, 2):
        counted = run(kon_tum, seed).register.activated_by_home("2023-12-07")
        intake_targets, activation_targets = (
            kon_tum.commune_targets("intake"),
            kon_tum.commune_targets("activated"),
        )
        assert intake_targets is not None
        assert activation_targets is not None
        taken = {code: counted["intake"][code] / target for code, target in intake_targets.items()}
        on = {code: counted["activated"][code] / target for code, target in activation_targets.items()}
        assert {code for code, ratio in taken.items() if ratio >= 1} == set(kon_tum.met)
        assert set(sorted(on, key=on.__getitem__)[-5:]) == set(kon_tum.met)
        assert set(sorted(taken, key=taken.__getitem__)[:14]) == set(kon_tum.low)
        assert set(sorted(on, key=on.__getitem__)[:14]) == set(kon_tum.low)


def test_officials_of_binh_phuoc_all_have_level_2_at_the_end() -> None:
    binh_phuoc = campaign("binh-phuoc-2023")
    assert "officials" in binh_phuoc.level_2_cohorts
    at_level_1: set[str] = set()
    officials: set[str] = set()
    done = run(binh_phuoc, 1)
    for chunk in chunks("binh-phuoc-2023", 1):
        for line in chunk.lines:
            if '"officials"' in line:
                officials.add(json.loads(line)["citizen_id"])
    for citizen in officials:
        dossier = done.register.dossiers[citizen]
        if dossier is not None and dossier.level_on("9999") == 1:
            at_level_1.add(citizen)
    assert officials
    assert at_level_1 == set()


def test_weekends_are_quieter_and_the_start_is_slow() -> None:
    lives = Lives(campaign("kon-tum-2023", 0.2), 1)
    taken = [len(slot[0]) for slot in lives.events]
    assert sum(taken[:3]) < sum(taken[10:13])
    sundays = [n for day, n in enumerate(taken) if (day + 5) % 7 == 6 and day > 6]
    weekdays = [n for day, n in enumerate(taken) if (day + 5) % 7 < 5 and day > 6]
    assert sum(sundays) / len(sundays) < 0.75 * sum(weekdays) / len(weekdays)

"""Many citizens, whose lines come late, twice, corrected, voided and in any order.

What is counted as known on any day is what a plain model gives for the lines that were accepted by then.

The lines go through the services' own rules, the events through the aggregator's own fold, in another order than they
were published in. The model (`truth`) knows neither segments nor deltas.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.event_model import (
    DAYS,
    Cell,
    Citizen,
    ToActivation,
    ToIntake,
    Told,
    Waits,
    day,
    reached,
    right,
    truth,
    waits,
)
from tiendo_activation.rules import Switched
from tiendo_aggregator.rules import counting
from tiendo_aggregator.rules.checksum import checksum
from tiendo_aggregator.rules.counting import (
    APPROVED,
    ATTRIBUTIONS,
    INDICATORS,
    PASSAGES,
    TAKEN,
    Counted,
    Folded,
    add_up,
    fold,
    totals,
)
from tiendo_aggregator.rules.reconciliation import Whole
from tiendo_common.events.restatements import (
    AccountRestated,
    AccountRestatement,
    ApprovalRestated,
    ApprovalRestatement,
    AttemptFailed,
    FailedAttempt,
    Failure,
    IntakeRestated,
    IntakeRestatement,
)
from tiendo_intake.rules import Correction, Decided, Moved, Taken, Void

#: Lines become known on these days; what they tell of may lie before or between.
KNOWN = tuple(DAYS[-1] + timedelta(days=n) for n in range(-4, 4))

units, levels, days = st.sampled_from("ABC"), st.sampled_from([1, 2]), st.integers(0, len(DAYS) - 1)
takes = st.builds(
    lambda on, level, unit, by: Taken(day(on), level, unit, by, "mobile"), days, levels, units, units
)
changes = st.one_of(
    takes,
    st.builds(lambda on, to: Moved(day(on), to), days, units),
    # Without an approval nothing of what follows counts as more than an intake: most are approved.
    st.builds(lambda on: Decided(day(on), True), days),
    st.builds(lambda on: Decided(day(on), True), days),
    st.builds(lambda on: Decided(day(on), False, "photo"), days),
    st.builds(Correction, st.none() | levels, st.none() | units, st.none() | units).filter(
        lambda each: any((each.level, each.residence, each.collecting))
    ),
    st.just(Void()),
)
to_intake = st.builds(lambda action: ToIntake(str(action), action), changes)
first_to_intake = st.builds(lambda action: ToIntake(str(action), action), takes)
to_activation = st.builds(
    lambda on, result, by: ToActivation(
        result, result, Switched(day(on), result != "deactivated", day(on), by, "home")
    ),
    days,
    st.sampled_from(["succeeded", "deactivated", "reactivated"]),
    st.none() | units,
)


@dataclass
class Known:
    """A citizen, and what was on record at the end of each day: lines taken, dossiers followed, switches taken,
    attempts that failed."""

    citizen: Citizen = field(default_factory=Citizen)
    at: dict[date, tuple[int, int, int, int]] = field(default_factory=dict)


@dataclass(frozen=True)
class Happened:
    """All that was published, each event with the day on which it became known; and everybody's state by day."""

    events: Sequence[Counted]
    people: Sequence[Known]


@st.composite
def happenings(draw: Any) -> Happened:
    """Up to four citizens, up to thirty steps in the order in which they were accepted: a line, the same line again, or
    activation reading one more dossier, or one that it has read before."""
    people = [Known() for _ in range(draw(st.integers(1, 4)))]
    events: list[Counted] = []
    steps = draw(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 8)), min_size=4, max_size=30))
    today = iter(sorted(draw(st.lists(st.sampled_from(KNOWN), min_size=len(steps), max_size=len(steps)))))
    lines: list[tuple[Citizen, ToIntake | ToActivation]] = []
    for (who, what), known in zip(steps, today, strict=True):
        person = people[who % len(people)]
        citizen = person.citizen
        published = [len(topic) for topic in citizen.topics]
        if not citizen.desk.accepted or what <= 2:
            # A void leaves nothing to change: then somebody takes a dossier again.
            line = draw(to_intake if citizen.desk.facts else first_to_intake)
            lines.append((citizen, line))
            citizen.send(line)
        elif what == 3 and lines:
            # Sent again, late, perhaps after it was corrected or voided.
            of, line = lines[draw(st.integers(0, len(lines) - 1))]
            if of is citizen:
                citizen.send(line)
        elif what == 4 and citizen.followed:
            citizen.follow_again(draw(st.integers(1, citizen.followed)))
        elif what == 5:
            line = draw(to_activation)
            lines.append((citizen, line))
            citizen.send(line)
        elif what == 6:
            citizen.fail(draw(units), day(draw(days)))
            events.append(attempt(citizen.failures[-1], known))
        else:
            citizen.follow()
        for topic, before in zip(citizen.topics, published, strict=True):
            events += [event(told, known) for told in topic[before:]]
        person.at[known] = (
            len(citizen.desk.accepted),
            citizen.followed,
            len(citizen.switches),
            len(citizen.failures),
        )
    return Happened(events, people)


NOON = datetime(2023, 11, 1, 12, tzinfo=UTC)
ATTRIBUTES: dict[str, Any] = {
    "id": "1", "source": "/vn/test", "subject": "A", "time": NOON, "partitionkey": "r",
}  # fmt: skip


def event(told: Told, known: date) -> Counted:
    said: dict[str, Any] = {
        "record_id": "r", "version": 1, "occurred_at": NOON, "known_day": known,
        "before": told.before, "after": told.after,
    }  # fmt: skip
    if told.indicator == "intake":
        return IntakeRestated(data=IntakeRestatement(change="recorded", **said), **ATTRIBUTES)
    if told.indicator == "approved":
        said |= {"rejected_before": told.rejected_before, "rejected_after": told.rejected_after}
        return ApprovalRestated(data=ApprovalRestatement(change="approved", **said), **ATTRIBUTES)
    said |= {"failures_before": told.failures_before, "failures_after": told.failures_after}
    return AccountRestated(data=AccountRestatement(change="activated", **said), **ATTRIBUTES)


def attempt(failure: Failure, known: date) -> Counted:
    said: dict[str, Any] = {"record_id": None, "occurred_at": NOON, "collecting": None, "channel": None}
    return AttemptFailed(
        data=FailedAttempt(reason="network", known_day=known, failure=failure, **said), **ATTRIBUTES
    )


def as_known(people: Sequence[Known], known_at: date) -> Counter[Cell]:
    """The model: where everybody counts on each day, from the lines that were on record at the end of `known_at`."""
    counts: Counter[Cell] = Counter()
    for person in people:
        days = [each for each in person.at if each <= known_at]
        if not days:
            continue
        lines, followed, switches, _ = person.at[max(days)]
        accepted = person.citizen.desk.accepted
        switched = person.citizen.switches[:switches]
        counts.update(cell for cell in truth(accepted[:lines], []))
        # Activation counts by the dossiers that it has read: a day later, perhaps.
        counts.update(cell for cell in truth(accepted[:followed], switched) if cell[0] == "activated")
    return counts


UNHURRIED = settings(
    deadline=None, max_examples=250, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@UNHURRIED
@given(happenings(), st.randoms(use_true_random=False), st.integers(1, 5))
def test_any_interleaving_gives_what_the_accepted_lines_give_as_known_on_any_day(
    happened: Happened, random: Random, batches: int
) -> None:
    events = list(happened.events)
    random.shuffle(events)
    cells = totals(add_up([fold(events[place::batches]) for place in range(batches)]))
    for known_at in KNOWN:
        counts: Counter[Cell] = Counter()
        for (unit, attribution, since, known, indicator, level), n in cells.items():
            if known <= known_at:
                for today in DAYS:
                    if since <= today:
                        counts[INDICATORS[indicator], ATTRIBUTIONS[attribution], unit, level, today] += n
        assert {cell: n for cell, n in counts.items() if n} == as_known(happened.people, known_at)


def waiting_as_known(people: Sequence[Known], known_at: date, window: timedelta) -> Counter[Waits]:
    """The model: who waited for what since when on each day, from what was on record at the end of `known_at`."""
    counts: Counter[Waits] = Counter()
    for person in people:
        days = [each for each in person.at if each <= known_at]
        if days:
            lines, followed, switches, failures = person.at[max(days)]
            accepted, switched = person.citizen.desk.accepted, person.citizen.switches[:switches]
            failed = person.citizen.failures[:failures]
            counts.update(waits(accepted[:lines]))
            counts.update(reached(accepted[:followed], switched, window))
            counts.update(right(accepted[:followed], switched, failed))
            counts.update(
                ("failed_network", each.unit, today, each.day)
                for each in failed for today in DAYS if each.day <= today
            )  # fmt: skip
    return counts


@UNHURRIED
@given(happenings(), st.randoms(use_true_random=False), st.integers(1, 5), st.integers(1, 3))
def test_any_interleaving_tells_who_waits_and_since_when(
    happened: Happened, random: Random, batches: int, window: int
) -> None:
    events = list(happened.events)
    random.shuffle(events)
    with pytest.MonkeyPatch.context() as patch:
        # So that in nine days some come late.
        patch.setattr(counting, "ACTIVATION_WINDOW", timedelta(days=window))
        folded = add_up([fold(events[place::batches]) for place in range(batches)])
    for known_at in KNOWN:
        counts: Counter[Waits] = Counter()
        for today in DAYS:
            for (unit, what, since), n in since_when(folded, today, known_at).items():
                if PASSAGES[what] in ("taken", "decided"):
                    counts["undecided", unit, today, since] += n if what == TAKEN else -n
                else:
                    counts[PASSAGES[what], unit, today, since] += n
        assert {cell: n for cell, n in counts.items() if n} == waiting_as_known(
            happened.people, known_at, timedelta(days=window)
        )


def since_when(folded: Folded, as_of: date, known_at: date) -> Counter[tuple[str, int, date]]:
    """What storage.passages asks PostgreSQL."""
    sums: Counter[tuple[str, int, date]] = Counter()
    for (unit, on, known, what, since), n in folded.passages.items():
        if on <= as_of and known <= known_at:
            sums[unit, what, since] += n
            if what in (TAKEN, APPROVED):
                sums[unit, what, on] -= n
    for (on, known, indicator, _, residence, _), (n, *_) in folded.counts.items():
        if on <= as_of and known <= known_at and indicator in (TAKEN, APPROVED):
            sums[residence, indicator, on] += n
    return sums


@UNHURRIED
@given(happenings(), st.integers(0, 40))
def test_what_is_folded_anew_is_what_was_folded_live(happened: Happened, arrived: int) -> None:
    """Live: in batches, as they came. Anew: up to the same event at once, by the fold of rebuilds. The checksum is that
    of the records, whatever day they became known on."""
    events = list(happened.events)[:arrived]
    live = totals(add_up([Folded(), *(fold([each]) for each in events)]))
    assert live == totals(fold(events))
    if len(events) == len(happened.events):
        from_records: Counter[Whole] = Counter()
        for person in happened.people:
            for indicator, topic in enumerate(person.citizen.topics):
                for segment in topic[-1].after if topic else ():
                    for attribution, unit in enumerate((segment.residence, segment.collecting)):
                        from_records[unit, attribution, segment.from_day, indicator, segment.level] += 1
                        if segment.until_day is not None:
                            from_records[unit, attribution, segment.until_day, indicator, segment.level] -= 1
        by_day: Counter[Whole] = Counter()
        for (unit, attribution, since, _known, indicator, level), n in live.items():
            by_day[unit, attribution, since, indicator, level] += n
        assert checksum(by_day) == checksum(from_records)

"""The suite's own idea of a citizen's life agrees with the services' rules, line by line and day by day.

They were written apart. Where they disagree, one of them reads the documents wrongly.
"""

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TypeVar

import msgspec
import pytest

from tests.chaos.lines import Campaign, Citizen
from tests.chaos.lives import Document, Kind, Outcome
from tiendo_activation import rules as activation
from tiendo_activation.errors import NotActivated
from tiendo_activation.http_schemas import ActivationLine
from tiendo_common.clock import local_day
from tiendo_common.events.restatements import DossierSegment, Segment
from tiendo_intake import http_schemas as intake_lines
from tiendo_intake import rules as intake
from tiendo_intake.errors import NoDossier

NOW = datetime(2026, 3, 20, 5, 0, tzinfo=UTC)
SegmentT = TypeVar("SegmentT", DossierSegment, Segment)
COMMUNES = [str(code) for code in range(21001, 21009)]


class Ruled:
    """A citizen as the services' rules have him."""

    def __init__(self) -> None:
        self.facts: tuple[intake.Fact, ...] | None = None
        self.switches: tuple[activation.Switched, ...] = ()

    def take(self, kind: Kind, line: Document) -> Outcome:
        raw = json.dumps(line)
        if kind == "activations":
            return self._switch(msgspec.json.decode(raw, type=ActivationLine))
        if kind == "intakes":
            submission = intake_lines.intake_submission(
                "", msgspec.json.decode(raw, type=intake_lines.IntakeLine)
            )
        elif kind == "approvals":
            decided = msgspec.json.decode(raw, type=intake_lines.ApprovalLine)
            submission = intake_lines.approval_submission("", decided)
        else:
            amended = msgspec.json.decode(raw, type=intake_lines.AmendmentLine)
            submission = intake_lines.amendment_submission("", amended)
        try:
            outcome = intake.decide(self.facts, submission.action)
        except NoDossier:
            return "rejected"
        if isinstance(outcome, intake.Duplicate):
            return "duplicate"
        self.facts = outcome.facts
        return "accepted"

    def _switch(self, line: ActivationLine) -> Outcome:
        assert line.result != "failed"
        day = local_day(line.occurred_at)
        switch = activation.Switched(
            day, line.result != "deactivated", day, line.collecting_unit, line.channel, line.team
        )
        try:
            if isinstance(activation.decide(self.switches, line.result, switch), activation.Duplicate):
                return "duplicate"
        except NotActivated:
            return "rejected"
        self.switches = (*self.switches, switch)
        return "accepted"

    @property
    def dossier(self) -> tuple[DossierSegment, ...]:
        return intake.segments(self.facts or ())

    @property
    def active(self) -> tuple[Segment, ...]:
        return activation.segments(self.dossier, self.switches)


def holding(segments: Sequence[SegmentT], day: date) -> SegmentT | None:
    """The segment that a day is in."""
    found = [
        each for each in segments if each.from_day <= day and (each.until_day is None or day < each.until_day)
    ]
    assert len(found) <= 1
    return found[0] if found else None


@pytest.mark.parametrize("seed", range(4))
def test_answers_and_days_are_those_of_the_rules(seed: int) -> None:
    campaign = Campaign(COMMUNES, "51", NOW, days=6)
    for number in range(150):
        citizen, ruled = Citizen(seed, number, campaign), Ruled()
        for _ in range(25):
            kind, line = citizen.next_line()
            expected = citizen.life.take(kind, line)
            if line.get("result") != "failed":
                assert ruled.take(kind, line) == expected, (kind, line, citizen.history)
        for day in (campaign.first_day, *citizen.life.days(), campaign.last_day):
            dossier, active = holding(ruled.dossier, day), holding(ruled.active, day)
            mine, mine_active = citizen.life.on(day), citizen.life.active_on(day)
            assert _said(mine) == _said(dossier)
            assert _said(mine_active) == _said(active)


def _said(standing: object) -> dict[str, object] | None:
    if standing is None:
        return None
    said: dict[str, object] = msgspec.to_builtins(standing)
    return {name: value for name, value in said.items() if name not in ("from_day", "until_day", "team")}

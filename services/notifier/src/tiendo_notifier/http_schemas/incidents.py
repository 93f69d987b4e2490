"""What is told of incidents, of the decisions that made them, and of how rules do."""

from datetime import date
from typing import Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field

from tiendo_common.service.documents import Sent
from tiendo_notifier.http_schemas import Document, Indicator, SeverityName, severity_name
from tiendo_notifier.rules.life import Outcome
from tiendo_notifier.rules.table import RuleName
from tiendo_notifier.storage.tables import AcknowledgementRow, DecisionRow, IncidentRow

IncidentState = Literal["open", "notified", "acknowledged", "escalated", "resolved"]

Step = Literal["opened", "worsened", "resolved", "withdrawn"]


class Figures(Document):
    """A unit's closing figures on one indicator beside its plan, in citizens. The day is over: what is
    needed is counted from the next one."""

    day_number: int = Field(description="Which day of the campaign it is, from 1.")
    days: int = Field(description="Calendar days in the campaign.")
    days_left: int = Field(description="Days after this one to which the plan gives work.")
    target: int = Field(description="To be reached by the last day, baseline included.")
    baseline: int = Field(description="Reached before the first day.")
    value: int = Field(description="Reached by the end of the day, by residence.")
    done: int = Field(description="Done on the day, credited to the collecting unit.")
    quota: int = Field(description="The plan for the day.")
    shortfall: int = Field(description="What the day's quota lacks.")
    actual: int = Field(description="Reached since the campaign began: value − baseline.")
    planned: int = Field(description="The plan by the end of the day.")
    gap: int = Field(description="planned − actual; negative when ahead.")
    needed_per_day: int | None = Field(
        description="Needed on each day left to reach the target, rounded up; null when no day is left."
    )
    works: bool = Field(True, description="Whether the plan gives work to the day.")
    recent: int | None = Field(None, description="Gained in the last week; null: too few closings are known.")
    recent_days: int = Field(0, description="The working days of that week.")
    idle_days: int = Field(0, description="Working days up to this one on which nothing was done.")
    usual: int = Field(0, description="Done in the `usual_days` working days before those.")
    usual_days: int = Field(0, description="At most 14; 0: too few closings are known.")
    expected: int | None = Field(None, description="The forecast of the last day; null: there is none.")
    unreported_days: int | None = Field(
        None,
        description="Working days in a row without a report by the cut-off; null: this is not about reports.",
    )
    expected_high: int | None = Field(None, description="The upper end of its 80% interval.")
    attempts: list["Share"] | None = Field(
        None,
        description="Attempts to activate by the reason for which they failed; null: this is not about attempts.",
    )
    records: list["Share"] | None = Field(
        None, description="Dossiers by what was wrong with them; null: this is not about dossiers."
    )
    silent_minutes: int | None = Field(
        None,
        description="Minutes of working time in which nothing has come; null: the unit doesn't report live.",
    )
    usual_minutes: int | None = Field(
        None, description="Minutes of working time that usually lie between two; null: that isn't known."
    )


class Share(Document):
    """One kind's part in all there was at a unit: in the last three days, and in the fourteen before those."""

    kind: str = Field(examples=["old_device", "voided"])
    recent: int
    recent_all: int
    usual: int
    usual_all: int


class StepOut(Document):
    """A step in an incident's life."""

    decision: UUID = Field(description="The decision behind it.")
    step: Step
    day: date = Field(description="The day whose closing led to it.")
    rule: RuleName | None
    severity: SeverityName | None
    reason: str
    message: UUID | None = Field(description="What told of it, the `webhook-id`; null: nobody was told.")
    at: AwareDatetime

    @classmethod
    def of(cls, row: DecisionRow) -> Self:
        return cls.model_validate(
            row.model_dump()
            | {"decision": row.id, "step": row.outcome, "severity": severity_name(row.severity)}
        )


class AcknowledgementIn(Sent):
    """Taking an incident on."""

    note: str | None = Field(
        None, max_length=500, pattern=r"^[^\x00]*$", description="What is being done about it."
    )


class Acknowledgement(Document):
    """Somebody has taken an incident on. It lapses when the incident worsens."""

    author: str = Field(description="The name of the API key.")
    note: str | None
    at: AwareDatetime


class Incident(Document):
    """A stretch of trouble with one target of one unit, from the first rule that fired until all were clear."""

    id: UUID
    campaign: str = Field(examples=["kon-tum-2023"])
    unit: str = Field(examples=["23341"])
    unit_name: str = Field(description="With the district, for a commune.")
    indicator: Indicator
    rule: RuleName = Field(description="The rule that leads: the worst of those that fire.")
    rules: list[RuleName] = Field(description="All that have fired in this incident.")
    state: IncidentState = Field(
        description="open: nobody was told. notified. acknowledged: somebody has taken it on. escalated: nobody "
        "has, and the level above was told. resolved: over."
    )
    severity: SeverityName = Field(description="The highest so far.")
    opened_day: date
    last_day: date = Field(description="The last day that was judged.")
    resolved_day: date | None
    needed_per_day: int | None = Field(
        description="From `last_day` on, to reach the target; null: no day left."
    )
    figures: Figures = Field(description="As of the end of `last_day`.")
    addressee: str = Field(description="The unit that was told last: its own, or one above it.")
    next_step: AwareDatetime | None = Field(
        description="When the level above is told if nobody acknowledges; null: it is not."
    )
    acknowledged: Acknowledgement | None = Field(description="Who has taken it on.")
    steps: list[StepOut] = Field(description="Oldest first.")

    @classmethod
    def of(cls, row: IncidentRow, steps: list[DecisionRow], taken: AcknowledgementRow | None) -> Self:
        return cls.model_validate(
            row.model_dump()
            | {
                "severity": severity_name(row.severity),
                "needed_per_day": row.figures["needed_per_day"],
                "steps": [StepOut.of(each) for each in steps],
                "acknowledged": None if taken is None else Acknowledgement.model_validate(taken),
            }
        )


class Incidents(Document):
    """A page of incidents, newest first."""

    incidents: list[Incident]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null: the last page.")


class Finding(Document):
    """What one rule said of the day."""

    rule: RuleName
    condition: Literal["bad", "between", "clear", "silent"]
    run: int = Field(description="Bad closings in a row, this one included.")
    firing: bool
    severity: SeverityName | None
    explanation: str
    withdrawn: bool = Field(False, description="It fired, and late records show that it should not have.")


class Decision(Document):
    """What was decided about a target on a day, also the decision to tell nobody, with what it was decided from."""

    id: UUID
    campaign: str
    unit: str
    indicator: Indicator
    rule: RuleName | None = Field(description="The rule that leads; null: none had anything to say.")
    from_day: date = Field(description="The first of the days decided about; differs from `day` only where "
                                       "the outcome is `not_judged`.")  # fmt: skip
    day: date
    outcome: Outcome = Field(
        description="opened, worsened, resolved: the incident moved. withdrawn: it is over, and late records show that "
        "it should not have been. reached_early: good news. held: nothing moved, "
        "see `reason`. not_judged: no closing figures of those days are known."
    )
    severity: SeverityName | None
    reason: str
    findings: list[Finding] = Field(description="Of each rule that had anything to say.")
    historical: bool = Field(description="The day was long gone when it was judged, so nobody was called.")
    incident: UUID | None
    message: UUID | None = Field(description="What was put on its way to destinations; null: nothing was.")
    kept_back: str | None = Field(description="Why it was not told, where it would have been.")
    at: AwareDatetime
    inputs: dict[str, Any] = Field(
        description="`before`: the standing before; `figures`; `revised`: how rules stand by late records, where these "
        "changed what was said of days. With the policy, the same inputs decide the same."
    )
    policy: dict[str, Any] | None = Field(
        description="`thresholds` and rules that were `off`, with the versions they come from; null: decided before "
        "there were any."
    )

    @classmethod
    def of(cls, row: DecisionRow, policy: dict[str, Any] | None) -> Self:
        findings = [each | {"severity": severity_name(each["severity"])} for each in row.findings]
        return cls.model_validate(
            row.model_dump()
            | {"severity": severity_name(row.severity), "findings": findings, "policy": policy}
        )


class RuleFigures(Document):
    """What became of the incidents in which a rule fired."""

    rule: RuleName
    fired: int = Field(description="Incidents in which it fired.")
    led: int = Field(description="Incidents that it leads: it was the worst.")
    told: int = Field(description="Of those in which it fired: somebody was told.")
    acknowledged: int
    escalated: int = Field(description="Nobody had acknowledged in time.")
    resolved: int
    resolved_untold: int = Field(description="Over before anybody was told.")
    withdrawn: int = Field(description="It fired, and late records showed that it should not have.")
    seconds_to_acknowledge: float | None = Field(description="The median, from the first news.")
    days_to_resolve: float | None = Field(description="The median, from the day it opened.")


class RulesOut(Document):
    """Figures of each rule that ever fired."""

    rules: list[RuleFigures]


class Decisions(Document):
    """A page of decisions, newest first."""

    decisions: list[Decision]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null: the last page.")

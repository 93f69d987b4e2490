"""The documents of the HTTP interface."""

from dataclasses import fields
from datetime import date
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import msgspec
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, create_model

from tiendo_common.service.documents import Sent, in_words
from tiendo_notifier.rules.life import Outcome
from tiendo_notifier.rules.table import RULES, RuleName, Severity
from tiendo_notifier.rules.thresholds import Thresholds as Limits
from tiendo_notifier.storage.policies import Stored
from tiendo_notifier.storage.tables import DecisionRow, DeliveryRow, DestinationRow, IncidentRow

Indicator = Literal["intake", "approved", "activated"]
SeverityName = Literal["notice", "warning", "critical"]
IncidentState = Literal["open", "notified", "acknowledged", "escalated", "resolved"]
Step = Literal["opened", "worsened", "resolved"]
DeliveryState = Literal["pending", "delivered", "failed"]
DestinationName = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="Lower-case letters, digits, - and _."),
    in_words("small letters, digits, hyphens and underscores, 63 at most, beginning with a letter or digit"),
]


class Document(BaseModel):
    """Base of what is answered."""

    model_config = ConfigDict(from_attributes=True)


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
    expected_high: int | None = Field(None, description="The upper end of its 80% interval.")


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
            row.model_dump() | {"decision": row.id, "step": row.outcome, "severity": _severity(row.severity)}
        )


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
    steps: list[StepOut] = Field(description="Oldest first.")

    @classmethod
    def of(cls, row: IncidentRow, steps: list[DecisionRow]) -> Self:
        return cls.model_validate(
            row.model_dump()
            | {
                "severity": _severity(row.severity),
                "needed_per_day": row.figures["needed_per_day"],
                "steps": [StepOut.of(each) for each in steps],
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
        description="opened, worsened, resolved: the incident moved. reached_early: good news. held: nothing moved, "
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
        description="`before`: the standing before; `figures`. With the policy, the same inputs decide the same."
    )
    policy: dict[str, Any] | None = Field(
        description="`thresholds` and rules that were `off`, with the versions they come from; null: decided before "
        "there were any."
    )

    @classmethod
    def of(cls, row: DecisionRow) -> Self:
        findings = [each | {"severity": _severity(each["severity"])} for each in row.findings]
        return cls.model_validate(
            row.model_dump() | {"severity": _severity(row.severity), "findings": findings}
        )


class Decisions(Document):
    """A page of decisions, newest first."""

    decisions: list[Decision]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null: the last page.")


class DestinationIn(Sent):
    """Where to send alerts, and which."""

    url: str = Field(description="http or https, to a public address.", examples=["https://example.org/hook"])
    secret: str | None = Field(
        None,
        description="`whsec_` and then 24 to 64 bytes in base64. Absent: a new destination gets one, an old "
        "one keeps its own.",
    )
    units: list[str] | None = Field(
        None, min_length=1, max_length=1000,
        description="Only these units and those below them. Absent: all.", examples=[["608"]],
    )  # fmt: skip
    rules: list[RuleName] | None = Field(None, min_length=1, description="Only these rules. Absent: all.")


class Destination(Document):
    """Where alerts go. Its secret is never shown."""

    name: str
    url: str
    units: list[str] | None
    rules: list[RuleName] | None
    disabled: str | None = Field(description="Why nothing is sent there any more; PUT switches it on again.")
    created_at: AwareDatetime
    changed_at: AwareDatetime

    @classmethod
    def of(cls, row: DestinationRow) -> Self:
        return cls.model_validate(row)


class DestinationKept(Destination):
    """A destination as it was just stored."""

    secret: str | None = Field(description="The secret that was generated; shown this once.")


class Destinations(Document):
    """All destinations."""

    destinations: list[Destination]


class Delivery(Document):
    """One notice on its way to one destination."""

    id: int
    message_id: UUID = Field(description="The `webhook-id` of every try, the same for every destination.")
    destination: str
    state: DeliveryState
    attempts: int
    due: AwareDatetime | None = Field(description="When it is tried next; null when it is settled.")
    status: int | None = Field(description="The receiver's last HTTP status.")
    error: str | None = Field(description="Why the last try failed.")
    created_at: AwareDatetime
    finished_at: AwareDatetime | None

    @classmethod
    def of(cls, row: DeliveryRow) -> Self:
        return cls.model_validate(
            row.model_dump() | {"message_id": row.message, "due": row.due if row.state == "pending" else None}
        )


class Deliveries(Document):
    """A page of the delivery log, newest first."""

    deliveries: list[Delivery]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null: the last page.")


Thresholds = create_model(
    "Thresholds",
    __base__=Document,
    __doc__="The numbers in the rules; docs/alerts.md says what each is.",
    **{field.name: (int, ...) for field in fields(Limits)},  # type: ignore[call-overload]
)


class PolicyIn(Sent):
    """What to set for a campaign, or a unit and all below it, in place of what was set there before."""

    thresholds: dict[str, int] = Field(
        {}, description="Only these; the others are inherited.", examples=[{"behind_percent": 85}]
    )
    off: list[RuleName] | None = Field(
        None, max_length=len(RULES), description="Rules that are switched off. Absent: as above it."
    )
    reason: str = Field(
        min_length=1, max_length=500, pattern=r"^[^\x00]*$", description="Why, for the record."
    )


class PolicySource(Document):
    """What somebody set somewhere. An empty document takes back what was set there."""

    unit: str | None = Field(description="The unit for which it was set; null: the whole campaign.")
    version: int = Field(description="From 1, for each unit by itself.")
    thresholds: dict[str, int]
    off: list[RuleName] | None
    author: str = Field(description="The name of the API key.")
    reason: str
    at: AwareDatetime

    @classmethod
    def of(cls, stored: Stored) -> Self:
        return cls.model_validate(
            {"thresholds": {}, "off": None}
            | msgspec.json.decode(stored.document)
            | {
                "unit": stored.unit or None,
                "version": stored.version,
                "author": stored.author,
                "reason": stored.reason,
                "at": stored.at,
            }
        )


class Policy(Document):
    """What holds for a campaign or a unit."""

    campaign: str
    unit: str | None
    thresholds: Thresholds
    off: list[RuleName]
    sources: list[PolicySource] = Field(
        description="What it comes from, the farthest first; none: the defaults."
    )


class PolicyVersions(Document):
    """All that was ever set in a campaign."""

    versions: list[PolicySource] = Field(description="Oldest first.")


def _severity(stored: int | None) -> str | None:
    return None if stored is None else Severity(stored).name.lower()

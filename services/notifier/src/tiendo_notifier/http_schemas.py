"""The documents of the HTTP interface."""

from datetime import date
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from tiendo_common.service.documents import Sent, in_words
from tiendo_notifier.rules.life import Outcome, Transition
from tiendo_notifier.rules.table import RuleName, Severity
from tiendo_notifier.storage.tables import DecisionRow, DeliveryRow, DestinationRow, IncidentRow

Indicator = Literal["intake", "approved", "activated"]
SeverityName = Literal["notice", "warning", "critical"]
IncidentState = Literal["open", "closed"]
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


class TransitionOut(Document):
    """A step in an incident's life."""

    decision: UUID = Field(description="The decision behind it; the id of the webhook that told it.")
    transition: Transition
    day: date = Field(description="The day whose closing led to it.")
    severity: SeverityName | None
    reason: str
    told: bool = Field(description="Whether it was put on its way to destinations.")
    at: AwareDatetime

    @classmethod
    def of(cls, row: DecisionRow) -> Self:
        return cls.model_validate(
            row.model_dump()
            | {
                "decision": row.id,
                "transition": row.outcome,
                "severity": _severity(row.severity),
                "told": row.notice is not None,
            }
        )


class Incident(Document):
    """A stretch of trouble: one unit, one indicator, one rule, from the day it opened to the day it closed."""

    id: UUID
    campaign: str = Field(examples=["kon-tum-2023"])
    unit: str = Field(examples=["23341"])
    unit_name: str = Field(description="With the district, for a commune.")
    indicator: Indicator
    rule: RuleName
    state: IncidentState
    severity: SeverityName = Field(description="The highest so far.")
    opened_day: date
    last_day: date = Field(description="The last day that was judged.")
    closed_day: date | None
    needed_per_day: int | None = Field(
        description="From `last_day` on, to reach the target; null: no day left."
    )
    figures: Figures = Field(description="As of the end of `last_day`.")
    transitions: list[TransitionOut] = Field(description="Oldest first.")

    @classmethod
    def of(cls, row: IncidentRow, transitions: list[DecisionRow]) -> Self:
        return cls.model_validate(
            row.model_dump()
            | {
                "severity": _severity(row.severity),
                "needed_per_day": row.figures["needed_per_day"],
                "transitions": [TransitionOut.of(each) for each in transitions],
            }
        )


class Incidents(Document):
    """A page of incidents, newest first."""

    incidents: list[Incident]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null: the last page.")


class Decision(Document):
    """What was decided about a day, also the decision to tell nobody, with what it was decided from."""

    id: UUID
    campaign: str
    unit: str
    indicator: Indicator
    rule: RuleName
    from_day: date = Field(description="The first of the days decided about; differs from `day` only where "
                                       "the outcome is `not_judged`.")  # fmt: skip
    day: date
    outcome: Outcome = Field(
        description="opened, worsened, closed: the incident moved. held: nothing was to be told, see `reason`. "
        "not_judged: no closing figures of those days are known."
    )
    severity: SeverityName | None
    reason: str
    historical: bool = Field(description="The day was long gone when it was judged, so nobody was called.")
    incident: UUID | None
    told: bool = Field(description="Whether it was put on its way to destinations.")
    at: AwareDatetime
    inputs: dict[str, Any] = Field(
        description="`before`: the standing before; `figures`; `thresholds`. The same inputs decide the same."
    )

    @classmethod
    def of(cls, row: DecisionRow) -> Self:
        return cls.model_validate(
            row.model_dump() | {"severity": _severity(row.severity), "told": row.notice is not None}
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
    message_id: UUID = Field(
        description="The `webhook-id` of every try, and the id of the decision it tells."
    )
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
            row.model_dump()
            | {"message_id": row.decision, "due": row.due if row.state == "pending" else None}
        )


class Deliveries(Document):
    """A page of the delivery log, newest first."""

    deliveries: list[Delivery]
    next_cursor: str | None = Field(description="Send it as `cursor` for the next page; null: the last page.")


def _severity(stored: int | None) -> str | None:
    return None if stored is None else Severity(stored).name.lower()

"""The documents of the HTTP interface."""

from dataclasses import fields
from datetime import date
from typing import Annotated, Any, Literal, Self
from uuid import UUID

import msgspec
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, create_model

from tiendo_common.service.documents import Sent, in_words
from tiendo_notifier.rules.life import Outcome
from tiendo_notifier.rules.policies import Document as PolicyDocument
from tiendo_notifier.rules.table import RULES, RuleName, Severity
from tiendo_notifier.rules.thresholds import Thresholds as Limits
from tiendo_notifier.rules.vendors import shown
from tiendo_notifier.storage.destinations import Wanted
from tiendo_notifier.storage.policies import Stored
from tiendo_notifier.storage.tables import (
    AcknowledgementRow,
    DecisionRow,
    DeliveryRow,
    DestinationRow,
    IncidentRow,
)

Indicator = Annotated[
    str,
    Field(
        description="What is counted: intake, approved or activated, as a whole or narrowed to a level, a cohort, an "
        "earlier last day; or report: whether daily counts are declared in time; or attempts: how attempts to activate "
        "go; or records: what was wrong with dossiers; or live: whether anything comes from a unit that reports live.",
        examples=[
            "intake",
            "activated:level-2:officials:by-2023-11-30",
            "report",
            "attempts",
            "records",
            "live",
        ],
    ),
]
#: PostgreSQL has no text with a zero character in it: without this, asking for one would be our error.
Text = Annotated[
    str, Field(pattern=r"^[^\x00]{1,100}$"), in_words("1 to 100 characters, none of them a zero character")
]
SeverityName = Literal["notice", "warning", "critical"]
IncidentState = Literal["open", "notified", "acknowledged", "escalated", "resolved"]
RuleFilter = Literal[RuleName, "lag"]
Step = Literal["opened", "worsened", "resolved", "withdrawn"]
DeliveryState = Literal["pending", "delivered", "failed"]
DestinationName = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="Lower-case letters, digits, - and _."),
    in_words("small letters, digits, hyphens and underscores, 63 at most, beginning with a letter or digit"),
]


Reason = Annotated[
    str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$", description="Why, for the record.")
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
            row.model_dump() | {"decision": row.id, "step": row.outcome, "severity": _severity(row.severity)}
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
                "severity": _severity(row.severity),
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
    def of(cls, row: DecisionRow) -> Self:
        findings = [each | {"severity": _severity(each["severity"])} for each in row.findings]
        return cls.model_validate(
            row.model_dump() | {"severity": _severity(row.severity), "findings": findings}
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


class DestinationIn(Sent):
    """Where to send alerts, and which."""

    url: str = Field(
        description="http or https, to a public address; mailto: and one e-mail address; zalo: and a mobile number as "
        "84 and nine digits; or apprise: and the URL of one of some vendors' services.",
        examples=[
            "https://example.org/hook",
            "mailto:vanphong@example.vn",
            "zalo:84900000000",
            "apprise:tgram://123456789:abcdefg_hijklmnop/-1001234567890",
        ],
    )
    secret: str | None = Field(
        None,
        description="`whsec_` and then 24 to 64 bytes in base64. Absent: a new destination gets one, an old "
        "one keeps its own.",
    )
    units: list[str] | None = Field(
        None, min_length=1, max_length=1000,
        description="Only these units and those below them. Absent: all.", examples=[["608"]],
    )  # fmt: skip
    rules: list[RuleFilter] | None = Field(
        None, min_length=1, description="Only these rules; `lag` is for operations. Absent: all."
    )
    least: SeverityName = Field("notice", description="Nothing milder is told.")
    language: Literal["vi", "en"] | None = Field(None, description="Of the texts. Absent: both.")
    addressed: bool = Field(
        False,
        description="Only what is addressed to these very units: what they answer for, what was escalated to "
        "them, and what they are told in place of their children. Else of all below them, too.",
    )
    digest: bool = Field(
        False,
        description="Whether what is not critical is told all at once, at the campaign's digest times; critical, too, "
        "in its quiet hours. Else each by itself, at any hour.",
    )

    def wanted(self) -> Wanted:
        """The same, as it is stored."""
        return Wanted(
            self.url,
            self.units,
            list(self.rules) if self.rules else None,
            self.digest,
            Severity[self.least.upper()],
            self.language,
            self.addressed,
        )


class SecretIn(Sent):
    """A new secret for a destination."""

    secret: str | None = Field(None, description="Absent: one is generated.")
    keep_hours: int = Field(24, ge=0, le=720, description="How long the one before is signed with, too.")


class Sending(Document):
    """Something is on its way."""

    message_id: UUID | None = Field(description="The `webhook-id`, of a new message.")
    delivery: int | None = Field(description="The new delivery, of an old message.")


class Destination(Document):
    """Where alerts go. Its secret is never shown."""

    name: str
    url: str = Field(description="Of a vendor's service without its tokens, which are secret, too.")
    units: list[str] | None
    rules: list[RuleFilter] | None
    least: SeverityName
    language: Literal["vi", "en"] | None
    addressed: bool
    digest: bool
    failures: int = Field(description="Tries in a row that failed; 0: all is well.")
    paused_until: AwareDatetime | None = Field(description="Nothing is tried before.")
    old_until: AwareDatetime | None = Field(description="Until when the secret before is signed with, too.")
    disabled: str | None = Field(description="Why nothing is sent there any more; PUT switches it on again.")
    created_at: AwareDatetime
    changed_at: AwareDatetime

    @classmethod
    def of(cls, row: DestinationRow) -> Self:
        return cls.model_validate(row.model_dump() | {"least": _severity(row.least), "url": shown(row.url)})


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
        description="The `webhook-id` of every try, the same for every destination; begins a letter's Message-ID."
    )
    destination: str
    state: DeliveryState
    attempts: int
    due: AwareDatetime | None = Field(description="When it is tried next; null when it is settled.")
    status: int | None = Field(description="The receiver's last status: of HTTP, of SMTP, or Zalo's code.")
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


class Rhythm(Document):
    """When people work, are left alone, and are told all at once. Local times."""

    shifts: list[str] = Field(description="Working hours, 07:00-20:00; one may go past midnight.")
    quiet: str | None = Field(description="Nobody who is told all at once is told anything; null: never.")
    digests: list[str] = Field(description="When those are told.")
    reports: Literal["daily", "live"] = Field(
        description="daily: an unacknowledged incident goes one level up when the next working day is over. "
        "live: after `escalate_minutes` of working time; and `stalled_live` in place of `stalled`."
    )
    escalate_from: SeverityName | Literal["never"] = Field(description="From which severity on.")
    escalate_minutes: int


class PolicyIn(Sent):
    """What to set for a campaign, or a unit and all below it, in place of what was set there before."""

    thresholds: dict[str, int] = Field(
        {}, description="Only these; the others are inherited.", examples=[{"behind_percent": 85}]
    )
    off: list[RuleName] | None = Field(
        None, max_length=len(RULES), description="Rules that are switched off. Absent: as above it."
    )
    rhythm: dict[str, Any] = Field(
        {},
        description="Only these of `shifts`, `quiet`, `digests`, `reports`, `escalate_from`, `escalate_minutes`.",
        examples=[{"digests": ["07:30", "16:30"], "escalate_from": "warning"}],
    )
    reason: Reason


class PolicySource(Document):
    """What somebody set somewhere. An empty document takes back what was set there."""

    unit: str | None = Field(description="The unit for which it was set; null: the whole campaign.")
    version: int = Field(description="From 1, for each unit by itself.")
    thresholds: dict[str, int]
    off: list[RuleName] | None
    rhythm: dict[str, Any]
    author: str = Field(description="The name of the API key.")
    reason: str
    at: AwareDatetime

    @classmethod
    def of(cls, stored: Stored) -> Self:
        return cls.model_validate(
            {"thresholds": {}, "off": None, "rhythm": {}}
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
    rhythm: Rhythm
    sources: list[PolicySource] = Field(
        description="What it comes from, the farthest first; none: the defaults."
    )


class RulesIn(Sent):
    """What to set somewhere, without a reason: it is only tried."""

    thresholds: dict[str, int] = Field({}, examples=[{"behind_percent": 85}])
    off: list[RuleName] | None = Field(None, max_length=len(RULES))
    rhythm: dict[str, Any] = Field({})

    def document(self) -> PolicyDocument:
        """The same, as it would be stored."""
        return PolicyDocument(
            thresholds=self.thresholds,
            off=None if self.off is None else tuple(self.off),
            rhythm=self.rhythm,
        )


class BacktestIn(Sent):
    """A set of rules to try on a campaign."""

    campaign: Text = Field(examples=["kon-tum-2023"])
    rules: RulesIn = Field(RulesIn(), description="For the whole campaign. Absent: the defaults.")
    units: dict[Text, RulesIn] = Field(
        {}, max_length=1000, description="For units and all below them, by code."
    )

    def documents(self) -> dict[str, PolicyDocument]:
        """By unit; empty: the whole campaign."""
        return {"": self.rules.document()} | {unit: each.document() for unit, each in self.units.items()}


class Score(Document):
    """What a set of rules comes to."""

    alerts: int
    a_unit_a_week: float = Field(description="The mean over all units with a target and all weeks.")
    most_a_unit_a_week: int = Field(description="About one unit in one week of the campaign.")
    missed: int = Field(
        description="Targets that were missed; while the campaign runs: under 90% of the plan by now."
    )
    missed_told: int = Field(description="Those of them of which somebody was told.")
    told_not_missed: int = Field(
        description="Targets in trouble of which somebody was told, and that were not missed."
    )
    median_lead_days: float | None = Field(
        description="From the first telling of a missed target to the last day."
    )


class Alert(Document):
    """A message that would have gone out."""

    day: date
    unit: str
    unit_name: str
    indicator: Indicator
    kind: str
    rule: RuleName | None
    severity: SeverityName | None
    members: list[str] = Field(description="The children in place of which a parent is told.")
    text: str


class Miss(Document):
    """A target that was missed, and when somebody was first told of it."""

    unit: str
    unit_name: str
    indicator: Indicator
    reached: int
    of: int = Field(description="The target; while the campaign runs: the plan by now.")
    first_told: date | None
    lead_days: int | None


class Backtest(Document):
    """What a set of rules would have told."""

    first_day: date
    last_day: date = Field(description="The last day on record.")
    over: bool = Field(description="Whether the campaign is over by then.")
    score: Score
    alerts: list[Alert] = Field(description="Oldest first.")
    misses: list[Miss]


class SilenceIn(Sent):
    """For a while nobody is told."""

    kind: Literal["silence", "maintenance"] = Field("silence", description="Only a word for the record.")
    campaign: Text | None = Field(None, description="Absent: all.")
    unit: Text | None = Field(None, description="It and all below it. Absent: all.")
    rules: list[RuleName] | None = Field(
        None, min_length=1, description="Only where no other rule has a part in it. Absent: all."
    )
    from_: AwareDatetime | None = Field(None, alias="from", description="Absent: now.")
    until: AwareDatetime = Field(description="Its end; 90 days at most.")
    reason: Reason


class SilenceOut(Document):
    """A silence or maintenance window."""

    id: UUID
    kind: Literal["silence", "maintenance"]
    campaign: str | None
    unit: str | None
    rules: list[RuleName] | None
    from_: AwareDatetime = Field(alias="from", validation_alias="from_at", serialization_alias="from")
    until: AwareDatetime = Field(validation_alias="until_at", serialization_alias="until")
    author: str = Field(description="The name of the API key.")
    reason: str
    created_at: AwareDatetime
    ended_at: AwareDatetime | None = Field(description="When it was ended before its time.")
    ended_by: str | None


class SilencesOut(Document):
    """Silences, newest first."""

    silences: list[SilenceOut]


class PolicyVersions(Document):
    """All that was ever set in a campaign."""

    versions: list[PolicySource] = Field(description="Oldest first.")


def _severity(stored: int | None) -> str | None:
    return None if stored is None else Severity(stored).name.lower()

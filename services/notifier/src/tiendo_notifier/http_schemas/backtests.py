"""Rules that are tried on a campaign, and what they would have said."""

from datetime import date
from typing import Any

from pydantic import Field

from tiendo_common.service.documents import Sent
from tiendo_notifier.http_schemas import Document, Indicator, SeverityName, Text
from tiendo_notifier.rules.policies import Document as PolicyDocument
from tiendo_notifier.rules.table import RULES, RuleName


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

"""What is set for a campaign or a unit."""

from dataclasses import fields
from typing import Any, Literal, Self

import msgspec
from pydantic import AwareDatetime, Field, create_model

from tiendo_common.service.documents import Sent
from tiendo_notifier.http_schemas import Document, Reason, SeverityName
from tiendo_notifier.rules.table import RULES, RuleName
from tiendo_notifier.rules.thresholds import Thresholds as Limits
from tiendo_notifier.storage.policies import Stored

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


class PolicyVersions(Document):
    """All that was ever set in a campaign."""

    versions: list[PolicySource] = Field(description="Oldest first.")

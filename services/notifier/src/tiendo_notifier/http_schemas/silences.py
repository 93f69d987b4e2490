"""When nobody is told."""

from typing import Literal
from uuid import UUID

from pydantic import AwareDatetime, Field

from tiendo_common.service.documents import Sent
from tiendo_notifier.http_schemas import Document, Reason, Text
from tiendo_notifier.rules.table import RuleName


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

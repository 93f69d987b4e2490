"""Where alerts go, and how they got there."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import AwareDatetime, Field

from tiendo_common.service.documents import Sent, in_words
from tiendo_notifier.http_schemas import Document, SeverityName, severity_name
from tiendo_notifier.rules.table import RuleName, Severity
from tiendo_notifier.rules.vendors import shown
from tiendo_notifier.storage.destinations import Wanted
from tiendo_notifier.storage.tables import DeliveryRow, DestinationRow

RuleFilter = Literal[RuleName, "lag"]

DeliveryState = Literal["pending", "delivered", "failed"]

DestinationName = Annotated[
    str,
    Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,62}$", description="Lower-case letters, digits, - and _."),
    in_words("small letters, digits, hyphens and underscores, 63 at most, beginning with a letter or digit"),
]


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
        return cls.model_validate(
            row.model_dump() | {"least": severity_name(row.least), "url": shown(row.url)}
        )


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

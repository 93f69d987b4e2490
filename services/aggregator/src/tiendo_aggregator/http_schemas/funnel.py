"""What goes over HTTP of the funnel."""

from datetime import date

from pydantic import AwareDatetime, Field

from tiendo_aggregator.http_schemas import Answered, Level
from tiendo_common.events.restatements import FailureReason


class BandAnswer(Answered):
    """How many have waited so many days."""

    from_days: int
    to_days: int | None = Field(description="The last of them; null: and more.")
    citizens: int


class WaitingAnswer(Answered):
    """Who waits at the end of the day, and for how long; on the first day somebody has waited 0 days."""

    citizens: int
    bands: list[BandAnswer]
    oldest_since: date | None = Field(description="Since when the one waits who has waited longest.")
    oldest_days: int | None
    undated: int = Field(
        description="So many of those in the bands wait no more: a build before told it without saying since when they "
        "had waited. citizens is the sum of the bands without them."
    )


class ActivationsAnswer(Answered):
    """Those whose account is activated, by when it first was after its approval."""

    in_time: int = Field(description="Within 7 days of the approval, its day not counted (Decree 69/2024).")
    late: int = Field(description="Later, through the hotline.")
    undated: int = Field(description="Told by a build before, which did not say when the approval was.")


class FailuresAnswer(Answered):
    """Attempts that failed for one reason. Counted where they were made; one citizen may have made several."""

    reason: FailureReason
    attempts: int
    came_right: int = Field(
        description="Whose account was activated on the day of the attempt or on a later one up to the day asked for."
    )


class UnitFunnelAnswer(Answered):
    """One unit with all below it, by residence."""

    code: str
    name: str
    level: Level
    parent: str | None
    eligible: int | None = Field(
        description="Without the exempt; null for a unit that the plan doesn't know."
    )
    with_card: int | None = Field(
        description="Holders of a valid chip card, as the measure tells; null: it tells nothing, which is not zero."
    )
    card_communes: int = Field(description="How many of its communes are in that.")
    communes: int
    card_oldest_day: date | None = Field(description="Of the numbers in it, the oldest one's day.")
    taken: int = Field(description="undecided + rejected + approved.")
    approved: int
    activated: int
    rejected: int = Field(description="Of whom a rejection holds.")
    card_no_account: int | None = Field(
        description="with_card − approved: the backlog 'has the card, no account'. A difference of totals of two "
        "systems; below zero, more have an account than the other system knows cards."
    )
    undecided: WaitingAnswer = Field(description="Taken and not decided, by days since the intake.")
    not_activated: WaitingAnswer = Field(
        description="The backlog 'has the account, not activated', by days since the approval."
    )
    activations: ActivationsAnswer
    failures: list[FailuresAnswer]


class FunnelAnswer(Answered):
    """From eligible to activated."""

    campaign: str
    as_of: date
    known_at: date | None
    tree: date = Field(description="The units are those of this day.")
    complete_to: AwareDatetime | None = Field(
        description="Every fact that was accepted up to this instant is counted; null right after a start."
    )
    cards: str | None = Field(description="The measure that tells who holds a card.")
    units: list[UnitFunnelAnswer] = Field(
        description="The unit asked for, then its descendants, each before those below it."
    )

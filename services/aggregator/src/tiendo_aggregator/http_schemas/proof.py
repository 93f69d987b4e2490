"""What goes over HTTP of the proof: the last comparison of each unit, and rebuilds."""

from datetime import date

from pydantic import AwareDatetime, Field

from tiendo_aggregator.http_schemas import Answered, ProvinceCode, Text
from tiendo_common.service.documents import Sent


class ProofAnswer(Answered):
    """A unit's last comparison with the records."""

    unit: str
    checked_at: AwareDatetime
    differing: int = Field(description="Cells that differed, of totals and breakdowns.")
    days: list[date] = Field(description="The first days on which one differed, 31 at most.")


class ProofsAnswer(Answered):
    """How far the counters of a campaign's province are proven. A unit that was never compared is in `unchecked`."""

    campaign: str
    clean: bool = Field(description="Every unit was compared, and nothing differed.")
    oldest: AwareDatetime | None = Field(description="The oldest comparison; null: there is none.")
    unchecked: list[str]
    units: list[ProofAnswer]


class RebuildDocument(Sent):
    """An order to fold the log anew."""

    province: ProvinceCode | None = Field(
        None, description="Only units that were ever in this province; null: all."
    )
    repair_because: Text | None = Field(
        None, description="Why differences are to be put right; null: they are only told."
    )


class DifferingAnswer(Answered):
    """A unit and day on which live and rebuilt counters differ."""

    unit: str
    day: date


class RebuiltAnswer(Answered):
    """What a rebuild found: live counters beside those that the log comes to, at the same positions."""

    province: str | None
    events: int = Field(description="How many events were folded.")
    equal: bool
    repaired: bool
    checksum_live: str = Field(description="Of the totals and passages.", examples=["9e3779b97f4a7c15"])
    checksum_rebuilt: str
    differing: int = Field(
        description="Rows, also such as differ only in a breakdown or in when they became known, which the checksums "
        "leave out."
    )
    named: list[DifferingAnswer] = Field(description="The first 1000.")

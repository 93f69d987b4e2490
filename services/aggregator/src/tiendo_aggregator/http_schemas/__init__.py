"""What goes over HTTP, a module a subject; here, the words that they share."""

from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from tiendo_common.events.goals import WORDS, goal_of
from tiendo_common.service.documents import in_words

#: Of the country's trees.
TreeLevel = Literal["province", "district", "commune"]
#: With what is below them.
Level = Literal["province", "district", "commune", "hamlet"]

CAMPAIGN_ID = r"^[a-z0-9][a-z0-9-]{0,62}$"

PartId = Annotated[
    str,
    StringConstraints(pattern=CAMPAIGN_ID),
    in_words("small letters, digits and hyphens, 63 at most, not beginning with a hyphen"),
]
CampaignId = Annotated[PartId, Field(examples=["kon-tum-2023"])]
ProvinceCode = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{2}$"),
    Field(examples=["62"]),
    in_words("a province's code: two digits, as text"),
]
CommuneCode = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{5}$"), in_words("a commune's code: five digits, as text")
]
UnitCode = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{3}([0-9]{2})?$"),
    in_words("a district's or a commune's code: three or five digits, as text"),
]
AnyUnitCode = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{2}([0-9]|[0-9]{3})?$"),
    in_words("a unit's code: two, three or five digits, as text"),
]
Text = Annotated[
    str,
    # Something to see is among it: a blank name would be no name.
    StringConstraints(
        min_length=1, max_length=300, pattern=r"^[^\x00-\x1f\x7f]*[^\s\x00-\x1f\x7f][^\x00-\x1f\x7f]*$"
    ),
    in_words("text of 1 to 300 characters without control characters, and not blank"),
]
Day = Annotated[date, Field(ge=date(2004, 1, 1), lt=date(2200, 1, 1))]
Citizens = Annotated[int, Field(strict=True, ge=0, le=200_000_000)]


def _goal_name(value: str) -> str:
    return goal_of(value).name


GoalName = Annotated[
    str,
    StringConstraints(max_length=80),
    AfterValidator(_goal_name),
    in_words(WORDS),
    Field(
        description="What is counted: an indicator as a whole, or narrowed to a level, to a cohort, to an earlier last "
        "day.",
        examples=["intake", "activated:level-2:officials:by-2023-11-30"],
    ),
]
Percent = Annotated[Decimal, Field(ge=0, le=100, max_digits=5, decimal_places=2)]


class Answered(BaseModel):
    """What is answered: made from what the rules and use cases know by the same names."""

    model_config = ConfigDict(from_attributes=True)

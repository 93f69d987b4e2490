"""What goes over HTTP, a module a subject; here, the words that they share."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from tiendo_common.service.documents import in_words
from tiendo_notifier.rules.table import Severity

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

Reason = Annotated[
    str, Field(min_length=1, max_length=500, pattern=r"^[^\x00]*$", description="Why, for the record.")
]


class Document(BaseModel):
    """Base of what is answered."""

    model_config = ConfigDict(from_attributes=True)


def severity_name(stored: int | None) -> str | None:
    """The word for a stored severity."""
    return None if stored is None else Severity(stored).name.lower()

"""What goes over HTTP when the records of a divided commune are parted."""

from datetime import date
from typing import Annotated, Self

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from tiendo_common.service.documents import Sent, in_words
from tiendo_intake.rules.placing import Division
from tiendo_intake.storage import Placement

OldCode = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{5,10}$"),
    in_words("a commune's or hamlet's code of before, as text"),
]
CommuneCode = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{5}$"), in_words("a commune's code: five digits, as text")
]
ReorganisationId = Annotated[
    str, StringConstraints(pattern=r"^[0-9]{1,9}$"), in_words("a reorganisation's number")
]


class DivisionDocument(Sent):
    """How the records of a commune are parted."""

    day: Annotated[date, Field(ge=date(2004, 1, 1), lt=date(2200, 1, 1))] = Field(
        description="The first day of the parts."
    )
    stays: CommuneCode = Field(
        description="The part at which records are counted without being moved: the one that keeps the code, else the "
        "main one."
    )
    shares: dict[CommuneCode, Annotated[int, Field(strict=True, ge=0, le=200_000_000)]] = Field(
        description="Each part with its weight: agreed numbers of citizens, say.",
        examples=[{"23284": 4100, "23296": 900}],
    )
    taken_in: Annotated[list[OldCode], Field(max_length=10_000)] = Field(
        [],
        description="Codes of before whose records are the unit's: of communes that went into it, and of hamlets that "
        "have ended. As a reorganisation's own `taken_in` has them.",
        examples=[["23296"]],
    )

    def division(self, reorganisation: str, unit: str) -> Division:
        """As the rules know it."""
        return Division(
            reorganisation=reorganisation,
            unit=unit,
            day=self.day,
            stays=self.stays,
            shares=self.shares,
            taken_in=tuple(sorted(set(self.taken_in))),
        )


class PlacementAnswer(BaseModel):
    """What became of it."""

    reorganisation: str
    unit: str
    day: date
    stays: str
    placed: dict[str, int] = Field(description="How many records each part has.")
    placed_at: AwareDatetime
    placed_by: str = Field(description="The API key's name.")
    undone_at: AwareDatetime | None = Field(description="null: it holds.")
    undone_by: str | None

    @classmethod
    def of(cls, made: Placement) -> Self:
        division = made.division
        return cls(
            reorganisation=division.reorganisation,
            unit=division.unit,
            day=division.day,
            stays=division.stays,
            placed=dict(made.placed),
            placed_at=made.placed_at,
            placed_by=made.placed_by,
            undone_at=made.undone_at,
            undone_by=made.undone_by,
        )

"""What goes over HTTP of the rounds in which population data are re-checked."""

from datetime import date
from typing import Annotated, Self

import msgspec
from pydantic import AwareDatetime, Field, StringConstraints

from tiendo_aggregator.http_schemas import Answered, CommuneCode, Day, Level, Text
from tiendo_aggregator.rules.rechecks import CheckedAt, Correction, Round, Why
from tiendo_aggregator.storage.rechecks import RoundVersion
from tiendo_aggregator.use_cases.rechecks import RoundReport
from tiendo_common.service.documents import Sent, in_words

RoundId = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9_]{1,60}$"),
    Field(examples=["district_round"]),
    in_words("small letters, digits and underscores, 60 at most"),
]


class RoundDocument(Sent):
    """Communes whose population data are gone over by one level of the administration."""

    name: Text = Field(examples=["Phúc tra dữ liệu dân cư, cấp huyện"])
    level: CheckedAt = Field(description="Who re-checks; each level has a round of its own.")
    first_day: Day
    last_day: Day
    units: Annotated[list[CommuneCode], Field(min_length=1, max_length=5000)] = Field(
        description="The communes to be gone over, by their codes on `first_day`.", examples=[["23281"]]
    )

    def round(self, id_: str) -> Round:
        """As the rules know it."""
        return Round(
            id=id_,
            name=self.name,
            level=self.level,
            first_day=self.first_day,
            last_day=self.last_day,
            units=tuple(self.units),
        )


class RoundAnswer(RoundDocument):
    """A round, in which version, and since when that was known."""

    id: str
    version: int
    known_day: date
    put_by: str = Field(description="The API key's name.")

    @classmethod
    def of(cls, stored: RoundVersion) -> Self:
        return cls.model_validate(
            {
                **msgspec.to_builtins(stored.round),
                "version": stored.version,
                "known_day": stored.known_day,
                "put_by": stored.put_by,
            }
        )


class CorrectionLine(Sent):
    """Entries that were corrected for one reason."""

    why: Why = Field(
        description="A fact was wrong; a fact or the entry was missing; one citizen stood there twice (`double`), had "
        "died or moved away (`gone`); or another reason."
    )
    entries: Annotated[int, Field(strict=True, ge=1, le=200_000_000)]
    words: Annotated[
        Text | None, Field(description="The reason in words; only with `other`, which needs them.")
    ] = None


class RecheckDocument(Sent):
    """What is said of a commune in a round, whole: it stands in place of what was said before."""

    done_on: Day | None = Field(
        description="The day on which its data had been gone over; null: they have not, whatever was said before."
    )
    checked_by: Text = Field(description="Who did it.", examples=["Công an huyện Điện Biên Đông, tổ 2"])
    corrections: Annotated[list[CorrectionLine], Field(max_length=200)] = Field(
        [],
        description="One for each reason; empty: there was nothing to correct.",
        examples=[[{"why": "missing", "entries": 14}]],
    )

    def rules_corrections(self) -> list[Correction]:
        """As the rules know them."""
        return [Correction(**each.model_dump()) for each in self.corrections]


class CorrectionAnswer(Answered):
    """Entries that were corrected for one reason."""

    why: Why
    entries: int
    words: str | None


class RecheckAnswer(Answered):
    """What was said of a commune."""

    unit: str
    revision: int = Field(description="Counts from 1; the newest stands, the others are kept.")
    done_on: date | None
    checked_by: str
    corrections: list[CorrectionAnswer]
    reported_by: str = Field(description="The API key's name.")
    reported_at: AwareDatetime
    known_day: date


class RecheckHistoryAnswer(Answered):
    """Every revision of what was said of a commune, oldest first."""

    revisions: list[RecheckAnswer]


class OutstandingAnswer(Answered):
    """A commune that is not done."""

    code: str
    name: str


class OtherWhyAnswer(Answered):
    """Entries corrected for a reason in words."""

    words: str
    entries: int


class UnitRechecksAnswer(Answered):
    """A unit and all below it."""

    code: str
    name: str
    level: Level
    parent: str | None
    done: int
    units: int = Field(description="How many communes of it the round goes over.")
    printed: str = Field(examples=["115/115"])
    late: int = Field(description="Of those done, how many were after the round's last day.")
    outstanding: list[OutstandingAnswer]
    of_divided: int = Field(
        description="How many of its communes stand for one that has been divided since: the part that keeps its "
        "records has what was reported of the whole."
    )
    corrected: int = Field(description="Entries, in communes that are done.")
    by_why: dict[Why, int]
    other: list[OtherWhyAnswer]


class RoundProgressAnswer(Answered):
    """A round and how far it is."""

    id: str
    name: str
    level: CheckedAt
    first_day: date
    last_day: date
    version: int
    units: list[UnitRechecksAnswer] = Field(
        description="The unit asked for, then its descendants, each before those below it."
    )

    @classmethod
    def of(cls, report: RoundReport) -> Self:
        return cls(
            id=report.round.id,
            name=report.round.name,
            level=report.round.level,
            first_day=report.round.first_day,
            last_day=report.round.last_day,
            version=report.version,
            units=[
                UnitRechecksAnswer.model_validate(
                    {
                        **{name: getattr(each, name) for name in each.__dataclass_fields__},
                        "printed": f"{each.done}/{each.units}",
                    }
                )
                for each in report.units
            ],
        )


class RechecksAnswer(Answered):
    """How far each round is."""

    campaign: str
    as_of: date
    known_at: date | None
    tree: date = Field(description="The units are those of this day.")
    rounds: list[RoundProgressAnswer]

"""What goes over HTTP about measures."""

from datetime import date
from typing import Annotated, Literal, Self

import msgspec
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from tiendo_aggregator.http_schemas import Answered, AnyUnitCode, Day, Level, Text
from tiendo_aggregator.rules.measures import Decision, Measure, Standing
from tiendo_aggregator.storage.measures import MeasureVersion, ToldStanding
from tiendo_common.service.documents import Sent, in_words

MeasureId = Annotated[
    str,
    StringConstraints(pattern=r"^[a-z0-9_]{1,60}$"),
    Field(examples=["cards_synchronised_with_insurance"]),
    in_words("small letters, digits and underscores, 60 at most"),
]
Count = Annotated[int, Field(strict=True, ge=0, le=10**15)]


class DecisionDocument(Sent):
    """The paper by which targets were set."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)

    number: Text = Field(examples=["1220/QĐ-UBND"])
    signed_by: Text
    from_day: Day


class MeasureDocument(Sent):
    """An indicator that other systems count: a plain value, or a share of something."""

    name: Text = Field(examples=["Thẻ CCCD đồng bộ với bảo hiểm y tế"])
    out_of: Text | None = Field(
        None,
        description="What it is a share of, in words; null: a plain value.",
        examples=["Thẻ CCCD đã cấp"],
    )
    decimals: Annotated[int, Field(strict=True, ge=0, le=6)] = Field(
        1, description="After how many decimals its percentages are cut (never rounded)."
    )
    adds_up: bool = Field(
        True,
        description="Whether a unit has as many as those below it together (cards, turns): then units of which nothing "
        "was told have the sum, and a divided one is parted. False: a number is of the very unit of which it was told "
        "(25 services that each commune offers); nothing is summed, and of a divided unit one part keeps it.",
    )
    targets: dict[AnyUnitCode, Count] = Field(
        {},
        description="What units are to reach, in the unit in which values are told.",
        examples=[{"62": 25}],
    )
    decision: DecisionDocument | None = None

    def measure(self, id_: str) -> Measure:
        """As the rules know it."""
        decision = Decision(**self.decision.model_dump()) if self.decision is not None else None
        return Measure(
            id=id_,
            name=self.name,
            out_of=self.out_of,
            decimals=self.decimals,
            targets=self.targets,
            decision=decision,
            adds_up=self.adds_up,
        )


class MeasureAnswer(MeasureDocument):
    """A measure, in which version, and since when that was known."""

    id: str
    version: int
    known_day: date
    put_by: str

    @classmethod
    def of(cls, stored: MeasureVersion) -> Self:
        return cls.model_validate(
            {
                **msgspec.to_builtins(stored.measure, builtin_types=(date,)),
                "version": stored.version,
                "known_day": stored.known_day,
                "put_by": stored.put_by,
            }
        )


class StandingDocument(Sent):
    """Where a unit was at the end of a day, as its source says."""

    unit: AnyUnitCode
    day: Day
    value: Count = Field(description="All that was reached by then, not what the day brought.")
    out_of: Count | None = Field(None, description="Of how many; only for a share.")
    source: Text = Field(
        description="Which system or paper says so.", examples=["Cổng dịch vụ công quốc gia"]
    )

    def standing(self) -> Standing:
        """As the rules know it."""
        return Standing(**self.model_dump())


class StandingsDocument(Sent):
    """Standings of one measure; all are taken, or none."""

    standings: Annotated[list[StandingDocument], Field(min_length=1, max_length=5000)]


class TakenAnswer(Answered):
    """What became of them."""

    told: int = Field(description="Of a unit and day of which nothing was told before.")
    corrected: int = Field(description="Other than what was told before, which stays readable.")
    repeated: int = Field(description="The same as was told before: nothing changed.")


class ToldStandingAnswer(BaseModel):
    """A standing as it was told."""

    unit: str
    day: date
    value: int
    out_of: int | None
    source: str
    revision: int = Field(description="1, and one more with each correction of this unit and day.")
    known_day: date
    told_at: AwareDatetime
    told_by: str = Field(description="The name of the API key.")

    @classmethod
    def of(cls, told: ToldStanding) -> Self:
        standing = told.standing
        return cls(
            unit=standing.unit,
            day=standing.day,
            value=standing.value,
            out_of=standing.out_of,
            source=standing.source,
            revision=told.revision,
            known_day=told.known_day,
            told_at=told.told_at,
            told_by=told.told_by,
        )


class ToldStandingsAnswer(BaseModel):
    """All that was told of a measure."""

    standings: list[ToldStandingAnswer]


class MeasuredUnitAnswer(Answered):
    """A unit on a measure."""

    code: str
    name: str
    level: Level
    parent: str | None
    how: Literal["reported", "summed", "not_reported"] = Field(
        description="Told for the unit itself; the sum of what was told below it; or nothing, which is not zero."
    )
    value: int | None
    out_of: int | None
    percent: str | None = Field(description="Of `out_of`, cut at the measure's decimals.", examples=["95.1"])
    over_100: bool = Field(
        description="More than the whole was reported: shown as it is, and to be looked into."
    )
    target: int | None
    percent_of_target: str | None = Field(examples=["105.1"])
    oldest_day: date | None = Field(description="Of the standings in it, the oldest one's day.")
    covered: int = Field(description="How many of its communes are in it.")
    communes: int
    of_divided: int = Field(
        description="In how many of its communes is what was told of a unit that has been divided since: the part that "
        "its shares give; or the whole, if the measure doesn't add up."
    )
    sources: list[str]


class MeasuredAnswer(BaseModel):
    """A measure and where units stand on it."""

    id: str
    name: str
    out_of: str | None
    decimals: int
    adds_up: bool
    decision: DecisionDocument | None
    version: int
    units: list[MeasuredUnitAnswer] = Field(
        description="The unit asked for, then its descendants, each before those below it."
    )


class MeasuresAnswer(BaseModel):
    """A campaign's measures. What isn't reported is null, never zero."""

    campaign: str
    as_of: date
    known_at: date | None
    tree: date = Field(description="The units are those of this day.")
    measures: list[MeasuredAnswer]

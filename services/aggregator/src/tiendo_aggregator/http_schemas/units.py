"""What goes over HTTP about units, their trees and reorganisations."""

from collections.abc import Sequence
from datetime import date
from typing import Annotated, Self

from pydantic import (
    AwareDatetime,
    BaseModel,
    Field,
    StringConstraints,
)

from tiendo_aggregator.http_schemas import (
    Answered,
    Citizens,
    Day,
    Level,
    Text,
    TreeLevel,
)
from tiendo_aggregator.http_schemas.progress import StandingAnswer
from tiendo_aggregator.rules.units import Reorganisation, Tree
from tiendo_aggregator.rules.units.edition import Difference, SentUnit
from tiendo_aggregator.rules.units.hamlets import HamletList, SentHamlet
from tiendo_aggregator.rules.units.reorganisation import Kind, Operation, Placing, Row, Share
from tiendo_aggregator.use_cases.reorganisation import (
    DividedByHamlet,
    ImportedEdition,
    ImportedHamlets,
    Outcome,
)
from tiendo_aggregator.use_cases.units import FoundUnit
from tiendo_common.events.state import Indicator
from tiendo_common.service.documents import Sent, in_words


class UnitAnswer(BaseModel):
    """A unit as of a day: a code means it only in its span."""

    code: str
    name: str
    level: Level
    parent: str | None
    from_day: date
    until_day: date | None = Field(description="The first day on which this no longer holds; null: it does.")

    @classmethod
    def of(cls, found: FoundUnit) -> Self:
        span = found.span
        return cls(
            code=found.code,
            name=span.name,
            level=span.level,
            parent=span.parent,
            from_day=span.from_day,
            until_day=span.until_day,
        )


class UnitsAnswer(BaseModel):
    """Units valid on a day, by code."""

    as_of: date
    total: int = Field(description="How many match.")
    cut: bool = Field(description="Whether more match than are listed.")
    units: list[UnitAnswer]


class ListedHamletsAnswer(BaseModel):
    """The hamlets of a province on a day, by code."""

    province: str
    as_of: date
    hamlets: list[UnitAnswer]


#: Lists in answers end here; their whole length is told beside them.
LISTED = 1000

UnitCode = Annotated[
    str,
    StringConstraints(pattern=r"^[0-9]{2,10}$"),
    Field(examples=["62"]),
    in_words("a unit's code: two to ten digits, as text"),
]


class EditionRow(Sent):
    """One unit, as a line of `data/units/*.csv`."""

    code: UnitCode
    parent_code: UnitCode | None = Field(description="The unit above it; null for a province.")
    level: TreeLevel
    name: Text


class EditionDocument(Sent):
    """A whole tree."""

    units: Annotated[list[EditionRow], Field(min_length=1, max_length=50_000)]

    def rows(self) -> list[SentUnit]:
        """As the rules know them."""
        return [
            SentUnit(code=each.code, parent_code=each.parent_code, level=each.level, name=each.name)
            for each in self.units
        ]


class DifferenceOfTrees(Answered):
    """Codes whose unit is another than on that day now."""

    added: list[str]
    gone: list[str]
    renamed: list[str]
    moved: list[str]

    @classmethod
    def of(cls, found: Difference) -> Self:
        return cls(
            added=found.added[:LISTED],
            gone=found.gone[:LISTED],
            renamed=found.renamed[:LISTED],
            moved=found.moved[:LISTED],
        )


class EditionAnswer(BaseModel):
    """What an edition changes on its first day. Lists end after 1000 codes; `counts` has the whole numbers."""

    dry_run: bool = Field(description="True: nothing was written.")
    from_day: date
    until_day: date | None = Field(description="The first day on which the tree is another; null: none yet.")
    units: int
    counts: dict[str, int]
    difference: DifferenceOfTrees

    @classmethod
    def of(cls, result: ImportedEdition, *, dry_run: bool) -> Self:
        return cls(
            dry_run=dry_run,
            from_day=result.from_day,
            until_day=result.until_day,
            units=result.units,
            counts=_counts(result.difference),
            difference=DifferenceOfTrees.of(result.difference),
        )


class HamletRow(Sent):
    """One hamlet: a thôn, bản, tổ dân phố."""

    code: UnitCode = Field(description="Its own, no unit's.", examples=["23500001"])
    parent_code: UnitCode = Field(description="Its commune.", examples=["23500"])
    name: Text = Field(examples=["Thôn 1"])


class HamletsDocument(Sent):
    """All hamlets of a province."""

    until_day: Day | None = Field(
        None,
        description="The first day on which the list no longer holds; null: it holds until the province's next one. No "
        "hamlet may outlive its commune.",
    )
    hamlets: Annotated[list[HamletRow], Field(max_length=50_000)]

    def sent(self) -> HamletList:
        """As the rules know it."""
        return HamletList(
            self.until_day,
            tuple(
                SentHamlet(code=each.code, parent_code=each.parent_code, name=each.name)
                for each in self.hamlets
            ),
        )


class HamletsAnswer(BaseModel):
    """What a list of hamlets changes on its first day. Lists end after 1000 codes; `counts` has the whole numbers."""

    dry_run: bool = Field(description="True: nothing was written.")
    province: str
    from_day: date
    until_day: date | None = Field(
        description="The first day on which the list no longer holds; null: none yet."
    )
    hamlets: int
    counts: dict[str, int]
    difference: DifferenceOfTrees

    @classmethod
    def of(cls, result: ImportedHamlets, *, dry_run: bool) -> Self:
        return cls(
            dry_run=dry_run,
            province=result.province,
            from_day=result.from_day,
            until_day=result.until_day,
            hamlets=result.hamlets,
            counts=_counts(result.difference),
            difference=DifferenceOfTrees.of(result.difference),
        )


def _counts(found: Difference) -> dict[str, int]:
    return {
        "added": len(found.added),
        "gone": len(found.gone),
        "renamed": len(found.renamed),
        "moved": len(found.moved),
    }


class MappingRow(Sent):
    """One line of a mapping file."""

    from_code: UnitCode = Field(description="A unit of the tree before.")
    to_code: UnitCode = Field(description="The unit of the tree after that it became, or a part of it.")
    share: Share
    resolution: Text | None = Field(None, description="Its own resolution, if not the reorganisation's.")


class ReorganisationDocument(Sent):
    """How the tree before a day becomes that of the day. A unit that no row names keeps its code; one above others goes
    to the lowest unit that stands above all that was below it."""

    effective_on: Day = Field(description="The first day of the tree after.")
    resolution: Text = Field(examples=["202/2025/QH15"])
    rows: Annotated[list[MappingRow], Field(max_length=50_000)]
    within: Annotated[list[UnitCode], Field(min_length=1)] | None = Field(
        None, description="Only these units of the tree before and those below them; null: the whole tree."
    )
    placing: Placing | None = Field(
        None,
        description="What is done with the records of divided units: all to the main part; all to the part that keeps "
        "the unit's code, else to the main one; as `shares` say, and then each divided unit must be there or in "
        "`placements`; or as `by_hamlet` says, likewise.",
    )
    placements: dict[UnitCode, UnitCode] = Field(
        default_factory=dict,
        description="A rule made by hand: the divided unit, and the part that takes all.",
    )
    shares: dict[UnitCode, dict[UnitCode, Citizens]] = Field(
        default_factory=dict,
        description="The divided unit, and the weight of each part: agreed numbers of citizens, say. Intake moves the "
        "records: PUT /v1/placements/{reorganisation}/{unit}; `tiendo place` does so for all.",
        examples=[{"23284": {"23284": 4100, "23296": 900}}],
    )
    by_hamlet: dict[UnitCode, dict[UnitCode, Citizens]] = Field(
        default_factory=dict,
        description="The divided commune, whose hamlets go where the list of the new tree has them, or a row says. "
        "Each part has a weight, by which what was told as a number (eligible, targets, exempt) is parted; `{}`: as "
        "many as are eligible there by the newest plan that says so of each hamlet. Records that name no hamlet go to "
        "the part that keeps the code, else to the main one.",
        examples=[{"23284": {"23284": 4100, "23296": 900}}],
    )

    def asked(self) -> Reorganisation:
        """As the rules know it."""
        return Reorganisation(
            effective_on=self.effective_on,
            rows=tuple(
                Row(
                    from_code=row.from_code,
                    to_code=row.to_code,
                    share=row.share,
                    resolution=row.resolution or self.resolution,
                )
                for row in self.rows
            ),
            within=None if self.within is None else tuple(self.within),
            placing=self.placing,
            placements=self.placements,
            shares=self.shares,
            by_hamlet=self.by_hamlet,
        )


class NamedUnit(BaseModel):
    """A unit of one of the two trees."""

    code: str
    name: str


class OperationAnswer(BaseModel):
    """One thing that happens to units."""

    kind: Kind
    units: list[NamedUnit] = Field(description="Which they are on the tree before.")
    become: list[NamedUnit] = Field(description="What they are on the tree after; the main part first.")
    resolutions: list[str]

    @classmethod
    def of(cls, operation: Operation, old: Tree, new: Tree) -> Self:
        return cls(
            kind=operation.kind,
            units=_named(operation.units, old),
            become=_named(operation.become, new),
            resolutions=list(operation.resolutions),
        )


class HigherUnit(BaseModel):
    """A unit above others, and where it goes: what its own teams did is summed there."""

    unit: NamedUnit
    becomes: NamedUnit


class SideAnswer(Answered):
    """A campaign on one tree, at the end of the last day of the tree before."""

    root: str = Field(description="What its province is on this tree.")
    units: int
    indicators: dict[Indicator, StandingAnswer]


class RebasedCampaignAnswer(Answered):
    """A campaign before and after: the same totals under other units; or why it cannot be followed."""

    campaign: str
    before: SideAnswer | None
    after: SideAnswer | None
    problem: str | None


class PartAnswer(BaseModel):
    """A part of a commune that is divided by hamlet."""

    unit: NamedUnit
    hamlets: list[NamedUnit] = Field(description="Those of the day before that go there.")
    citizens: int = Field(description="Who lives in them, with a dossier, at the end of that day.")
    weight: int = Field(description="By which what was told of the commune as a number is parted.")


class DividedAnswer(BaseModel):
    """A commune that is divided by hamlet."""

    unit: NamedUnit
    parts: list[PartAnswer]
    without_hamlet: int = Field(description="Citizens of whom no hamlet of the day before is said.")
    stays: NamedUnit = Field(description="The part to which these go.")

    @classmethod
    def of(cls, found: DividedByHamlet, old: Tree, new: Tree) -> Self:
        division = found.division
        [unit], [stays] = _named([division.unit], old), _named([division.stays], new)
        return cls(
            unit=unit,
            parts=[
                PartAnswer(
                    unit=_named([part], new)[0],
                    hamlets=_named(hamlets, old),
                    citizens=found.citizens[part],
                    weight=found.weights[part],
                )
                for part, hamlets in division.parts.items()
            ],
            without_hamlet=found.without_hamlet,
            stays=stays,
        )


class ReorganisationAnswer(BaseModel):
    """What a reorganisation does and leaves open. Lists end after 1000 entries; `counts` has the whole numbers."""

    dry_run: bool = Field(description="True: nothing was written.")
    id: int | None = Field(description="By which it can be undone; null unless it was applied.")
    effective_on: date
    applicable: bool = Field(description="Whether nothing is left open.")
    counts: dict[str, int]
    levels_dropped: list[str]
    levels_added: list[str]
    operations: list[OperationAnswer]
    higher: list[HigherUnit]
    unmapped: list[NamedUnit] = Field(description="Units that would be lost: each needs a row.")
    needs_rule: list[NamedUnit] = Field(description="Divided units without a rule.")
    reused: list[NamedUnit] = Field(
        description="Units placed elsewhere though their code goes on: place them at the part that keeps it."
    )
    astray: list[NamedUnit] = Field(
        description="Hamlets that are in another commune than their own becomes: divide that by hamlet."
    )
    founded: list[NamedUnit] = Field(description="New units that have part in none of before.")
    by_hamlet: list[DividedAnswer]
    campaigns: list[RebasedCampaignAnswer]

    @classmethod
    def of(cls, outcome: Outcome, *, dry_run: bool) -> Self:
        found = outcome.preview
        old, new = found.before, found.after
        return cls(
            dry_run=dry_run,
            id=outcome.id,
            effective_on=found.step.day,
            applicable=not (found.unmapped or found.needs_rule or found.reused or found.astray),
            counts={
                **found.counts,
                "kept": found.kept,
                "higher": len(found.higher),
                "unmapped": len(found.unmapped),
                "needs_rule": len(found.needs_rule),
                "reused": len(found.reused),
                "astray": len(found.astray),
                "founded": len(found.founded),
            },
            levels_dropped=found.levels_dropped,
            levels_added=found.levels_added,
            operations=[OperationAnswer.of(each, old, new) for each in found.operations[:LISTED]],
            higher=[
                HigherUnit(unit=_named([code], old)[0], becomes=_named([there], new)[0])
                for code, there in sorted(found.higher.items())
            ],
            unmapped=_named(found.unmapped, old),
            needs_rule=_named(found.needs_rule, old),
            reused=_named(found.reused, old),
            astray=_named(found.astray, old),
            founded=_named(found.founded, new),
            by_hamlet=[DividedAnswer.of(each, old, new) for each in outcome.divided],
            campaigns=[RebasedCampaignAnswer.model_validate(each) for each in outcome.campaigns],
        )


def _named(codes: Sequence[str], tree: Tree) -> list[NamedUnit]:
    return [NamedUnit(code=code, name=tree.units[code].name) for code in codes[:LISTED]]


class AppliedAnswer(Answered):
    """A reorganisation as it was applied, and whether it was taken back."""

    id: int
    effective_on: date
    resolution: str
    within: list[str] | None
    rule: Placing | None = Field(description="What was done with divided units' records, as `placing` said.")
    shares: dict[str, dict[str, int]] = Field(description="Those parted by share: the weight of each part.")
    by_hamlet: dict[str, dict[str, int]] = Field(
        description="Those divided by hamlet: the weight of each part, for what was told as a number."
    )
    stays: dict[str, str] = Field(
        description="Of both, the part at which records count that intake does not move, or that name no hamlet: the "
        "one that keeps the code, else the main one."
    )
    taken_in: dict[str, list[str]] = Field(
        description="Of those parted by share, the other codes whose records were theirs on the day before: of "
        "communes that they took in earlier, and of hamlets that have ended."
    )
    rows: int
    applied_at: AwareDatetime
    applied_by: str
    undone_at: AwareDatetime | None
    undone_by: str | None


class ReorganisationsAnswer(Answered):
    """Every reorganisation that was ever applied, in that order."""

    reorganisations: list[AppliedAnswer]

"""State that services share: the newest document of each key wins (compacted topics)."""

from datetime import date, datetime, time
from typing import Literal

import msgspec

from tiendo_common.events.declarations import DailyDeclarations
from tiendo_common.events.envelope import Event
from tiendo_common.events.restatements import Cohort, FailureReason
from tiendo_common.nights import DayEnd

Indicator = Literal["intake", "approved", "activated"]


class UnitSpan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One span in the life of a unit code; `until_day` is exclusive, null means to this day."""

    from_day: date
    until_day: date | None
    parent: str | None
    level: Literal["province", "district", "commune"]
    name: str


class HamletSpan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The days on which a code is that of a hamlet of the commune; `until_day` is exclusive, null means to this day."""

    code: str
    from_day: date
    until_day: date | None
    name: str


class UnitPublication(msgspec.Struct, frozen=True, kw_only=True):
    """A unit code with all its spans, oldest first. `loaded` counts the codes of the complete tree, without hamlets.

    `hamlets`: all that are or were below the commune, by code and day; records may name them in the commune's place.
    Absent: it has none.
    """

    code: str
    spans: tuple[UnitSpan, ...]
    loaded: int
    hamlets: tuple[HamletSpan, ...] | msgspec.UnsetType = msgspec.UNSET


class CampaignPublication(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign as others need it: who, where, when.

    `day_weights`: how much each day from the first is to bring beside the others; absent: all are alike.
    `daily_declarations`: which units report by declaring, and by when; absent: none. `parent`: the campaign of which it
    is a part, whose counts have its citizens among them; absent: it is no part of another. `days_end_after_midnight`:
    the cut-off of each day is an hour of the following date; absent: of the day itself.
    """

    campaign: str
    name: str
    province: str
    first_day: date
    last_day: date
    day_cut_off: time
    day_weights: tuple[int, ...] | msgspec.UnsetType = msgspec.UNSET
    daily_declarations: DailyDeclarations | msgspec.UnsetType = msgspec.UNSET
    parent: str | msgspec.UnsetType = msgspec.UNSET
    days_end_after_midnight: bool | msgspec.UnsetType = msgspec.UNSET

    @property
    def day_end(self) -> DayEnd:
        """When its days end."""
        return DayEnd(self.day_cut_off, self.days_end_after_midnight is True)


class TargetPublication(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit must reach by the campaign's last day, baseline included."""

    campaign: str
    unit: str
    unit_name: str
    indicator: Indicator
    value: int


class Goal(msgspec.Struct, frozen=True):
    """What is counted, and by which day it is due; null: both levels, every citizen, the campaign's last day.

    It has one `name`: `activated` as a whole, `activated:level-2:officials:by-2023-11-30` narrowed in every way. So
    whatever is kept by indicator is kept by goal, and an indicator as a whole is the goal of its own name.
    """

    indicator: Indicator
    level: Literal[1, 2] | None = None
    cohort: Cohort | None = None
    due: date | None = None

    @property
    def name(self) -> str:
        parts = (
            self.indicator,
            f"level-{self.level}" if self.level is not None else "",
            self.cohort or "",
            f"by-{self.due}" if self.due is not None else "",
        )
        return ":".join(part for part in parts if part)

    @property
    def narrowed(self) -> bool:
        """Whether it is less than the whole indicator over the whole campaign."""
        return (self.level, self.cohort, self.due) != (None, None, None)


class ExpectedEnd(msgspec.Struct, frozen=True, kw_only=True):
    """What the campaign's last day is expected to show if things go on as of late, in citizens: `final`, and the 80%
    interval around it."""

    final: int
    low: int
    high: int


class IndicatorProgress(msgspec.Struct, frozen=True, kw_only=True):
    """A unit's figures on one indicator.

    `value` and `baseline` count citizens by residence; `done` counts the work credited to the unit on
    the day, by collecting unit. `expected`: in a day's last word only, of a unit with a target, while there is a
    forecast.
    """

    value: int
    baseline: int
    done: int
    expected: ExpectedEnd | msgspec.UnsetType = msgspec.UNSET


class NarrowedProgress(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit must reach of a goal that is less than a whole indicator over the whole campaign (`target`, baseline
    included, by the goal's own last day), with its figures as IndicatorProgress has them. `expected` is of that day.

    `from_day`: it is worked for only from this day on, after the campaign's last one, and `baseline` is what stood
    before it; absent: from the campaign's first day. `day_weights` are those of the days from it to the goal's last
    one; absent: all are alike.
    """

    goal: Goal
    target: int
    value: int
    baseline: int
    done: int
    expected: ExpectedEnd | msgspec.UnsetType = msgspec.UNSET
    from_day: date | msgspec.UnsetType = msgspec.UNSET
    day_weights: tuple[int, ...] | msgspec.UnsetType = msgspec.UNSET


class RevisedDay(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit's figures on a goal were at the end of an earlier day, as far as it is known now: that day's own last
    word, or a revision of it, said otherwise."""

    goal: Goal
    day: date
    value: int
    baseline: int
    done: int


class FailedFor(msgspec.Struct, frozen=True, kw_only=True):
    """How many attempts failed for one reason."""

    reason: FailureReason
    attempts: int


class Attempts(msgspec.Struct, frozen=True, kw_only=True):
    """Attempts to activate from the campaign's first day on, as far as they are known now: so the difference of two
    days has what came late, too. `activated` is the work credited to the unit; `failed` are the attempts that failed at
    it, by reason, without those of which there were none."""

    activated: int
    failed: tuple[FailedFor, ...]


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a unit's dossiers from the campaign's first day on, as far as it is known now: those `taken` by
    it, and how often one that it had taken was voided, corrected, or turned down."""

    taken: int
    voided: int
    corrected: int
    rejected: int


class ProgressPublication(msgspec.Struct, frozen=True, kw_only=True):
    """A unit's newest totals on `day`; every fact accepted up to `complete_to` is in them.

    `narrowed`: in a day's last word only, of a unit that has such targets. `revised`: likewise, of a unit with targets,
    while late records have changed any of the seven days before; a target's days end with its own last day.
    `attempts`: likewise, of a unit at which attempts failed. `records`: likewise, of one whose dossiers had faults.
    """

    campaign: str
    unit: str
    day: date
    complete_to: datetime
    intake: IndicatorProgress
    approved: IndicatorProgress
    activated: IndicatorProgress
    narrowed: tuple[NarrowedProgress, ...] | msgspec.UnsetType = msgspec.UNSET
    revised: tuple[RevisedDay, ...] | msgspec.UnsetType = msgspec.UNSET
    attempts: Attempts | msgspec.UnsetType = msgspec.UNSET
    records: Records | msgspec.UnsetType = msgspec.UNSET


class UnitPublished(Event, frozen=True, kw_only=True, tag="vn.tiendo.aggregator.unit-published.v1"):
    """Topic `units`, key: the unit's code."""

    data: UnitPublication


class CampaignPublished(Event, frozen=True, kw_only=True, tag="vn.tiendo.aggregator.campaign-published.v1"):
    """Topic `campaigns`, key: the campaign."""

    data: CampaignPublication


class TargetSet(Event, frozen=True, kw_only=True, tag="vn.tiendo.aggregator.target-set.v1"):
    """Topic `targets`, key: campaign, unit and indicator."""

    data: TargetPublication


class ProgressPublished(Event, frozen=True, kw_only=True, tag="vn.tiendo.aggregator.progress-published.v1"):
    """Topic `progress`. A unit's newest totals have the key campaign and unit; the last word on a day, published
    once the day's cut-off has passed and all accepted up to it is counted, has the day in its key as well."""

    data: ProgressPublication

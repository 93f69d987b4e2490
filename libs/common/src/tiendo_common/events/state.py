"""State that services share: the newest document of each key wins (compacted topics)."""

from datetime import date, datetime, time
from typing import Literal

import msgspec

from tiendo_common.events.declarations import DailyDeclarations
from tiendo_common.events.envelope import Event

Indicator = Literal["intake", "approved", "activated"]


class UnitSpan(msgspec.Struct, frozen=True, kw_only=True):
    """One span in the life of a unit code; `until_day` is exclusive, null means to this day."""

    from_day: date
    until_day: date | None
    parent: str | None
    level: Literal["province", "district", "commune"]
    name: str


class UnitPublication(msgspec.Struct, frozen=True, kw_only=True):
    """A unit code with all its spans, oldest first. `loaded` counts the codes of the complete tree."""

    code: str
    spans: tuple[UnitSpan, ...]
    loaded: int


class CampaignPublication(msgspec.Struct, frozen=True, kw_only=True):
    """A campaign as others need it: who, where, when.

    `day_weights`: how much each day from the first is to bring beside the others; absent: all are alike.
    `daily_declarations`: which units report by declaring, and by when; absent: none.
    """

    campaign: str
    name: str
    province: str
    first_day: date
    last_day: date
    day_cut_off: time
    day_weights: tuple[int, ...] | msgspec.UnsetType = msgspec.UNSET
    daily_declarations: DailyDeclarations | msgspec.UnsetType = msgspec.UNSET


class TargetPublication(msgspec.Struct, frozen=True, kw_only=True):
    """What a unit must reach by the campaign's last day, baseline included."""

    campaign: str
    unit: str
    unit_name: str
    indicator: Indicator
    value: int


class IndicatorProgress(msgspec.Struct, frozen=True, kw_only=True):
    """A unit's figures on one indicator.

    `value` and `baseline` count citizens by residence; `done` counts the work credited to the unit on
    the day, by collecting unit.
    """

    value: int
    baseline: int
    done: int


class ProgressPublication(msgspec.Struct, frozen=True, kw_only=True):
    """A unit's newest totals on `day`; every fact accepted up to `complete_to` is in them."""

    campaign: str
    unit: str
    day: date
    complete_to: datetime
    intake: IndicatorProgress
    approved: IndicatorProgress
    activated: IndicatorProgress


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

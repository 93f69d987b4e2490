"""What the aggregator published about units, campaigns and targets: a copy in memory."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date

from tiendo_common.events.state import (
    CampaignPublication,
    CampaignPublished,
    TargetPublication,
    TargetSet,
    UnitPublished,
    UnitSpan,
)


class Reference:
    """Filled by state replicas: the newest document of each key wins."""

    def __init__(self) -> None:
        self.campaigns: dict[str, CampaignPublication] = {}
        self._units: dict[str, tuple[UnitSpan, ...]] = {}
        self._targets: defaultdict[tuple[str, str], dict[str, TargetPublication]] = defaultdict(dict)

    def put_unit(self, event: UnitPublished) -> None:
        self._units[event.data.code] = event.data.spans

    def put_campaign(self, event: CampaignPublished) -> None:
        self.campaigns[event.data.campaign] = event.data

    def put_target(self, event: TargetSet) -> None:
        target = event.data
        self._targets[target.campaign, target.unit][target.indicator] = target

    def targets(self, campaign: str, unit: str) -> list[TargetPublication]:
        """The unit's targets in the campaign, one for each indicator that has one."""
        return list(self._targets.get((campaign, unit), {}).values())

    def is_unit(self, code: str) -> bool:
        """Whether the code was ever a unit's."""
        return code in self._units

    def line(self, code: str, day: date) -> Iterator[tuple[str, UnitSpan]]:
        """The unit and those above it on that day, nearest first."""
        seen: set[str] = set()
        above: str | None = code
        while above is not None and above not in seen:
            seen.add(above)
            span = self._span(above, day)
            if span is None:
                return
            yield above, span
            above = span.parent

    def full_name(self, code: str, day: date, otherwise: str) -> str:
        """The unit's name, and a commune's district too: many communes share a name."""
        spans = [span for _, span in self.line(code, day)]
        if not spans:
            return otherwise
        if spans[0].level == "commune" and len(spans) > 1 and spans[1].level == "district":
            return f"{spans[0].name}, {spans[1].name}"
        return spans[0].name

    def _span(self, code: str, day: date) -> UnitSpan | None:
        for span in self._units.get(code, ()):
            if span.from_day <= day and (span.until_day is None or day < span.until_day):
                return span
        return None

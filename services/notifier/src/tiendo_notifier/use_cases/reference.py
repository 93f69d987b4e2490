"""What the aggregator published about units, campaigns and targets: a copy in memory."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import date, datetime

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
        #: When each campaign's plan was last published.
        self.known_since: dict[str, datetime] = {}
        #: Rises with each unit that is published.
        self.units_revision = 0
        self._units: dict[str, tuple[UnitSpan, ...]] = {}
        self._targets: defaultdict[tuple[str, str], dict[str, TargetPublication]] = defaultdict(dict)

    def put_unit(self, event: UnitPublished) -> None:
        self._units[event.data.code] = event.data.spans
        self.units_revision += 1

    def put_campaign(self, event: CampaignPublished) -> None:
        self.campaigns[event.data.campaign] = event.data
        self.known_since[event.data.campaign] = event.time

    def put_target(self, event: TargetSet) -> None:
        target = event.data
        self._targets[target.campaign, target.unit][target.indicator] = target

    def targets(self, campaign: str, unit: str) -> list[TargetPublication]:
        """The unit's targets in the campaign, one for each indicator that has one."""
        return list(self._targets.get((campaign, unit), {}).values())

    def largest_target(self, campaign: str, unit: str | None) -> int:
        """The largest target of the unit, or of any (0: there is none yet)."""
        found = (
            target.value
            for (at, code), targets in self._targets.items()
            if at == campaign and unit in (None, code)
            for target in targets.values()
        )
        return max(found, default=0)

    def units_with_targets(self, campaign: str) -> list[str]:
        """The units that have a target in the campaign."""
        return [code for at, code in self._targets if at == campaign]

    def codes_above(self, code: str, day: date) -> Iterator[str]:
        """The codes of the units above it on that day, nearest first; none if it is no unit's then."""
        return (each for each, _ in self.line(code, day) if each != code)

    def is_in(self, code: str, above: str, day: date) -> bool:
        """Whether the unit is `above` or below it on that day."""
        return any(each == above for each, _ in self.line(code, day))

    def is_on(self, code: str, day: date) -> bool:
        """Whether the code is a unit's on that day."""
        return self._span(code, day) is not None

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

    def parent(self, code: str, day: date) -> str | None:
        """The unit above on that day."""
        span = self._span(code, day)
        return span.parent if span else None

    def parent_name(self, code: str, day: date) -> str | None:
        """The name of the unit above on that day."""
        above = self.parent(code, day)
        return self.full_name(above, day, above) if above else None

    def _span(self, code: str, day: date) -> UnitSpan | None:
        for span in self._units.get(code, ()):
            if span.from_day <= day and (span.until_day is None or day < span.until_day):
                return span
        return None

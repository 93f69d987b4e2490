"""Units and campaigns as published: what a producing service holds in memory to judge a line."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from tiendo_common.errors import Invalid, Unavailable
from tiendo_common.events.state import CampaignPublication, CampaignPublished, UnitPublished, UnitSpan

#: How far ahead of ours another machine's clock may be.
CLOCK_SKEW = timedelta(minutes=5)
#: Records from before a campaign (its baseline) may be this much older than its first day.
OLDEST_RECORD = timedelta(days=3 * 366)


def when_valid(spans: Sequence[UnitSpan]) -> str:
    """The days on which a code is valid, in words; `until_day` is the first on which it no longer is."""
    return " and ".join(
        f"from {span.from_day} on"
        if span.until_day is None
        else f"from {span.from_day} to {span.until_day - timedelta(days=1)}"
        for span in spans
    )


class UnknownCampaign(Invalid):
    """No campaign of this name has been heard of, yet: news of one takes a moment to arrive."""

    code = "unknown-campaign"
    retryable = True


class Directory:
    """Looks up units by the day asked for, and campaigns."""

    def __init__(self) -> None:
        self._units: dict[str, tuple[UnitSpan, ...]] = {}
        self._campaigns: dict[str, CampaignPublication] = {}
        self._expected = 0
        # The span in which a unit was last found good: nearly every line asks about the same few.
        self._good: dict[tuple[str, bool], UnitSpan] = {}

    def put_unit(self, event: UnitPublished) -> None:
        self._good.clear()
        self._units[event.data.code] = event.data.spans
        self._expected = event.data.loaded

    def put_campaign(self, event: CampaignPublished) -> None:
        self._campaigns[event.data.campaign] = event.data

    @property
    def complete(self) -> bool:
        """Whether a complete load of the tree has been seen."""
        return 0 < self._expected <= len(self._units)

    def check_complete(self) -> None:
        """Raise Unavailable before the first complete load: good lines would be rejected without it."""
        if not self.complete:
            raise Unavailable("The units are still being loaded.", remedy="Send the same request again.")

    def check_unit(self, code: str, day: date, field: str, *, commune: bool = False) -> None:
        """Raise Invalid unless the code is a unit's on that day, and a commune's where one is needed."""
        good = self._good.get((code, commune))
        if good is not None and good.from_day <= day and (good.until_day is None or day < good.until_day):
            return
        spans = self._units.get(code)
        if spans is None:
            raise Invalid(f"No unit has the code {code}.", field=field, remedy="See GET /v1/units.")
        for span in spans:
            if span.from_day <= day and (span.until_day is None or day < span.until_day):
                if commune and span.level != "commune":
                    raise Invalid(
                        f"{code} ({span.name}) is a {span.level}; the commune is needed.", field=field
                    )
                self._good[code, commune] = span
                return
        raise Invalid(
            f"The unit {code} did not exist on {day}: its code is valid {when_valid(spans)}.", field=field
        )

    def ever_below(self, root: str) -> list[str]:
        """Every code that was `root` or below it on any day, in order. Raises Invalid for an unknown code."""
        if root not in self._units:
            raise Invalid(f"No unit has the code {root}.", field="province", remedy="See GET /v1/units.")
        # On other days nothing comes to be below anything.
        days = {span.from_day for spans in self._units.values() for span in spans}
        found: set[str] = set()
        for day in days:
            valid: set[str] = set()
            children: defaultdict[str, list[str]] = defaultdict(list)
            for code, spans in self._units.items():
                for span in spans:
                    if span.from_day <= day and (span.until_day is None or day < span.until_day):
                        valid.add(code)
                        if span.parent is not None:
                            children[span.parent].append(code)
            below = [root] if root in valid else []
            while below:
                code = below.pop()
                found.add(code)
                below += children[code]
        return sorted(found)

    def province_of(self, campaign: str) -> str:
        """The code of the province that runs a known campaign."""
        return self._campaigns[campaign].province

    def check_moment(self, moment: datetime, day: date, now: datetime, campaign: str) -> None:
        """Raise Invalid if the campaign is unknown, or the time is in the future or long before it."""
        known = self._campaigns.get(campaign)
        if known is None:
            raise UnknownCampaign(
                f"There is no campaign {campaign!r}.", field="campaign", remedy="See GET /v1/campaigns."
            )
        if moment > now + CLOCK_SKEW:
            raise Invalid(
                f"{moment.isoformat()} is in the future: it is {now.isoformat()}.", field="occurred_at"
            )
        if day < known.first_day - OLDEST_RECORD:
            raise Invalid(
                f"{day} is more than three years before the campaign {campaign}, which began on "
                f"{known.first_day}.",
                field="occurred_at",
            )

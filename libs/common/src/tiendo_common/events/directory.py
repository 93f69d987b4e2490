"""Units and campaigns as published: what a producing service holds in memory to judge a line."""

from datetime import date, datetime, timedelta

from tiendo_common.errors import Invalid, Unavailable
from tiendo_common.events.state import CampaignPublication, CampaignPublished, UnitPublished, UnitSpan

#: How far ahead of ours another machine's clock may be.
CLOCK_SKEW = timedelta(minutes=5)
#: Look-ups that are remembered: a province's communes over a campaign's days, several times over.
MOST_REMEMBERED = 100_000
#: Records from before a campaign (its baseline) may be this much older than its first day.
OLDEST_RECORD = timedelta(days=3 * 366)


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
        # Units that were looked up and found good: nearly every line asks about the same few.
        self._good: set[tuple[str, date, bool]] = set()

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
        asked = (code, day, commune)
        if asked in self._good:
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
                if len(self._good) > MOST_REMEMBERED:
                    self._good.clear()
                self._good.add(asked)
                return
        held = "; ".join(f"from {span.from_day} to before {span.until_day or 'now'}" for span in spans)
        raise Invalid(f"The unit {code} did not exist on {day}; it did {held}.", field=field)

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

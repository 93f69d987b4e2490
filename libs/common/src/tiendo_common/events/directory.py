"""Units and campaigns as published: what a producing service holds in memory to judge a line."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import date, datetime, timedelta

from tiendo_common.errors import Invalid, Unavailable
from tiendo_common.events.state import (
    CampaignPublication,
    CampaignPublished,
    HamletSpan,
    UnitPublished,
    UnitSpan,
)

#: How far ahead of ours another machine's clock may be.
CLOCK_SKEW = timedelta(minutes=5)
#: Records from before a campaign (its baseline) may be this much older than its first day.
OLDEST_RECORD = timedelta(days=3 * 366)
_UNITS = "GET /v1/units?search= of the aggregator finds codes by name."


def when_valid(spans: Sequence[UnitSpan | HamletSpan]) -> str:
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


def _is_on(span: UnitSpan | HamletSpan, day: date) -> bool:
    return span.from_day <= day and (span.until_day is None or day < span.until_day)


class Directory:
    """Looks up units and hamlets by the day asked for, and campaigns."""

    def __init__(self) -> None:
        self._units: dict[str, tuple[UnitSpan, ...]] = {}
        #: By code, then by the commune whose hamlet it is or was.
        self._hamlets: defaultdict[str, dict[str, tuple[HamletSpan, ...]]] = defaultdict(dict)
        #: The hamlets of each commune, to be forgotten when it is published without them.
        self._hamlets_of: dict[str, frozenset[str]] = {}
        self._campaigns: dict[str, CampaignPublication] = {}
        self._expected = 0
        # The span in which a unit was last found good: nearly every line asks about the same few.
        self._good: dict[tuple[str, bool], UnitSpan | HamletSpan] = {}

    def put_unit(self, event: UnitPublished) -> None:
        self._good.clear()
        unit = event.data
        self._units[unit.code] = unit.spans
        self._expected = unit.loaded
        hamlets: defaultdict[str, list[HamletSpan]] = defaultdict(list)
        for span in unit.hamlets or ():
            hamlets[span.code].append(span)
        for gone in self._hamlets_of.get(unit.code, frozenset()) - hamlets.keys():
            del self._hamlets[gone][unit.code]
        for code, spans in hamlets.items():
            self._hamlets[code][unit.code] = tuple(spans)
        self._hamlets_of[unit.code] = frozenset(hamlets)

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

    def check_unit(
        self, code: str, day: date, field: str, *, commune: bool = False, hamlets: bool = True
    ) -> None:
        """Raise Invalid unless the code is a unit's or a hamlet's on that day; with `commune`, a commune's or that of
        one of its hamlets. A place that is no citizen's or team's may not be among `hamlets`."""
        good = self._good.get((code, commune))
        if good is not None and _is_on(good, day) and (hamlets or isinstance(good, UnitSpan)):
            return
        spans = self._spans(code) if hamlets else self._units.get(code, ())
        if not spans:
            raise Invalid(f"No unit has the code {code}.", field=field, remedy=_UNITS)
        for span in spans:
            if _is_on(span, day):
                if commune and isinstance(span, UnitSpan) and span.level != "commune":
                    raise Invalid(
                        f"{code} ({span.name}) is a {span.level}; the commune is needed"
                        f"{', or a hamlet of it' if hamlets else ''}.",
                        field=field,
                        remedy=_UNITS,
                    )
                self._good[code, commune] = span
                return
        raise Invalid(
            f"The unit {code} did not exist on {day}: its code is valid {when_valid(spans)}.",
            field=field,
            remedy=f"GET /v1/units?as_of={day} of the aggregator tells the units of that day.",
        )

    def check_ended(self, code: str, day: date, field: str) -> None:
        """Raise Invalid unless the code was a unit's or a hamlet's before that day, and is none on it or on its eve."""
        spans = self._spans(code)
        if not spans:
            raise Invalid(f"No unit has the code {code}.", field=field, remedy=_UNITS)
        if any(_is_on(span, each) for span in spans for each in (day, day - timedelta(days=1))):
            raise Invalid(
                f"{code} ({spans[-1].name}) had not ended by {day}: its code is valid {when_valid(spans)}.",
                field=field,
                remedy="Leave it out: its records are its own.",
            )

    def _spans(self, code: str) -> Sequence[UnitSpan | HamletSpan]:
        """The spans of a unit, or else of a hamlet."""
        return self._units.get(code) or sorted(
            (span for each in self._hamlets.get(code, {}).values() for span in each),
            key=lambda span: span.from_day,
        )

    def ever_below(self, root: str) -> list[str]:
        """Every code that was `root` or below it on any day, hamlets too, in order. Raises Invalid for an unknown
        code."""
        if root not in self._units:
            raise Invalid(f"No unit has the code {root}.", field="province", remedy=_UNITS)
        # On other days nothing comes to be below anything.
        days = {span.from_day for spans in self._units.values() for span in spans}
        found: set[str] = set()
        for day in days:
            valid: set[str] = set()
            children: defaultdict[str, list[str]] = defaultdict(list)
            for code, spans in self._units.items():
                for span in spans:
                    if _is_on(span, day):
                        valid.add(code)
                        if span.parent is not None:
                            children[span.parent].append(code)
            below = [root] if root in valid else []
            while below:
                code = below.pop()
                found.add(code)
                below += children[code]
        return sorted(found.union(*(self._hamlets_of.get(code, ()) for code in found)))

    def province_of(self, campaign: str) -> str:
        """The code of the province that runs a known campaign."""
        return self._campaigns[campaign].province

    def check_moment(self, moment: datetime, day: date, now: datetime, campaign: str) -> None:
        """Raise Invalid if the campaign is unknown, or the time is in the future or long before it."""
        known = self._campaigns.get(campaign)
        if known is None:
            raise UnknownCampaign(
                f"There is no campaign {campaign!r}.",
                field="campaign",
                remedy="GET /v1/campaigns of the aggregator tells those that there are.",
            )
        if moment > now + CLOCK_SKEW:
            raise Invalid(
                f"{moment.isoformat()} is in the future: it is {now.isoformat()}.",
                field="occurred_at",
                remedy="Send what has happened; if it has, look at the date, the offset and the sender's clock.",
            )
        if day < known.first_day - OLDEST_RECORD:
            raise Invalid(
                f"{day} is more than three years before the campaign {campaign}, which began on "
                f"{known.first_day}.",
                field="occurred_at",
                remedy="Look at the year, and at the campaign that is named.",
            )

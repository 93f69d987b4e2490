"""Which days of a campaign are watched, and which are over."""

from datetime import date, datetime, timedelta

from tiendo_aggregator.rules.plan import Campaign

#: Reports go on for a week after the last day: teams that were offline still send.
WATCHED_AFTER = timedelta(days=7)


def is_watched(campaign: Campaign, today: date) -> bool:
    """Whether progress is published while this day goes on: from the first day until a week after the last one, or
    after it went on."""
    until = campaign.works_until
    return campaign.first_day <= today and (until is None or today < until + WATCHED_AFTER)


def days_to_close(
    campaign: Campaign, known_since: date, closed_through: date | None, reached: datetime
) -> list[date]:
    """The watched days, oldest first, whose cut-off has been reached and which are not closed yet.

    `reached` is a local time: everything accepted up to it has been counted. Days before the campaign
    was made known to us (`known_since`) are never closed: nobody could have sent anything for them in time,
    and closing them would report every unit as idle.
    """
    last = campaign.day_end.last_over(reached)
    if campaign.works_until is not None:
        last = min(last, campaign.works_until + WATCHED_AFTER - timedelta(days=1))
    day = max(campaign.first_day, known_since)
    if closed_through is not None:
        day = max(day, closed_through + timedelta(days=1))
    return [day + timedelta(days=n) for n in range((last - day).days + 1)]

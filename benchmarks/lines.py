"""Intake lines for measurements: every citizen once."""

from collections.abc import Sequence

from tiendo.replay.campaigns.campaign import Campaign

OCCURRED_AT = "2023-11-12T08:00:00+07:00"


def intake_lines(campaign: Campaign, count: int, *, run: int) -> list[str]:
    """Citizens spread over the campaign's communes; none is in two runs."""
    return lines_of(campaign.communes, campaign.id, count, run=run)


def lines_of(
    communes: Sequence[str], campaign: str, count: int, *, run: int = 0, occurred_at: str = OCCURRED_AT
) -> list[str]:
    """The same of any communes and time."""
    return [
        f'{{"line_id":"{number}","citizen_id":"0620{number // 10**6 + 70:02}{number % 10**6:06}",'
        f'"level":2,"residence_unit":"{(unit := communes[number % len(communes)])}","collecting_unit":"{unit}",'
        f'"channel":"mobile","occurred_at":"{occurred_at}","campaign":"{campaign}"}}'
        for number in range(run * count, (run + 1) * count)
    ]

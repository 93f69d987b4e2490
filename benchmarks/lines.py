"""Intake lines for measurements: every citizen once."""

from tiendo.replay.campaigns.campaign import Campaign

OCCURRED_AT = "2023-11-12T08:00:00+07:00"


def intake_lines(campaign: Campaign, count: int, *, run: int) -> list[str]:
    """Citizens spread over the campaign's communes; none is in two runs."""
    communes = campaign.communes
    return [
        f'{{"line_id":"{number}","citizen_id":"0620{number // 10**6 + 70:02}{number % 10**6:06}",'
        f'"level":2,"residence_unit":"{(unit := communes[number % len(communes)])}","collecting_unit":"{unit}",'
        f'"channel":"mobile","occurred_at":"{OCCURRED_AT}","campaign":"{campaign.id}"}}'
        for number in range(run * count, (run + 1) * count)
    ]

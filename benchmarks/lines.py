"""Intake lines for measurements: every citizen once."""

import random

from tiendo.replay.campaign_file import Campaign

OCCURRED_AT = "2023-11-12T08:00:00+07:00"


def intake_lines(campaign: Campaign, count: int, *, prefix: str, seed: int) -> list[str]:
    """Distinct citizens spread over the campaign's communes."""
    rng = random.Random(seed)
    communes = campaign.communes
    numbers = rng.sample(range(10**7), count)
    return [
        f'{{"line_id":"{prefix}{place}","citizen_id":"0620{number // 10**6 + 80:02}{number % 10**6:06}",'
        f'"level":2,"residence_unit":"{(unit := communes[place % len(communes)])}","collecting_unit":"{unit}",'
        f'"channel":"mobile","occurred_at":"{OCCURRED_AT}","campaign":"{campaign.id}"}}'
        for place, number in enumerate(numbers)
    ]

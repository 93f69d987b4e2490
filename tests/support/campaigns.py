"""Campaigns as the aggregator's rules know them, of which a test says what matters to it."""

from datetime import date, time
from typing import Any

from tiendo_aggregator.rules.plan import Campaign

#: Kon Tum's.
FIRST_DAY, LAST_DAY = date(2023, 11, 11), date(2023, 12, 30)


def campaign(first_day: date = FIRST_DAY, last_day: date = LAST_DAY, **more: Any) -> Campaign:
    """A campaign of Kon Tum on these days; `more`: further members, or others than the usual ones."""
    usual: dict[str, Any] = {
        "id": "c",
        "name": "C",
        "plan_number": "1",
        "plan_issued_on": first_day,
        "province": "62",
        "day_cut_off": time(21),
        "figures": (),
    }
    return Campaign(first_day=first_day, last_day=last_day, **(usual | more))

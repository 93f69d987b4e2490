"""What a notice says in a template message, and what follows from Zalo's codes."""

import json
from datetime import datetime

import pytest

from tests.support.zalo import PARAMETERS
from tiendo_common.clock import VIETNAM
from tiendo_notifier.rules.zalo import Outcome, outcome, template_data

NOON = datetime(2023, 12, 7, 12, tzinfo=VIETNAM)
NIGHT = datetime(2023, 12, 7, 23, tzinfo=VIETNAM)
SMALL_HOURS = datetime(2023, 12, 8, 1, tzinfo=VIETNAM)
HOUR = 3600.0


@pytest.mark.parametrize(
    ("code", "local", "follows"),
    [
        (-118, NOON, Outcome("gone")),
        (-141, NOON, Outcome("gone")),
        (-1121, NOON, Outcome("failed")),
        (-1471, NOON, Outcome("failed")),
        (-133, NIGHT, Outcome("again", 7 * HOUR)),
        (-133, SMALL_HOURS, Outcome("again", 5 * HOUR)),
        (-144, NOON, Outcome("again", 18 * HOUR)),
        (-144, SMALL_HOURS, Outcome("again", 29 * HOUR)),
        (-147, NIGHT, Outcome("again", 7 * HOUR)),
        (-115, NOON, Outcome("again", HOUR)),
        (-32, NOON, Outcome("again", 60.0)),
        (-124, NOON, Outcome("again")),
        (-135, NOON, Outcome("again")),
        (-99999, NOON, Outcome("again")),
    ],
)
def test_whose_fault_it_is_decides_what_follows(code: int, local: datetime, follows: Outcome) -> None:
    assert outcome(code, local) == follows


def test_every_parameter_is_there_and_fits_whatever_is_said() -> None:
    long = {"vi": "Xã " * 200, "en": "-"}
    clears = dict.fromkeys(("who", "what", "behind", "needed", "answers", "next"), long)
    said = {"campaign_name": "K" * 300, "message": long, "clears": clears, "path": "/v1/" + "i" * 300}
    for kind, data in (("incident.opened", said), ("ping", {"message": {"vi": "Tin\nthử", "en": "-"}})):
        notice = json.dumps({"type": kind, "timestamp": NOON.isoformat(), "data": data})
        parameters = template_data(notice, NOON)
        assert parameters.keys() == PARAMETERS.keys()
        for name, most in PARAMETERS.items():
            assert 0 < len(parameters[name]) <= most
            assert "\n" not in parameters[name]
    assert parameters["lien_ket"] == "v1/incidents"


def test_who_is_told_of_what_nobody_has_taken_on_reads_who_is_meant() -> None:
    clears = {
        part: {"vi": part, "en": "-"} for part in ("who", "what", "behind", "needed", "answers", "next")
    }
    data = {"message": {"vi": "Kính gửi Huyện", "en": "-"}, "clears": clears}
    notice = json.dumps({"type": "incident.escalated", "timestamp": NOON.isoformat(), "data": data})
    assert template_data(notice, NOON)["tinh_hinh"] == "Kính gửi Huyện"

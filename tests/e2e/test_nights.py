"""A short campaign with night shifts through the four services: on its days, in time, and proven."""

import asyncio
import os
from datetime import date, datetime, timedelta
from typing import Any

import asyncpg
import httpx2
import pytest

from tests.support.scratch import scratch_folder
from tests.support.up import Tiendo, Up
from tiendo.supervisor import free_port_base
from tiendo_common.clock import VIETNAM

pytestmark = pytest.mark.timeout(900)

FIRST, LAST = date(2023, 11, 11), date(2023, 11, 15)
#: Nobody is late and no past is corrected, so that whatever is called late was made so by the night.
SHORT = f"""
id = "short-2023"
name = "Đợt ngắn"
province = "62"
units = "units-2023.csv"
plan_number = "1/KH"
plan_issued_on = 2023-11-10
first_day = {FIRST}
last_day = {LAST}
figures_as_of = {LAST}

[facts.nights]
text = "Night shifts"

[[facts.targets]]
indicator = "intake"
value = 4_000
text = "4,000"

[[facts.figures]]
id = "intake_of_target"
text = "2,400 of 4,000"
indicator = "intake"
over = "target"
decimals = 0
value = 2_400
level_1 = 600
level_2 = 1_800
percent = "60"

[assumptions.counts]
approved = {{ total = 2_000, level_1 = 500, level_2 = 1_500, reason = "Ours." }}
activated = {{ total = 1_500, level_1 = 300, level_2 = 1_200, reason = "Ours." }}

[assumptions.baseline]
intake = {{ level_1 = 100, level_2 = 200 }}
approved = {{ level_1 = 80, level_2 = 150 }}
activated = {{ level_1 = 50, level_2 = 100 }}
reason = "Ours."

[assumptions.eligible]
value = 20_000
reason = "Ours."

[assumptions.eligible_spread]
ward = 2.0
town = 1.5
commune = 1.0
variation = 0.3
reason = "Ours."

[assumptions.reporting]
day_cut_off = "02:00"
days_end_after_midnight = true
reason = "Ours."

[assumptions.nights]
share = 0.3
reason = "Ours."

[simulation]
late = 0.0
wrong_level = 0.0
voided = 0.0
"""


def ask(up: Up, path: str, **asked: str) -> Any:
    """What the aggregator says."""
    answer = httpx2.get(
        f"{up.instance.url('aggregator')}{path}",
        params=asked,
        headers=up.instance.headers,
        timeout=60,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    return answer.json()


async def add_to_a_counter(up: Up, n: int) -> asyncpg.Record:
    """Change the row by hand that counts most of one day's work in the commune where it was done."""
    connection = await asyncpg.connect(up.instance.database_url("aggregator"))
    try:
        changed = await connection.fetch(
            "UPDATE counter SET n = n + $1 WHERE ctid = (SELECT ctid FROM counter WHERE collecting = residence "
            "AND indicator = 0 AND level = 2 AND day = $2 ORDER BY n DESC LIMIT 1) RETURNING residence, day::text, n",
            n,
            LAST,
        )
    finally:
        await connection.close()
    [row] = changed
    return row


def test_night_shifts_are_counted_on_their_days_in_time_and_a_row_changed_by_hand_is_named() -> None:
    with scratch_folder() as folder:
        file = folder / "short-2023.toml"
        file.write_text(SHORT, encoding="utf-8")
        here = Tiendo(folder / "data", free_port_base(29_000 + os.getpid() % 300 * 10))
        with here.up("--clock", "driven") as up:
            done = here.on_data("replay", file, "--json")
            assert done.status == 0, done.out[:2000] + done.err[-2000:]
            document = done.document
            assert (document["counts"]["unexpected"], document["backfilled_days"]) == (0, 0)
            [figure] = document["figures"]
            assert (figure["numerator"], figure["level_1"], figure["matches"]) == (2_400, 600, True)
            ended = datetime(2023, 11, 16, 2, tzinfo=VIETNAM)
            assert datetime.fromisoformat(document["complete_to"]) == ended

            revisions = ask(up, "/v1/campaigns/short-2023/revisions", as_of=str(LAST))
            assert revisions["closed_through"] == str(LAST)
            assert [date.fromisoformat(each["day"]) for each in revisions["days"]] == [
                FIRST + timedelta(days=n) for n in range(-1, 5)
            ]
            assert [each for each in revisions["days"] if each["late"]] == []

            # Sent again, it is a backfill of days that are over, and changes nothing.
            before = here.on_data("reconcile", file, "--json")
            assert before.status == 0, before.out[:1000]
            again = here.on_data("replay", file, "--json")
            assert again.status == 0, again.out[:2000] + again.err[-2000:]
            assert again.document["counts"]["accepted"] == 0
            assert again.document["figures"] == document["figures"]
            assert again.document["backfilled_days"] == again.document["days"] == 1 + 5

            proof = here.on_data("reconcile", file, "--json")
            assert proof.status == 0, proof.out[:1000]
            assert proof.document["totals"] == before.document["totals"]

            row = asyncio.run(add_to_a_counter(up, 1))
            wrong = here.on_data("reconcile", file, "--json")
            assert wrong.status == 1
            # Those who live there and those who did the work there: of one row, since they are the same commune.
            differing, other = wrong.document["differing"]
            assert {differing["attribution"], other["attribution"]} == {"residence", "collecting"}
            assert (differing["unit"], differing["day"]) == (row["residence"], row["day"])
            [unit] = ask(up, "/v1/units", as_of=str(LAST), code=row["residence"])["units"]
            assert differing["unit_name"] == unit["name"]
            assert (differing["indicator"], differing["level"]) == ("intake", 2)
            assert differing["counters"] == differing["records"] + 1

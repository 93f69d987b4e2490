"""Counters of a real database held against tallies of the records, whole and in pieces."""

import itertools
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from tests.support.aggregator import (
    DATA,
    eventually,
)
from tests.support.lives import (
    HELD,
    OUTSIDE,
    counted,
    counted_parts,
    counting,
    lives,
    reconcile,
    started,
    tallies,
    totals,
)
from tests.support.postgres import Database
from tiendo_aggregator.rules.units import Gazetteer, merge_editions
from tiendo_aggregator.storage.facts import read_editions
from tiendo_aggregator.use_cases import reconciliation
from tiendo_common.events.catalogue import EventDecoder

pytestmark = [pytest.mark.anyio, pytest.mark.counted]


async def test_counters_equal_the_records(database: Database, tmp_path: Path) -> None:
    events = lives(1000)
    async with counting(database, tmp_path, events) as (service, feed):
        verdict = await reconcile(service, await tallies(feed, events))
        assert (verdict["clean"], verdict["differing"], verdict["differing_count"]) == (True, [], 0)
        inside = Counter[str]()
        for (indicator, attribution, unit, _, _), n in counted(events).items():
            if attribution == "residence" and unit != OUTSIDE:
                inside[indicator] += n
        assert verdict["totals"] == dict(inside)


async def test_a_row_changed_by_hand_is_named(database: Database, tmp_path: Path) -> None:
    events = lives(300)
    async with counting(database, tmp_path, events) as (service, feed):
        await service.kit.pool.execute(
            "UPDATE counter SET n = n + 1 WHERE ctid = (SELECT ctid FROM counter "
            f"WHERE residence = '{OUTSIDE}' AND collecting = '23427' AND indicator = 0 AND n = 1 LIMIT 1)"
        )
        verdict = await reconcile(service, await tallies(feed, events))
        assert not verdict["clean"]
        assert verdict["differing_count"] == 1
        [row] = verdict["differing"]
        assert (row["indicator"], row["attribution"], row["unit"]) == ("intake", "collecting", "23427")
        assert row["unit_name"] == "Xã Đắk Rơ Nga"
        assert row["counters"] == row["records"] + 1


async def test_counters_ahead_of_the_tally_are_brought_back_to_it(database: Database, tmp_path: Path) -> None:
    events = lives(1000)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events[:1200])
        then = await tallies(feed, events[:1200])
        await feed.append(events[1200:])
        await service.drain(feed)
        assert (await reconcile(service, then))["clean"]


async def test_counters_behind_the_tally_are_brought_up_to_it(database: Database, tmp_path: Path) -> None:
    events = lives(1000)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events[:1200])
        await service.drain(feed)
        holder = await asyncpg.connect(database.dsn("aggregator"))
        try:
            async with holder.transaction():
                # The consumer can't move its positions, so it counts nothing for now.
                await holder.execute("SELECT FROM consumer_position FOR UPDATE")
                await feed.append(events[1200:])
                assert (await reconcile(service, await tallies(feed, events)))["clean"]
                assert await totals(database) == counted(events[:1200])
        finally:
            await holder.close()
        await service.drain(feed)
        assert await totals(database) == counted(events)


async def test_breakdowns_equal_the_records(database: Database, tmp_path: Path) -> None:
    events = lives(1000)
    async with counting(database, tmp_path, events) as (service, feed):
        totals_alone = await reconcile(service, await tallies(feed, events))
        verdict = await reconcile(service, await tallies(feed, events, breakdowns=True))
        assert (verdict["clean"], verdict["breakdowns"], totals_alone["breakdowns"]) == (True, True, False)
        assert verdict["totals"] == totals_alone["totals"]
        inside = [part for part in counted_parts(events) if part[2] != OUTSIDE]
        assert verdict["compared"] >= totals_alone["compared"] + len(inside)


@pytest.mark.parametrize("dimension", ["channel", "cohort"])
async def test_a_row_of_the_breakdowns_changed_by_hand_is_named(
    database: Database, tmp_path: Path, dimension: str
) -> None:
    events = lives(300)
    async with counting(database, tmp_path, events) as (service, feed):
        row = await service.kit.pool.fetchrow(
            "SELECT counter.ctid, day, level, value FROM counter "
            "JOIN breakdown USING (day, known_day, indicator, level) "
            "WHERE residence = $1 AND collecting = '23427' AND unit = $1 AND attribution = 0 "
            "AND indicator = 1 AND dimension = $2 LIMIT 1",
            OUTSIDE,
            ["channel", "cohort"].index(dimension),
        )
        assert row is not None
        count = f"{dimension}_{row['value']}"
        await service.kit.pool.execute(
            f"UPDATE counter SET {count} = {count} + 5 WHERE ctid = $1", row["ctid"]
        )
        assert (await reconcile(service, await tallies(feed, events)))["clean"]
        verdict = await reconcile(service, await tallies(feed, events, breakdowns=True))
        assert not verdict["clean"]
        [wrong] = verdict["differing"]
        assert (wrong["indicator"], wrong["attribution"], wrong["unit"]) == (
            "approved",
            "collecting",
            "23427",
        )
        assert (wrong["dimension"], wrong["value"]) == (dimension, row["value"])
        assert (wrong["day"], wrong["level"]) == (row["day"].isoformat(), row["level"])
        assert wrong["counters"] == wrong["records"] + 5


async def test_a_total_changed_by_hand_is_named_beside_sound_breakdowns(
    database: Database, tmp_path: Path
) -> None:
    events = lives(300)
    async with counting(database, tmp_path, events) as (service, feed):
        await service.kit.pool.execute(
            "UPDATE counter SET n = 0 WHERE ctid = (SELECT ctid FROM counter "
            f"WHERE residence = '{OUTSIDE}' AND collecting = '23427' AND n > 0 LIMIT 1)"
        )
        verdict = await reconcile(service, await tallies(feed, events, breakdowns=True))
        [wrong] = verdict["differing"]
        assert (wrong["unit"], wrong["dimension"], wrong["value"]) == ("23427", None, None)


async def test_a_teams_work_changed_by_hand_is_named_and_put_right_by_order(
    database: Database, tmp_path: Path
) -> None:
    events = lives(300)
    async with counting(database, tmp_path, events) as (service, feed):
        verdict = await reconcile(service, await tallies(feed, events, breakdowns=True))
        assert (verdict["clean"], verdict["teams"]) == (True, True)
        row = await service.kit.pool.fetchrow(
            "UPDATE team_counter SET n = n + 2 WHERE ctid = (SELECT min(ctid) FROM team_counter) "
            "RETURNING collecting, team, day, indicator, level"
        )
        assert row is not None
        verdict = await reconcile(service, await tallies(feed, events, breakdowns=True))
        [wrong] = verdict["differing"]
        assert (wrong["unit"], wrong["dimension"], wrong["value"]) == (row["collecting"], "team", row["team"])
        assert (wrong["day"], wrong["counters"] - wrong["records"]) == (row["day"].isoformat(), 2)
        assert verdict["checksum_records"] != verdict["checksum_counters"]
        [proof] = [
            each
            for each in (await service.get("/v1/reconciliations", campaign="kon-tum-2023"))["units"]
            if each["differing"]
        ]
        assert (proof["unit"], proof["days"]) == (row["collecting"], [row["day"].isoformat()])
        # A producer of a build before counts no teams: they are not compared, which is said, and all else is.
        before = await tallies(feed, events, breakdowns=True, teams=False)
        for sent in (before, [before[0], (await tallies(feed, events, breakdowns=True))[1]]):
            verdict = await reconcile(service, sent)
            assert (verdict["clean"], verdict["breakdowns"], verdict["teams"]) == (True, True, False)
        order = {"province": "62", "repair_because": "edited by hand"}
        answer = await service.client.post("/v1/rebuilds", json=order)
        assert answer.json()["repaired"]
        assert answer.json()["checksum_live"] != answer.json()["checksum_rebuilt"]
        verdict = await reconcile(service, await tallies(feed, events, breakdowns=True))
        assert (verdict["clean"], verdict["checksum_records"]) == (True, answer.json()["checksum_rebuilt"])


async def test_pieces_of_a_tally_come_to_the_same_as_the_whole(database: Database, tmp_path: Path) -> None:
    events = lives(600)
    async with counting(database, tmp_path, events) as (service, feed):
        sent = await tallies(feed, events, breakdowns=True)
        whole = await reconcile(service, sent)
        spans: list[dict[str, str | None]] = [
            {"units_from": "", "units_before": "23284"},
            {"units_from": "23284", "units_before": "23427"},
            {"units_from": "23427", "units_before": None},
        ]
        pieces = []
        for span in spans:
            low, high = span["units_from"] or "", span["units_before"] or "~"
            part = [tally | {"cells": [c for c in tally["cells"] if low <= c[2] < high]} for tally in sent]
            pieces.append(await reconcile(service, part, **span))
        assert all(piece["clean"] for piece in pieces)
        assert sum(piece["compared"] for piece in pieces) == whole["compared"]
        for indicator, n in whole["totals"].items():
            assert sum(piece["totals"][indicator] for piece in pieces) == n
        # A piece that leaves something out is not clean.
        assert not (await reconcile(service, part, units_from="23284"))["clean"]


@pytest.mark.parametrize(("most_kept", "times_folded"), [(60_000, 1), (700, 3), (100, 4)])
async def test_pieces_are_compared_while_the_counters_go_on(
    most_kept: int, times_folded: int, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What happened up to the first piece is folded once if it can be kept; what happens after it, not at all; and a
    row that is wrong is found in any of them."""
    monkeypatch.setattr(reconciliation, "_MOST_KEPT", most_kept)
    events = lives(900)
    decoded = 0
    decode_all = EventDecoder.decode_all

    def counting(self: Any, bodies: Sequence[bytes]) -> Any:
        nonlocal decoded
        events = decode_all(self, bodies)
        decoded += len(events or ())
        return events

    async with started(database, tmp_path) as (service, feed):
        await feed.append(events[:1000])
        sent = await tallies(feed, events[:1000], breakdowns=True)
        await feed.append(events[1000:1300])
        await service.drain(feed)
        await service.kit.pool.execute(
            "UPDATE counter SET channel_mobile = channel_mobile + 1 WHERE ctid = (SELECT ctid FROM counter "
            f"WHERE residence = '{OUTSIDE}' AND collecting = '23427' LIMIT 1)"
        )
        monkeypatch.setattr(EventDecoder, "decode_all", counting)
        bounds = ["", "23284", "23427", "23521", None]
        later = [events[1300:1400], events[1400:1500], events[1500:1600], events[1600:]]
        found: list[dict[str, Any]] = []
        for low, high in itertools.pairwise(bounds):
            part = [
                tally | {"cells": [c for c in tally["cells"] if (low or "") <= c[2] < (high or "~")]}
                for tally in sent
            ]
            piece = await reconcile(service, part, units_from=low, units_before=high)
            found += piece["differing"]
            await feed.append(later.pop())
            await service.drain(feed)
        assert [each["unit"] for each in found] == ["23427"]
        assert decoded == 300 * times_folded + len(events) - 1300


async def test_two_who_prove_at_once_do_not_take_the_snapshot_from_each_other(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folded: list[int] = []
    decode_all = EventDecoder.decode_all

    def noting(self: Any, bodies: Sequence[bytes]) -> Any:
        folded.append(len(bodies))
        return decode_all(self, bodies)

    events = lives(300)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events[:300])
        early = await tallies(feed, events[:300], breakdowns=True)
        await feed.append(events[300:400])
        late = await tallies(feed, events[:400], breakdowns=True)
        await feed.append(events[400:])
        await service.drain(feed)
        monkeypatch.setattr(EventDecoder, "decode_all", noting)
        for low, high in itertools.pairwise(["", "23284", "23427", "23521", None]):
            for sent in (early, late):
                part = [
                    tally | {"cells": [c for c in tally["cells"] if (low or "") <= c[2] < (high or "~")]}
                    for tally in sent
                ]
                assert (await reconcile(service, part, units_from=low, units_before=high))["clean"]
        assert sum(folded) == len(events) - 300 + len(events) - 400


async def test_a_proof_whose_session_is_lost_or_whose_next_piece_is_late_goes_on(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciliation, "_PATIENCE", 3600)
    events = lives(300)
    async with started(database, tmp_path) as (service, feed):
        await feed.append(events[:400])
        sent = await tallies(feed, events[:400], breakdowns=True)
        await feed.append(events[400:])
        await service.drain(feed)
        pieces = [
            (
                {"units_from": low, "units_before": high},
                [
                    tally | {"cells": [c for c in tally["cells"] if low <= c[2] < (high or "~")]}
                    for tally in sent
                ],
            )
            for low, high in (("", "23427"), ("23427", "23521"), ("23521", None))
        ]

        async def nothing_is_held() -> bool:
            return not await service.kit.pool.fetchval(f"SELECT count(*) {HELD}")

        (span, part), (second_span, second_part), (last_span, last_part) = pieces
        assert (await reconcile(service, part, **span))["clean"]
        assert not await nothing_is_held()
        await service.kit.pool.execute(f"SELECT pg_terminate_backend(pid, 60_000) {HELD}")
        answer = await service.client.post(
            "/v1/reconciliations", json={"campaign": "kon-tum-2023", "tallies": second_part, **second_span}
        )
        assert (answer.status_code, answer.json()["retryable"]) == (503, True)
        assert (await reconcile(service, second_part, **second_span))["clean"]
        monkeypatch.setattr(reconciliation, "_PATIENCE", 0)
        await eventually(nothing_is_held)
        monkeypatch.setattr(reconciliation, "_PATIENCE", 3600)
        assert (await reconcile(service, last_part, **last_span))["clean"]
        await eventually(nothing_is_held)


async def test_a_tally_must_speak_of_every_unit_that_it_is_to_prove(
    database: Database, tmp_path: Path
) -> None:
    events = lives(50)
    async with counting(database, tmp_path, events) as (service, feed):
        sent = await tallies(feed, events)
        spans = merge_editions(read_editions(DATA))
        sent[0]["units"] = [code for code in Gazetteer(spans).ever_below("62") if code != "23427"]
        answer = await service.client.post(
            "/v1/reconciliations", json={"campaign": "kon-tum-2023", "tallies": sent}
        )
        assert (answer.status_code, answer.json()["field"]) == (422, "tallies.units")
        assert "23427" in answer.json()["detail"]
        assert (await reconcile(service, sent, units_from="23281", units_before="23282"))["clean"]


async def test_a_bad_tally_is_refused_and_says_what_is_wrong(database: Database, tmp_path: Path) -> None:
    async with started(database, tmp_path) as (service, feed):
        good = await tallies(feed, lives(1))
        path = "/v1/reconciliations"

        async def refused(document: object) -> tuple[int, str, str]:
            answer = await service.client.post(path, json=document)
            problem = answer.json()
            return answer.status_code, problem["field"], problem["detail"]

        status, field, detail = await refused({"campaign": "kon-tum-2023", "tallies": good[:1]})
        assert (status, field) == (422, "tallies.heads")
        assert "activation" in detail
        status, field, _ = await refused({"campaign": "nowhere", "tallies": good})
        assert (status, field) == (404, "campaign")
        good[0]["heads"]["intake"][5] += 7
        status, field, detail = await refused({"campaign": "kon-tum-2023", "tallies": good})
        assert (status, field) == (422, "tallies.heads")
        assert "intake/5" in detail
        good[0]["heads"]["intake"][5] = 0
        assert (await refused({"campaign": "kon-tum-2023", "tallies": good}))[:2] == (422, "body")
        good = await tallies(feed, lives(1))
        mixed = [good[0], good[1] | {"breakdowns": True}]
        status, field, _ = await refused({"campaign": "kon-tum-2023", "tallies": mixed})
        assert (status, field) == (422, "tallies.breakdowns")
        both = [tally | {"breakdowns": True} for tally in await tallies(feed, lives(1))]
        both[0]["cells"] = [["intake", "residence", "23281", 2, "2023-11-11", 1]]
        status, field, _ = await refused({"campaign": "kon-tum-2023", "tallies": both})
        assert (status, field) == (422, "tallies.cells")
        for body in (b"", b"[", b"\xff", b"{}", b"[1]"):
            answer = await service.client.post(path, content=body)
            assert answer.status_code == 422
            assert answer.headers["content-type"] == "application/problem+json"

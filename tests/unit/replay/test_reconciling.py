"""The proof on the command's side: tallies cut into pieces, every unit in one of them; what is waited for is said."""

import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest
import stamina

from tiendo.errors import NotThere, Refused
from tiendo.replay import reconciling
from tiendo.replay.reconciling import PIECE, reconcile
from tiendo.replay.sending import Client

pytestmark = pytest.mark.anyio

INDICATORS = ("intake", "approved", "activated")
HEADS = {"intake": {"intake": [1], "approval": [2]}, "activation": {"activation": [3]}}
#: Some thousand cells in each of these; the last has none of activation's.
UNITS = [*(f"{number}" for number in range(23281, 23341)), "62"]


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def quick_retries() -> Any:
    stamina.set_testing(True, attempts=5)
    yield
    stamina.set_testing(False)


def cells(indicator: str, unit: str, number: int) -> list[Any]:
    return [
        [indicator, "residence", unit, 2, "2023-11-11", n, "channel", "mobile"] for n in range(1, number + 1)
    ]


def tally(service: str, units: list[str], number: int) -> str:
    """As the services write it: a line for the head, one for each unit, one for the end."""
    head = {
        "service": service, "heads": HEADS[service], "units": UNITS, "breakdowns": True, "teams": True, "cells": [],
    }  # fmt: skip
    rows = []
    for unit in units:
        said = cells("intake" if service == "intake" else "activated", unit, number)
        rows.append(",".join(json.dumps(cell) for cell in said))
    return "\n".join([json.dumps(head).removesuffix("]}"), "\n,".join(rows), "]}"])


class Services:
    """The producers and the aggregator, which finds every cell with an 8 in its unit wrong."""

    def __init__(self) -> None:
        self.tallies = {
            "intake": tally("intake", UNITS, 1000), "activation": tally("activation", UNITS[:-1], 300),
        }  # fmt: skip
        self.pieces: list[dict[str, Any]] = []
        self.asked: list[str] = []
        self.before: Callable[[str], tuple[int, dict[str, Any]] | None] = lambda _: None
        self.twist: Callable[[str], str] = lambda text: text

    async def __call__(self, scope: Any, receive: Callable[[], Awaitable[Any]], send: Any) -> None:
        body = b""
        while True:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        service = scope["server"][0]
        self.asked.append(f"{service}{scope['path']}?{scope['query_string'].decode()}")
        status, answer = self.before(service) or (200, None)
        if answer is not None:
            text = json.dumps(answer)
        elif scope["method"] == "GET":
            text = self.twist(self.tallies[service])
        else:
            self.pieces.append(json.loads(body))
            text = json.dumps(self._compare(json.loads(body)))
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": text.encode()})

    def _compare(self, piece: dict[str, Any]) -> dict[str, Any]:
        said = [cell for each in piece["tallies"] for cell in each["cells"]]
        wrong = [{"unit": cell[2], "n": cell[5]} for cell in said if "8" in cell[2]]
        return {
            "campaign": piece["campaign"],
            "clean": not wrong,
            "compared": len(said),
            "breakdowns": True,
            "teams": all(each["teams"] for each in piece["tallies"]),
            "totals": {name: sum(cell[5] for cell in said if cell[0] == name) for name in INDICATORS},
            "checksum_records": f"{len(said):016x}",
            "checksum_counters": f"{2**64 - len(said):016x}",
            "differing_count": len(wrong),
            "differing": wrong[:1000],
        }


@asynccontextmanager
async def client_of(services: Services, say: Callable[[str], None] = lambda _: None) -> AsyncIterator[Client]:
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(services)) as http:
        yield Client(lambda service: f"http://{service}", "admin", http, say)


async def test_every_unit_is_in_one_piece_and_every_code_in_one_span() -> None:
    services = Services()
    async with client_of(services) as client:
        verdict = await reconcile(client, "kon-tum-2023", "62", lambda _: None)
    assert "intake/v1/tally?province=62&breakdowns=true&teams=true" in services.asked
    pieces = services.pieces
    assert len(pieces) > 3
    assert pieces[0]["units_from"] == ""
    assert pieces[-1]["units_before"] is None
    for piece, following in itertools.pairwise(pieces):
        assert piece["units_before"] == following["units_from"]
    seen: dict[str, int] = {}
    for number, piece in enumerate(pieces):
        assert len(json.dumps(piece)) < 1.5 * PIECE
        assert [each["heads"] for each in piece["tallies"]] == list(HEADS.values())
        assert all(each["units"] == UNITS and each["breakdowns"] for each in piece["tallies"])
        assert all(each["teams"] for each in piece["tallies"])
        for each in piece["tallies"]:
            for cell in each["cells"]:
                assert seen.setdefault(cell[2], number) == number
                assert piece["units_from"] <= cell[2] < (piece["units_before"] or "~")
    assert list(seen) == UNITS
    whole = 1000 * len(UNITS) + 300 * (len(UNITS) - 1)
    assert verdict["compared"] == whole
    wrong = [unit for unit in UNITS if "8" in unit]
    assert verdict["differing_count"] == 1300 * len(wrong) - (300 if "8" in UNITS[-1] else 0)
    assert (verdict["clean"], len(verdict["differing"])) == (False, 1000)
    assert verdict["checksum_records"] == f"{whole:016x}"
    assert verdict["checksum_counters"] == f"{2**64 - whole:016x}"
    assert verdict["totals"] == {
        "intake": len(UNITS) * 500_500, "approved": 0, "activated": (len(UNITS) - 1) * 45_150,
    }  # fmt: skip
    assert verdict["teams"]


async def test_records_of_nothing_are_compared_all_the_same() -> None:
    services = Services()
    services.tallies = {"intake": tally("intake", [], 0), "activation": tally("activation", [], 0)}
    services.tallies = {name: text.replace("\n\n", "\n") for name, text in services.tallies.items()}
    async with client_of(services) as client:
        verdict = await reconcile(client, "kon-tum-2023", "62", lambda _: None)
    [piece] = services.pieces
    assert (piece["units_from"], piece["units_before"]) == ("", None)
    assert verdict["clean"]


async def test_a_tally_that_breaks_off_is_taken_again_and_not_in_silence() -> None:
    services, said = Services(), list[str]()
    services.twist = lambda text: text[: len(text) // 2] if len(services.asked) < 3 else text
    async with client_of(services) as client:
        verdict = await reconcile(client, "kon-tum-2023", "62", said.append)
    assert verdict["compared"] == 1000 * len(UNITS) + 300 * (len(UNITS) - 1)
    assert any("broke off" in line and "counting again" in line for line in said)


async def test_a_tally_that_is_out_of_order_is_not_cut() -> None:
    services = Services()
    services.tallies["intake"] = tally("intake", UNITS[::-1], 1000)
    async with client_of(services) as client:
        with pytest.raises(Refused, match="tally of intake is not written as it should be"):
            await reconcile(client, "kon-tum-2023", "62", lambda _: None)


async def test_a_tally_that_breaks_off_time_and_again_is_given_up() -> None:
    services = Services()
    services.twist = lambda text: text[:-10]
    async with client_of(services) as client:
        with pytest.raises(Refused, match="broke off"):
            await reconcile(client, "kon-tum-2023", "62", lambda _: None)


async def test_a_service_that_is_away_is_waited_for_and_not_in_silence() -> None:
    services, said = Services(), list[str]()
    away = iter([True, True])
    services.before = lambda service: (
        (503, {"detail": "The database is away.", "retryable": True})
        if service == "activation" and next(away, False)
        else None
    )
    async with client_of(services, said.append) as client:
        await reconcile(client, "kon-tum-2023", "62", lambda _: None)
    assert said == ["activation does not answer now (The database is away.): trying again"]


async def test_what_will_not_pass_is_not_waited_for() -> None:
    services = Services()
    services.before = lambda service: (
        (503, {"detail": "Counting took too long.", "retryable": False}) if service == "intake" else None
    )
    async with client_of(services) as client:
        with pytest.raises(Refused, match="too long"):
            await reconcile(client, "kon-tum-2023", "62", lambda _: None)
    assert sum(asked.startswith("intake") for asked in services.asked) == 1


async def test_what_a_service_does_not_know_is_told_from_other_refusals() -> None:
    services = Services()
    services.before = lambda _: (404, {"detail": "There is no campaign 'x'."})
    async with client_of(services) as client:
        with pytest.raises(NotThere):
            await client.get("aggregator", "/v1/campaigns/x")


async def test_long_counting_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reconciling, "_TELL", 0.0)
    services, said = Services(), list[str]()
    async with client_of(services) as client:
        await reconcile(client, "kon-tum-2023", "62", said.append)
    assert any("count all their records" in line for line in said)
    assert any("intake has counted" in line for line in said)
    assert any("Compared up to unit" in line for line in said)


async def test_a_service_of_a_build_before_counts_no_teams_and_the_verdict_says_so() -> None:
    services = Services()
    services.tallies["activation"] = services.tallies["activation"].replace('"teams": true, ', "", 1)
    async with client_of(services) as client:
        verdict = await reconcile(client, "kon-tum-2023", "62", lambda _: None)
    assert verdict["teams"] is False
    assert {tuple(each["teams"] for each in piece["tallies"]) for piece in services.pieces} == {(True, False)}

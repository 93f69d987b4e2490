"""The proof: the producers' tallies, brought to the aggregator piece by piece as they are read.

Neither side holds a large province whole: the producers let the database count, the pieces are some units each.
"""

import asyncio
import re
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx2
import msgspec

from tiendo.errors import Refused
from tiendo.replay.sending import Client

PIECE = 1024 * 1024  # bytes of cells that are compared in one request
COUNTING = 2000.0  # seconds that a producer may take to count its records
_TRIES = 3
_TELL = 5.0  # seconds
_PRODUCERS = ("intake", "activation")
_UNIT = re.compile(r'\["[a-z]+", ?"[a-z]+", ?"([0-9]+)"')

Say = Callable[[str], None]


class _BrokenOff(Exception):
    """An answer ended before its end."""


class _Reading:
    """A tally as it is read, one unit's cells at a time: `unit` is None at its end."""

    def __init__(self, service: str, answer: httpx2.Response) -> None:
        self.service = service
        self.head: dict[str, Any] = {}
        self.unit: str | None = None
        self.cells = ""
        self._lines = answer.aiter_lines()

    async def begin(self) -> None:
        """Read up to the first unit."""
        self.head = msgspec.json.decode(await self._line() + "]}")
        await self.step()

    async def step(self) -> None:
        """Go on to the next unit."""
        line = await self._line()
        if line == "]}":
            self.unit = None
            return
        self.cells = line.removeprefix(",")
        found = _UNIT.match(self.cells)
        # In order, or the spans of the pieces would not cover every unit.
        if found is None or (self.unit is not None and found.group(1) <= self.unit):
            raise Refused(
                f"The tally of {self.service} is not written as it should be.",
                remedy="Check that the command and the services are of one version.",
            )
        self.unit = found.group(1)

    async def _line(self) -> str:
        try:
            return await anext(self._lines)
        except StopAsyncIteration:
            raise _BrokenOff from None


async def reconcile(client: Client, campaign: str, province: str, say: Say) -> dict[str, Any]:
    """Whether the counters of a campaign's province equal the records, and which do not. Raises Refused."""
    for attempt in range(1, _TRIES + 1):
        try:
            return await _reconcile(client, campaign, province, say)
        except (httpx2.TransportError, _BrokenOff) as error:
            say(
                f"A tally broke off ({str(error) or type(error).__name__}): counting again ({attempt} of {_TRIES})"
            )
    raise Refused(
        f"The tallies broke off {_TRIES} times.", remedy="See the logs of intake and of activation."
    )


async def _reconcile(client: Client, campaign: str, province: str, say: Say) -> dict[str, Any]:
    async with AsyncExitStack() as stack:
        readings = [
            _Reading(service, answer) for service, answer in zip(
                _PRODUCERS, await _count(client, province, stack, say), strict=True
            )
        ]  # fmt: skip
        for reading in readings:
            await reading.begin()
        verdict: dict[str, Any] | None = None
        said = time.monotonic()
        first: str | None = ""
        while first is not None:
            cells: list[list[str]] = [[] for _ in readings]
            before = await _gather(readings, cells)
            piece = await client.post("aggregator", "/v1/reconciliations", {
                "campaign": campaign,
                "units_from": first,
                "units_before": before,
                "tallies": [
                    {
                        "heads": reading.head["heads"],
                        "units": reading.head["units"],
                        "breakdowns": reading.head["breakdowns"],
                        # A service of a build before counts no teams; then they are not compared, and that is said.
                        "teams": reading.head.get("teams", False),
                        "cells": msgspec.Raw(f"[{','.join(each)}]".encode()),
                    }
                    for reading, each in zip(readings, cells, strict=True)
                ],
            })  # fmt: skip
            verdict = piece if verdict is None else _both(verdict, piece)
            if before is not None and time.monotonic() - said >= _TELL:
                said = time.monotonic()
                say(f"Compared up to unit {before}: {verdict['compared']:,} counters")
            first = before
        assert verdict is not None
        return verdict


async def _count(client: Client, province: str, stack: AsyncExitStack, say: Say) -> list[httpx2.Response]:
    """Let the producers count their records, both at once, and say so meanwhile."""
    began = time.monotonic()
    say("Intake and activation count all their records")
    params = {"province": province, "breakdowns": "true", "teams": "true"}

    async def ask(service: str) -> httpx2.Response:
        answer = await client.open_answer(service, "/v1/tally", params, timeout=COUNTING)
        stack.push_async_callback(answer.aclose)
        say(f"{service} has counted: {time.monotonic() - began:.1f} s")
        return answer

    asked = [asyncio.create_task(ask(service)) for service in _PRODUCERS]
    try:
        while True:
            done, waiting = await asyncio.wait(asked, timeout=_TELL, return_when=asyncio.FIRST_EXCEPTION)
            answers = [each.result() for each in asked if each in done]
            if not waiting:
                return answers
            say(f"Still counting after {time.monotonic() - began:.0f} s")
    finally:
        for each in asked:
            each.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def _gather(readings: list[_Reading], into: list[list[str]]) -> str | None:
    """Take units from all tallies, in their order, until they make a piece; the unit that comes next, or None."""
    size = 0
    while True:
        coming = min((reading.unit for reading in readings if reading.unit is not None), default=None)
        if coming is None or size >= PIECE:
            return coming
        for reading, cells in zip(readings, into, strict=True):
            if reading.unit == coming:
                cells.append(reading.cells)
                size += len(reading.cells)
                await reading.step()


def _both(verdict: dict[str, Any], piece: dict[str, Any]) -> dict[str, Any]:
    """The verdict on two pieces together."""
    return {
        **verdict,
        "clean": verdict["clean"] and piece["clean"],
        "compared": verdict["compared"] + piece["compared"],
        "breakdowns": verdict["breakdowns"] and piece["breakdowns"],
        "teams": verdict["teams"] and piece["teams"],
        "totals": {name: n + piece["totals"][name] for name, n in verdict["totals"].items()},
        **{
            side: f"{(int(verdict[side], 16) + int(piece[side], 16)) % 2**64:016x}"
            for side in ("checksum_records", "checksum_counters")
        },
        "differing_count": verdict["differing_count"] + piece["differing_count"],
        "differing": [*verdict["differing"], *piece["differing"]][:1000],
    }

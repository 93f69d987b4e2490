"""Follows an instance: its clocks, and whether its services have read all that the others wrote."""

import asyncio
import time
from datetime import date, datetime
from typing import Any

from tiendo.errors import Refused
from tiendo.replay.sending import Client

SERVICES = ("intake", "activation", "aggregator", "notifier")
STANDSTILL = 120.0  # seconds without a step after which waiting is given up
_POLL = 0.05


class Clocks:
    """The driven clocks of the four services, moved together."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def now(self) -> datetime:
        """The latest of the four."""
        answers = await asyncio.gather(*(self._client.get(service, "/v1/clock") for service in SERVICES))
        return max(datetime.fromisoformat(answer["now"]) for answer in answers)

    async def move_to(self, now: datetime) -> None:
        """Set all four, in the order in which facts flow, so that none is asked about a day it doesn't know."""
        for service in SERVICES:
            await self._client.post(service, "/v1/clock", {"now": now.isoformat()})


async def drained(client: Client, producers: tuple[str, ...] = ("intake", "activation")) -> None:
    """Return when every consumer has read all that these services have written.

    In the order in which facts flow: what activation writes while it reads intake's log is waited for too.
    Raises Refused when nothing moves for STANDSTILL seconds.
    """
    for producer in producers:
        heads = (await client.get(producer, "/v1/log"))["topics"]
        behind, since, pause = -1, time.monotonic(), _POLL
        while left := await _behind(client, heads):
            if left != behind:
                behind, since, pause = left, time.monotonic(), _POLL
            elif time.monotonic() - since > STANDSTILL:
                raise Refused(
                    f"Nothing has moved for {STANDSTILL:.0f} s: {left:,} events of {producer} are not read.",
                    remedy="See /readyz and the logs of the services; `tiendo doctor` checks the usual suspects.",
                )
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 1.0)


async def closed(client: Client, campaign: str, day: date) -> None:
    """Return when the aggregator has published the day's last word, which the notifier judges.

    Raises Refused when that takes more than STANDSTILL seconds.
    """
    since = time.monotonic()
    while True:
        through = (await client.get("aggregator", f"/v1/campaigns/{campaign}"))["closed_through"]
        if through is not None and date.fromisoformat(through) >= day:
            return
        if time.monotonic() - since > STANDSTILL:
            raise Refused(
                f"The aggregator has not closed {day} in {STANDSTILL:.0f} s; closed so far: {through}.",
                remedy="See /v1/positions of the services: who is complete to when.",
            )
        await asyncio.sleep(_POLL)


async def _behind(client: Client, heads: dict[str, Any]) -> int:
    """How many events up to these heads the consumers of all services have still to read."""
    answers = await asyncio.gather(*(client.get(service, "/v1/positions") for service in SERVICES))
    behind = 0
    for answer in answers:
        for topics in answer["consumers"].values():
            for topic, next_ in topics.items():
                if topic in heads:
                    pairs = zip(heads[topic]["next"], next_, strict=True)
                    behind += sum(max(0, head - position) for head, position in pairs)
    return behind

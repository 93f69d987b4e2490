"""The replay: a campaign lived again, day by day, on a driven clock.

Per business day: the clocks to 20:00, the day's lines, until everything is counted; the same after midnight where a
night shift works; then the clocks to the cut-off, so that the day is closed and judged. Days that the clocks have
passed are sent as a backfill.
"""

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from typing import Any, Protocol

from tiendo.errors import Refused
from tiendo.folders import DataFolder
from tiendo.instance import Instance
from tiendo.replay.campaigns.campaign import Campaign
from tiendo.replay.citizens import Lives
from tiendo.replay.following import Clocks, closed, drained
from tiendo.replay.malformed import Draft
from tiendo.replay.measures import put_measures, tell_measures
from tiendo.replay.rechecks import put_rounds, report_rechecks
from tiendo.replay.report import Report, read_report
from tiendo.replay.schedule import Phase, Round, Schedule, SendingDay
from tiendo.replay.sending import Client, Sender, Tallied
from tiendo.replay.systems import Seed, remember_seed, system_keys
from tiendo_common.clock import VIETNAM

_KEY_PATIENCE = 30.0  # seconds in which the services must have read a new key or campaign


class Watcher(Protocol):
    """Is told how a replay goes."""

    def say(self, text: str) -> None:
        """Something that a person should know."""

    def begin(self, lines: int) -> None:
        """So many lines will be sent."""

    def day(self, day: date) -> None:
        """A sending day begins."""

    def sent(self, lines: int) -> None:
        """So many lines were answered."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A replay that ran to its end. `seconds`: from the first line sent to complete counters."""

    seed: int
    resumed: bool
    backfilled_days: int
    days: int
    tallied: Tallied
    seconds: float
    report: Report

    @property
    def good(self) -> bool:
        """Whether every line was answered as it must be and the published figures came out."""
        return self.tallied.unexpected == 0 and self.report.matches

    @property
    def lines_a_second(self) -> float:
        return self.tallied.sent / self.seconds if self.seconds else 0.0

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        tallied = self.tallied
        return {
            **self.report.document(),
            "seed": self.seed,
            "resumed": self.resumed,
            "days": self.days,
            "backfilled_days": self.backfilled_days,
            "counts": {
                "sent": tallied.sent,
                **tallied.answers,
                "singly": tallied.singly,
                "sent_again": tallied.sent_again,
                "unexpected": tallied.unexpected,
            },
            "unexpected": [
                {
                    "path": example.path,
                    "line_id": example.line_id,
                    "expected": example.expected,
                    "answered": example.answered,
                    "detail": example.detail,
                }
                for example in tallied.examples
            ],
            "seconds": round(self.seconds, 3),
            "lines_a_second": round(self.lines_a_second, 1),
        }


def check_as_of(campaign: Campaign, asked: date | None) -> date:
    """The last day to send. Raises Refused outside the days of which anything was published."""
    if asked is None:
        return campaign.figures_as_of
    if not campaign.first_day <= asked <= campaign.figures_as_of:
        raise Refused(
            f"{asked} is outside {campaign.first_day} to {campaign.figures_as_of}: "
            f"nothing of {campaign.id} is published after that, so nothing later is made up.",
            remedy=f"Choose a day between them, or leave --as-of out for {campaign.figures_as_of}.",
        )
    return asked


async def replay(
    instance: Instance, campaign: Campaign, seed: Seed, as_of: date, watcher: Watcher
) -> Outcome:
    """Send a campaign up to `as_of` to a running instance and read what came of it. Raises Refused."""
    async with Client.open(instance.url, instance.admin_key) as client:
        schedule = Schedule(Lives(campaign, seed.value))
        days = [day for day in schedule.days if day.day <= as_of]
        folder = DataFolder(instance.data)
        remember_seed(folder, campaign.id, seed.value)
        await client.put(
            "aggregator", f"/v1/campaigns/{campaign.id}", campaign.document(schedule.lives.sizes())
        )
        await put_measures(client, campaign)
        await put_rounds(client, campaign)
        keys = system_keys(folder, campaign.id)
        await _known(client, campaign, keys)
        if seed.resumed:
            watcher.say(
                f"{campaign.id} was begun here with seed {seed.value}: what is on record stays as it is"
            )
        watcher.begin(sum(day.size for day in days))
        sender = Sender(client, keys, again=seed.resumed, on_sent=watcher.sent)
        began = time.monotonic()
        backfilled = await _live(client, campaign, days, sender, watcher)
        if as_of == campaign.figures_as_of:
            await tell_measures(client, campaign)
            await report_rechecks(client, campaign)
        await drained(client)
        seconds = time.monotonic() - began
        await drained(client, ("aggregator",))
        return Outcome(
            seed=seed.value,
            resumed=seed.resumed,
            backfilled_days=backfilled,
            days=len(days),
            tallied=sender.tallied,
            seconds=seconds,
            report=await read_report(client, campaign, as_of),
        )


async def _live(
    client: Client, campaign: Campaign, days: Iterable[SendingDay], sender: Sender, watcher: Watcher
) -> int:
    """Send day after day; returns how many of them lay behind the clocks already."""
    clocks = Clocks(client)
    now = await clocks.now()
    backfilled = 0
    for day in days:
        watcher.day(day.day)
        ends = campaign.ends_at(day.day)
        over = ends <= now
        if over:
            if not backfilled:
                watcher.say(
                    f"The clocks stand at {now.astimezone(VIETNAM):%Y-%m-%d %H:%M} and never go back: "
                    f"days before that are sent as a backfill"
                )
            backfilled += 1
        for round_ in day.rounds:
            if round_.at > now:
                await drained(client)  # what was told before midnight is known on that date
                await clocks.move_to(now := round_.at)
            await _send_round(round_, sender)
        if over:
            continue
        await drained(client)
        await clocks.move_to(now := ends)
        if day.day >= campaign.first_day:
            await closed(client, campaign.id, day.day)
        await drained(client, ("aggregator",))
    return backfilled


async def _send_round(round_: Round, sender: Sender) -> None:
    # Activation depends on nothing that must have arrived before: it waits for approvals by itself.
    await asyncio.gather(
        *(_send_in_order(_of(round_.phases, service), sender) for service in ("intake", "activation"))
    )


def _of(phases: Iterable[Phase], service: str) -> list[Phase]:
    return [phase for phase in phases if phase.service == service]


async def _send_in_order(phases: Iterable[Phase], sender: Sender) -> None:
    for phase in phases:
        await sender.send(phase)


async def _known(client: Client, campaign: Campaign, keys: Iterable[str]) -> None:
    """Return when the services know the new keys and the campaign. Raises Refused when they don't in time.

    Asked with lines that can't be accepted, being of the far future: what is wrong with them tells.
    """
    until = time.monotonic() + _KEY_PATIENCE
    draft = Draft(0, 0, f"0{campaign.province}", campaign.communes[0], campaign.last_day, campaign.id)
    lines = (
        ("intake", "/v1/intakes", draft.intake(occurred_at=draft.future)),
        ("activation", "/v1/activations", draft.activation(occurred_at=draft.future)),
    )
    for service, path, line in lines:
        for key in keys:
            while True:
                answer, _ = await client.send("POST", service, path, key=key, content=line.encode())
                if answer.status_code != 401 and answer.json().get("field") != "campaign":
                    break
                if time.monotonic() > until:
                    raise Refused(
                        f"{service} does not know what was made {_KEY_PATIENCE:.0f} s ago: {answer.text}",
                        remedy="See whether it reads this data folder's api-keys.json, and its /readyz.",
                    )
                await asyncio.sleep(0.2)

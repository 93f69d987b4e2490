"""Hear at once when nothing comes any more from a unit that reports live."""

from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime

from tiendo_common.eventlog.port import Connection
from tiendo_common.events.state import ProgressPublication
from tiendo_notifier.rules.pulses import came, is_older
from tiendo_notifier.storage import pulses
from tiendo_notifier.storage.pulses import Pulse
from tiendo_notifier.use_cases.policies import InForce
from tiendo_notifier.use_cases.reference import Reference


class Listener:
    """Follows the newest totals of units that report live, in the transaction of the batch that brings them."""

    def __init__(self, reference: Reference) -> None:
        self._reference = reference

    async def listen(
        self, connection: Connection, published: Sequence[ProgressPublication], policies: InForce
    ) -> dict[str, tuple[datetime, dict[str, Pulse]]]:
        """Keep what was published; of each campaign whose top unit was, up to when all is known, and the pulses of its
        live units then."""
        by_campaign: defaultdict[str, list[ProgressPublication]] = defaultdict(list)
        for each in published:
            by_campaign[each.campaign].append(each)
        answer = {}
        for campaign, told in sorted(by_campaign.items()):
            heard = await pulses.read(connection, campaign)
            changed: dict[str, Pulse] = {}
            for each in told:
                live = policies.of(campaign, each.unit, each.day).rhythm.reports == "live"
                # Approvals come from elsewhere: only what the unit is to bring says that it is at work.
                done = [
                    getattr(each, target.indicator).done
                    for target in self._reference.targets(campaign, each.unit)
                ]
                if live and done:
                    fresh = _heard(changed.get(each.unit) or heard.get(each.unit), each, done)
                    if fresh is not None:
                        changed[each.unit] = fresh
            gone = {
                unit
                for unit, pulse in heard.items()
                if policies.of(campaign, unit, pulse.day).rhythm.reports != "live"
            }
            await pulses.write(connection, campaign, changed)
            if gone:
                await pulses.forget(connection, campaign, gone)
            top = [each.complete_to for each in told if self._reference.parent(each.unit, each.day) is None]
            through = await pulses.listened_through(connection, campaign)
            if top and (through is None or max(top) > through):
                await pulses.listened(connection, campaign, max(top))
                now = {unit: pulse for unit, pulse in (heard | changed).items() if unit not in gone}
                answer[campaign] = max(top), now
        return answer


def _heard(known: Pulse | None, told: ProgressPublication, done: list[int]) -> Pulse | None:
    """The pulse of a unit by its newest totals; None: it is as it was."""
    if known is None:
        return Pulse(told.day, done, told.complete_to)
    if is_older(known.day, told.day, known.since, told.complete_to):
        return None
    if came(known.done, done, same_day=told.day == known.day):
        return Pulse(told.day, done, told.complete_to)
    return known._replace(day=told.day, done=done) if told.day != known.day else None

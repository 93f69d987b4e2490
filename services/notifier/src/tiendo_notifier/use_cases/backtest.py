"""Try a set of rules before it is trusted: run it over the closings of a campaign that are on record."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeVar

import asyncpg
import msgspec

from tiendo_common.clock import VIETNAM, local_day
from tiendo_common.errors import Conflict, NotFound
from tiendo_common.events.goals import goal_of
from tiendo_common.events.state import (
    Attempts,
    CampaignPublication,
    ExpectedEnd,
    IndicatorProgress,
    NarrowedProgress,
    ProgressPublication,
    Records,
    RevisedDay,
)
from tiendo_notifier.rules import backtest as rules
from tiendo_notifier.rules import plan
from tiendo_notifier.rules.backtest import Alert, Miss, Score, Target
from tiendo_notifier.rules.past import Day, Past
from tiendo_notifier.rules.policies import Document
from tiendo_notifier.rules.shares import Tallies, Tally
from tiendo_notifier.storage import judging
from tiendo_notifier.storage.judging import Gathering, Key
from tiendo_notifier.storage.pasts import on_record
from tiendo_notifier.storage.policies import WHOLE, Stored
from tiendo_notifier.use_cases.closings import (
    ATTEMPTS,
    RECORDS,
    attempts_of,
    calendar_of,
    is_after,
    is_narrowed,
    records_of,
)
from tiendo_notifier.use_cases.policies import InForce, Policies
from tiendo_notifier.use_cases.reference import Reference
from tiendo_notifier.use_cases.session import Session
from tiendo_notifier.use_cases.telling import News

ToldT = TypeVar("ToldT", Attempts, Records)
_NOTHING = IndicatorProgress(value=0, baseline=0, done=0)
#: A campaign that still runs: a target counts as missed if it is under this share of the plan by now.
MISSED_PERCENT = 90


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a set of rules would have told, from the first day on record to the last."""

    first_day: date
    last_day: date
    over: bool
    score: Score
    alerts: list[Alert]
    misses: list[Miss]


class Backtests:
    """Runs rules over what is on record. Nothing is stored and nobody is told."""

    def __init__(self, pool: asyncpg.Pool, reference: Reference, policies: Policies) -> None:
        self._pool = pool
        self._reference = reference
        self._policies = policies

    async def run(self, campaign: str, documents: Mapping[str, Document]) -> Outcome:
        """What these rules would have told, by unit (empty: the whole campaign), each day judged at its cut-off in the
        present of that day. Raises NotFound; Invalid for rules that make no sense; Conflict while nothing is on record.

        Not in it: what days after the last one bring, acknowledgements, silences, and what falls due with time (steps
        up, digests). Targets are today's; those of narrowed goals as the closings named them.
        """
        known = self._reference.campaigns.get(campaign)
        if known is None:
            raise NotFound(f"There is no campaign {campaign!r}.", field="campaign")
        cut_off = known.day_end.of(known.first_day).replace(tzinfo=VIETNAM)
        stored = [
            Stored(campaign, unit or WHOLE, 1, msgspec.json.encode(document).decode(), "", "", cut_off)
            for unit, document in documents.items()
        ]
        policies = InForce(self._reference, stored)
        self._policies.check_all(policies, known, documents)
        async with self._pool.acquire() as connection, connection.transaction(readonly=True):
            record = await on_record(connection, campaign)
        tallies = {key: past for key, past in record.items() if isinstance(past, Tallies)}
        pasts = {
            key: past
            for key, past in record.items()
            if isinstance(past, Past) and not is_after(key.indicator, calendar_of(known))
        }
        if not pasts:
            raise Conflict(
                f"No day of {campaign} was judged yet: there is nothing to try rules on.",
                field="campaign",
                remedy=f"tiendo replay {campaign} lives through it.",
            )
        # Ten thousand judgements take a second: consumers and questions must not wait for them.
        return await asyncio.to_thread(self._live, known, policies, pasts, tallies)

    def _live(
        self,
        campaign: CampaignPublication,
        policies: InForce,
        pasts: Mapping[Key, Past],
        tallies: Mapping[Key, Tallies],
    ) -> Outcome:
        standings: dict[Key, judging.Standing] = {}
        gatherings: dict[Key, Gathering] = {}
        alerts: list[Alert] = []
        days = max(
            max(past.days[-1].number, max((each.by for each in past.revised), default=0))
            for past in pasts.values()
        )
        for number in range(1, days + 1):
            day = campaign.first_day + timedelta(days=number - 1)
            now = campaign.day_end.of(day).replace(tzinfo=VIETNAM)
            session = Session(self._reference, now, policies, standings, gatherings, [])
            before: dict[Key, Past | Tallies] = {key: past.before(number) for key, past in pasts.items()}
            before |= {key: past.before(number) for key, past in tallies.items()}
            session.look_at(_closings(campaign, day, number, pasts, tallies, now), before)
            session.conclude()
            standings |= session.after
            for key, gathering in session.gathered.items():
                if gathering is None:
                    gatherings.pop(key, None)
                else:
                    gatherings[key] = gathering
            alerts += [_alert(news) for news in session.news]
        last = min(campaign.first_day + timedelta(days=days - 1), campaign.last_day)
        over = last >= campaign.last_day
        missed = list(self._missed(campaign, pasts, last))
        units = {key.unit for key in pasts}
        score, misses = rules.score(alerts, missed, units, campaign.first_day, last)
        return Outcome(campaign.first_day, last, over, score, alerts, misses)

    def _target(self, key: Key, past: Past) -> int | None:
        """Today's target; of a narrowed goal the one that its last closing named."""
        if is_narrowed(key.indicator):
            return next((each.target for each in reversed(past.days) if each.target is not None), None)
        known = self._reference.targets(key.campaign, key.unit)
        return next((each.value for each in known if each.indicator == key.indicator), None)

    def _missed(
        self, campaign: CampaignPublication, pasts: Mapping[Key, Past], last: date
    ) -> Iterable[tuple[Target, str, int, int]]:
        """Targets that weren't reached; before their last day, those that are far behind the plan by now."""
        for key, past in sorted(pasts.items()):
            target = self._target(key, past)
            due = goal_of(key.indicator).due
            calendar = calendar_of(campaign) if due is None else calendar_of(campaign).until(due)
            if target is None:
                continue
            newest = past.corrected().days[-1]
            day, value = min(last, calendar.last_day), newest.reached
            seen = plan.figures(calendar, day, target=target, baseline=newest.baseline, value=value, done=0)
            behind = (
                value < target
                if day == calendar.last_day
                else seen.actual * 100 < MISSED_PERCENT * seen.planned
            )
            if behind and not seen.reached:
                name = self._reference.full_name(key.unit, last, key.unit)
                reached, of = (value, target) if day == calendar.last_day else (seen.actual, seen.planned)
                yield Target(key.unit, key.indicator), name, reached, of


def _narrowed(key: Key, day: Day) -> NarrowedProgress | None:
    """What the closing of a day said of a narrowed goal."""
    if day.target is None:
        return None
    return NarrowedProgress(
        goal=goal_of(key.indicator),
        target=day.target,
        value=day.reached,
        baseline=day.baseline,
        done=day.done,
        expected=_expected(day),
    )


def _expected(day: Day) -> ExpectedEnd | msgspec.UnsetType:
    end = day.expected
    return msgspec.UNSET if end is None else ExpectedEnd(final=end[0], low=end[0], high=end[1])


def _closings(
    campaign: CampaignPublication,
    day: date,
    number: int,
    pasts: Mapping[Key, Past],
    tallies: Mapping[Key, Tallies],
    now: datetime,
) -> Sequence[ProgressPublication]:
    """The day's closings, as they were published."""
    by_unit: defaultdict[str, dict[str, IndicatorProgress]] = defaultdict(dict)
    narrowed: defaultdict[str, list[NarrowedProgress]] = defaultdict(list)
    revised: defaultdict[str, list[RevisedDay]] = defaultdict(list)
    for key, past in pasts.items():
        revised[key.unit] += _revised(campaign, key, past, number)
        said = past.at(number)
        if said is None:
            continue
        if is_narrowed(key.indicator):
            told = _narrowed(key, said)
            if told is not None:
                narrowed[key.unit].append(told)
            continue
        by_unit[key.unit][key.indicator] = IndicatorProgress(
            value=said.reached,
            baseline=said.baseline,
            done=said.done,
            expected=_expected(said),
        )

    def added_up(unit: str, subject: str, of: Callable[[Tally], ToldT]) -> ToldT | msgspec.UnsetType:
        days = tallies.get(Key(campaign.campaign, unit, subject), Tallies()).days
        tally = next((day.tally for day in days if day.number == number), None)
        return msgspec.UNSET if tally is None else of(tally)

    return [
        ProgressPublication(
            campaign=campaign.campaign,
            unit=unit,
            day=day,
            complete_to=now,
            intake=by_unit[unit].get("intake", _NOTHING),
            approved=by_unit[unit].get("approved", _NOTHING),
            activated=by_unit[unit].get("activated", _NOTHING),
            narrowed=tuple(narrowed[unit]) if unit in narrowed else msgspec.UNSET,
            revised=tuple(revised[unit]) if revised[unit] else msgspec.UNSET,
            attempts=added_up(unit, ATTEMPTS, attempts_of),
            records=added_up(unit, RECORDS, records_of),
        )
        for unit in sorted({*by_unit, *narrowed, *(unit for unit, days in revised.items() if days)})
    ]


def _revised(campaign: CampaignPublication, key: Key, past: Past, number: int) -> list[RevisedDay]:
    """What the closing of the day of this number said of the days before."""
    return [
        RevisedDay(
            goal=goal_of(key.indicator),
            day=campaign.first_day + timedelta(days=each.number - 1),
            value=each.reached,
            baseline=each.baseline,
            done=each.done,
        )
        for each in past.revised
        if each.by == number
    ]


def _alert(news: News) -> Alert:
    said = msgspec.json.decode(news.message.notice)["data"]
    return Alert(
        day=local_day(news.message.at),
        unit=said["unit"],
        unit_name=said["unit_name"],
        indicator=said["indicator"],
        kind=news.message.kind,
        rule=said.get("rule"),
        severity=said["severity"],
        members=tuple(member["unit"] for member in said.get("members", ())),
        text=said["message"]["en"],
    )

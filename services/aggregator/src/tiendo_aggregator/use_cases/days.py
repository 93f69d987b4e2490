"""The days of a campaign, one by one: what forecasts, ranks and comparisons are told from."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from tiendo_aggregator.rules.backtest import History
from tiendo_aggregator.rules.progress import sum_up
from tiendo_aggregator.rules.rebasing import rebased_days
from tiendo_aggregator.storage.counting import daily_changes
from tiendo_aggregator.use_cases.scope import Scope
from tiendo_common.eventlog.port import Connection


@dataclass(frozen=True, slots=True)
class Days:
    """The net change of each unit (with all below it) on each day up to `last`; what came before `eve` is on it."""

    eve: date
    last: date
    sums: Mapping[tuple[str, tuple[str, date]], int]

    def history(self, unit: str, goal: str) -> History:
        """The unit's count on the eve, and each day's change."""
        days = max(0, (self.last - self.eve).days)
        changes = [self.sums.get((unit, (goal, self.eve + timedelta(days=n))), 0) for n in range(days + 1)]
        return History(changes[0], changes[1:])

    def ends(self, unit: str, goal: str) -> list[int]:
        """The unit's count at the end of the eve and of each day after it."""
        history = self.history(unit, goal)
        ends = [history.baseline]
        for change in history.changes:
            ends.append(ends[-1] + change)
        return ends


async def read_days(
    connection: Connection, scope: Scope, goals: Sequence[str], last: date, known_at: date | None
) -> Days:
    """The days of the scope's campaign up to `last`."""
    eve = scope.stored.campaign.first_day - timedelta(days=1)
    found = rebased_days(
        await daily_changes(connection, scope.resident_codes, goals, eve, last, known_at),
        scope.followed,
        scope.root,
        last,
    )
    return Days(eve, last, sum_up(scope.tree, scope.root, found))

"""What late records make of what was said of days.

`target_missed` and `quota_missed` say of days that are over that they were missed. Teams that were offline send late,
and the aggregator tells with later closings what it knows of these days by then. So the two rules look at all days
again, and stand as if everything had been known in time: what they said is withdrawn, or what they missed is said. It
is told once, as a revision, and nobody who was told is left with it.
"""

from collections.abc import Collection
from datetime import timedelta

from tiendo_notifier.rules.life import UNMOVED, RuleStanding, step
from tiendo_notifier.rules.plan import Calendar, Figures, Past, figures
from tiendo_notifier.rules.table import RULES, RuleName
from tiendo_notifier.rules.thresholds import Thresholds


def looked_at_again(
    calendar: Calendar,
    past: Past,
    through: int,
    target: int,
    limits: Thresholds,
    off: Collection[RuleName],
) -> dict[RuleName, RuleStanding]:
    """How the rules of days stand after the day of number `through`, by all that is known of the days. `target` and
    `limits` are today's."""
    known = past.corrected()
    again = [rule for rule in RULES.values() if rule.of_days and rule.name not in off]
    standings = {rule.name: UNMOVED for rule in again}
    for number in range(1, through + 1):
        seen = seen_again(calendar, known, number, target)
        if seen is not None:
            for rule in again:
                _, standings[rule.name] = step(rule, standings[rule.name], seen, limits)
    return standings


def seen_again(calendar: Calendar, known: Past, number: int, target: int) -> Figures | None:
    """The figures of the day of this number as they are `known` by now; None: no closing of it is known."""
    if number > len(known.reached):
        return None
    reached, done, baseline = (column[number - 1] for column in (known.reached, known.done, known.baseline))
    if reached is None or done is None or baseline is None:
        return None
    named = known.target[number - 1] if number <= len(known.target) else None
    return figures(
        calendar,
        calendar.first_day + timedelta(days=number - 1),
        target=target if named is None else named,
        baseline=baseline,
        value=reached,
        done=done,
    )

"""What late records make of what was said of days.

`target_missed` and `quota_missed` say of days that are over that they were missed. Teams that were offline send late,
and the aggregator tells with later closings what it knows of these days by then. So the two rules look at all days
again, and stand as if everything had been known in time: what they said is withdrawn, or what they missed is said. It
is told once, as a revision, and nobody who was told is left with it.
"""

from collections.abc import Collection
from datetime import timedelta

from tiendo_notifier.rules.life import UNMOVED, RuleStanding, step
from tiendo_notifier.rules.past import Past
from tiendo_notifier.rules.plan import Calendar, Figures, figures
from tiendo_notifier.rules.table import RULES, Condition, Rule, RuleName
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
    `limits` are today's. Raises OutOfReach."""
    known = past.corrected()
    return {
        rule.name: _stands(rule, calendar, known, through, target, limits)
        for rule in RULES.values()
        if rule.of_days and rule.name not in off
    }


def _stands(
    rule: Rule, calendar: Calendar, known: Past, through: int, target: int, limits: Thresholds
) -> RuleStanding:
    """How one of them stands. A day that is clear leaves nothing of those before it: it is not looked further back."""
    since_clear: list[Figures] = []
    for number in range(through, calendar.days - 1 if rule.of_last_day else 0, -1):
        seen = seen_again(calendar, known, number, target)
        if seen is None:
            continue
        condition, _ = step(rule, UNMOVED, seen, limits)
        if condition is Condition.CLEAR:
            break
        since_clear.append(seen)
    standing = UNMOVED
    for seen in reversed(since_clear):
        _, standing = step(rule, standing, seen, limits)
    return standing


def seen_again(calendar: Calendar, known: Past, number: int, target: int) -> Figures | None:
    """The figures of the day of this number as they are `known` by now; None: no closing of it is known. Raises
    OutOfReach."""
    day = known.at(number)
    if day is None:
        return None
    return figures(
        calendar,
        calendar.first_day + timedelta(days=number - 1),
        target=target if day.target is None else day.target,
        baseline=day.baseline,
        value=day.reached,
        done=day.done,
    )

"""The life of an incident: open → worsened* → closed, at most one open for each (campaign, unit, indicator,
rule).

| before | the closing is | after | outcome |
|---|---|---|---|
| at rest | bad, and so were enough before it | open | opened |
| at rest | bad, too few in a row yet | at rest, run + 1 | held |
| at rest, in a run | not bad | at rest, run 0 | held |
| at rest | not bad | at rest | none: nothing to decide |
| open | bad, more severe than ever in this incident | open | worsened |
| open | bad, and nobody has been told of it yet | open | worsened |
| open | bad otherwise, or between | open | held |
| open | clear | at rest | closed |

Severity only ever rises within an incident, so it worsens twice at most, however its figures swing.

"In a row" counts closings that were judged: a day without figures neither lengthens a run nor ends it.

**The past is never alerted.** What a replay or a backfill decides about days long gone is `historical`: it is
recorded like any other decision and not pushed. When it reaches the present with an incident still bad that
nobody was told of, that is told then; an incident of which nobody was told closes in silence.
"""

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Literal

from tiendo_notifier.rules.plan import Figures
from tiendo_notifier.rules.table import Condition, Rule, Severity, Thresholds

Transition = Literal["opened", "worsened", "closed"]
Outcome = Literal["opened", "worsened", "closed", "held", "not_judged"]
TRANSITIONS: tuple[Transition, ...] = ("opened", "worsened", "closed")

#: A closing of a day longer ago than this is the past.
PRESENT = timedelta(days=2)


def is_historical(day: date, today: date) -> bool:
    """Whether a day's closing is too old to call anybody about it."""
    return today - day > PRESENT


@dataclass(frozen=True, slots=True)
class Standing:
    """What is remembered from one closing to the next.

    `run` bad closings in a row; whether an incident is `open`, the `peak` of its severity so far, and
    whether anybody was `told` of it.
    """

    run: int = 0
    open: bool = False
    peak: Severity | None = None
    told: bool = False


AT_REST = Standing()


@dataclass(frozen=True, slots=True)
class Decision:
    """What a closing led to, and the transition that is to be told to whoever wants to know, if any."""

    outcome: Outcome
    severity: Severity | None
    reason: str
    tell: Transition | None = None


def judge(
    rule: Rule, before: Standing, seen: Figures, limits: Thresholds, *, historical: bool
) -> tuple[Standing, Decision | None]:
    """The standing after a closing, and what was decided, if anything."""
    condition = rule.condition(seen, limits)
    run = before.run + 1 if condition is Condition.BAD else 0
    severity = rule.severity(seen, run, limits) if condition is Condition.BAD else None

    def held(why: str) -> Decision:
        return Decision("held", severity or before.peak, f"{rule.explain(seen)}: {why}")

    def moved(transition: Transition, why: str, *, silent: bool = False) -> Decision:
        tell = None if historical or silent else transition
        return Decision(transition, severity or before.peak, f"{rule.explain(seen)}: {why}", tell)

    if not before.open:
        rest = Standing(run=run)
        patience = rule.patience(limits)
        if severity is None:
            return rest, held("over before anybody was called") if before.run else None
        if run < patience:
            return rest, held(f"{run} of {patience} in a row before anybody is called")
        return Standing(run, True, severity, not historical), moved("opened", f"{run} in a row")

    if condition is Condition.CLEAR:
        return AT_REST, moved("closed", "clear", silent=not before.told)
    if severity is None:
        return replace(before, run=0), held("better, not clear yet")
    if before.peak is None or severity > before.peak:
        after = Standing(run, True, severity, before.told or not historical)
        return after, moved("worsened", f"{severity.name.lower()} now, {run} in a row")
    if not before.told and not historical:
        after = Standing(run, True, before.peak, True)
        return after, moved("worsened", f"{run} in a row, told now for the first time")
    return replace(before, run=run), held(f"{run} in a row, no worse than it was")

"""The life of an incident: what is wrong with one target (campaign, unit, indicator), from the first rule that fires
until all are clear. At most one is open for each target, whatever number of rules say so.

Each rule remembers its `run` of bad closings. It fires when the run is as long as the rule's patience, and goes on
firing until a closing is clear. The worst rule that fires leads the incident.

| before | after the rules have spoken | outcome |
|---|---|---|
| at rest | one fires | opened |
| at rest | some are bad, none for long enough | held |
| at rest, in a run | none is bad | held |
| at rest | nothing was and is wrong | none: nothing to decide |
| open | one fires that is more severe than this incident ever was | worsened |
| open | still firing, no worse than it was | held |
| open | none fires any more | resolved |
| open | none fires any more, and none of what did was so, as late records show | withdrawn |

Severity only ever rises within an incident, so it worsens twice at most, however its figures swing: worsening
notifies, easing does not. "In a row" counts closings that were judged: a day without figures, and one to which the plan
gives no work, neither lengthen a run nor end it.

**The past is never alerted.** What a replay or a backfill decides about days long gone is `historical`: it is
recorded like any other decision and not pushed. When it reaches the present with an incident still bad that
nobody was told of, that is told then; an incident of which nobody was told is resolved in silence.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Literal

from tiendo_notifier.rules.plan import Figures
from tiendo_notifier.rules.table import (
    RULES_ABOUT,
    Condition,
    Rule,
    RuleName,
    Severity,
    reached_early,
)
from tiendo_notifier.rules.thresholds import Thresholds

Outcome = Literal["opened", "worsened", "resolved", "withdrawn", "reached_early", "held", "not_judged"]
#: What is told to whoever wants to know.
News = Literal["opened", "worsened", "resolved", "withdrawn", "reached_early"]

#: So many openings are remembered: more than it takes to see that a target flaps.
OPENINGS = 8
#: A closing of a day longer ago than this is the past.
PRESENT = timedelta(days=2)


def is_historical(day: date, today: date) -> bool:
    """Whether a day's closing is too old to call anybody about it."""
    return today - day > PRESENT


@dataclass(frozen=True, slots=True)
class RuleStanding:
    """What a rule remembers: its run of bad closings, and whether it fires."""

    run: int = 0
    firing: bool = False


#: Of a rule that has nothing to remember. One for all, since every rule of every target is looked at each day.
UNMOVED = RuleStanding()


@dataclass(frozen=True, slots=True)
class Standing:
    """What is remembered of a target from one closing to the next.

    `rules` that have anything to remember; the `peak` of the open incident's severity (None: none is open); the
    highest severity that anybody was `told` of it (None: nobody was); whether `reached_early` was found already; the
    numbers of the days of late on which an incident opened.
    """

    rules: Mapping[RuleName, RuleStanding] = field(default_factory=dict)
    peak: Severity | None = None
    told: Severity | None = None
    reached_early: bool = False
    openings: tuple[int, ...] = ()

    @property
    def open(self) -> bool:
        return self.peak is not None


AT_REST = Standing()


@dataclass(frozen=True, slots=True)
class Revised:
    """What late records make of what rules said of days: how these `rules` stand, had all been known in time. `over`:
    the target's last day is gone, and the figures are that day's by what is known now: nothing but it is looked at."""

    rules: Mapping[RuleName, RuleStanding]
    over: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What one rule said of a closing that it did not find clear. `withdrawn`: it fired, and late records show that it
    should not have."""

    rule: RuleName
    condition: Condition
    run: int
    firing: bool
    severity: Severity | None
    explanation: str
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class Decision:
    """What a closing led to: the rule that leads, how severe the incident is now, why, and what is to be told, if
    anything is. Whether it is told is not decided here (see `holding`)."""

    outcome: Outcome
    rule: RuleName | None
    severity: Severity | None
    reason: str
    findings: tuple[Finding, ...]
    tell: News | None = None

    @property
    def firing(self) -> list[RuleName]:
        """The rules that fire."""
        return [finding.rule for finding in self.findings if finding.firing]


def judge(
    before: Standing,
    seen: Figures,
    limits: Thresholds,
    *,
    historical: bool,
    off: Collection[RuleName] = (),
    revised: Revised | None = None,
) -> tuple[Standing, Decision | None]:
    """The standing after a closing, and what was decided, if anything. `told` is left as it was: see `telling`. Rules
    that are `off` say nothing and remember nothing."""
    findings, rules = [], {}
    for rule in RULES_ABOUT[seen.subject]:
        if rule.name in off:
            continue
        stood = before.rules.get(rule.name, UNMOVED)
        if revised is None:
            corrected = stood
            condition, after = step(rule, stood, seen, limits)
        else:
            corrected = revised.rules.get(rule.name, stood)
            condition, after = (_looked_back if revised.over else step)(rule, corrected, seen, limits)
        if after != UNMOVED:
            rules[rule.name] = after
        if after != UNMOVED or stood != UNMOVED:
            severity = rule.severity(seen, after.run, limits) if condition is Condition.BAD else None
            withdrawn = stood.firing and not corrected.firing and not after.firing
            findings.append(
                Finding(
                    rule.name, condition, after.run, after.firing, severity, rule.explain(seen), withdrawn
                )
            )
    early = before.reached_early or reached_early(seen, limits)
    firing = [finding for finding in findings if finding.firing]
    if not firing:
        rest = Standing(rules, reached_early=early, openings=before.openings)
        return _at_rest(before, rest, seen, tuple(findings), historical)
    worst = max(firing, key=lambda finding: finding.severity or 0)
    severity = max(worst.severity or Severity.NOTICE, before.peak or Severity.NOTICE)
    openings = before.openings if before.open else (*before.openings, seen.day_number)[-OPENINGS:]
    after_all = Standing(rules, severity, before.told, early, openings)
    outcome: Outcome = "held"
    why = f"{worst.rule} no worse than it was"
    if not before.open:
        outcome, why = "opened", f"{worst.rule} {worst.run} in a row"
    elif before.peak is not None and severity > before.peak:
        outcome, why = "worsened", f"{worst.rule} {severity.name.lower()} now"
    tell: News | None = None
    if not historical and worst.severity is not None:
        if before.told is None:
            tell = "opened"
        elif severity > before.told:
            tell = "worsened"
    return after_all, Decision(
        outcome, worst.rule, severity, f"{why}: {worst.explanation}", tuple(findings), tell
    )


def step(
    rule: Rule, stood: RuleStanding, seen: Figures, limits: Thresholds
) -> tuple[Condition, RuleStanding]:
    """What a rule makes of one closing more."""
    speaks = seen.works or seen.reached or rule.on_idle_days
    condition = rule.condition(seen, limits) if speaks else Condition.SILENT
    if condition is Condition.SILENT:
        return condition, stood
    run = stood.run + 1 if condition is Condition.BAD else 0
    fires = condition is Condition.BAD and run >= rule.patience(limits)
    return condition, RuleStanding(run, fires or (stood.firing and condition is not Condition.CLEAR))


def _looked_back(
    rule: Rule, corrected: RuleStanding, last: Figures, limits: Thresholds
) -> tuple[Condition, RuleStanding]:
    """What a rule makes of the `last` day once it is gone: of days it has said all; how things stood is of no interest
    any more unless the target was reached."""
    if rule.of_days:
        return rule.condition(last, limits), corrected
    return (Condition.CLEAR, UNMOVED) if last.reached else (Condition.SILENT, corrected)


def _at_rest(
    before: Standing, after: Standing, seen: Figures, findings: tuple[Finding, ...], historical: bool
) -> tuple[Standing, Decision | None]:
    """Nothing fires after the closing."""
    led = next((finding.rule for finding in findings), None)
    said = "; ".join(finding.explanation for finding in findings)
    withdrawn = [finding.rule for finding in findings if finding.withdrawn]
    fired = {name for name, stood in before.rules.items() if stood.firing}
    # A target that was reached in time was never missed, whatever else was said of it.
    if before.open and withdrawn and ("target_missed" in withdrawn or fired <= set(withdrawn)):
        tell_so: News | None = "withdrawn" if before.told is not None and not historical else None
        why = f"late records show that {', '.join(withdrawn)} was not so: {said}"
        return after, Decision("withdrawn", withdrawn[0], before.peak, why, findings, tell_so)
    if before.open:
        tell: News | None = "resolved" if before.told is not None and not historical else None
        return after, Decision("resolved", led, before.peak, f"all rules clear: {said}", findings, tell)
    if after.reached_early and not before.reached_early:
        why = f"{seen.value} of the target of {seen.target}, {seen.days_left} working days early"
        return after, Decision(
            "reached_early", None, None, why, findings, None if historical else "reached_early"
        )
    if not findings:
        return after, None
    return after, Decision("held", led, None, f"nothing fires: {said}", findings)


def telling(after: Standing, decision: Decision) -> Standing:
    """The standing once what is to be told is told."""
    if decision.tell in ("opened", "worsened"):
        return replace(after, told=after.peak)
    return after

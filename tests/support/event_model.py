"""The event model in small: one citizen, the services' own rules, and every order in which things can happen.

Six parts act independently: intake takes lines in, activation takes lines in, activation reads the dossiers,
and the aggregator reads the topics intake, approval and activation. Each step of one of them leads to another
state; `explore` visits all states that can be reached. What must be counted is worked out by `truth`, from the
accepted lines alone: no segments, no deltas.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from itertools import permutations, product

from tiendo_activation import rules as activation
from tiendo_activation.errors import NotActivated
from tiendo_activation.rules import Result, Switched
from tiendo_common.events.restatements import DossierSegment, Failure, Segment, deltas
from tiendo_common.events.state import Indicator
from tiendo_intake import rules as intake
from tiendo_intake.errors import NoDossier
from tiendo_intake.rules import Action, Correction, Decided, Fact, Moved, Taken, Void
from tiendo_intake.use_cases.restating import DECISIONS

#: The days on which the counts are looked at.
DAYS = tuple(date(2023, 11, 1) + timedelta(days=n) for n in range(9))


def day(number: int) -> date:
    """The day with this number."""
    return DAYS[number]


@dataclass(frozen=True)
class ToIntake:
    """A line to intake. `name` is what counterexamples call it."""

    name: str
    action: Action

    @property
    def day(self) -> date | None:
        """The day it speaks of; None for what holds from the start."""
        return None if isinstance(self.action, Correction | Void) else self.action.day


@dataclass(frozen=True)
class ToActivation:
    """A line to activation."""

    name: str
    result: Result
    switch: Switched


# --- what the services do, by their own rules ------------------------------------------------------------


@dataclass(frozen=True)
class Told:
    """An event of a topic that is counted. `dated` is the day of the change that it tells of; the rest, of approvals
    the days of a rejection, of activations what became of attempts that failed."""

    indicator: Indicator
    dated: date
    before: tuple[Segment, ...]
    after: tuple[Segment, ...]
    rejected_before: tuple[Segment, ...] = ()
    rejected_after: tuple[Segment, ...] = ()
    failures_before: tuple[Failure, ...] = ()
    failures_after: tuple[Failure, ...] = ()


@dataclass(frozen=True)
class Dossier:
    """An event of the restricted topic."""

    version: int
    change: str
    dated: date
    segments: tuple[DossierSegment, ...]


@dataclass(frozen=True)
class Desk:
    """Intake's record of the citizen, and what it has published so far (as IntakeDesk does)."""

    facts: tuple[Fact, ...] | None = None
    segments: tuple[DossierSegment, ...] = ()
    accepted: tuple[ToIntake, ...] = ()
    intakes: tuple[Told, ...] = ()
    approvals: tuple[Told, ...] = ()
    dossiers: tuple[Dossier, ...] = ()

    def take(self, line: ToIntake) -> "Desk":
        """The desk after the line; the same one if the line is a duplicate or rejected."""
        try:
            outcome = intake.decide(self.facts, line.action)
        except NoDossier:
            return self
        if isinstance(outcome, intake.Duplicate):
            return self
        before, after = self.segments, intake.segments(outcome.facts)
        dated = line.day or (before or after)[0].from_day
        intakes, approvals = self.intakes, self.approvals
        told = Told("intake", dated, intake.intake_segments(before), intake.intake_segments(after))
        if outcome.change not in DECISIONS and told.before != told.after:
            intakes += (told,)
        told = Told(
            "approved",
            dated,
            intake.approved_segments(before),
            intake.approved_segments(after),
            intake.rejected_segments(before),
            intake.rejected_segments(after),
        )
        if (
            outcome.change in DECISIONS
            or told.before != told.after
            or told.rejected_before != told.rejected_after
        ):
            approvals += (told,)
        dossier = Dossier(len(self.dossiers) + 1, outcome.change, dated, after)
        return Desk(
            outcome.facts,
            after,
            (*self.accepted, line),
            intakes,
            approvals,
            (*self.dossiers, dossier),
        )


@dataclass(frozen=True)
class Account:
    """Activation's account of the citizen (as Accounts keeps it). `known` is false before the first row."""

    known: bool = False
    switches: tuple[Switched, ...] = ()
    version: int = 0
    dossier: tuple[DossierSegment, ...] = ()
    segments: tuple[Segment, ...] = ()
    failures: tuple[Failure, ...] = ()

    def take(self, line: ToActivation) -> tuple["Account", Told | None] | None:
        """The account after the line and what it publishes; None for a duplicate or rejected line."""
        try:
            outcome = activation.decide(self.switches, line.result, line.switch)
        except NotActivated:
            return None
        if isinstance(outcome, activation.Duplicate):
            return None
        return replace(self, known=True, switches=(*self.switches, line.switch))._restated(line.switch.day)

    def fail(self, unit: str, day: date) -> tuple["Account", Failure]:
        """The account after an attempt that failed, and what is published of it."""
        tried = Failure(unit=unit, reason="network", day=day)
        [failure] = activation.come_right([tried], self.segments)
        return replace(self, known=True, failures=(*self.failures, failure)), failure

    def follow(self, dossier: Dossier) -> tuple["Account", Told | None]:
        """The account after a version of the dossier, and what it publishes."""
        if not self.known and not any(part.approved for part in dossier.segments):
            return self, None
        if dossier.version <= self.version:
            return self, None
        newer = replace(self, known=True, version=dossier.version, dossier=dossier.segments)
        return newer._restated(dossier.dated)

    def _restated(self, dated: date) -> tuple["Account", Told | None]:
        after = activation.segments(self.dossier, self.switches)
        if after == self.segments:
            return self, None
        failures = activation.come_right(self.failures, after)
        told = Told(
            "activated",
            dated,
            self.segments,
            after,
            failures_before=self.failures,
            failures_after=failures,
        )
        return replace(self, segments=after, failures=failures), told


class Citizen:
    """One life, step by step, and what was published of it."""

    def __init__(self) -> None:
        self.desk = Desk()
        self.account = Account()
        self.switches: tuple[ToActivation, ...] = ()
        self.activations: tuple[Told, ...] = ()
        self.failures: tuple[Failure, ...] = ()
        self.followed = 0

    def send(self, line: ToIntake | ToActivation) -> None:
        """A line reaches its service."""
        if isinstance(line, ToIntake):
            self.desk = self.desk.take(line)
        else:
            taken = self.account.take(line)
            if taken is not None:
                self.switches += (line,)
                self._keep(*taken)

    def fail(self, unit: str, day: date) -> None:
        """An attempt that failed reaches activation."""
        self.account, failure = self.account.fail(unit, day)
        self.failures += (failure,)

    def follow(self) -> None:
        """Activation reads one more dossier, if there is one."""
        if self.followed < len(self.desk.dossiers):
            self.followed += 1
            self._keep(*self.account.follow(self.desk.dossiers[self.followed - 1]))

    def follow_again(self, version: int) -> None:
        """Activation is handed a dossier that it has read before."""
        if version <= self.followed:
            self._keep(*self.account.follow(self.desk.dossiers[version - 1]))

    def _keep(self, account: Account, told: Told | None) -> None:
        self.account = account
        if told is not None:
            self.activations += (told,)

    @property
    def topics(self) -> tuple[tuple[Told, ...], ...]:
        """What the aggregator reads."""
        return self.desk.intakes, self.desk.approvals, self.activations


# --- what must come out ----------------------------------------------------------------------------------

#: indicator, attribution, unit, level, day
Cell = tuple[Indicator, str, str, int, date]


@dataclass
class _Life:
    """The citizen on one day."""

    level: int
    home: str
    credited: str
    approved: bool = False
    decided: bool = False
    on: bool = False
    helper: str | None = None


def truth(lines: Sequence[ToIntake], switches: Sequence[ToActivation]) -> frozenset[Cell]:
    """Where the citizen counts at the end of each day, straight from the accepted lines.

    The lines stand in the order in which they were accepted; a line holds from its own day, of two on one day
    the later accepted holds, and nothing holds before the intake.
    """
    cells: set[Cell] = set()
    for today in DAYS:
        life = _life(_since_void(lines), today)
        if life is None:
            continue
        _switch(life, switches, today)
        where = [("residence", life.home), ("collecting", life.credited)]
        cells |= {("intake", by, unit, life.level, today) for by, unit in where}
        if life.approved:
            cells |= {("approved", by, unit, life.level, today) for by, unit in where}
        if life.approved and life.on:
            where = [("residence", life.home), ("collecting", life.helper or life.home)]
            cells |= {("activated", by, unit, life.level, today) for by, unit in where}
    return frozenset(cells)


def _switch(life: _Life, switches: Sequence[ToActivation], today: date) -> None:
    for switch in sorted((line.switch for line in switches), key=lambda switch: switch.day):
        if switch.day <= today and switch.on != life.on:
            life.on, life.helper = switch.on, switch.collecting


#: What a citizen waits for or has reached, the unit where, the day on which this is so, and since when.
Waits = tuple[str, str, date, date]


def waits(lines: Sequence[ToIntake]) -> Iterator[Waits]:
    """Who waits for a decision and who is approved, and since when, at the end of each day: looked for day by day, as
    one would in a card index."""
    lives = _lives(lines, ())
    for place, life in enumerate(lives):
        if life is None:
            continue
        taken_on = next(DAYS[n] for n, each in enumerate(lives) if each is not None)
        if not life.decided:
            yield "undecided", life.home, DAYS[place], taken_on
        if life.approved:
            yield "approved", life.home, DAYS[place], DAYS[_approved_from(lives, place)]


def reached(
    lines: Sequence[ToIntake], switches: Sequence[ToActivation], window: timedelta
) -> Iterator[Waits]:
    """Who is activated at the end of each day, whether the first time was within the window after the approval that
    holds, and since when that does."""
    lives = _lives(lines, switches)
    for place, life in enumerate(lives):
        if life is None or not (life.approved and life.on):
            continue
        start = _approved_from(lives, place)
        first = next(n for n in range(start, place + 1) if (each := lives[n]) is not None and each.on)
        what = "in_time" if DAYS[first] - DAYS[start] <= window else "late"
        yield what, life.home, DAYS[place], DAYS[start]


def right(
    lines: Sequence[ToIntake], switches: Sequence[ToActivation], failures: Sequence[Failure]
) -> Iterator[Waits]:
    """Attempts that had come right by the end of each day."""
    lives = _lives(lines, switches)
    on = [
        day for day, life in zip(DAYS, lives, strict=True) if life is not None and life.approved and life.on
    ]
    for each in failures:
        first = min((day for day in on if day >= each.day), default=None)
        for today in DAYS:
            if first is not None and first <= today:
                yield "right_network", each.unit, today, each.day


def _lives(lines: Sequence[ToIntake], switches: Sequence[ToActivation]) -> list[_Life | None]:
    lives = [_life(_since_void(lines), today) for today in DAYS]
    for today, life in zip(DAYS, lives, strict=True):
        if life is not None:
            _switch(life, switches, today)
    return lives


def _approved_from(lives: Sequence[_Life | None], place: int) -> int:
    while place and (before := lives[place - 1]) is not None and before.approved:
        place -= 1
    return place


def _since_void(lines: Sequence[ToIntake]) -> list[Action]:
    actions: list[Action] = []
    for line in lines:
        actions = [] if isinstance(line.action, Void) else [*actions, line.action]
    return actions


def _life(actions: Sequence[Action], today: date) -> _Life | None:
    if not actions:
        return None
    first = actions[0]
    assert isinstance(first, Taken)
    if first.day > today:
        return None
    life = _Life(first.level, first.residence, first.collecting)
    dated: list[Taken | Moved | Decided] = []
    for action in actions[1:]:
        if isinstance(action, Correction):
            life.level = action.level or life.level
            life.home = action.residence or life.home
            life.credited = action.collecting or life.credited
            if action.level == 1:
                # Level 1 from the start: who was said to be upgraded by now, was not.
                dated = [each for each in dated if not isinstance(each, Taken)]
        elif not isinstance(action, Void):
            dated.append(action)
    for action in sorted(dated, key=lambda action: action.day):
        if action.day > today:
            break
        if isinstance(action, Decided):
            life.approved, life.decided = action.approved, True
        elif isinstance(action, Moved):
            life.home = action.residence
        elif life.level == 1:
            life.level, life.credited = 2, action.collecting
            # Taken again after a rejection: it waits for a decision anew.
            life.decided = life.approved
    return life


# --- what the aggregator makes of it ---------------------------------------------------------------------

#: A fold turns an event into (day, change of the count, where).
Fold = Callable[[Told], Iterable[tuple[date, int, Segment]]]


def fold_segments(told: Told) -> Iterator[tuple[date, int, Segment]]:
    """The model's own fold: deltas(after) − deltas(before)."""
    yield from deltas(told.after)
    for since, sign, segment in deltas(told.before):
        yield since, -sign, segment


def fold_last_states(told: Told) -> Iterator[tuple[date, int, Segment]]:
    """A wrong one, the usual way: only the states before and after the change, dated by the change."""
    if told.before:
        yield told.dated, -1, told.before[-1]
    if told.after:
        yield told.dated, 1, told.after[-1]


Counts = Mapping[Cell, int]


def add(counts: Counts, told: Told, fold: Fold = fold_segments) -> Counts:
    """The counts at the end of each day after one more event; cells that are zero are left out."""
    sums = Counter(dict(counts))
    for since, sign, segment in fold(told):
        for today in DAYS:
            if since <= today:
                sums[told.indicator, "residence", segment.residence, segment.level, today] += sign
                sums[told.indicator, "collecting", segment.collecting, segment.level, today] += sign
    return {cell: n for cell, n in sums.items() if n}


def sane(counts: Counts) -> bool:
    """Whether nothing is negative and the citizen counts at most once in an indicator on a day."""
    times = Counter[tuple[str, str, date]]()
    for (indicator, by, _unit, _level, today), n in counts.items():
        times[indicator, by, today] += n
    return all(n >= 0 for n in counts.values()) and all(n <= 1 for n in times.values())


# --- every interleaving ----------------------------------------------------------------------------------


@dataclass
class Found:
    """What an exploration came to. `example` is the shortest order of lines that was found wrong."""

    orders: int = 0
    states: int = 0
    ends: int = 0
    wrong_orders: int = 0
    wrong_ends: int = 0
    wrong_between: int = 0
    example: tuple[str, ...] = ()

    def plus(self, other: "Found") -> "Found":
        """Both together."""
        examples = [found.example for found in (self, other) if found.example]
        return Found(
            self.orders + other.orders,
            self.states + other.states,
            self.ends + other.ends,
            self.wrong_orders + other.wrong_orders,
            self.wrong_ends + other.wrong_ends,
            self.wrong_between + other.wrong_between,
            min(examples, key=lambda example: (len(example), example), default=()),
        )


def explore(
    to_intake: Sequence[ToIntake],
    to_activation: Sequence[ToActivation],
    *,
    fold: Fold = fold_segments,
    silent_on: frozenset[str] = frozenset(),
) -> Found:
    """Visit every state that can be reached from every order of the lines.

    Orders that lead to the same accepted lines are one. `silent_on` names changes of the dossier that
    activation takes in without a word: a deliberate mistake.
    """
    desks = {desk.accepted for desk in map(after_lines, permutations(to_intake))}
    switches = {accepted_switches(order) for order in permutations(to_activation)}
    found = Found()
    for lines, switched in product(desks, switches):
        found = found.plus(_Exploration(lines, switched, fold, silent_on).run())
    return found


def after_lines(lines: Iterable[ToIntake]) -> Desk:
    """The desk after these lines."""
    desk = Desk()
    for line in lines:
        desk = desk.take(line)
    return desk


def accepted_switches(lines: Iterable[ToActivation]) -> tuple[ToActivation, ...]:
    """Those that are accepted in this order: switches alone decide that, whatever is known of the dossier."""
    account, accepted = Account(), []
    for line in lines:
        taken = account.take(line)
        if taken is not None:
            account = taken[0]
            accepted.append(line)
    return tuple(accepted)


#: Lines taken by intake and by activation, dossiers read by activation, its account, its log, and how many events
#: of the topics intake, approval and activation the aggregator has read.
State = tuple[int, int, int, int, int, int, int, int]


@dataclass
class _Log:
    """Activation's topic after some events. `read[n]` says what the counters come to after n of them."""

    read: tuple[Counts, ...]
    sane: tuple[bool, ...]
    longer: dict[Told, int] = field(default_factory=dict)


class _Exploration:
    """All interleavings of one order of lines to intake with one order of lines to activation."""

    def __init__(
        self,
        to_intake: tuple[ToIntake, ...],
        to_activation: tuple[ToActivation, ...],
        fold: Fold,
        silent_on: frozenset[str],
    ) -> None:
        self._to_intake = to_intake
        self._to_activation = to_activation
        self._fold = fold
        self._silent_on = silent_on
        self._desks = [after_lines(to_intake[:n]) for n in range(len(to_intake) + 1)]
        self._intakes = self._prefixes(self._desks[-1].intakes)
        self._approvals = self._prefixes(self._desks[-1].approvals)
        # Accounts and logs are told apart by number: comparing small numbers is what makes a million states
        # affordable. What a step does to an account and a log is worked out once.
        self._accounts = [Account()]
        self._numbers = {Account(): 0}
        self._logs = [_Log(({},), (True,))]
        self._steps: dict[tuple[int, int, int, bool], tuple[int, int]] = {}

    def _prefixes(self, log: Iterable[Told]) -> list[Counts]:
        counts: list[Counts] = [{}]
        for told in log:
            counts.append(add(counts[-1], told, self._fold))
        return counts

    def run(self) -> Found:
        found = Found(orders=1)
        published = [(len(desk.intakes), len(desk.approvals)) for desk in self._desks]
        sane_intakes = [sane(counts) for counts in self._intakes]
        sane_approvals = [sane(counts) for counts in self._approvals]
        must_be = truth(self._to_intake, self._to_activation)
        all_lines, all_switches = len(self._to_intake), len(self._to_activation)
        logs = self._logs
        start: State = (0, 0, 0, 0, 0, 0, 0, 0)
        seen, waiting = {start}, [start]
        while waiting:
            lines, switches, followed, account, log, at_intake, at_approval, at_activation = waiting.pop()
            if not (
                sane_intakes[at_intake] and sane_approvals[at_approval] and logs[log].sane[at_activation]
            ):
                found.wrong_between += 1
            intakes, approvals = published[lines]
            nexts: list[State] = []
            if lines < all_lines:
                nexts.append(
                    (lines + 1, switches, followed, account, log, at_intake, at_approval, at_activation)
                )
            if switches < all_switches:
                after, said = self._step(account, log, switches, follows=False)
                nexts.append(
                    (lines, switches + 1, followed, after, said, at_intake, at_approval, at_activation)
                )
            if followed < lines:
                after, said = self._step(account, log, followed, follows=True)
                nexts.append(
                    (lines, switches, followed + 1, after, said, at_intake, at_approval, at_activation)
                )
            if at_intake < intakes:
                nexts.append(
                    (lines, switches, followed, account, log, at_intake + 1, at_approval, at_activation)
                )
            if at_approval < approvals:
                nexts.append(
                    (lines, switches, followed, account, log, at_intake, at_approval + 1, at_activation)
                )
            if at_activation + 1 < len(logs[log].read):
                nexts.append(
                    (lines, switches, followed, account, log, at_intake, at_approval, at_activation + 1)
                )
            if not nexts:
                found.ends += 1
                counts = {
                    **self._intakes[at_intake],
                    **self._approvals[at_approval],
                    **logs[log].read[at_activation],
                }
                found.wrong_ends += counts != dict.fromkeys(must_be, 1)
            for state in nexts:
                if state not in seen:
                    seen.add(state)
                    waiting.append(state)
        found.states = len(seen)
        if found.wrong_ends or found.wrong_between:
            found.wrong_orders = 1
            names = [line.name for line in self._to_intake] + [line.name for line in self._to_activation]
            found.example = tuple(names)
        return found

    def _step(self, account: int, log: int, place: int, *, follows: bool) -> tuple[int, int]:
        """The account and the log after activation's line, or the dossier that it follows, at this place."""
        known = self._steps.get((account, log, place, follows))
        if known is None:
            known = self._work_out(self._accounts[account], log, place, follows)
            self._steps[account, log, place, follows] = known
        return known

    def _work_out(self, before: Account, log: int, place: int, follows: bool) -> tuple[int, int]:
        if follows:
            dossier = self._desks[-1].dossiers[place]
            after, told = before.follow(dossier)
            if dossier.change in self._silent_on:
                after, told = replace(after, segments=before.segments), None
        else:
            taken = before.take(self._to_activation[place])
            assert taken is not None
            after, told = taken
        number = self._numbers.setdefault(after, len(self._accounts))
        if number == len(self._accounts):
            self._accounts.append(after)
        return number, self._appended(log, told)

    def _appended(self, log: int, told: Told | None) -> int:
        if told is None:
            return log
        shorter = self._logs[log]
        if told not in shorter.longer:
            counts = add(shorter.read[-1], told, self._fold)
            shorter.longer[told] = len(self._logs)
            self._logs.append(_Log((*shorter.read, counts), (*shorter.sane, sane(counts))))
        return shorter.longer[told]

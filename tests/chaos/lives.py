"""What must be on record of a citizen, worked out from the lines alone.

Written from the tables in the docstrings of the services' rules and from docs/events.md, without a line of
their code: a citizen is asked day by day where he counts, where the product keeps segments and deltas. A line
is the document as it was sent.
"""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta, timezone
from typing import Any, Literal

Kind = Literal["intakes", "approvals", "amendments", "activations"]
Outcome = Literal["accepted", "duplicate", "rejected"]
Document = dict[str, Any]

_VIETNAM = timezone(timedelta(hours=7))
_EVER = date(9999, 1, 1)


def instant(line: Document) -> datetime:
    """When the fact is said to have happened."""
    return datetime.fromisoformat(line["occurred_at"])


def day_of(line: Document) -> date:
    """The business day of a line."""
    return instant(line).astimezone(_VIETNAM).date()


@dataclass(frozen=True)
class Dossier:
    """A dossier at the end of a day."""

    level: int
    residence: str
    collecting: str
    channel: str
    cohorts: tuple[str, ...]
    approved: bool
    decided: bool


@dataclass(frozen=True)
class Active:
    """An activated account at the end of a day; `since` when its approval holds."""

    level: int
    residence: str
    collecting: str
    channel: str
    cohorts: tuple[str, ...]
    since: date


@dataclass(frozen=True)
class _Fact:
    """What holds from a day on: `what` is upgraded, moved or decided."""

    day: date
    what: str
    value: tuple[Any, ...]


@dataclass(frozen=True)
class _Switch:
    day: date
    on: bool
    collecting: str | None
    channel: str | None


@dataclass
class Life:
    """One citizen. `taken` is None where no dossier counts; `known` says whether there ever was one."""

    known: bool = False
    taken: Document | None = None
    later: list[_Fact] = field(default_factory=list)
    switches: list[_Switch] = field(default_factory=list)
    attempts: set[tuple[datetime, str]] = field(default_factory=set)

    def take(self, kind: Kind, line: Document) -> Outcome:
        """What the line must be answered, were it sent once; it takes effect."""
        if kind == "intakes":
            return self._take_intake(line)
        if kind == "approvals":
            return self._take_decision(line)
        if kind == "amendments":
            return self._take_amendment(line)
        return self._take_activation(line)

    def on(self, day: date) -> Dossier | None:
        """The dossier at the end of a day."""
        first = self.taken
        if first is None or day < day_of(first):
            return None
        level, collecting, channel = first["level"], first["collecting_unit"], first["channel"]
        residence, approved, decided = first["residence_unit"], False, False
        for fact in sorted(self.later, key=lambda fact: fact.day):
            if fact.day > day:
                break
            if fact.what == "moved":
                (residence,) = fact.value
            elif fact.what == "decided":
                approved, decided = fact.value[0], True
            elif level == 1:
                level, (collecting, channel) = 2, fact.value
                decided = approved
        return Dossier(level, residence, collecting, channel, _cohorts(first), approved, decided)

    def active_on(self, day: date) -> Active | None:
        """The account at the end of a day, if it counts: switched on, and the dossier approved."""
        dossier = self.on(day)
        if dossier is None or not dossier.approved:
            return None
        by: _Switch | None = None
        for switch in sorted(self.switches, key=lambda switch: switch.day):
            if switch.day <= day and switch.on != (by is not None):
                by = switch if switch.on else None
        if by is None:
            return None
        return Active(
            dossier.level,
            dossier.residence,
            by.collecting or dossier.residence,
            by.channel or "online",
            dossier.cohorts,
            self._approved_since(day),
        )

    def _approved_since(self, day: date) -> date:
        since = day
        for each in reversed([each for each in self.days() if each <= day]):
            dossier = self.on(each)
            if dossier is None or not dossier.approved:
                break
            since = each
        return since

    def days(self) -> list[date]:
        """The days on which something may change, in order."""
        dated = {fact.day for fact in self.later} | {switch.day for switch in self.switches}
        return sorted(dated | ({day_of(self.taken)} if self.taken else set()))

    @property
    def switched_on(self) -> bool | None:
        """Whether the account is on in the end; None before the first activation."""
        latest: _Switch | None = None
        for switch in self.switches:
            if latest is None or switch.day >= latest.day:
                latest = switch
        return None if latest is None else latest.on

    def _take_intake(self, line: Document) -> Outcome:
        now = self.on(_EVER)
        if now is None:
            self.known, self.taken, self.later = True, line, []
            return "accepted"
        if (now.level, line["level"]) == (1, 2):
            self.later.append(_Fact(day_of(line), "upgraded", (line["collecting_unit"], line["channel"])))
            return "accepted"
        return "duplicate"

    def _take_decision(self, line: Document) -> Outcome:
        if self.taken is None:
            return "rejected"
        fact = _Fact(day_of(line), "decided", (line["decision"] == "approved", line.get("reason")))
        in_force: _Fact | None = None
        for each in self.later:
            if each.what == "decided" and (in_force is None or each.day >= in_force.day):
                in_force = each
        if fact in self.later or (in_force is not None and in_force.value[0] == fact.value[0]):
            return "duplicate"
        self.later.append(fact)
        return "accepted"

    def _take_amendment(self, line: Document) -> Outcome:
        now = self.on(_EVER)
        if now is None or self.taken is None:
            return "duplicate" if self.known and line["kind"] == "void" else "rejected"
        if line["kind"] == "void":
            self.taken, self.later = None, []
            return "accepted"
        if line["kind"] == "move":
            fact = _Fact(day_of(line), "moved", (line["residence_unit"],))
            if fact in self.later or now.residence == line["residence_unit"]:
                return "duplicate"
            self.later.append(fact)
            return "accepted"
        return self._correct(line, self.taken)

    def _correct(self, line: Document, taken: Document) -> Outcome:
        named = ("level", "residence_unit", "collecting_unit", "channel", "cohorts")
        right = {**taken, **{name: line[name] for name in named if line.get(name) is not None}}
        later = self.later
        if line.get("level") == 1:
            # Level 1 from the start: who was said to be upgraded by now, was not.
            later = [fact for fact in later if fact.what != "upgraded"]
        same = all(right.get(name) == taken.get(name) for name in named if name != "cohorts")
        if same and _cohorts(right) == _cohorts(taken) and len(later) == len(self.later):
            return "duplicate"
        self.taken, self.later = right, later
        return "accepted"

    def _take_activation(self, line: Document) -> Outcome:
        result = line["result"]
        if result == "failed":
            attempt = (instant(line), line["reason"])
            if attempt in self.attempts:
                return "duplicate"
            self.attempts.add(attempt)
            return "accepted"
        stands, wanted = self.switched_on, result != "deactivated"
        if stands is None and result != "succeeded":
            return "rejected"
        if stands == wanted:
            return "duplicate"
        self.switches.append(_Switch(day_of(line), wanted, line.get("collecting_unit"), line.get("channel")))
        return "accepted"


#: indicator, attribution, unit, level, day
Cell = tuple[str, str, str, int, date]
#: the same, then dimension and value
Part = tuple[str, str, str, int, date, str, str]


@dataclass
class Tally:
    """The net change of each count on each day, in all and by channel and cohort."""

    cells: Counter[Cell] = field(default_factory=Counter)
    parts: Counter[Part] = field(default_factory=Counter)

    def add(self, life: Life) -> None:
        """Count one citizen: what is true at the end of a day and was not the day before, and the reverse."""
        before: set[tuple[str, Dossier | Active]] = set()
        for day in life.days():
            now = set(_standing(life, day))
            for sign, changed in ((1, now - before), (-1, before - now)):
                for indicator, standing in changed:
                    self._count(indicator, standing, day, sign)
            before = now

    def _count(self, indicator: str, standing: Dossier | Active, day: date, sign: int) -> None:
        dimensions = [("channel", standing.channel), *(("cohort", cohort) for cohort in standing.cohorts)]
        for attribution, unit in (("residence", standing.residence), ("collecting", standing.collecting)):
            cell = (indicator, attribution, unit, standing.level, day)
            self.cells[cell] += sign
            for dimension, value in dimensions:
                self.parts[(*cell, dimension, value)] += sign

    def nonzero(self) -> dict[Cell, int]:
        return {cell: n for cell, n in self.cells.items() if n}

    def nonzero_parts(self) -> dict[Part, int]:
        return {part: n for part, n in self.parts.items() if n}


def tally(lives: Iterable[Life]) -> Tally:
    """Count all citizens."""
    answer = Tally()
    for life in lives:
        answer.add(life)
    return answer


def _standing(life: Life, day: date) -> Iterator[tuple[str, Dossier | Active]]:
    dossier = life.on(day)
    if dossier is not None:
        yield "intake", dossier
        if dossier.approved:
            yield "approved", dossier
    active = life.active_on(day)
    if active is not None:
        yield "activated", active


def _cohorts(taken: Document) -> tuple[str, ...]:
    return tuple(sorted(set(taken.get("cohorts") or ())))

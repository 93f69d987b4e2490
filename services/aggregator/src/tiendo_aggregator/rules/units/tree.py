"""Units: a code and the span of days in which it is valid; the tree is always the tree of a day."""

import unicodedata
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from functools import cached_property
from typing import Literal

import msgspec

from tiendo_common.errors import Invalid
from tiendo_common.events.directory import when_valid
from tiendo_common.events.state import UnitSpan

#: From when the oldest tree that we have is taken to hold: long before the first account could be recorded.
#: It says nothing about when a unit was founded.
FIRST_DAY = date(2004, 1, 1)

#: The files of the tree, each with the first day on which it holds; it holds until the next one does.
EDITIONS: tuple[tuple[date, str], ...] = (
    (FIRST_DAY, "units-2023.csv"),
    (date(2025, 1, 1), "units-2025-01.csv"),
    (date(2025, 7, 1), "units-2025-07-01.csv"),
)

#: A code's spans, oldest first.
Spans = Mapping[str, tuple[UnitSpan, ...]]


class Hamlet(msgspec.Struct, frozen=True, kw_only=True):
    """The days on which a code is a hamlet's, and its commune; `until_day` is exclusive, null means to this day."""

    from_day: date
    until_day: date | None
    parent: str
    name: str

    @property
    def level(self) -> Literal["hamlet"]:
        """Below the commune."""
        return "hamlet"

    def is_on(self, day: date) -> bool:
        """Whether it is there on a day."""
        return self.from_day <= day and (self.until_day is None or day < self.until_day)


#: Likewise of hamlets.
Hamlets = Mapping[str, tuple[Hamlet, ...]]

#: A whole tree, which holds from one day to the day before the next one's.
Edition = Mapping[str, UnitSpan]


def in_order(editions: Mapping[date, Edition]) -> list[Edition]:
    """Whole trees by their first days, oldest first, each ending where the next one begins."""
    days = sorted(editions)
    return [
        {
            code: span
            if (span.from_day, span.until_day) == (day, until)
            else msgspec.structs.replace(span, from_day=day, until_day=until)
            for code, span in editions[day].items()
        }
        for day, until in zip(days, [*days[1:], None], strict=True)
    ]


def merge_editions(editions: Sequence[Mapping[str, UnitSpan]]) -> dict[str, tuple[UnitSpan, ...]]:
    """One history per code out of whole trees, oldest first, whose spans follow one another.

    Spans that touch and say the same become one. The same code with another parent, level or name is
    another unit, or the same one under new facts: either way a span of its own.
    """
    history: dict[str, list[UnitSpan]] = {}
    for edition in editions:
        for code, span in edition.items():
            spans = history.setdefault(code, [])
            if spans and _continues(spans[-1], span):
                spans[-1] = msgspec.structs.replace(spans[-1], until_day=span.until_day)
            else:
                spans.append(span)
    return {code: tuple(spans) for code, spans in sorted(history.items())}


def _continues(old: UnitSpan, new: UnitSpan) -> bool:
    return old.until_day == new.from_day and (old.parent, old.level, old.name) == (
        new.parent,
        new.level,
        new.name,
    )


def _bounds(histories: Mapping[str, Sequence[UnitSpan | Hamlet]]) -> list[date]:
    """The days on which any of them begins or ends."""
    days = {span.from_day for each in histories.values() for span in each}
    return sorted(days | {span.until_day for each in histories.values() for span in each if span.until_day})


def eve(day: date) -> date:
    """The day before."""
    return day - timedelta(days=1)


def search_key(name: str) -> str:
    """A name as people type it: without case, accents or apostrophes; Đăk, Đắk and dak are the same."""
    letters = unicodedata.normalize("NFD", name.casefold()).replace("đ", "d")
    kept = (
        letter if letter.isalnum() else " "
        for letter in letters
        if not unicodedata.combining(letter) and letter not in "'’ʼ"
    )
    return " ".join("".join(kept).split())


class Tree:
    """The units valid on a day; with hamlets only where that is said."""

    def __init__(self, units: Mapping[str, UnitSpan | Hamlet]) -> None:
        self.units = units
        self.children: defaultdict[str, list[str]] = defaultdict(list)
        for code in sorted(units):
            parent = units[code].parent
            if parent is not None:
                self.children[parent].append(code)

    @cached_property
    def search_keys(self) -> dict[str, str]:
        """The search key of each code's name."""
        return {code: search_key(span.name) for code, span in self.units.items()}

    def below(self, root: str, depth: int | None = None) -> Iterator[str]:
        """`root`, then what is below it down to `depth` levels, each unit before its children."""
        if root in self.units:
            yield root
            if depth is None or depth > 0:
                for child in self.children.get(root, ()):
                    yield from self.below(child, None if depth is None else depth - 1)

    def roots(self) -> list[str]:
        """The units without a parent, by code."""
        return [code for code in sorted(self.units) if self.units[code].parent is None]

    def up_to(self, code: str, root: str | None) -> Iterator[str]:
        """`code` and every unit above it, up to and with `root`; None: to the top."""
        step: str | None = code
        while step is not None:
            yield step
            step = None if step == root else self.units[step].parent

    def communes(self, province: str) -> list[str]:
        """The communes of a province, by code."""
        return [code for code in self.below(province) if self.units[code].level == "commune"]

    def part(self, codes: Iterable[str]) -> "Tree":
        """Only these units, in the places that they have."""
        return Tree({code: self.units[code] for code in sorted(codes)})


class Gazetteer:
    """Every unit and hamlet that ever was, and the tree of any day.

    Trees are of units that plans know: hamlets are beside them, and a day on which only hamlets change is none on
    which the tree does.
    """

    def __init__(self, spans: Spans, hamlets: Hamlets | None = None) -> None:
        self.spans = spans
        self.hamlets: Hamlets = hamlets or {}
        self._hamlets_of: defaultdict[str, set[str]] = defaultdict(set)
        for code, each in self.hamlets.items():
            for hamlet in each:
                self._hamlets_of[hamlet.parent].add(code)
        self._hamlet_bounds = _bounds(self.hamlets)
        self._with_hamlets: dict[tuple[int, int], Tree] = {}
        self._bounds = _bounds(spans)
        self._trees: dict[int, Tree] = {}
        self._codes_from: dict[int, frozenset[str]] = {}

    def period(self, day: date) -> int:
        """A number that is the same for two days if the tree did not change between them."""
        return bisect_right(self._bounds, day)

    def changes(self, since: date, day: date) -> list[date]:
        """The days after `since`, up to and with `day`, from which the tree was another."""
        return self._bounds[self.period(since) : self.period(day)]

    def as_of(self, day: date) -> Tree:
        """The tree of a day; without units before FIRST_DAY."""
        period = self.period(day)
        tree = self._trees.get(period)
        if tree is None:
            valid = {
                code: span
                for code, spans in self.spans.items()
                for span in spans
                if span.from_day <= day and (span.until_day is None or day < span.until_day)
            }
            tree = self._trees[period] = Tree(valid)
        return tree

    def hamlet_period(self, day: date) -> int:
        """A number that is the same for two days if no hamlet changed between them."""
        return bisect_right(self._hamlet_bounds, day)

    def with_hamlets(self, day: date) -> Tree:
        """The tree of a day with its hamlets."""
        if not self.hamlets:
            return self.as_of(day)
        period = self.period(day), self.hamlet_period(day)
        tree = self._with_hamlets.get(period)
        if tree is None:
            there = {code: now for code in self.hamlets if (now := self.hamlet(code, day)) is not None}
            tree = self._with_hamlets[period] = Tree({**self.as_of(day).units, **there})
        return tree

    def hamlet(self, code: str, day: date) -> Hamlet | None:
        """The hamlet of this code on a day, if there is one."""
        return next((each for each in self.hamlets.get(code, ()) if each.is_on(day)), None)

    def hamlets_on(self, commune: str, day: date) -> list[str]:
        """The codes of the hamlets that are below a commune on a day, in order."""
        return [
            code
            for code in self.hamlets_of([commune])
            if (hamlet := self.hamlet(code, day)) is not None and hamlet.parent == commune
        ]

    def hamlets_of(self, communes: Iterable[str]) -> list[str]:
        """The codes of all hamlets that ever were below one of these communes, in order."""
        if not self.hamlets:
            return []
        return sorted({code for commune in communes for code in self._hamlets_of.get(commune, ())})

    def codes_from(self, day: date) -> frozenset[str]:
        """Every code that some unit has on `day` or later."""
        period = self.period(day)
        codes = self._codes_from.get(period)
        if codes is None:
            codes = self._codes_from[period] = frozenset(
                code
                for code, spans in self.spans.items()
                if any(span.until_day is None or span.until_day > day for span in spans)
            )
        return codes

    def existed_before(self, code: str, day: date) -> bool:
        """Whether some unit had this code before `day`."""
        return any(span.from_day < day for span in self.spans.get(code, ()))

    def ever_below(self, root: str) -> list[str]:
        """Every code that was `root` or below it on any day, hamlets too."""
        units = {code for day in self._bounds for code in self.as_of(day).below(root)}
        return sorted(units.union(self.hamlets_of(units)))

    def name(self, code: str, day: date) -> str | None:
        """The name of a code on a day, null where there is none."""
        unit = self.as_of(day).units.get(code) or self.hamlet(code, day)
        return unit.name if unit else None

    def require(self, code: str, day: date, *, field: str) -> Tree:
        """The tree of `day`, which has `code`. Raises Invalid, saying when the code was valid."""
        tree = self.as_of(day)
        if code not in tree.units:
            spans = self.spans.get(code)
            remedy = "GET /v1/units?search= finds codes by name."
            if spans:
                remedy = f"The code {code} is valid {when_valid(spans)}: ask as of such a day."
            raise Invalid(f"There is no unit {code!r} on {day}.", field=field, remedy=remedy)
        return tree

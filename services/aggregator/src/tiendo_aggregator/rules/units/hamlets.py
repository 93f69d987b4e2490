"""Hamlets: lists that provinces send of what is below their communes, beside the country's trees."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

import msgspec

from tiendo_aggregator.rules.units.tree import Gazetteer, Hamlet, Hamlets, Spans, Tree, eve
from tiendo_common.errors import Invalid
from tiendo_common.events.directory import when_valid
from tiendo_common.events.state import UnitSpan


class SentHamlet(msgspec.Struct, frozen=True, kw_only=True):
    """A hamlet and its commune, for as long as the list holds."""

    code: str
    parent_code: str
    name: str


@dataclass(frozen=True, slots=True)
class HamletList:
    """All hamlets of a province from a day on, until its next list; at the latest until the day before `until_day`."""

    until_day: date | None
    hamlets: Sequence[SentHamlet]


#: By province and first day.
Lists = Mapping[tuple[str, date], HamletList]


def hamlet_spans(lists: Lists, spans: Spans) -> Hamlets:
    """The history of each hamlet's code out of the lists, beside the trees of `spans`. A hamlet is there as long as its
    list holds and its commune's code is a commune's; where one list says the same as the one before, it goes on."""
    found: defaultdict[str, list[Hamlet]] = defaultdict(list)
    for (province, from_day), each in lists.items():
        until = end_of(lists, province, from_day)
        for hamlet in each.hamlets:
            there, commune_until = _commune(spans.get(hamlet.parent_code, ()), from_day)
            if there:
                found[hamlet.code].append(
                    Hamlet(
                        from_day=from_day,
                        until_day=_earlier(until, commune_until),
                        parent=hamlet.parent_code,
                        name=hamlet.name,
                    )
                )
    return {code: _merged(each) for code, each in sorted(found.items())}


def _merged(hamlets: Iterable[Hamlet]) -> tuple[Hamlet, ...]:
    merged: list[Hamlet] = []
    for each in sorted(hamlets, key=lambda hamlet: hamlet.from_day):
        if merged and (merged[-1].until_day, merged[-1].parent, merged[-1].name) == (
            each.from_day,
            each.parent,
            each.name,
        ):
            merged[-1] = msgspec.structs.replace(merged[-1], until_day=each.until_day)
        else:
            merged.append(each)
    return tuple(merged)


def end_of(lists: Lists, province: str, from_day: date) -> date | None:
    """The first day on which a list no longer holds."""
    following = min((day for at, day in lists if at == province and day > from_day), default=None)
    return _earlier(following, lists[province, from_day].until_day)


def _commune(spans: Sequence[UnitSpan], day: date) -> tuple[bool, date | None]:
    """Whether a code is a commune's on a day, and the first day after it on which it no longer is."""
    found, until = False, None
    for span in spans:
        if span.level != "commune":
            continue
        if found and until == span.from_day:
            until = span.until_day
        elif span.from_day <= day and (span.until_day is None or day < span.until_day):
            found, until = True, span.until_day
    return found, until


def _earlier(one: date | None, other: date | None) -> date | None:
    return min((day for day in (one, other) if day is not None), default=None)


def check_list(province: str, from_day: date, lists: Lists, now: Gazetteer, then: Gazetteer) -> None:
    """Raise Invalid, naming the field, unless the list of a province from a day on, one of `lists`, is one: each code
    once, of nobody else, below a commune of the province that outlives it. `now` has the hamlets without it, `then`
    with it."""
    sent = lists[province, from_day]
    tree = now.as_of(from_day)
    unit = tree.units.get(province)
    if unit is None or unit.level != "province":
        raise Invalid(
            f"{province!r} is no province on {from_day}.",
            field="province",
            remedy=f"GET /v1/units?as_of={from_day} tells the units of that day.",
        )
    if sent.until_day is not None and sent.until_day <= from_day:
        raise Invalid(
            f"The list would end on {sent.until_day}, before it begins on {from_day}.",
            field="until_day",
            remedy="Send the first day on which it no longer holds; null: it holds until the next list.",
        )
    _check_codes(sent.hamlets, now.spans)
    _check_parents(sent.hamlets, tree, province, from_day)
    end = end_of(lists, province, from_day)
    outliving = [
        (place, hamlet, until)
        for place, hamlet in enumerate(sent.hamlets)
        for _, until in [_commune(now.spans[hamlet.parent_code], from_day)]
        if until is not None and (end is None or end > until)
    ]
    if outliving:
        place, hamlet, until = outliving[0]
        raise Invalid(
            f"{len(outliving)} hamlets would outlive their communes: {hamlet.name} ({hamlet.code}) is below "
            f"{hamlet.parent_code}, which is a commune until {eve(until)}.",
            field=f"hamlets.{place}.parent_code",
            remedy=f"Send until_day {until}, and another list of what is there from then on.",
        )
    _check_others(province, from_day, lists, end)
    _check_history(sent.hamlets, now, then)


def _check_codes(hamlets: Sequence[SentHamlet], spans: Spans) -> None:
    places: dict[str, int] = {}
    for place, hamlet in enumerate(hamlets):
        if hamlet.code in places:
            raise Invalid(
                f"The code {hamlet.code} stands already at hamlets.{places[hamlet.code]}: both would be valid on the "
                "same days.",
                field=f"hamlets.{place}.code",
                remedy="Leave one out, or give it a code of its own.",
            )
        places[hamlet.code] = place
        units = spans.get(hamlet.code)
        if units:
            raise Invalid(
                f"The code {hamlet.code} is that of the {units[-1].level} {units[-1].name}, valid "
                f"{when_valid(units)}.",
                field=f"hamlets.{place}.code",
                remedy="Give the hamlet a code that is no unit's: its commune's with further digits, say.",
            )


def _check_parents(hamlets: Sequence[SentHamlet], tree: Tree, province: str, from_day: date) -> None:
    codes = {hamlet.code for hamlet in hamlets}
    inside = set(tree.below(province))
    for place, hamlet in enumerate(hamlets):
        parent = tree.units.get(hamlet.parent_code)
        if parent is not None and parent.level == "commune" and hamlet.parent_code in inside:
            continue
        said = f"{hamlet.name} ({hamlet.code}) is below "
        if hamlet.parent_code in codes:
            said += f"{hamlet.parent_code}, which is a hamlet of this list."
        elif parent is None:
            said += f"{hamlet.parent_code}, which is no unit on {from_day}."
        elif parent.level != "commune":
            said += f"{parent.name} ({hamlet.parent_code}), which is a {parent.level}."
        else:
            said += f"{parent.name} ({hamlet.parent_code}), which is not in {tree.units[province].name}."
        raise Invalid(
            said,
            field=f"hamlets.{place}.parent_code",
            remedy=f"Name its commune; GET /v1/units?as_of={from_day} tells the units of that day.",
        )


def _check_others(province: str, from_day: date, lists: Lists, end: date | None) -> None:
    """Provinces become one, so a code may be in another's list: on other days."""
    place_of = {hamlet.code: place for place, hamlet in enumerate(lists[province, from_day].hamlets)}
    for (other, day), each in lists.items():
        if other == province:
            continue
        other_end = end_of(lists, other, day)
        if (end is not None and end <= day) or (other_end is not None and other_end <= from_day):
            continue
        for hamlet in each.hamlets:
            if hamlet.code in place_of:
                raise Invalid(
                    f"The code {hamlet.code} is in the list of {other} from {day} on, too: both would be valid on the "
                    "same days.",
                    field=f"hamlets.{place_of[hamlet.code]}.code",
                    remedy=f"Send the list of {other} again with an until_day; or give the hamlet another code.",
                )


def _check_history(hamlets: Sequence[SentHamlet], now: Gazetteer, then: Gazetteer) -> None:
    lost = sorted(now.hamlets.keys() - then.hamlets.keys())
    if lost:
        raise Invalid(
            f"{len(lost)} hamlets would never have been: {', '.join(lost[:6])}{', …' if len(lost) > 6 else ''}. "
            "Records may name them.",
            field="hamlets",
            remedy="Keep them in this list; a list from a later day on ends them if it leaves them out.",
        )
    place_of = {hamlet.code: place for place, hamlet in enumerate(hamlets)}
    for code, spans in then.hamlets.items():
        for before, after in pairwise(spans):
            if before.parent == after.parent:
                continue
            if before.until_day != after.from_day or not then.changes(eve(after.from_day), after.from_day):
                place = place_of.get(code)
                raise Invalid(
                    f"{after.name} ({code}) was in {before.parent} and would be in {after.parent} from "
                    f"{after.from_day} on.",
                    field="hamlets" if place is None else f"hamlets.{place}.parent_code",
                    remedy="A hamlet comes to another commune when its own is divided, with the tree of that day "
                    "(PUT /v1/units/editions/{from_day}); otherwise give it a new code there.",
                )

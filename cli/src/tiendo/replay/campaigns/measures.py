"""Measures of a campaign file: what other systems counted."""

from collections.abc import Callable

from tiendo.replay.campaigns.campaign import cut_percent
from tiendo.replay.campaigns.table import Table
from tiendo.replay.measures import TELLERS, Measure, tellers_of
from tiendo.replay.units import Units


def read_measures(
    facts: Table, assumptions: Table, units: Units, province: str, assume: Callable[[Table], None]
) -> tuple[Measure, ...]:
    """Take the measures out of both sections; `assume` is told of each assumption. Raises CampaignFileError."""
    assumed = assumptions.table("measures")
    measures: list[Measure] = []
    for table in facts.tables("measures"):
        id_ = table.get("id", str)
        guess = assumed.table(id_) if assumed.has(id_) else None
        numbers: dict[str, int | None] = {}
        published: dict[str, int | str] = {}
        for name in ("value", "out_of", "target"):
            numbers[name] = table.maybe_number(name)
            if numbers[name] is not None and name != "target":
                published[name] = numbers[name] or 0
            elif guess is not None and guess.has(name):
                numbers[name] = guess.number(name)
        if guess is not None:
            assume(guess)
            guess.done()
        if numbers["value"] is None:
            raise table.error("value", "is missing", f"Publish or assume it in assumptions.measures.{id_}.")
        for name in ("percent", "percent_of_target"):
            if table.has(name):
                published[name] = table.get(name, str)
        if table.has("more_than"):
            published["more_than"] = table.number("more_than")
        measure = Measure(
            id=id_,
            text=table.get("text", str),
            text_vi=table.get("text_vi", str),
            name=table.get("name", str),
            unit=table.get("unit", str, province),
            told_by=table.one_of("told_by", TELLERS) if table.has("told_by") else None,
            out_of_what=table.maybe_text("out_of_what"),
            decimals=table.number("decimals") if table.has("decimals") else 0,
            value=numbers["value"],
            out_of=numbers["out_of"],
            target=numbers["target"],
            published=published,
            tells_cards=table.get("tells_cards", bool, False),
        )
        table.done()
        _check(table, measure, units, province)
        if any(each.id == id_ for each in measures):
            raise table.error("id", f"{id_} is there twice", "Give each measure its own id.")
        measures.append(measure)
    for name in assumed.names():
        raise assumed.error(name, "is no measure of this file", "Correct its spelling or take it out.")
    return tuple(measures)


def _check(table: Table, measure: Measure, units: Units, province: str) -> None:
    unit = units.by_code.get(measure.unit)
    if unit is None or units.province_of(measure.unit) != province:
        raise table.error("unit", f"{measure.unit!r} isn't in this province", "Look its code up.")
    if (measure.out_of is None) != (measure.out_of_what is None):
        raise table.error("out_of", "and out_of_what go together", "Say of how many and of what, or neither.")
    if not measure.published:
        raise table.error("value", "is assumed, and nothing else published", "Give what was published.")
    for name, of in (("percent", measure.out_of), ("percent_of_target", measure.target)):
        if name in measure.published:
            if not of:
                raise table.error(name, "has nothing that it is a share of", "Publish or assume that number.")
            percent = cut_percent(measure.value, of, measure.decimals)
            if percent != measure.published[name]:
                raise table.error(
                    name,
                    f"{measure.value} of {of} is {percent}%, not the published {measure.published[name]}%",
                    "Correct what is assumed of it.",
                )
    more_than = measure.published.get("more_than")
    if isinstance(more_than, int) and measure.value <= more_than:
        raise table.error("more_than", f"{measure.value} is not more", "Correct what is assumed of it.")
    tellers = len(tellers_of(units, measure.unit, measure.told_by))
    if measure.out_of is not None and measure.out_of < tellers:
        raise table.error(
            "told_by", f"{tellers} units can't each tell a part of {measure.out_of}", "Let fewer tell it."
        )

"""Measures of a campaign file: what other systems count, as published, told to the aggregator on the figures' day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from tiendo.replay.spread import largest_remainder
from tiendo.replay.units import Units

if TYPE_CHECKING:
    from tiendo.replay.campaigns.campaign import Campaign
    from tiendo.replay.sending import Client

#: Who tells a measure, where it isn't the unit itself: each of the units of a kind below it.
TELLERS = ("districts", "communes", "rural_communes")

_SOURCE = "mô phỏng"


@dataclass(frozen=True, slots=True)
class Measure:
    """What was published of something that isn't an account. `out_of_what` None: a plain value.

    `value`, `out_of` and `target` are what is told, published or assumed; `published` holds what the report itself
    says: any of value, out_of, percent, percent_of_target, more_than. `told_by` None: told for `unit` itself.
    `tells_cards`: it is how many hold a valid chip card, where the funnel begins.
    """

    id: str
    text: str
    text_vi: str
    name: str
    unit: str
    told_by: str | None
    out_of_what: str | None
    decimals: int
    value: int
    out_of: int | None
    target: int | None
    published: Mapping[str, int | str]
    tells_cards: bool = False

    def said(self, language: str) -> str:
        """The published text in a language."""
        return self.text_vi if language == "vi" else self.text

    def document(self) -> dict[str, Any]:
        """As the aggregator's API takes it."""
        return {
            "name": self.name,
            "out_of": self.out_of_what,
            "decimals": self.decimals,
            "targets": {} if self.target is None else {self.unit: self.target},
        }

    def standings(self, units: Units, day: date) -> list[dict[str, Any]]:
        """What is told on a day: of the unit, or in even parts of those who tell it, which sum to the same exactly."""
        tellers = tellers_of(units, self.unit, self.told_by)
        even = [1] * len(tellers)
        values = largest_remainder(self.value, even)
        wholes = [None] * len(tellers) if self.out_of is None else largest_remainder(self.out_of, even)
        return [
            {"unit": unit, "day": day.isoformat(), "value": value, "out_of": out_of, "source": _SOURCE}
            for unit, value, out_of in zip(tellers, values, wholes, strict=True)
        ]


def tellers_of(units: Units, unit: str, told_by: str | None) -> list[str]:
    """The units that tell a measure of `unit`, by code."""
    if told_by is None:
        return [unit]
    below = [each for each in units.by_code.values() if unit in _above(units, each.code)]
    level = "district" if told_by == "districts" else "commune"
    return sorted(
        each.code
        for each in below
        if each.level == level and (told_by != "rural_communes" or each.name.startswith("Xã "))
    )


def _above(units: Units, code: str) -> list[str]:
    found = []
    parent = units.by_code[code].parent
    while parent:
        found.append(parent)
        parent = units.by_code[parent].parent
    return found


@dataclass(frozen=True, slots=True)
class Told:
    """A measure and what the aggregator says of it; `matches` is None as of another day than the figures'."""

    measure: Measure
    value: int | None
    out_of: int | None
    percent: str | None
    target: int | None
    percent_of_target: str | None
    matches: bool | None

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "id": self.measure.id,
            "unit": self.measure.unit,
            "value": self.value,
            "out_of": self.out_of,
            "percent": self.percent,
            "target": self.target,
            "percent_of_target": self.percent_of_target,
            "published": {"text": self.measure.text, **self.measure.published},
            "matches": self.matches,
        }


def held_against(campaign: "Campaign", answer: Mapping[str, Any], *, final: bool) -> tuple[Told, ...]:
    """Each measure of the file beside what the aggregator answered."""
    answered = {each["id"]: each["units"] for each in answer["measures"]}
    found = []
    for measure in campaign.measures:
        unit: dict[str, Any] = next(
            (each for each in answered.get(measure.id, ()) if each["code"] == measure.unit), {}
        )
        counted = {
            name: unit.get(name) for name in ("value", "out_of", "percent", "target", "percent_of_target")
        }
        matches = all(_fits(name, published, counted) for name, published in measure.published.items())
        found.append(Told(measure, **counted, matches=matches if final else None))
    return tuple(found)


def _fits(name: str, published: int | str, counted: Mapping[str, Any]) -> bool:
    if name == "more_than":
        return counted["value"] is not None and counted["value"] > published
    return bool(counted[name] == published)


async def put_measures(client: "Client", campaign: "Campaign") -> None:
    """Make the campaign's measures known."""
    for measure in campaign.measures:
        await client.put("aggregator", _path(campaign, measure), measure.document())


async def tell_measures(client: "Client", campaign: "Campaign") -> None:
    """Tell where each stood on the figures' day; told again, it changes nothing."""
    for measure in campaign.measures:
        standings = measure.standings(campaign.units, campaign.figures_as_of)
        await client.post("aggregator", f"{_path(campaign, measure)}/standings", {"standings": standings})


async def ask_measures(client: "Client", campaign: "Campaign", as_of: date) -> dict[str, Any]:
    """What the aggregator says of the campaign's measures, for every unit; nothing is asked if it has none."""
    if not campaign.measures:
        return {"measures": []}
    answer: dict[str, Any] = await client.get(
        "aggregator", f"/v1/campaigns/{campaign.id}/measures", {"as_of": as_of.isoformat(), "depth": "9"}
    )
    return answer


def _path(campaign: "Campaign", measure: Measure) -> str:
    return f"/v1/campaigns/{campaign.id}/measures/{measure.id}"

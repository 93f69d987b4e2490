"""Re-checks of a campaign file: rounds over the population data, as published, reported to the aggregator."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from tiendo.replay.spread import largest_remainder

if TYPE_CHECKING:
    from tiendo.replay.campaigns.campaign import Campaign
    from tiendo.replay.sending import Client

#: Who re-checks, each in a round of its own, one after the other.
LEVELS = ("commune", "district", "province")

_CHECKED_BY = "mô phỏng"


@dataclass(frozen=True, slots=True)
class Round:
    """The days in which a level goes over the communes."""

    level: str
    first_day: date
    last_day: date


@dataclass(frozen=True, slots=True)
class Recheck:
    """What was published of rounds over the same communes: `done` of `units` in each of them.

    `corrected` are entries by why, assumed; the first round corrects them, and the later ones find nothing left.
    """

    id: str
    text: str
    text_vi: str
    name: str
    rounds: tuple[Round, ...]
    units: tuple[str, ...]
    done: int
    corrected: Mapping[str, int]

    def said(self, language: str) -> str:
        """The published text in a language."""
        return self.text_vi if language == "vi" else self.text

    def round_id(self, round_: Round) -> str:
        """As the aggregator's API knows it."""
        return f"{self.id}_{round_.level}"

    def document(self, round_: Round) -> dict[str, Any]:
        """A round as the API takes it."""
        return {
            "name": self.name,
            "level": round_.level,
            "first_day": round_.first_day.isoformat(),
            "last_day": round_.last_day.isoformat(),
            "units": list(self.units),
        }

    def reports(self, round_: Round) -> list[tuple[str, dict[str, Any]]]:
        """What is said of each commune that is done, on the round's last day; corrections in even parts."""
        done = self.units[: self.done]
        parts = {
            why: largest_remainder(n if round_ is self.rounds[0] else 0, [1] * len(done))
            for why, n in self.corrected.items()
        }
        return [
            (
                unit,
                {
                    "done_on": round_.last_day.isoformat(),
                    "checked_by": _CHECKED_BY,
                    "corrections": [
                        {"why": why, "entries": numbers[place]}
                        for why, numbers in parts.items()
                        if numbers[place]
                    ],
                },
            )
            for place, unit in enumerate(done)
        ]


@dataclass(frozen=True, slots=True)
class RoundTold:
    """A round as the aggregator tells it: so many of so many communes, and the names of the others."""

    level: str
    done: int
    units: int
    outstanding: Sequence[str]


@dataclass(frozen=True, slots=True)
class RecheckTold:
    """Rounds of the file and what the aggregator says of them; `matches` is None as of another day than the
    figures'."""

    recheck: Recheck
    rounds: Sequence[RoundTold]
    corrected: Mapping[str, int]
    matches: bool | None

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "id": self.recheck.id,
            "rounds": [
                {
                    "level": each.level,
                    "done": each.done,
                    "units": each.units,
                    "outstanding": list(each.outstanding),
                }
                for each in self.rounds
            ],
            "corrected": dict(self.corrected),
            "published": {
                "text": self.recheck.text,
                "done": self.recheck.done,
                "units": len(self.recheck.units),
            },
            "matches": self.matches,
        }


def rechecks_held_against(
    campaign: "Campaign", answer: Mapping[str, Any], *, final: bool
) -> tuple[RecheckTold, ...]:
    """Each re-check of the file beside what the aggregator answered of the province."""
    answered = {each["id"]: each["units"][0] for each in answer["rounds"]}
    found = []
    for recheck in campaign.rechecks:
        rounds, corrected = [], dict.fromkeys(recheck.corrected, 0)
        for round_ in recheck.rounds:
            unit = answered.get(recheck.round_id(round_))
            if unit is None:
                continue
            names = [each["name"] for each in unit["outstanding"]]
            rounds.append(RoundTold(round_.level, unit["done"], unit["units"], names))
            for why, n in unit["by_why"].items():
                corrected[why] = corrected.get(why, 0) + n
        published = [(each.level, recheck.done, len(recheck.units)) for each in recheck.rounds]
        matches = [(each.level, each.done, each.units) for each in rounds] == published
        found.append(RecheckTold(recheck, rounds, corrected, matches if final else None))
    return tuple(found)


async def put_rounds(client: "Client", campaign: "Campaign") -> None:
    """Make the campaign's rounds known."""
    for recheck in campaign.rechecks:
        for round_ in recheck.rounds:
            await client.put("aggregator", _path(campaign, recheck, round_), recheck.document(round_))


async def report_rechecks(client: "Client", campaign: "Campaign") -> None:
    """Report what was gone over by the figures' day; reported again, it changes nothing."""
    for recheck in campaign.rechecks:
        for round_ in recheck.rounds:
            for unit, said in recheck.reports(round_):
                await client.put("aggregator", f"{_path(campaign, recheck, round_)}/units/{unit}", said)


async def ask_rechecks(client: "Client", campaign: "Campaign", as_of: date) -> dict[str, Any]:
    """What the aggregator says of the campaign's rounds; nothing is asked if it has none."""
    if not campaign.rechecks:
        return {"rounds": []}
    answer: dict[str, Any] = await client.get(
        "aggregator", f"/v1/campaigns/{campaign.id}/rechecks", {"as_of": as_of.isoformat()}
    )
    return answer


def _path(campaign: "Campaign", recheck: Recheck, round_: Round) -> str:
    return f"/v1/campaigns/{campaign.id}/rechecks/{recheck.round_id(round_)}"

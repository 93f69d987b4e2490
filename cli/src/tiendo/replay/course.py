"""How a campaign goes beyond its figures: its phases, its contests, and where citizens are held up.

Days are as the interface writes them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import TYPE_CHECKING, Any, Literal

from tiendo.errors import NotCounted
from tiendo.replay.campaigns.campaign import INDICATORS, Campaign, Language

if TYPE_CHECKING:
    from tiendo.replay.sending import Client

#: An account is to be activated within 7 days of its approval: the bands of waiting have a bound there.
LONG = 8


@dataclass(frozen=True, slots=True)
class Gained:
    """The province on one indicator at the end of a phase, or as of the report's day; `gained` since its eve."""

    indicator: str
    value: int
    gained: int
    target: int | None


@dataclass(frozen=True, slots=True)
class PhaseTold:
    """A phase of the plan. `counted` is empty for one that is to come."""

    id: str
    name: str
    name_en: str | None
    first_day: str
    last_day: str
    state: Literal["to_come", "running", "over"]
    counted: Sequence[Gained]

    def said(self, language: Language) -> str:
        """Its name in a language."""
        return self.name_en if language == "en" and self.name_en else self.name


@dataclass(frozen=True, slots=True)
class GroupTold:
    """A group's place in a contest; `rank` None: it has none yet. `percent` is of its target."""

    name: str
    rank: int | None
    value: int
    gained: int
    percent: str | None
    per_1000: str | None
    met_on: str | None


@dataclass(frozen=True, slots=True)
class ContestTold:
    """A contest as it stood at the end of `day`."""

    id: str
    name: str
    measure: Literal["share", "per_1000", "finish"]
    goal: str
    day: str
    groups: Sequence[GroupTold]


@dataclass(frozen=True, slots=True)
class WaitingTold:
    """Who waits, and how many of them for 8 days or longer (`long`); `oldest_days`: the longest wait."""

    citizens: int
    long: int
    oldest_days: int | None


@dataclass(frozen=True, slots=True)
class FailuresTold:
    """Activations that failed for a reason, and how many of these citizens were activated all the same."""

    reason: str
    attempts: int
    came_right: int


@dataclass(frozen=True, slots=True)
class FunnelTold:
    """From eligible to activated in the whole province. `with_card` None: nobody told."""

    eligible: int | None
    with_card: int | None
    taken: int
    approved: int
    activated: int
    rejected: int
    card_no_account: int | None
    undecided: WaitingTold
    not_activated: WaitingTold
    in_time: int
    late: int
    failures: Sequence[FailuresTold]


@dataclass(frozen=True, slots=True)
class Course:
    """All three. `funnel` None: the instance counts totals alone."""

    phases: Sequence[PhaseTold]
    contests: Sequence[ContestTold]
    funnel: FunnelTold | None

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


async def ask_course(client: "Client", campaign: Campaign, as_of: date) -> Course:
    """Ask the aggregator, as of the end of a day."""
    path = f"/v1/campaigns/{campaign.id}"
    phases = []
    day = as_of.isoformat()
    for phase in (await client.get("aggregator", f"{path}/phases"))["phases"]:
        progress = None
        if phase["first_day"] <= day:
            asked = {"as_of": min(day, phase["last_day"]), "phase": phase["id"]}
            progress = await client.get("aggregator", f"{path}/progress", asked)
        phases.append(phase_told(phase, progress, day))
    contests = await client.get("aggregator", f"{path}/contests", {"as_of": day})
    asked = {"as_of": day}
    cards = next((each.id for each in campaign.measures if each.tells_cards), None)
    if cards is not None:
        asked["cards"] = cards
    try:
        funnel = funnel_told((await client.get("aggregator", f"{path}/funnel", asked))["units"][0])
    except NotCounted:
        funnel = None
    return Course(
        phases=phases,
        contests=[contest_told(each) for each in contests["contests"]],
        funnel=funnel,
    )


def phase_told(phase: Mapping[str, Any], progress: Mapping[str, Any] | None, day: str) -> PhaseTold:
    """A phase of the plan as of a day, with the progress in it; None: it is to come."""
    first, last = phase["first_day"], phase["last_day"]
    counted = []
    if progress is not None:
        standings = progress["units"][0]["indicators"]
        counted = [
            Gained(
                each, standings[each]["value"], standings[each]["since_baseline"], standings[each]["target"]
            )
            for each in INDICATORS
        ]
    return PhaseTold(
        id=phase["id"],
        name=phase["name"],
        name_en=phase["name_en"],
        first_day=first,
        last_day=last,
        state="to_come" if day < first else "running" if day <= last else "over",
        counted=counted,
    )


def contest_told(answer: Mapping[str, Any]) -> ContestTold:
    """One of the aggregator's answer."""
    contest = answer["contest"]
    groups = [
        GroupTold(
            name=each["name"],
            rank=each["rank"],
            value=each["value"],
            gained=each["gained"],
            percent=each["percent"],
            per_1000=each["per_1000"],
            met_on=each["met_on"],
        )
        for each in answer["groups"]
    ]
    return ContestTold(
        contest["id"], contest["name"], contest["measure"], contest["indicator"], answer["day"], groups
    )


def funnel_told(unit: Mapping[str, Any]) -> FunnelTold:
    """The province's of the aggregator's answer."""
    numbers = ("eligible", "with_card", "taken", "approved", "activated", "rejected", "card_no_account")
    return FunnelTold(
        **{name: unit[name] for name in numbers},
        undecided=_waiting(unit["undecided"]),
        not_activated=_waiting(unit["not_activated"]),
        in_time=unit["activations"]["in_time"],
        late=unit["activations"]["late"],
        failures=[
            FailuresTold(each["reason"], each["attempts"], each["came_right"]) for each in unit["failures"]
        ],
    )


def _waiting(answer: Mapping[str, Any]) -> WaitingTold:
    long = sum(band["citizens"] for band in answer["bands"] if band["from_days"] >= LONG)
    return WaitingTold(answer["citizens"], long, answer["oldest_days"])

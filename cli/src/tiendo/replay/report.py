"""What the services counted, beside what the province published."""

from dataclasses import asdict, dataclass, fields
from datetime import date
from typing import Any

from tiendo.errors import Refused
from tiendo.replay.campaigns.campaign import Campaign, Figure, cut_percent
from tiendo.replay.course import Course, ask_course
from tiendo.replay.measures import Told, ask_measures, held_against
from tiendo.replay.rechecks import RecheckTold, ask_rechecks, rechecks_held_against
from tiendo.replay.sending import Client


@dataclass(frozen=True, slots=True)
class Counted:
    """A published figure and what was counted; `matches` is None as of another day than the figures'."""

    figure: Figure
    value: int
    level_1: int
    level_2: int
    since_baseline: int
    numerator: int
    denominator: int | None
    percent: str | None
    matches: bool | None

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        figure = self.figure
        published = {
            "text": figure.text,
            "value": figure.value,
            "level_1": figure.level_1,
            "level_2": figure.level_2,
            "since_baseline": figure.since_baseline,
            "percent": figure.percent,
        }
        return {
            "id": figure.id,
            "indicator": figure.indicator,
            "over": figure.over,
            "value": self.value,
            "level_1": self.level_1,
            "level_2": self.level_2,
            "since_baseline": self.since_baseline,
            "numerator": self.numerator,
            "denominator": self.denominator,
            "percent": self.percent,
            "published": {key: value for key, value in published.items() if value is not None},
            "matches": self.matches,
        }


@dataclass(frozen=True, slots=True)
class Standing:
    """A commune: intakes and activations of their targets."""

    code: str
    name: str
    intake: int
    intake_target: int
    activated: int
    activated_target: int

    @property
    def intake_percent(self) -> str:
        return cut_percent(self.intake, self.intake_target, 1) if self.intake_target else "-"

    @property
    def activated_percent(self) -> str:
        return cut_percent(self.activated, self.activated_target, 1) if self.activated_target else "-"

    @property
    def intake_ratio(self) -> float:
        return self.intake / self.intake_target if self.intake_target else 0.0

    @property
    def activated_ratio(self) -> float:
        return self.activated / self.activated_target if self.activated_target else 0.0

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {
            "code": self.code,
            "name": self.name,
            "intake": self.intake,
            "intake_of_target": self.intake_percent,
            "activated": self.activated,
            "activated_of_target": self.activated_percent,
        }


@dataclass(frozen=True, slots=True)
class Pace:
    """The province on one indicator against its plan; `needed_per_day`: the catch-up quota, None: no day is left."""

    indicator: str
    target: int
    actual: int
    planned: int
    gap: int
    percent_of_plan: str | None
    remaining: int
    days_left: int
    needed_per_day: int | None

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Statement:
    """A published sentence about named communes or cohorts, and whether it holds of what was counted."""

    id: str
    named: int
    holding: int

    @property
    def holds(self) -> bool:
        return self.named == self.holding

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        return {"id": self.id, "named": self.named, "holding": self.holding, "holds": self.holds}


@dataclass(frozen=True, slots=True)
class Report:
    """A campaign as counted on a day. `communes`: all of them, by intakes of target, best first."""

    campaign: Campaign
    as_of: date
    complete_to: str | None
    figures: tuple[Counted, ...]
    measures: tuple[Told, ...]
    rechecks: tuple[RecheckTold, ...]
    communes: tuple[Standing, ...]
    paces: tuple[Pace, ...]
    statements: tuple[Statement, ...]
    course: Course
    alerts: int
    open_alerts: int

    @property
    def final(self) -> bool:
        """Whether it is as of the day of the published figures, so that it can be held against them."""
        return self.as_of == self.campaign.figures_as_of

    @property
    def matches(self) -> bool:
        """Whether nothing that was published is missed."""
        found = [
            *(each.matches for each in self.figures),
            *(each.matches for each in self.measures),
            *(each.matches for each in self.rechecks),
        ]
        return False not in found and (
            not self.final or all(statement.holds for statement in self.statements)
        )

    def document(self) -> dict[str, Any]:
        """As `--json` prints it."""
        shown = min(5, len(self.communes))
        return {
            "campaign": self.campaign.id,
            "as_of": self.as_of.isoformat(),
            "complete_to": self.complete_to,
            "figures": [counted.document() for counted in self.figures],
            "measures": [told.document() for told in self.measures],
            "rechecks": [told.document() for told in self.rechecks],
            "pace": [pace.document() for pace in self.paces],
            "statements": [statement.document() for statement in self.statements],
            **self.course.document(),
            "claims": [
                {"id": claim.id, "text": claim.text, "reconciles": False, "reason": claim.reason}
                for claim in self.campaign.claims
            ],
            "best": [standing.document() for standing in self.communes[:shown]],
            "low": [standing.document() for standing in reversed(self.communes[-shown:])],
            "alerts": self.alerts,
            "open_alerts": self.open_alerts,
        }


async def read_report(client: Client, campaign: Campaign, as_of: date) -> Report:
    """Ask the aggregator and the notifier. Raises Refused for a campaign that isn't registered."""
    progress = await client.get(
        "aggregator",
        f"/v1/campaigns/{campaign.id}/progress",
        {"as_of": as_of.isoformat(), "by": "residence", "depth": "2"},
    )
    pace: dict[str, Any] | None = None
    if campaign.targets:
        pace = await client.get(
            "aggregator", f"/v1/campaigns/{campaign.id}/pace", {"as_of": as_of.isoformat()}
        )
    measures = await ask_measures(client, campaign, as_of)
    rechecks = await ask_rechecks(client, campaign, as_of)
    course = await ask_course(client, campaign, as_of)
    alerts = await _count_incidents(client, campaign.id)
    return make_report(campaign, as_of, progress, pace, measures, rechecks, course, alerts)


async def _count_incidents(client: Client, campaign: str) -> tuple[int, int]:
    """How many incidents there were, and how many of them are open."""
    found = still_open = 0
    params = {"campaign": campaign, "limit": "500"}
    while True:
        page = await client.get("notifier", "/v1/incidents", params)
        found += len(page["incidents"])
        still_open += sum(incident["state"] != "resolved" for incident in page["incidents"])
        if page["next_cursor"] is None:
            return found, still_open
        params["cursor"] = page["next_cursor"]


def make_report(
    campaign: Campaign,
    as_of: date,
    progress: dict[str, Any],
    pace: dict[str, Any] | None,
    measures: dict[str, Any],
    rechecks: dict[str, Any],
    course: Course,
    alerts: tuple[int, int],
) -> Report:
    """Hold answers of the aggregator against the campaign file; `pace` is None for a campaign without a target."""
    units = progress["units"]
    if not units:
        raise Refused(
            f"The aggregator has no figures of {campaign.id}.", remedy=f"Run: tiendo replay {campaign.id}"
        )
    province = units[0]
    final = as_of == campaign.figures_as_of
    figures = tuple(_counted(figure, province, final=final) for figure in campaign.figures)
    communes = tuple(
        sorted(
            (_standing(unit) for unit in units if unit["level"] == "commune"),
            key=lambda standing: (-standing.intake_ratio, standing.code),
        )
    )
    paces = _paces(pace)
    return Report(
        campaign=campaign,
        as_of=as_of,
        complete_to=progress.get("complete_to"),
        figures=figures,
        measures=held_against(campaign, measures, final=final),
        rechecks=rechecks_held_against(campaign, rechecks, final=final),
        communes=communes,
        paces=paces,
        statements=tuple(_statements(campaign, communes, paces)) if final else (),
        course=course,
        alerts=alerts[0],
        open_alerts=alerts[1],
    )


def _counted(figure: Figure, province: dict[str, Any], *, final: bool) -> Counted:
    counts = province["indicators"][figure.indicator]
    printed = next(printed for printed in province["figures"] if printed["id"] == figure.id)
    pairs = (
        (figure.value, counts["value"]),
        (figure.level_1, counts["level_1"]),
        (figure.level_2, counts["level_2"]),
        (figure.since_baseline, counts["since_baseline"]),
        (figure.denominator, printed["denominator"]),
        (figure.percent, printed["percent"]),
    )
    matches = all(published is None or published == counted for published, counted in pairs)
    return Counted(
        figure=figure,
        value=counts["value"],
        level_1=counts["level_1"],
        level_2=counts["level_2"],
        since_baseline=counts["since_baseline"],
        numerator=printed["numerator"],
        denominator=printed["denominator"],
        percent=printed["percent"],
        matches=matches if final else None,
    )


def _paces(pace: dict[str, Any] | None) -> tuple[Pace, ...]:
    if pace is None:
        return ()
    names = [field.name for field in fields(Pace)][1:]
    indicators = pace["units"][0]["indicators"]
    return tuple(
        Pace(indicator, **{name: counts[name] for name in names}) for indicator, counts in indicators.items()
    )


def _standing(unit: dict[str, Any]) -> Standing:
    intake, activated = unit["indicators"]["intake"], unit["indicators"]["activated"]
    return Standing(
        code=unit["code"],
        name=unit["name"],
        intake=intake["value"],
        intake_target=intake["target"] or 0,
        activated=activated["value"],
        activated_target=activated["target"] or 0,
    )


def _statements(
    campaign: Campaign, communes: tuple[Standing, ...], paces: tuple[Pace, ...]
) -> list[Statement]:
    """The named communes: who met the intake target and leads in activation; who is low. And the cohorts all of which
    had level 2, where they have such a target: without one nobody says how many they are."""
    statements = []
    goals = {f"intake:level-2:{cohort}" for cohort in campaign.level_2_cohorts}
    of_cohorts = [pace for pace in paces if pace.indicator in goals]
    if of_cohorts:
        full = sum(not pace.remaining for pace in of_cohorts)
        statements.append(Statement("have_level_2", len(of_cohorts), full))
    if campaign.met:
        best = sorted(communes, key=lambda c: -c.activated_ratio)[: len(campaign.met)]
        met = {c.code for c in communes if c.intake >= c.intake_target}
        leading = {c.code for c in best}
        statements.append(Statement("met_intake_target", len(campaign.met), len(met & set(campaign.met))))
        statements.append(Statement("lead_activation", len(campaign.met), len(leading & set(campaign.met))))
    if campaign.low:
        lowest = {c.code for c in communes[-len(campaign.low) :]}
        statements.append(Statement("are_low", len(campaign.low), len(lowest & set(campaign.low))))
    return statements

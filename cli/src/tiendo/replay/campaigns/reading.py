"""Reading a campaign file from top to bottom."""

import contextlib
import hashlib
import re
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, time
from pathlib import Path
from typing import Any

from tiendo.replay.campaigns.campaign import (
    CHANNELS,
    COHORTS,
    INDICATORS,
    NIGHTS_END_FROM,
    SENT_AT,
    Assumption,
    Campaign,
    Claim,
    Count,
    Daily,
    Figure,
    GoingOn,
    Phase,
    Simulation,
    Stop,
    Target,
)
from tiendo.replay.campaigns.checks import check_counts, check_figures
from tiendo.replay.campaigns.measures import read_measures
from tiendo.replay.campaigns.rechecks import read_rechecks
from tiendo.replay.campaigns.table import CampaignFileError, Table
from tiendo.replay.spread import largest_remainder
from tiendo.replay.units import load_birth_provinces, load_units, plain
from tiendo_common.nights import NIGHT_ENDS, DayEnd


def find_campaign(name: str, folder: Path) -> Path:
    """The file of a campaign by its id, or the path itself; a CampaignFileError lists what there is."""
    path = Path(name) if name.endswith(".toml") else folder / "campaigns" / f"{name}.toml"
    if path.is_file():
        return path
    known = ", ".join(sorted(p.stem for p in (folder / "campaigns").glob("*.toml"))) or "none"
    raise CampaignFileError(path, "file", "there is no such campaign file", f"Campaigns here: {known}.")


def load_campaign(path: Path, folder: Path, *, scale: float = 1.0) -> Campaign:
    """Read a campaign file with the units and birth provinces of `folder`.

    `scale` shrinks every count alike (for fast tests); percentages then no longer match what was published.
    Raises CampaignFileError naming file, key and remedy.
    """
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CampaignFileError(path, "file", f"isn't TOML ({error})", "Correct that place.") from error
    except OSError as error:
        raise CampaignFileError(
            path, "file", "can't be read", f"Check the path ({error.strerror})."
        ) from error
    return _Reader(Table(path, "", values), folder, scale).read()


class _Reader:
    """Reads one file from top to bottom and checks each part against those before it."""

    def __init__(self, root: Table, folder: Path, scale: float) -> None:
        self.root, self.folder, self.scale = root, folder, scale
        self.assumed: list[Assumption] = []

    def read(self) -> Campaign:
        root = self.root
        units_name = root.get("units", str)
        units_path = self.folder / "units" / units_name
        if not units_path.is_file():
            raise root.error("units", f"{units_path} isn't there", "Name a file of data/units.")
        self.units = load_units(units_path)
        births = self.folder / "personal-number-provinces.csv"
        facts, assumptions = root.table("facts", needed=True), root.table("assumptions")
        province = root.get("province", str)
        unit = self.units.by_code.get(province)
        if unit is None or unit.level != "province":
            raise root.error(
                "province", f"{province!r} isn't a province of {units_name}", "Use its 2-digit code."
            )
        self.communes = [commune.code for commune in self.units.communes[province]]
        days = self._days()
        figures = self._figures(facts)
        targets = self._targets(facts, days, True) + self._targets(assumptions, days, False)
        phases = self._phases(facts, days, True) + self._phases(assumptions, days, False)
        going_on = self._going_on(facts, assumptions, days[1])
        eligible = self._eligible(facts, assumptions)
        counts = self._counts(figures, assumptions)
        baseline = self._baseline(figures, assumptions)
        check_counts(root, counts, baseline)
        check_figures(root, figures, counts, baseline, targets, eligible)
        measures = read_measures(facts, assumptions, self.units, province, self._assume)
        rechecks = read_rechecks(facts, assumptions, self.units, province, (days[0], days[2]), self._assume)
        if not figures and not measures and not rechecks:
            raise facts.error("figures", "is empty", "A replay needs something published.")
        claims = self._claims(facts)
        met, low = self._named_communes(facts)
        level_2_cohorts = self._level_2_cohorts(facts)
        day_end = self._day_end(facts, assumptions)
        nights = self._nights(facts, assumptions, day_end)
        self._remaining_assumptions(assumptions)
        facts.done()
        spread = self._spread_eligible(round(eligible * self.scale))
        campaign = Campaign(
            file=root.file,
            id=self._id(),
            name=root.get("name", str),
            province=province,
            plan_number=root.get("plan_number", str),
            plan_issued_on=root.get("plan_issued_on", date),
            first_day=days[0],
            last_day=days[1],
            figures_as_of=days[2],
            day_end=day_end,
            nights=nights,
            scale=self.scale,
            counts={k: self._scaled(v) for k, v in counts.items()},
            baseline={k: self._scaled(v) for k, v in baseline.items()},
            targets=tuple(
                t if t.value is None else replace(t, value=round(t.value * self.scale)) for t in targets
            ),
            phases=tuple(sorted(phases, key=lambda phase: phase.first_day)),
            going_on=going_on,
            figures=tuple(figures),
            measures=measures,
            rechecks=rechecks,
            claims=claims,
            assumptions=tuple(self.assumed),
            met=met,
            low=low,
            level_2_cohorts=level_2_cohorts,
            eligible=spread,
            simulation=self._simulation(province),
            units=self.units,
            birth_provinces=load_birth_provinces(births),
        )
        root.done()
        return campaign

    def _id(self) -> str:
        value = self.root.get("id", str)
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", value):
            raise self.root.error("id", f"{value!r} isn't an id", "Use lower-case words joined by hyphens.")
        return value

    def _scaled(self, count: Count) -> Count:
        return Count(round(count.level_1 * self.scale), round(count.level_2 * self.scale))

    def _days(self) -> tuple[date, date, date]:
        first, last = self.root.get("first_day", date), self.root.get("last_day", date)
        figures = self.root.get("figures_as_of", date)
        if not first <= figures <= last:
            raise self.root.error(
                "figures_as_of",
                f"{figures} is outside {first} to {last}",
                "first_day, figures_as_of and last_day must follow in that order.",
            )
        return first, last, figures

    def _figures(self, facts: Table) -> list[Figure]:
        figures = []
        for table in facts.tables("figures"):
            figure = Figure(
                id=table.get("id", str),
                text=table.get("text", str),
                text_vi=table.maybe_text("text_vi"),
                indicator=table.one_of("indicator", INDICATORS),
                over=table.one_of("over", ("target", "eligible", *INDICATORS)),
                decimals=table.number("decimals"),
                percent=table.get("percent", str),
                value=table.maybe_number("value"),
                level_1=table.maybe_number("level_1"),
                level_2=table.maybe_number("level_2"),
                since_baseline=table.maybe_number("since_baseline"),
                denominator=table.maybe_number("denominator"),
            )
            table.done()
            if figure.level_1 is not None and figure.level_2 is not None:
                total = figure.level_1 + figure.level_2
                if total != figure.value:
                    raise table.error(
                        "value",
                        f"level_1 {figure.level_1} + level_2 {figure.level_2} = {total}, not {figure.value}",
                        "Compare the three numbers with the report.",
                    )
            if figure.since_baseline is not None and figure.value is None:
                raise table.error("value", "is missing", "An increase is published with what it led to.")
            figures.append(figure)
        return figures

    def _targets(self, section: Table, days: tuple[date, date, date], published: bool) -> list[Target]:
        targets = []
        for table in section.tables("targets"):
            target = Target(
                **self._counted(table),
                value=table.maybe_number("value"),
                published=published,
                percent=table.maybe_text("percent_of_eligible"),
                due=table.get("due", date) if table.has("due") else None,
            )
            if (target.value is None) == (target.percent is None):
                raise table.error(
                    "value", "and percent_of_eligible are two ways to say it", "Give one of both."
                )
            if target.percent is not None and not _is_percent(target.percent):
                raise table.error(
                    "percent_of_eligible",
                    f"{target.percent!r} is no percentage",
                    'Write it like "80" or "62.5".',
                )
            if target.due is not None and not days[0] <= target.due < days[1]:
                raise table.error(
                    "due",
                    f"{target.due} is not before the last day, {days[1]}",
                    "Leave it out if it is that day.",
                )
            self._said(table, published)
            targets.append(target)
        return targets

    def _counted(self, table: Table) -> dict[str, Any]:
        """What is counted: an indicator, perhaps at a level or of a cohort."""
        indicator, level = table.one_of("indicator", INDICATORS), table.maybe_number("level")
        if level not in (None, 1, 2):
            raise table.error("level", f"{level} is no level", "Use 1 or 2, or leave it out.")
        cohort = table.one_of("cohort", COHORTS) if table.has("cohort") else None
        return {"indicator": indicator, "level": level, "cohort": cohort}

    def _said(self, table: Table, published: bool) -> None:
        """The end of a table: the words in which it was published, or why it is assumed so."""
        if published:
            table.get("text", str)
        else:
            self._assume(table)
        table.done()

    def _phases(self, section: Table, days: tuple[date, date, date], published: bool) -> list[Phase]:
        phases = []
        for table in section.tables("phases"):
            phase = Phase(
                id=table.get("id", str),
                name=table.get("name", str),
                name_en=table.maybe_text("name_en"),
                first_day=table.get("first_day", date),
                last_day=table.get("last_day", date),
            )
            if not days[0] <= phase.first_day <= phase.last_day <= days[1]:
                raise table.error(
                    "first_day",
                    f"{phase.first_day} to {phase.last_day} aren't days of {days[0]} to {days[1]}",
                    "A phase is some of the campaign's days.",
                )
            self._said(table, published)
            phases.append(phase)
        return phases

    def _going_on(self, facts: Table, assumptions: Table, last_day: date) -> GoingOn | None:
        """That it goes on may be published, and what its days are to bring or what ends it be assumed."""
        here = [
            (each.table("going_on"), each is facts) for each in (facts, assumptions) if each.has("going_on")
        ]
        if not here:
            return None
        daily = [each for section, published in here for each in self._daily(section, published)]
        stops = [
            self._stop(section.table("stop"), published, last_day)
            for section, published in here
            if section.has("stop")
        ]
        section, published = here[0]
        going_on = GoingOn(section.one_of("indicator", INDICATORS), tuple(daily), stops[0] if stops else None)
        self._said(section, published)
        for other, _ in here[1:]:
            other.done()
        if len(stops) > 1:
            raise here[1][0].error("stop", "is published, so it can't be assumed", "Take it out.")
        return going_on

    def _daily(self, section: Table, published: bool) -> Iterator[Daily]:
        for table in section.tables("daily"):
            daily = Daily(**self._counted(table), citizens=table.number("citizens"))
            self._said(table, published)
            yield replace(daily, citizens=round(daily.citizens * self.scale))

    def _stop(self, table: Table, published: bool, last_day: date) -> Stop:
        stop = Stop(table.get("number", str), table.get("signed_by", str), table.get("last_day", date))
        if stop.last_day <= last_day:
            raise table.error(
                "last_day", f"{stop.last_day} is not after the last day, {last_day}", "Choose a later one."
            )
        self._said(table, published)
        return stop

    def _assume(self, table: Table) -> None:
        reason = table.get("reason", str)
        if not reason.strip():
            raise table.error("reason", "is empty", "Say why this is assumed so.")
        self.assumed.append(Assumption(table.key, reason))

    def _eligible(self, facts: Table, assumptions: Table) -> int:
        if facts.has("eligible"):
            table = facts.table("eligible")
            value = table.number("value")
        else:
            table = assumptions.table("eligible", needed=True)
            value = table.number("value")
            self._assume(table)
        table.done()
        self.eligible_spread = assumptions.table("eligible_spread", needed=True)
        self._assume(self.eligible_spread)
        self.kind_weights = {k: self.eligible_spread.get(k, float) for k in ("ward", "town", "commune")}
        self.variation = self.eligible_spread.get("variation", float)
        self.eligible_spread.done()
        return value

    def _spread_eligible(self, total: int) -> dict[str, int]:
        """Spread by the commune's kind and a fixed hash of its code: the same for every seed."""
        weights = []
        for code in self.communes:
            digest = hashlib.sha256(f"eligible {code}".encode()).digest()
            swing = int.from_bytes(digest[:6], "big") / 2**47 - 1  # -1 to 1
            kind = self.units.by_code[code].kind
            weights.append(round(self.kind_weights[kind] * (1 + self.variation * swing) * 1_000_000))
        return dict(zip(self.communes, largest_remainder(total, weights), strict=True))

    def _counts(self, figures: list[Figure], assumptions: Table) -> dict[str, Count]:
        section = assumptions.table("counts")
        counts = {}
        for indicator in INDICATORS:
            figure = next((f for f in figures if f.indicator == indicator), None)
            assumed = section.table(indicator) if section.has(indicator) else None
            if figure and figure.level_1 is not None and figure.level_2 is not None:
                count = Count(figure.level_1, figure.level_2)
                if assumed:
                    raise assumed.error("", "is published, so it can't be assumed", "Take it out.")
            elif assumed:
                count = Count(assumed.number("level_1"), assumed.number("level_2"))
                published = figure.value if figure else None
                total = published if published is not None else assumed.number("total")
                if count.total != total:
                    raise assumed.error(
                        "level_1",
                        f"{count.level_1} + {count.level_2} = {count.total}, not {total}",
                        "The levels must sum to the total.",
                    )
                self._assume(assumed)
                assumed.done()
            else:
                raise section.error(
                    indicator, "has no count", "Give it by level as published, or assume it with a reason."
                )
            counts[indicator] = count
        section.done()
        return counts

    def _baseline(self, figures: list[Figure], assumptions: Table) -> dict[str, Count]:
        section = assumptions.table("baseline", needed=True)
        baseline = {}
        for indicator in INDICATORS:
            table = section.table(indicator, needed=True)
            baseline[indicator] = Count(table.number("level_1"), table.number("level_2"))
            table.done()
            for figure in figures:
                if figure.indicator != indicator or figure.since_baseline is None or figure.value is None:
                    continue
                before = figure.value - figure.since_baseline
                if baseline[indicator].total != before:
                    raise table.error(
                        "",
                        f"sums to {baseline[indicator].total}, but {figure.id} published "
                        f"{figure.value} - {figure.since_baseline} = {before} before the campaign",
                        "Make the levels sum to that.",
                    )
        self._assume(section)
        section.done()
        return baseline

    def _claims(self, facts: Table) -> tuple[Claim, ...]:
        claims = []
        for table in facts.tables("claims"):
            claims.append(
                Claim(
                    id=table.get("id", str),
                    text=table.get("text", str),
                    indicator=table.one_of("indicator", INDICATORS),
                    over=table.one_of("over", ("target", "eligible", *INDICATORS)),
                    percent=table.get("percent", str),
                    reason=table.get("reason", str),
                    text_vi=table.maybe_text("text_vi"),
                    reason_vi=table.maybe_text("reason_vi"),
                )
            )
            table.done()
        return tuple(claims)

    def _named_communes(self, facts: Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
        section = facts.table("communes")
        named: dict[str, tuple[str, ...]] = {}
        seen: set[str] = set()
        for kind in ("met", "low"):
            codes = []
            for table in section.tables(kind):
                code, name = table.get("code", str), table.get("name", str)
                table.done()
                unit = self.units.by_code.get(code)
                if unit is None or code not in self.communes:
                    raise table.error(
                        "code",
                        f"{code!r} isn't a commune of this province",
                        "Look its code up in the units file.",
                    )
                if plain(unit.name) != plain(name):
                    raise table.error(
                        "code", f"{code} is {unit.name}, not {name}", "Look its code up in the units file."
                    )
                if code in seen:
                    raise table.error("code", f"{code} is named twice", "A commune is met or low, once.")
                seen.add(code)
                codes.append(code)
            named[kind] = tuple(codes)
        section.done()
        return named["met"], named["low"]

    def _level_2_cohorts(self, facts: Table) -> tuple[str, ...]:
        section = facts.table("cohorts")
        cohorts: list[Any] = section.get("level_2", list, []) if section.has("level_2") else []
        if section.has("text"):
            section.get("text", str)
        section.done()
        for cohort in cohorts:
            if cohort not in COHORTS:
                raise section.error("level_2", f"{cohort!r} is unknown", f"Use: {', '.join(COHORTS)}.")
        return tuple(cohorts)

    def _day_end(self, facts: Table, assumptions: Table) -> DayEnd:
        published = facts.has("reporting")
        section = facts.table("reporting") if published else assumptions.table("reporting", needed=True)
        value = section.get("day_cut_off", str)
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            raise section.error("day_cut_off", f"{value!r} isn't a time of day", 'Write it like "21:00".')
        end = DayEnd(time.fromisoformat(value), section.get("days_end_after_midnight", bool, default=False))
        if end.after_midnight and end.cut_off > NIGHT_ENDS:
            raise section.error(
                "day_cut_off",
                f"{value} is no hour of the night",
                f"Choose one up to {NIGHT_ENDS:%H:%M}, or leave days_end_after_midnight out.",
            )
        if not end.after_midnight and end.cut_off <= SENT_AT:
            raise section.error(
                "day_cut_off",
                f"{value} is before the day's lines come",
                f"Choose one after {SENT_AT:%H:%M}, or add days_end_after_midnight = true.",
            )
        if not published:
            self._assume(section)
        section.done()
        return end

    def _nights(self, facts: Table, assumptions: Table, day_end: DayEnd) -> float:
        """That there were night shifts may be published; how much they did never is."""
        if facts.has("nights"):
            published = facts.table("nights")
            published.get("text", str)
            published.done()
        elif not assumptions.has("nights"):
            return 0.0
        section = assumptions.table("nights", needed=True)
        share = section.share("share")
        if not day_end.after_midnight or day_end.cut_off < NIGHTS_END_FROM:
            raise section.error(
                "share",
                f"is of what is done after midnight, when days that end at {day_end.cut_off:%H:%M} are over",
                f"Add days_end_after_midnight = true, with a day_cut_off from {NIGHTS_END_FROM:%H:%M} on.",
            )
        self._assume(section)
        section.done()
        return share

    def _remaining_assumptions(self, assumptions: Table) -> None:
        """Assumptions that carry no number of their own: kept so that a report can show them."""
        for name in assumptions.names():
            self._assume(assumptions.table(name))

    def _outside_from(self, section: Table, province: str) -> tuple[str, ...]:
        """Where citizens of other provinces come from: never from where another campaign is replayed.

        The aggregator counts citizens where they live, whoever took their dossier, so they would be too many
        there.
        """
        codes: list[Any] = section.get("outside_from", list, [])
        elsewhere = {province: "this campaign's own"}
        for path in sorted(self.root.file.parent.glob("*.toml")):
            with contextlib.suppress(tomllib.TOMLDecodeError, UnicodeDecodeError, OSError):
                other = tomllib.loads(path.read_text(encoding="utf-8")).get("province")
                elsewhere.setdefault(str(other), f"counted by {path.name}")
        for code in codes:
            if code not in self.units.communes:
                raise section.error("outside_from", f"{code!r} isn't a province", "Use 2-digit codes.")
            if code in elsewhere:
                raise section.error("outside_from", f"{code} is {elsewhere[code]}", "Name another province.")
        return tuple(codes)

    def _simulation(self, province: str) -> Simulation:
        section = self.root.table("simulation")
        values: dict[str, Any] = {"outside_from": self._outside_from(section, province)}
        for name in ("channels", "cohorts"):
            table = section.table(name)
            allowed = CHANNELS if name == "channels" else COHORTS
            shares = {key: table.get(key, float) for key in table.names() if key in allowed}
            table.done()
            if shares:
                values[name] = shares
        for name in section.names():
            if name not in Simulation.__dataclass_fields__:
                break
            if name == "baseline_days":
                values[name] = section.number(name)
                continue
            values[name] = section.share(name)
        section.done()
        if values.get("outside") and not values["outside_from"]:
            raise section.error("outside_from", "is missing", "Say from which provinces (2-digit codes).")
        return Simulation(**values)


def _is_percent(text: str) -> bool:
    return re.fullmatch(r"\d{1,2}(\.\d{1,2})?|100", text) is not None

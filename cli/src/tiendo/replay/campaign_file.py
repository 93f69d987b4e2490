"""Campaign files: published facts, assumptions apart from them, and how the made-up citizens behave.

The loader refuses a file whose figures don't add up; each error names the file, the key and a remedy.
"""

import contextlib
import hashlib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from dataclasses import field as attribute
from datetime import date
from pathlib import Path
from typing import Any, Literal, TypeVar

from tiendo.errors import Refused
from tiendo.replay.measures import TELLERS, Measure, tellers_of
from tiendo.replay.spread import largest_remainder
from tiendo.replay.units import Units, load_birth_provinces, load_units, plain

INDICATORS = ("intake", "approved", "activated")
CHANNELS = ("fixed", "mobile", "home", "online")
COHORTS = (
    "officials",
    "employees",
    "armed_forces",
    "students",
    "workers",
    "elderly",
    "ethnic_minorities",
    "fishermen",
)

#: When a day's lines are sent. They happened earlier that day, or on days before.
SENT_AT = "20:00"

Language = Literal["en", "vi"]

T = TypeVar("T")


class CampaignFileError(Refused):
    """A campaign file that can't be used: says which file and key, what is wrong and what to do."""

    def __init__(self, file: Path, key: str, problem: str, remedy: str) -> None:
        super().__init__(f"{file}: {key}: {problem}.", remedy=remedy)
        self.file, self.key, self.problem = file, key, problem


@dataclass(frozen=True, slots=True)
class Count:
    """Citizens at each level; never more than one level each."""

    level_1: int
    level_2: int

    @property
    def total(self) -> int:
        """Both levels."""
        return self.level_1 + self.level_2

    def at(self, level: int) -> int:
        """The citizens at one level, 1 or 2."""
        return self.level_1 if level == 1 else self.level_2


@dataclass(frozen=True, slots=True)
class Figure:
    """One published figure: the text as published and the numbers it names; None is what it doesn't say. Of a figure
    without a `value` the count is assumed, and only the percentage was published.

    `text_vi`: the same in Vietnamese; None: it is shown in English there, too.
    """

    id: str
    text: str
    text_vi: str | None
    indicator: str
    over: str
    decimals: int
    percent: str
    value: int | None
    level_1: int | None
    level_2: int | None
    since_baseline: int | None
    denominator: int | None

    def said(self, language: Language) -> str:
        """The text in a language."""
        return self.text_vi if language == "vi" and self.text_vi else self.text


@dataclass(frozen=True, slots=True)
class Claim:
    """Something published that doesn't follow from the published figures; kept, and never made true."""

    id: str
    text: str
    indicator: str
    over: str
    percent: str
    reason: str
    text_vi: str | None
    reason_vi: str | None

    def said(self, language: Language) -> tuple[str, str]:
        """The text and the reason in a language."""
        if language == "vi" and self.text_vi and self.reason_vi:
            return self.text_vi, self.reason_vi
        return self.text, self.reason


@dataclass(frozen=True, slots=True)
class Target:
    """What the province must reach by the campaign's last day, and whether that number was published."""

    indicator: str
    value: int
    published: bool


@dataclass(frozen=True, slots=True)
class Assumption:
    """A key of the assumptions section and why it is assumed so."""

    key: str
    reason: str


@dataclass(frozen=True, slots=True)
class Simulation:
    """How the made-up citizens behave; shares are fractions of one.

    Voids and wrong levels are shares of dossiers, moves of residents; repeats, late and malformed of lines.
    """

    repeats: float = 0.03
    voided: float = 0.01
    wrong_level: float = 0.005
    moved: float = 0.01
    late: float = 0.02
    malformed: float = 0.002
    singly: float = 0.005
    outside: float = 0.0
    outside_from: tuple[str, ...] = ()
    native: float = 0.7
    upgrades: float = 0.08
    baseline_upgrades: float = 0.35
    baseline_days: int = 180
    visiting_teams: float = 0.05
    rejected_first: float = 0.012
    rejected: float = 0.06
    revoked: float = 0.004
    activated_ahead: float = 0.02
    never_approved: float = 0.01
    failed_first: float = 0.08
    only_failed: float = 0.12
    switched_off: float = 0.004
    channels: Mapping[str, float] = attribute(default_factory=lambda: dict.fromkeys(CHANNELS, 0.25))
    cohorts: Mapping[str, float] = attribute(default_factory=dict)


@dataclass(frozen=True)
class Campaign:
    """A campaign whose figures add up, with its tree. Days are dates in Asia/Ho_Chi_Minh."""

    file: Path
    id: str
    name: str
    province: str
    plan_number: str
    plan_issued_on: date
    first_day: date
    last_day: date
    figures_as_of: date
    day_cut_off: str
    scale: float
    counts: Mapping[str, Count]
    baseline: Mapping[str, Count]
    targets: tuple[Target, ...]
    figures: tuple[Figure, ...]
    measures: tuple[Measure, ...]
    claims: tuple[Claim, ...]
    assumptions: tuple[Assumption, ...]
    met: tuple[str, ...]
    low: tuple[str, ...]
    level_2_cohorts: tuple[str, ...]
    eligible: Mapping[str, int]
    simulation: Simulation
    units: Units
    birth_provinces: Mapping[str, str]

    @property
    def communes(self) -> list[str]:
        """The codes of the province's communes, in order."""
        return list(self.eligible)

    def target(self, indicator: str) -> int | None:
        """The province's target for an indicator, None when there is none."""
        return next((t.value for t in self.targets if t.indicator == indicator), None)

    def commune_targets(self, indicator: str) -> dict[str, int] | None:
        """The target spread over the communes by eligible (largest remainder), as the aggregator does it."""
        value = self.target(indicator)
        if value is None:
            return None
        return dict(zip(self.eligible, largest_remainder(value, list(self.eligible.values())), strict=True))

    def document(self) -> dict[str, object]:
        """The campaign as the aggregator's API takes it."""
        return {
            "name": self.name,
            "plan_number": self.plan_number,
            "plan_issued_on": self.plan_issued_on.isoformat(),
            "province": self.province,
            "first_day": self.first_day.isoformat(),
            "last_day": self.last_day.isoformat(),
            "day_cut_off": self.day_cut_off,
            "targets": [{"indicator": t.indicator, "value": t.value} for t in self.targets],
            "eligible": dict(self.eligible),
            "figures": [
                {"id": f.id, "indicator": f.indicator, "over": f.over, "decimals": f.decimals}
                for f in self.figures
            ],
        }


def cut_percent(numerator: int, denominator: int, decimals: int) -> str:
    """A percentage cut, not rounded, at its decimals: as the reports print it (70.686… is 70.68)."""
    scaled = numerator * 100 * 10**decimals // denominator
    digits = str(scaled).rjust(decimals + 1, "0")
    return f"{digits[:-decimals]}.{digits[-decimals:]}" if decimals else digits


class _Table:
    """A TOML table that knows where it stands, so that every complaint names its key."""

    def __init__(self, file: Path, key: str, values: dict[str, Any]) -> None:
        self.file, self.key, self._left = file, key, dict(values)

    def _path(self, name: str) -> str:
        return f"{self.key}.{name}" if self.key else name

    def error(self, name: str, problem: str, remedy: str) -> CampaignFileError:
        return CampaignFileError(self.file, self._path(name) if name else self.key, problem, remedy)

    def get(self, name: str, kind: type[T], default: T | None = None) -> T:
        """Take a value of a type; without a default it must be there."""
        if name not in self._left:
            if default is not None:
                return default
            raise self.error(name, "is missing", f"Add it: {kind.__name__} is expected.")
        value = self._left.pop(name)
        if kind is float and type(value) is int:
            value = float(value)
        if type(value) is not kind:
            raise self.error(
                name, f"is a {type(value).__name__}", f"Write it as {kind.__name__}: {value!r} isn't one."
            )
        return value

    def number(self, name: str) -> int:
        """Take a count: a whole number, not negative."""
        value = self.get(name, int)
        if value < 0:
            raise self.error(name, f"{value} is negative", "Counts of citizens start at 0.")
        return value

    def maybe_number(self, name: str) -> int | None:
        return self.number(name) if name in self._left else None

    def maybe_text(self, name: str) -> str | None:
        return self.get(name, str) if name in self._left else None

    def one_of(self, name: str, allowed: tuple[str, ...]) -> str:
        value = self.get(name, str)
        if value not in allowed:
            raise self.error(name, f"{value!r} is unknown", f"Use one of: {', '.join(allowed)}.")
        return value

    def has(self, name: str) -> bool:
        return name in self._left

    def table(self, name: str, *, needed: bool = False) -> "_Table":
        """Take a sub-table; an absent one is empty unless it is needed."""
        if needed and name not in self._left:
            raise self.error(name, "is missing", "Add the section.")
        values = self._left.pop(name, {})
        if not isinstance(values, dict):
            raise self.error(name, f"is a {type(values).__name__}", "Write it as a table.")
        return _Table(self.file, self._path(name), values)

    def tables(self, name: str) -> Iterator["_Table"]:
        """Take an array of tables, none when absent."""
        values = self._left.pop(name, [])
        if not isinstance(values, list) or not all(isinstance(value, dict) for value in values):
            raise self.error(name, "isn't an array of tables", f"Write [[{self._path(name)}]] for each.")
        for i, value in enumerate(values):
            yield _Table(self.file, f"{self._path(name)}[{i}]", value)

    def names(self) -> list[str]:
        return list(self._left)

    def done(self) -> None:
        """Refuse what nobody asked for: a misspelt key must not pass in silence."""
        for name in self._left:
            raise self.error(name, "is an unknown key", "Correct its spelling or take it out.")


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
    return _Reader(_Table(path, "", values), folder, scale).read()


class _Reader:
    """Reads one file from top to bottom and checks each part against those before it."""

    def __init__(self, root: _Table, folder: Path, scale: float) -> None:
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
        targets = self._targets(facts, True) + self._targets(assumptions, False)
        eligible = self._eligible(facts, assumptions)
        counts = self._counts(figures, assumptions)
        baseline = self._baseline(figures, assumptions)
        self._check_counts(counts, baseline)
        self._check_figures(figures, counts, baseline, targets, eligible)
        measures = self._measures(facts, assumptions, province)
        if not figures and not measures:
            raise facts.error("figures", "is empty", "A replay needs something published.")
        claims = self._claims(facts)
        met, low = self._named_communes(facts)
        level_2_cohorts = self._level_2_cohorts(facts)
        day_cut_off = self._day_cut_off(facts, assumptions)
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
            day_cut_off=day_cut_off,
            scale=self.scale,
            counts={k: self._scaled(v) for k, v in counts.items()},
            baseline={k: self._scaled(v) for k, v in baseline.items()},
            targets=tuple(Target(t.indicator, round(t.value * self.scale), t.published) for t in targets),
            figures=tuple(figures),
            measures=measures,
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

    def _figures(self, facts: _Table) -> list[Figure]:
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

    def _targets(self, section: _Table, published: bool) -> list[Target]:
        targets = []
        for table in section.tables("targets"):
            targets.append(Target(table.one_of("indicator", INDICATORS), table.number("value"), published))
            if published:
                table.get("text", str)
            else:
                self._assume(table)
            table.done()
        return targets

    def _assume(self, table: _Table) -> None:
        reason = table.get("reason", str)
        if not reason.strip():
            raise table.error("reason", "is empty", "Say why this is assumed so.")
        self.assumed.append(Assumption(table.key, reason))

    def _eligible(self, facts: _Table, assumptions: _Table) -> int:
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

    def _counts(self, figures: list[Figure], assumptions: _Table) -> dict[str, Count]:
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

    def _baseline(self, figures: list[Figure], assumptions: _Table) -> dict[str, Count]:
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

    def _check_counts(self, counts: Mapping[str, Count], baseline: Mapping[str, Count]) -> None:
        remedy = "Nobody is activated without approval or approved without a dossier: correct the counts."
        for which, part in (("counts", counts), ("baseline", baseline)):
            for level in (1, 2):
                ladder = [part[indicator].at(level) for indicator in INDICATORS]
                if not ladder[0] >= ladder[1] >= ladder[2]:
                    raise self.root.error(
                        f"{which} at level {level}",
                        f"{ladder} (intake, approved, activated) must not rise",
                        remedy,
                    )
        for indicator in INDICATORS:
            if baseline[indicator].total > counts[indicator].total:
                raise self.root.error(
                    f"assumptions.baseline.{indicator}",
                    f"{baseline[indicator].total} is more than the {counts[indicator].total} at the end",
                    "A baseline can't exceed what it grew into.",
                )
            if baseline[indicator].level_2 > counts[indicator].level_2:
                raise self.root.error(
                    f"assumptions.baseline.{indicator}.level_2",
                    "is more than level 2 has at the end",
                    "Nobody goes from level 2 back to level 1.",
                )

    def _check_figures(
        self,
        figures: list[Figure],
        counts: Mapping[str, Count],
        baseline: Mapping[str, Count],
        targets: list[Target],
        eligible: int,
    ) -> None:
        for figure in figures:
            key = f"facts.figures ({figure.id})"
            value = counts[figure.indicator].total
            if figure.value not in (None, value):
                raise self.root.error(
                    key,
                    f"{figure.value} differs from another figure of its indicator",
                    "One count, one value.",
                )
            denominator = _denominator(figure, counts, targets, eligible)
            if denominator is None:
                raise self.root.error(
                    key, f"is over {figure.over}, and there is no such target", "Give or assume the target."
                )
            if figure.denominator is not None and figure.denominator != denominator:
                raise self.root.error(
                    key,
                    f"published over {figure.denominator}, but {figure.over} is {denominator}",
                    "Make them one number.",
                )
            percent = cut_percent(value, denominator, figure.decimals)
            if percent != figure.percent:
                raise self.root.error(
                    key,
                    f"{value} of {denominator} is {percent}%, not the published {figure.percent}%",
                    "Correct the denominator's assumption, or move the figure to facts.claims with a reason.",
                )
            if figure.since_baseline is not None:
                grown = value - baseline[figure.indicator].total
                if grown != figure.since_baseline:
                    raise self.root.error(key, f"grew by {grown}", f"{figure.since_baseline} was published.")

    def _measures(self, facts: _Table, assumptions: _Table, province: str) -> tuple[Measure, ...]:
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
                self._assume(guess)
                guess.done()
            if numbers["value"] is None:
                raise table.error(
                    "value", "is missing", f"Publish or assume it in assumptions.measures.{id_}."
                )
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
            )
            table.done()
            self._check_measure(table, measure, province)
            if any(each.id == id_ for each in measures):
                raise table.error("id", f"{id_} is there twice", "Give each measure its own id.")
            measures.append(measure)
        for name in assumed.names():
            raise assumed.error(name, "is no measure of this file", "Correct its spelling or take it out.")
        return tuple(measures)

    def _check_measure(self, table: _Table, measure: Measure, province: str) -> None:
        unit = self.units.by_code.get(measure.unit)
        if unit is None or self.units.province_of(measure.unit) != province:
            raise table.error("unit", f"{measure.unit!r} isn't in this province", "Look its code up.")
        if (measure.out_of is None) != (measure.out_of_what is None):
            raise table.error(
                "out_of", "and out_of_what go together", "Say of how many and of what, or neither."
            )
        if not measure.published:
            raise table.error("value", "is assumed, and nothing else published", "Give what was published.")
        for name, of in (("percent", measure.out_of), ("percent_of_target", measure.target)):
            if name in measure.published:
                if not of:
                    raise table.error(
                        name, "has nothing that it is a share of", "Publish or assume that number."
                    )
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
        tellers = len(tellers_of(self.units, measure.unit, measure.told_by))
        if measure.out_of is not None and measure.out_of < tellers:
            raise table.error(
                "told_by", f"{tellers} units can't each tell a part of {measure.out_of}", "Let fewer tell it."
            )

    def _claims(self, facts: _Table) -> tuple[Claim, ...]:
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

    def _named_communes(self, facts: _Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
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

    def _level_2_cohorts(self, facts: _Table) -> tuple[str, ...]:
        section = facts.table("cohorts")
        cohorts: list[Any] = section.get("level_2", list, []) if section.has("level_2") else []
        if section.has("text"):
            section.get("text", str)
        section.done()
        for cohort in cohorts:
            if cohort not in COHORTS:
                raise section.error("level_2", f"{cohort!r} is unknown", f"Use: {', '.join(COHORTS)}.")
        return tuple(cohorts)

    def _day_cut_off(self, facts: _Table, assumptions: _Table) -> str:
        published = facts.has("reporting")
        section = facts.table("reporting") if published else assumptions.table("reporting", needed=True)
        value = section.get("day_cut_off", str)
        if not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", value):
            raise section.error("day_cut_off", f"{value!r} isn't a time of day", 'Write it like "21:00".')
        if value <= SENT_AT:
            raise section.error(
                "day_cut_off", f"{value} is before the day's lines come", f"Choose one after {SENT_AT}."
            )
        if not published:
            self._assume(section)
        section.done()
        return value

    def _remaining_assumptions(self, assumptions: _Table) -> None:
        """Assumptions that carry no number of their own: kept so that a report can show them."""
        for name in assumptions.names():
            self._assume(assumptions.table(name))

    def _outside_from(self, section: _Table, province: str) -> tuple[str, ...]:
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
            share = section.get(name, float)
            if not 0 <= share <= 1:
                raise section.error(name, f"{share} isn't a share", "Write a fraction between 0 and 1.")
            values[name] = share
        section.done()
        if values.get("outside") and not values["outside_from"]:
            raise section.error("outside_from", "is missing", "Say from which provinces (2-digit codes).")
        return Simulation(**values)


def _denominator(
    figure: Figure, counts: Mapping[str, Count], targets: list[Target], eligible: int
) -> int | None:
    """What a figure is a percentage of; None when that is a target that isn't there."""
    if figure.over == "eligible":
        return eligible
    if figure.over == "target":
        return next((t.value for t in targets if t.indicator == figure.indicator), None)
    return counts[figure.over].total

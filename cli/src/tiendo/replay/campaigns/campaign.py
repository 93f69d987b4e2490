"""What a campaign file says."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from dataclasses import field as attribute
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Literal

from tiendo.replay.measures import Measure
from tiendo.replay.rechecks import Recheck
from tiendo.replay.spread import largest_remainder
from tiendo.replay.units import Units
from tiendo_common.clock import VIETNAM
from tiendo_common.nights import DayEnd

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
SENT_AT = time(20)
#: How long before a day that ends after midnight its night shift sends what it did since midnight.
NIGHT_SENT_BEFORE_END = timedelta(minutes=30)
#: The earliest hour at which such a day may end: before it, nobody would have done anything.
NIGHTS_END_FROM = time(1)

Language = Literal["en", "vi"]


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
    """What the province must reach, and whether that was published: `value` citizens, or `percent` of the eligible; the
    campaign's last day, both levels and everybody are meant unless it says otherwise."""

    indicator: str
    value: int | None
    published: bool
    percent: str | None = None
    level: int | None = None
    cohort: str | None = None
    due: date | None = None

    @property
    def whole(self) -> bool:
        """Whether it is of the whole indicator over the whole campaign, as a number."""
        return self.value is not None and (self.level, self.cohort, self.due) == (None, None, None)

    def document(self) -> dict[str, object]:
        """As the aggregator's API takes it."""
        said = {
            "indicator": self.indicator,
            "value": self.value,
            "percent_of_eligible": self.percent,
            "level": self.level,
            "cohort": self.cohort,
            "due": None if self.due is None else self.due.isoformat(),
        }
        return {name: value for name, value in said.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Phase:
    """A span of the campaign's days that has a name."""

    id: str
    name: str
    name_en: str | None
    first_day: date
    last_day: date

    def document(self) -> dict[str, object]:
        """As the aggregator's API takes it."""
        return {
            "id": self.id,
            "name": self.name,
            "name_en": self.name_en,
            "first_day": self.first_day.isoformat(),
            "last_day": self.last_day.isoformat(),
        }


@dataclass(frozen=True, slots=True)
class Daily:
    """How many citizens each day after the last one is to bring the whole province."""

    indicator: str
    citizens: int
    level: int | None = None
    cohort: str | None = None

    def document(self) -> dict[str, object]:
        """As the aggregator's API takes it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


@dataclass(frozen=True, slots=True)
class Stop:
    """The decision after whose last day a campaign goes on no longer."""

    number: str
    signed_by: str
    last_day: date

    def document(self) -> dict[str, object]:
        """As the aggregator's API takes it."""
        return {**asdict(self), "last_day": self.last_day.isoformat()}


@dataclass(frozen=True, slots=True)
class GoingOn:
    """It goes on after its last day, until everybody is reached on the indicator or a decision stops it."""

    indicator: str
    daily: tuple[Daily, ...] = ()
    stop: Stop | None = None

    def document(self) -> dict[str, object]:
        """As the aggregator's API takes it."""
        return {
            "indicator": self.indicator,
            "daily": [each.document() for each in self.daily],
            "stop": None if self.stop is None else self.stop.document(),
        }


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
    """A campaign whose figures add up, with its tree. Days are dates in Asia/Ho_Chi_Minh. `going_on`: how it goes on
    after its last day; None: it ends on that day. `nights`: which share of what teams
    do the night shift does, after midnight; 0: nobody works so late."""

    file: Path
    id: str
    name: str
    province: str
    plan_number: str
    plan_issued_on: date
    first_day: date
    last_day: date
    figures_as_of: date
    day_end: DayEnd
    nights: float
    scale: float
    counts: Mapping[str, Count]
    baseline: Mapping[str, Count]
    targets: tuple[Target, ...]
    phases: tuple[Phase, ...]
    going_on: GoingOn | None
    figures: tuple[Figure, ...]
    measures: tuple[Measure, ...]
    rechecks: tuple[Recheck, ...]
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
        """The province's target for an indicator as a whole, None when there is none."""
        return next((t.value for t in self.targets if t.indicator == indicator and t.whole), None)

    def sent_at(self, day: date) -> datetime:
        """When a day's lines are sent."""
        return datetime.combine(day, SENT_AT, VIETNAM)

    def night_sent_at(self, day: date) -> datetime:
        """When those of its night shift are sent, on the following date."""
        return self.ends_at(day) - NIGHT_SENT_BEFORE_END

    def ends_at(self, day: date) -> datetime:
        """When a day is over and its count is final."""
        return self.day_end.of(day).replace(tzinfo=VIETNAM)

    @property
    def sized_cohorts(self) -> list[str]:
        """The cohorts of which a target is a share, so that their sizes have to be told."""
        return sorted({t.cohort for t in self.targets if t.cohort is not None and t.percent is not None})

    def commune_targets(self, indicator: str) -> dict[str, int] | None:
        """The target spread over the communes by eligible (largest remainder), as the aggregator does it."""
        value = self.target(indicator)
        if value is None:
            return None
        return dict(zip(self.eligible, largest_remainder(value, list(self.eligible.values())), strict=True))

    def document(self, sizes: Mapping[str, Mapping[str, int]]) -> dict[str, object]:
        """The campaign as the aggregator's API takes it. `sizes`: how many citizens of each of `sized_cohorts` every
        commune has."""
        return {
            "name": self.name,
            "plan_number": self.plan_number,
            "plan_issued_on": self.plan_issued_on.isoformat(),
            "province": self.province,
            "first_day": self.first_day.isoformat(),
            "last_day": self.last_day.isoformat(),
            "day_cut_off": f"{self.day_end.cut_off:%H:%M}",
            "days_end_after_midnight": self.day_end.after_midnight,
            "targets": [target.document() for target in self.targets],
            "cohorts": {
                cohort: {"source": "mô phỏng", "eligible": dict(size)} for cohort, size in sizes.items()
            },
            "phases": [phase.document() for phase in self.phases],
            "going_on": None if self.going_on is None else self.going_on.document(),
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

"""What citizens do next: lines of all kinds, made up by chance, sensible and not.

A citizen's chance is his own (seeded by the run's seed and his number), so that his life does not depend on
how fast the machine is.
"""

import random
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

from tests.chaos.lives import Document, Kind, Life

_VIETNAM = timezone(timedelta(hours=7))
#: A replica whose clock is an hour behind must not find a line in the future: it would refuse it, rightly.
_MARGIN = timedelta(hours=2, minutes=10)
_CHANNELS = ("fixed", "mobile", "home", "online")
_COHORTS = ("officials", "employees", "students", "workers", "elderly", "fishermen")
_FAILURES = ("old_device", "no_smartphone", "phone_not_owned", "network", "other")


class Campaign:
    """Where and when citizens do it."""

    def __init__(self, communes: Sequence[str], province: str, now: datetime, days: int = 20) -> None:
        self.id = "chaos"
        self.province = province
        self.communes = communes
        self.latest = now - _MARGIN
        self.last_day = self.latest.astimezone(_VIETNAM).date()
        self.first_day = self.last_day - timedelta(days=days)

    def document(self, cut_off: datetime) -> Document:
        """The plan, as it is put. The day is closed at `cut_off`, while the run goes on."""
        return {
            "name": "Under chaos",
            "plan_number": "1/KH-UBND",
            "plan_issued_on": self.first_day.isoformat(),
            "province": self.province,
            "first_day": self.first_day.isoformat(),
            "last_day": (self.last_day + timedelta(days=20)).isoformat(),
            "day_cut_off": cut_off.astimezone(_VIETNAM).strftime("%H:%M:%S"),
            "targets": [
                {"indicator": "intake", "value": 3_000},
                {"indicator": "activated", "value": 600},
            ],
            "eligible": {code: 500 + 7 * place for place, code in enumerate(self.communes)},
            "figures": [
                {"id": "intake_of_target", "indicator": "intake", "over": "target", "decimals": 1},
            ],
        }

    def moment(self, chance: random.Random) -> datetime:
        """Some time on some day of the campaign that is over by a good while."""
        day = self.first_day + timedelta(days=chance.randrange((self.last_day - self.first_day).days + 1))
        begins = datetime(day.year, day.month, day.day, tzinfo=_VIETNAM)
        return begins + chance.random() * (min(begins + timedelta(hours=23), self.latest) - begins)


class Citizen:
    """Somebody, and what is on record of him if every line is answered as the rules say."""

    def __init__(self, seed: int, number: int, campaign: Campaign) -> None:
        self.id = f"{campaign.province:0>3}0{50 + number // 10**6:02}{number % 10**6:06}"
        self.life = Life()
        self.history: list[tuple[Kind, Document]] = []
        self._number = number
        self._campaign = campaign
        self._chance = random.Random(f"{seed}/{number}")

    def next_line(self, kind: Kind | None = None) -> tuple[Kind, Document]:
        """Make up a line, of a kind if one is asked for; under a new id, always."""
        chance = self._chance
        told = [(each, line) for each, line in self.history if kind in (None, each)]
        if told and chance.random() < 0.08:
            # The same fact from a second system, or told once more.
            kind, line = chance.choice(told)
            line = {**line, "line_id": self._line_id()}
        else:
            kind = kind or self._kind()
            line = getattr(self, f"_{kind}")()
        self.history.append((kind, line))
        return kind, line

    def _kind(self) -> Kind:
        chance = self._chance
        if self.life.taken is None:
            # Activations before intakes, and now and then what makes no sense yet.
            kinds: tuple[Kind, ...] = ("intakes", "activations", "approvals", "amendments")
            return chance.choices(kinds, (78, 14, 4, 4))[0]
        kinds = ("approvals", "activations", "amendments", "intakes")
        approved = any(fact.what == "decided" for fact in self.life.later)
        return chance.choices(kinds, (15, 35, 30, 20) if approved else (45, 25, 15, 15))[0]

    def _line(self) -> Document:
        return {
            "line_id": self._line_id(),
            "citizen_id": self.id,
            "occurred_at": self._campaign.moment(self._chance).isoformat(),
            "campaign": self._campaign.id,
        }

    def _line_id(self) -> str:
        return f"{self._number}/{len(self.history) + 1}"

    def _intakes(self) -> Document:
        chance = self._chance
        return self._line() | {
            "level": chance.choices((1, 2), (6, 4))[0],
            "residence_unit": self._unit(),
            "collecting_unit": self._unit(),
            "channel": chance.choice(_CHANNELS),
            "cohorts": chance.sample(_COHORTS, chance.choice((0, 0, 1, 2))),
        }

    def _approvals(self) -> Document:
        if self._chance.random() < 0.8:
            return self._line() | {"decision": "approved"}
        return self._line() | {"decision": "rejected", "reason": "photo_unclear"}

    def _amendments(self) -> Document:
        chance = self._chance
        kind = chance.choices(("move", "correct", "void"), (50, 35, 15))[0]
        line = self._line() | {"kind": kind, "reason": "data_entry_error"}
        if kind == "move":
            return line | {"residence_unit": self._unit()}
        if kind == "void":
            return line
        right = {
            "level": chance.choice((1, 2)),
            "residence_unit": self._unit(),
            "collecting_unit": self._unit(),
            "channel": chance.choice(_CHANNELS),
            "cohorts": chance.sample(_COHORTS, 1),
        }
        return line | {name: right[name] for name in chance.sample(sorted(right), chance.choice((1, 2)))}

    def _activations(self) -> Document:
        chance = self._chance
        results = ("succeeded", "failed", "deactivated", "reactivated")
        result = chance.choices(results, (55, 15, 18, 12))[0]
        line = self._line() | {"result": result}
        if result == "failed":
            line["reason"] = chance.choice(_FAILURES)
        if chance.random() < 0.5:
            line |= {"collecting_unit": self._unit(), "channel": chance.choice(_CHANNELS)}
        return line

    def _unit(self) -> str:
        # A tenth of the communes gets half of the citizens: counters that everybody writes to.
        communes = self._campaign.communes
        few = communes[: max(1, len(communes) // 10)]
        return self._chance.choice(few if self._chance.random() < 0.5 else communes)


def closing_time(now: datetime, seconds: float) -> datetime:
    """A time of the business day of `now` at which to close it, some `seconds` from now unless it ends before."""
    local = now.astimezone(_VIETNAM)
    midnight = datetime.combine(local.date() + timedelta(days=1), datetime.min.time(), _VIETNAM)
    return min(local + timedelta(seconds=seconds), midnight - timedelta(seconds=1))

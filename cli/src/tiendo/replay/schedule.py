"""What is sent on each day, in order: phases of lines, written lazily from the plan of lives.

A phase may be sent in any order and concurrently; the phases of intake follow each other, and a day is
finished before the next begins. Line numbers are fixed beforehand, so that the same seed says the same again.
"""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from random import Random
from typing import Literal

from tiendo.replay.campaigns.campaign import CHANNELS, COHORTS
from tiendo.replay.citizens import (
    ACTIVATE,
    ACTIVATIONS,
    AMENDMENTS,
    APPROVALS,
    COLLECTING,
    COLLECTING_MASK,
    CONTACT,
    CONTACT_MASK,
    CORRECT,
    DEACTIVATE,
    FAIL,
    FIRST_LEVEL,
    HOME,
    HOME_NOW,
    INTAKE,
    INTAKES,
    MOVE,
    PHASES,
    REJECT,
    REPEAT_ACTIVATION,
    REPEATED_ACTIVATIONS,
    REPEATED_APPROVALS,
    REPEATS,
    TRUE_LEVEL,
    UNIT_MASK,
    UPGRADE,
    Lives,
    day_of,
    is_unaided,
)
from tiendo.replay.malformed import (
    ACTIVATION_MISTAKES,
    AMENDMENT_MISTAKES,
    APPROVAL_MISTAKES,
    INTAKE_MISTAKES,
    Draft,
)

ACCEPTED, DUPLICATE, REJECTED = range(3)
ANSWERS = ("accepted", "duplicate", "rejected")

Service = Literal["intake", "activation"]

# Phase -> the service, its endpoint, which of the two provincial systems sends, the mistakes mixed in.
_ENDPOINTS: tuple[tuple[Service, str, int], ...] = (
    ("intake", "/v1/intakes", 0),
    ("intake", "/v1/intakes", 1),
    ("intake", "/v1/amendments", 0),
    ("intake", "/v1/approvals", 0),
    ("activation", "/v1/activations", 0),
    ("intake", "/v1/approvals", 1),
    ("activation", "/v1/activations", 1),
)
_DUPLICATES = (REPEATS, REPEATED_APPROVALS, REPEATED_ACTIVATIONS)
_MISTAKES = (
    INTAKE_MISTAKES,
    INTAKE_MISTAKES,
    AMENDMENT_MISTAKES,
    APPROVAL_MISTAKES,
    ACTIVATION_MISTAKES,
    APPROVAL_MISTAKES,
    ACTIVATION_MISTAKES,
)

# Hours of the day by phase (first, last + 1, in seconds): what depends on another fact comes after it.
_HOURS = ((7, 16), (7, 16), (16, 17), (16, 18), (18, 20), (16, 18), (18, 20))
_TIMES = 4096

_REJECTIONS = ("photo_unclear", "fingerprints_unclear", "data_mismatch", "card_expired")
_VOIDS = ("wrong_person", "duplicate")
_FAILURES = ("old_device", "old_device", "no_smartphone", "phone_not_owned", "network", "other")


@dataclass(frozen=True, slots=True)
class Chunk:
    """Lines for one request (or, singly, for one each) and the answer that each must get."""

    service: Service
    path: str
    system: int
    lines: list[str]
    expected: bytearray
    singly: bool = False

    def body(self) -> bytes:
        """The lines as NDJSON; latin-1 keeps plain lines as they are and lets one mistake not be UTF-8."""
        return ("\n".join(self.lines) + "\n").encode("latin-1")


@dataclass(frozen=True, slots=True)
class Phase:
    """Lines whose order among themselves doesn't matter."""

    schedule: "Schedule"
    slot: int
    kind: int
    first_line: int
    malformed: int

    @property
    def service(self) -> Service:
        """The service that these lines go to."""
        return _ENDPOINTS[self.kind][0]

    @property
    def size(self) -> int:
        """How many lines there are, malformed ones included."""
        return len(self.schedule.lives.events[self.slot][self.kind]) + self.malformed

    def chunks(self, size: int) -> Iterator[Chunk]:
        """The lines in requests of about `size`; a few are taken out to be sent singly at the end."""
        return self.schedule.chunks(self, size)


@dataclass(frozen=True, slots=True)
class Round:
    """Phases that are sent at one time."""

    at: datetime
    phases: list[Phase]


@dataclass(frozen=True, slots=True)
class SendingDay:
    """One sending day: rounds that follow each other. There is one; on the eve there are more, and after midnight the
    night shift's."""

    day: date
    rounds: list[Round]

    @property
    def size(self) -> int:
        """Lines of the day."""
        return sum(phase.size for round_ in self.rounds for phase in round_.phases)


class Schedule:
    """All lines of a campaign for one seed, by sending day."""

    def __init__(self, lives: Lives) -> None:
        self.lives = lives
        campaign = lives.campaign
        self._mistakes_share = campaign.simulation.malformed
        self._singly = campaign.simulation.singly
        self._dates = {
            day: day_of(campaign, day).isoformat()
            for day in range(-max(1, campaign.simulation.baseline_days) - 1, lives.last + 2)
        }
        self._end = f'","campaign":"{campaign.id}"}}'
        rng = Random(f"{campaign.id}/{lives.seed}/times")
        self._times = [
            [time + self._end for time in self._hours(rng, first * 3600, last * 3600)]
            for first, last in _HOURS
        ]
        sent = campaign.night_sent_at(campaign.first_day)
        self._night_times = (
            self._hours(rng, 0, sent.hour * 3600 + sent.minute * 60) if campaign.nights else []
        )
        self._collected = [
            f'{code}","team":"{code}-{1 + i % 3}' if i % 2 else code
            for i, code in enumerate(lives.unit_codes[: COLLECTING_MASK + 1])
        ]
        self._contacts = [
            f'"channel":"{CHANNELS[contact & 3]}","cohorts":['
            + ",".join(f'"{cohort}"' for bit, cohort in enumerate(COHORTS) if contact >> 2 >> bit & 1)
            + '],"occurred_at":"'
            for contact in range(CONTACT_MASK + 1)
        ]
        self._writers: tuple[Callable[[array[int], int, int], list[str]], ...] = (
            self._intakes,
            self._repeats,
            self._amendments,
            self._approvals,
            self._activations,
            self._approvals,
            self._activations,
        )
        self.days = self._number_lines()

    @staticmethod
    def _hours(rng: Random, first: int, last: int) -> list[str]:
        seconds = (rng.randrange(first, last) for _ in range(_TIMES))
        return [f"T{s // 3600:02d}:{s // 60 % 60:02d}:{s % 60:02d}+07:00" for s in seconds]

    def _number_lines(self) -> list[SendingDay]:
        lives = self.lives
        numbered = {(service, system): 1 for service, _, system in _ENDPOINTS}
        days: list[SendingDay] = []
        for slot, day in enumerate(lives.slot_days):
            phases = []
            for kind in range(PHASES):
                events = len(lives.events[slot][kind])
                if not events:
                    continue
                rng = Random(f"{lives.campaign.id}/{lives.seed}/{slot}/{kind}")
                malformed = int(events * self._mistakes_share + rng.random())
                service, _, system = _ENDPOINTS[kind]
                phases.append(Phase(self, slot, kind, numbered[service, system], malformed))
                numbered[service, system] += events + malformed
            campaign, on = lives.campaign, day_of(lives.campaign, day)
            at = campaign.night_sent_at(on) if lives.is_night(slot) else campaign.sent_at(on)
            if not days or days[-1].day != on:
                days.append(SendingDay(on, []))
            days[-1].rounds.append(Round(at, phases))
        return days

    def chunks(self, phase: Phase, size: int) -> Iterator[Chunk]:
        """See Phase.chunks."""
        events = self.lives.events[phase.slot][phase.kind]
        service, path, system = _ENDPOINTS[phase.kind]
        answer = DUPLICATE if phase.kind in _DUPLICATES else ACCEPTED
        rng = Random(f"{self.lives.campaign.id}/{self.lives.seed}/{phase.slot}/{phase.kind}/order")
        places = sorted(rng.randrange(len(events)) for _ in range(phase.malformed))
        alone: list[str] = []
        alone_expected = bytearray()
        for start in range(0, len(events), size):
            part = events[start : start + size]
            lines = self._writers[phase.kind](part, phase.slot, phase.first_line + start)
            expected = bytearray([answer]) * len(lines)
            # From the back, so that the places before stay where they are; never first, since a body that
            # begins with a bracket is refused as a whole.
            here = [i for i, place in enumerate(places) if start <= place < start + size]
            for i in reversed(here):
                place = max(1, places[i] - start)
                lines.insert(place, self._mistake(phase, len(events) + i, rng))
                expected.insert(place, REJECTED)
            for _ in range(min(len(lines) - 1, int(len(lines) * self._singly + rng.random()))):
                chosen = rng.randrange(1, len(lines))
                alone.append(lines.pop(chosen))
                alone_expected.append(expected.pop(chosen))
            yield Chunk(service, path, system, lines, expected)
        if alone:
            yield Chunk(service, path, system, alone, alone_expected, singly=True)

    def _mistake(self, phase: Phase, number: int, rng: Random) -> str:
        lives = self.lives
        campaign = lives.campaign
        line_id = phase.first_line + number
        draft = Draft(
            line_id,
            line_id,
            f"0{campaign.province}",
            lives.unit_codes[0],
            day_of(campaign, lives.slot_days[phase.slot]),
            campaign.id,
        )
        mistakes = _MISTAKES[phase.kind]
        return mistakes[rng.randrange(len(mistakes))](draft)

    # -- one writer a phase: these run once a line, so they are plain and unrolled ------------------------

    def _when(self, slot: int, kind: int) -> tuple[list[str], list[str]]:
        """The dates of a sending day and of those before it, by how many days late a line is; and what follows a date,
        up to the line's end. Of a night it is the date after its day, which the line names, too."""
        sent = self.lives.slot_days[slot]
        if self.lives.is_night(slot):
            end = f'","working_day":"{self._dates[sent]}{self._end}'
            return [self._dates[sent + 1]], [time + end for time in self._night_times]
        return [self._dates[day] for day in range(sent, min(self._dates) - 1, -1)], self._times[kind]

    def _intakes(self, events: "array[int]", slot: int, line: int) -> list[str]:
        numbers, traits, units = self.lives.numbers, self.lives.traits, self.lives.unit_codes
        collected, contacts = self._collected, self._contacts
        days, times = self._when(slot, INTAKES)
        lines = []
        for line_id, event in enumerate(events, line):
            citizen, kind = event >> 16, event & 31
            number, trait = numbers[citizen], traits[citizen]
            if kind == INTAKE:
                level, home = (trait >> FIRST_LEVEL & 1) + 1, trait & UNIT_MASK
            else:
                level = 2 if kind == UPGRADE else (trait >> TRUE_LEVEL & 1) + 1
                home = trait >> HOME_NOW & UNIT_MASK
            lines.append(
                f'{{"line_id":"{line_id}","citizen_id":"{number:012d}","level":{level},'
                f'"residence_unit":"{units[home]}",'
                f'"collecting_unit":"{collected[trait >> COLLECTING & COLLECTING_MASK]}",'
                f"{contacts[trait >> CONTACT & CONTACT_MASK]}"
                f"{days[event >> 5 & 2047]}{times[number + kind & 4095]}"
            )
        return lines

    def _repeats(self, events: "array[int]", slot: int, line: int) -> list[str]:
        """The second system's account of the same taking: three in ten differ in a field."""
        numbers, traits, units = self.lives.numbers, self.lives.traits, self.lives.unit_codes
        collected, contacts = self._collected, self._contacts
        days, times = self._when(slot, REPEATS)
        residents = len(self.lives.campaign.communes)
        lines = []
        for line_id, event in enumerate(events, line):
            citizen = event >> 16
            number, trait = numbers[citizen], traits[citizen]
            contact, collecting = trait >> CONTACT & CONTACT_MASK, trait >> COLLECTING & COLLECTING_MASK
            differs = number // 7 % 20
            if differs < 3:
                contact ^= 1
            elif differs < 6:
                collecting = (collecting + 1) % residents
            lines.append(
                f'{{"line_id":"{line_id}","citizen_id":"{number:012d}",'
                f'"level":{(trait >> FIRST_LEVEL & 1) + 1},'
                f'"residence_unit":"{units[trait >> HOME & UNIT_MASK]}",'
                f'"collecting_unit":"{collected[collecting]}",'
                f"{contacts[contact]}{days[event >> 5 & 2047]}{times[number & 4095]}"
            )
        return lines

    def _amendments(self, events: "array[int]", slot: int, line: int) -> list[str]:
        numbers, traits, units = self.lives.numbers, self.lives.traits, self.lives.unit_codes
        days, times = self._when(slot, AMENDMENTS)
        lines = []
        for line_id, event in enumerate(events, line):
            citizen, kind = event >> 16, event & 31
            number, trait = numbers[citizen], traits[citizen]
            if kind == MOVE:
                home = units[trait >> HOME_NOW & UNIT_MASK]
                what = f'"kind":"move","residence_unit":"{home}","reason":"moved"'
            elif kind == CORRECT:
                what = f'"kind":"correct","level":{(trait >> TRUE_LEVEL & 1) + 1},"reason":"wrong_level"'
            else:
                what = f'"kind":"void","reason":"{_VOIDS[number & 1]}"'
            lines.append(
                f'{{"line_id":"{line_id}","citizen_id":"{number:012d}",{what},'
                f'"occurred_at":"{days[event >> 5 & 2047]}{times[number + kind & 4095]}'
            )
        return lines

    def _approvals(self, events: "array[int]", slot: int, line: int) -> list[str]:
        numbers, (days, times) = self.lives.numbers, self._when(slot, APPROVALS)
        lines = []
        for line_id, event in enumerate(events, line):
            number = numbers[event >> 16]
            approved = event & 31 != REJECT
            what = '"approved"' if approved else f'"rejected","reason":"{_REJECTIONS[number & 3]}"'
            lines.append(
                f'{{"line_id":"{line_id}","citizen_id":"{number:012d}","decision":{what},'
                f'"occurred_at":"{days[event >> 5 & 2047]}{times[number + event & 4095]}'
            )
        return lines

    def _activations(self, events: "array[int]", slot: int, line: int) -> list[str]:
        numbers, traits, collected = self.lives.numbers, self.lives.traits, self._collected
        days, times = self._when(slot, ACTIVATIONS)
        lines = []
        for line_id, event in enumerate(events, line):
            citizen, kind = event >> 16, event & 31
            number, trait = numbers[citizen], traits[citizen]
            if kind in (ACTIVATE, REPEAT_ACTIVATION):
                what = '"succeeded"'
            elif kind == FAIL:
                what = f'"failed","reason":"{_FAILURES[number % len(_FAILURES)]}"'
            else:
                what = '"deactivated"' if kind == DEACTIVATE else '"reactivated"'
            helped = ""
            if not is_unaided(number, kind):
                helped = (
                    f',"collecting_unit":"{collected[trait >> COLLECTING & COLLECTING_MASK]}",'
                    f'"channel":"{CHANNELS[trait >> CONTACT & 3]}"'
                )
            lines.append(
                f'{{"line_id":"{line_id}","citizen_id":"{number:012d}","result":{what}{helped},'
                f'"occurred_at":"{days[event >> 5 & 2047]}{times[number + kind & 4095]}'
            )
        return lines

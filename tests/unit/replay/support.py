"""What the replay's tests share: the campaign files of the repository, and a run through the plain model."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from pathlib import Path
from random import Random

from tests.unit.replay.plain_model import Register
from tiendo.replay.campaigns.campaign import Campaign
from tiendo.replay.campaigns.reading import find_campaign, load_campaign
from tiendo.replay.citizens import Lives
from tiendo.replay.schedule import ANSWERS, Schedule

FOLDER = Path(__file__).parents[3] / "data"
#: Whose counts of accounts were published, and all that there are.
REPORTED = ("kon-tum-2023", "binh-phuoc-2023")
CAMPAIGNS = (*REPORTED, "bac-lieu-2023", "dien-bien-2023", "quang-binh-2023")


@cache
def campaign(name: str, scale: float = 0.02) -> Campaign:
    return load_campaign(find_campaign(name, FOLDER), FOLDER, scale=scale)


@dataclass
class Run:
    """A replay sent to the plain model."""

    campaign: Campaign
    register: Register
    lines: int = 0
    expected: Counter[str] = field(default_factory=Counter)
    late: int = 0
    singly: int = 0
    surprises: list[tuple[str, str, str]] = field(default_factory=list)

    @property
    def last_day(self) -> str:
        return self.campaign.figures_as_of.isoformat()

    @property
    def eve(self) -> str:
        return (self.campaign.first_day - timedelta(days=1)).isoformat()


def run(campaign: Campaign, seed: int, *, shuffled: bool = False, size: int = 500) -> Run:
    """Send everything in order; `shuffled`: in the worst order that concurrency allows."""
    births = set(campaign.birth_provinces)
    done = Run(campaign, Register(set(campaign.units.by_code), campaign.id, births))
    order = Random(seed)
    for day in Schedule(Lives(campaign, seed)).days:
        for round_ in day.rounds:
            now, phases = round_.at.isoformat(), round_.phases
            if shuffled:  # activations are sent beside the phases of intake
                phases = sorted(phases, key=lambda phase: phase.service)
            for phase in phases:
                chunks = list(phase.chunks(size))
                if shuffled:
                    order.shuffle(chunks)
                assert sum(len(chunk.lines) for chunk in chunks) == phase.size
                for chunk in chunks:
                    done.singly += len(chunk.lines) if chunk.singly else 0
                    pairs = list(zip(chunk.lines, chunk.expected, strict=True))
                    if shuffled:
                        order.shuffle(pairs)
                    for line, code in pairs:
                        expected = ANSWERS[code]
                        raw = line.encode("latin-1")
                        answer = done.register.answer(chunk.service, chunk.path, chunk.system, raw, now)
                        done.lines += 1
                        done.expected[expected] += 1
                        if answer != expected and len(done.surprises) < 10:
                            done.surprises.append((line, expected, answer))
                        if expected == "accepted" and f'"occurred_at":"{now[:10]}' not in line:
                            done.late += 1
    return done

"""What follows from a try to deliver: done, again later, or never again.

Durable retries over about a day: 1 s, 5 s, 30 s, 2 min, 10 min, 30 min, then 1, 2, 4, 6 and 9 hours, each
stretched by up to a fifth at random so that those who failed together do not return together.
"""

from dataclasses import dataclass
from typing import Literal

BACKOFF = (1, 5, 30, 120, 600, 1_800, 3_600, 7_200, 14_400, 21_600, 32_400)
JITTER = 0.2
#: A receiver may ask for patience, but not for more than a day of it.
LONGEST_WAIT = 86_400.0

#: A destination that fails is left alone for so many seconds, the longer the more tries in a row have failed; one that
#: asks for patience, for as long as it asks.
PAUSES = (1.0, 5.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a try brought: a status, or the reason why there is none; neither, where the channel has no
    status and took it. `retry_after` in seconds. `lasting`: the receiver will not take it later either. `gone`: nor
    anything else."""

    status: int | None = None
    error: str | None = None
    retry_after: float | None = None
    lasting: bool = False
    gone: bool = False

    @property
    def taken(self) -> bool:
        """Whether the receiver has it."""
        return self.error is None and (self.status is None or 200 <= self.status < 300)


@dataclass(frozen=True, slots=True)
class Verdict:
    """`delivered`; `again` after `wait` seconds; `failed` for good; `gone`: nobody is there any more."""

    state: Literal["delivered", "again", "failed", "gone"]
    reason: str | None = None
    wait: float = 0.0


def pauses(answer: Answer) -> tuple[float, ...]:
    """For how long the destination is left alone after this answer, by how many in a row have failed."""
    return tuple(min(max(each, answer.retry_after or 0.0), LONGEST_WAIT) for each in PAUSES)


def verdict(answer: Answer, attempt: int, chance: float) -> Verdict:
    """What follows from the answer to the `attempt`-th try (from 1); `chance` in [0, 1) spreads retries."""
    if answer.taken:
        return Verdict("delivered")
    reason = answer.error or f"the receiver answered {answer.status}"
    if answer.gone:
        return Verdict("gone", reason)
    if answer.lasting:
        return Verdict("failed", reason)
    if attempt > len(BACKOFF):
        return Verdict("failed", f"given up after {attempt} tries: {reason}")
    wait = BACKOFF[attempt - 1] * (1 + JITTER * chance)
    return Verdict("again", reason, min(max(wait, answer.retry_after or 0.0), LONGEST_WAIT))

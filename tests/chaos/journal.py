"""The client's journal: every answered line, written down and flushed before it counts as answered."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.chaos.lives import Document, Kind, Life, Outcome

#: Which service takes a kind of line in.
SERVICE_OF: dict[Kind, str] = {
    "intakes": "intake",
    "approvals": "intake",
    "amendments": "intake",
    "activations": "activation",
}


@dataclass(frozen=True)
class Entry:
    """A line and what it was answered. `answers` has two of them where it was sent twice at once; `sent` counts
    requests that carried it, answered or not."""

    kind: Kind
    line: Document
    answers: tuple[Outcome, ...]
    sent: int
    problem: str = ""

    @property
    def line_id(self) -> str:
        return str(self.line["line_id"])

    def agrees(self, expected: Outcome) -> bool:
        """Whether the answers are what a line must get that was to be answered so, were it sent once."""
        allowed = {"accepted": {"accepted", "duplicate"}}.get(expected, {expected})
        if not set(self.answers) <= allowed or self.answers.count("accepted") > 1:
            return False
        # Sent once, or answered every time that it was sent: then one of the answers is the real one.
        return expected in self.answers or self.sent > len(self.answers)


class Journal:
    """Appends to a file. A request counts as acknowledged once its entries are there."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.requests = 0
        self.lines = 0
        self.repeats = 0
        self.duplicates = 0
        self.rejected = 0
        self._stream = file.open("w", encoding="utf-8")

    def acknowledge(self, entries: Iterable[Entry], requests: int = 1) -> None:
        """Write down what was answered to one request, or to two of the same at once."""
        for entry in entries:
            self._stream.write(
                json.dumps([entry.kind, entry.line, entry.answers, entry.sent, entry.problem]) + "\n"
            )
            self.lines += 1
            self.repeats += entry.sent > len(entry.answers)
            self.duplicates += "duplicate" in entry.answers
            self.rejected += "rejected" in entry.answers
        self._stream.flush()
        self.requests += requests

    def close(self) -> None:
        self._stream.close()


def read(file: Path) -> Iterator[Entry]:
    """The entries, in the order in which they were acknowledged."""
    with file.open(encoding="utf-8") as stream:
        for text in stream:
            kind, line, answers, sent, problem = json.loads(text)
            yield Entry(kind, line, tuple(answers), sent, problem)


@dataclass(frozen=True)
class Account:
    """What a journal comes to: each citizen's life, what is to be on record of each line, and the answers that
    are not what the rules say."""

    lives: dict[str, Life]
    lines: dict[str, dict[str, Outcome]]
    attempts: int
    surprises: list[str]


def account(entries: Iterable[Entry]) -> Account:
    """Live through a journal. One citizen's lines are there in the order in which they were accepted, since
    the client has one of them under way at a time."""
    lives: dict[str, Life] = {}
    lines: dict[str, dict[str, Outcome]] = {"intake": {}, "activation": {}}
    surprises: list[str] = []
    for entry in entries:
        life = lives.setdefault(entry.line["citizen_id"], Life())
        expected = life.take(entry.kind, entry.line)
        if not entry.agrees(expected):
            surprises.append(
                f"{entry.kind} {entry.line_id}: expected {expected}, answered {'/'.join(entry.answers)} "
                f"(sent {entry.sent}×) {entry.problem}".rstrip()
            )
        ids = lines[SERVICE_OF[entry.kind]]
        if entry.line_id in ids:
            surprises.append(f"{entry.kind} {entry.line_id} is in the journal twice")
        ids[entry.line_id] = expected
    return Account(lives, lines, sum(len(life.attempts) for life in lives.values()), surprises)

"""`tiendo dead-letters`: events that a service could not read, until somebody replays or discards them.

Each service keeps its own; here a letter is called by both, like `aggregator/17`.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx2
import typer
from rich.table import Table as Grid
from rich.text import Text

from tiendo.desk import wide_console
from tiendo.errors import Refused
from tiendo.folders import default_data
from tiendo.instance import Instance, attach

app = typer.Typer(help="Events that a service could not read.", no_args_is_help=True)

_PATH = "/v1/dead-letters"
#: Letters that are settled in one request: some seconds' work.
_AT_A_TIME = 200
#: Letters of a page.
_PAGE = 500
_MOST = 2**63 - 1

Data = Annotated[Path, typer.Option("--data", help="Data folder.", default_factory=default_data)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
Name = Annotated[str, typer.Argument(metavar="SERVICE/ID", help="A letter, like aggregator/17.")]
Names = Annotated[list[str] | None, typer.Argument(metavar="SERVICE/ID", help="Letters, like aggregator/17.")]
All = Annotated[bool, typer.Option("--all", help="All that wait, of the consumer that --consumer names.")]
Consumer = Annotated[
    str | None,
    typer.Option(
        "--consumer", metavar="[SERVICE/]NAME", help="A consumer, like aggregator/totals or totals."
    ),
]
Shown = Literal["waiting", "replayed", "discarded", "all"]


@dataclass(frozen=True)
class _Letter:
    """Whose letter, and which."""

    service: str
    number: int

    def __str__(self) -> str:
        return f"{self.service}/{self.number}"


@dataclass(frozen=True)
class _Outcome:
    """What became of a letter; `problem` as the service put it."""

    letter: _Letter
    state: str | None
    problem: dict[str, Any] | None = None


@app.command("list")
def list_(
    data: Data,
    consumer: Consumer = None,
    state: Annotated[Shown, typer.Option("--state", help="Which.")] = "waiting",
    limit: Annotated[
        int, typer.Option("--limit", min=1, help="At most so many, the oldest of each service.")
    ] = 100,
    json_: AsJson = False,
) -> None:
    """Dead letters of all services, oldest first."""
    with _desk(data) as desk:
        wanted = {} if consumer is None else {"consumer": desk.consumer(consumer)[1]}
        services = desk.services if consumer is None else [desk.consumer(consumer)[0]]
        if state != "all":
            wanted["state"] = state
        letters: list[dict[str, Any]] = []
        waiting: dict[str, int] = {}
        more = False
        for service in services:
            found, more_here, counts = desk.read(service, wanted, limit)
            letters += found
            more = more or more_here
            waiting |= {f"{service}/{name}": n for name, n in counts.items()}
    if json_:
        _print_json({"letters": letters, "more": more, "waiting": waiting})
    else:
        _print_list(letters, waiting, more=more)


@app.command()
def show(letter: Name, data: Data, json_: AsJson = False) -> None:
    """One dead letter with its body, which may hold the keyed hash of a citizen."""
    with _desk(data) as desk:
        which = desk.letter(letter)
        found = desk.get(which.service, f"{_PATH}/{which.number}")
    if json_:
        _print_json({"letter": letter} | found)
    else:
        _print_letter(which, found)


@app.command()
def replay(
    data: Data, letters: Names = None, all_: All = False, consumer: Consumer = None, json_: AsJson = False
) -> None:
    """Give dead letters their effects after all, once the installed build can read them.

    Exit status 1 if any stays as it was.
    """
    _settle(data, "replay", letters or [], {}, all_=all_, consumer=consumer, json_=json_)


@app.command()
def discard(
    data: Data,
    reason: Annotated[
        str, typer.Option("--reason", help="Why they need not take effect. Kept; no person's name or number.")
    ],
    letters: Names = None,
    all_: All = False,
    consumer: Consumer = None,
    json_: AsJson = False,
) -> None:
    """Discard dead letters for good: they will never take effect. Exit status 1 if any stays as it was."""
    if not reason.strip():
        raise Refused("A reason is needed.", remedy="Say in --reason why they need not take effect.")
    _settle(data, "discard", letters or [], {"reason": reason}, all_=all_, consumer=consumer, json_=json_)


class _Desk:
    """HTTP to the services of the running instance, as its admin."""

    def __init__(self, instance: Instance, client: httpx2.Client) -> None:
        self._instance = instance
        self._client = client

    @property
    def services(self) -> list[str]:
        return list(self._instance.services)

    def letter(self, text: str) -> _Letter:
        """Raises Refused for what is no letter's name."""
        service, slash, number = text.partition("/")
        if not slash or not (number.isascii() and number.isdecimal()) or not 0 < int(number[:20]) <= _MOST:
            raise Refused(f"{text!r} is no dead letter.", remedy="Name service and id, like aggregator/17.")
        return _Letter(self._service(service), int(number))

    def consumer(self, text: str) -> tuple[str, str]:
        """Its service and its name. Without a service, the one that runs a consumer of this name."""
        service, slash, name = text.rpartition("/")
        if slash:
            return self._service(service), name
        running = [
            (service, found)
            for service in self.services
            for found in self.get(service, "/v1/positions")["consumers"]
        ]
        for service, found in running:
            if found == name:
                return service, name
        raise Refused(
            f"No service runs a consumer {name!r}.",
            remedy=f"Choose one of {', '.join(f'{service}/{found}' for service, found in running)}.",
        )

    def read(
        self, service: str, wanted: dict[str, str], limit: int
    ) -> tuple[list[dict[str, Any]], bool, dict[str, int]]:
        """Up to `limit` letters of a service, whether there are more, and how many wait by consumer."""
        letters: list[dict[str, Any]] = []
        counts: dict[str, int] = {}
        after: int | None = 0
        while after is not None and len(letters) < limit:
            asked = {**wanted, "after": str(after), "limit": str(min(_PAGE, limit - len(letters)))}
            answer = self._send("GET", service, _PATH, params=asked)
            if _is_no_route(answer):
                break
            page = self._document(answer, service, _PATH)
            letters += [{"letter": f"{service}/{each['id']}", **each} for each in page["letters"]]
            after, counts = page["next_after"], page["waiting"]
        return letters, after is not None and len(letters) >= limit, counts

    def settle(self, letter: _Letter, how: str, said: dict[str, str]) -> _Outcome:
        """What became of one letter. Raises Refused if the request itself was not understood or not allowed."""
        path = f"{_PATH}/{letter.number}/{how}"
        answer = self._send("POST", letter.service, path, json=said or None)
        if answer.status_code in (404, 409) and not _is_no_route(answer):
            return _Outcome(letter, None, _problem(answer))
        return _Outcome(letter, self._document(answer, letter.service, path)["state"])

    def settle_all(self, consumer: str, how: str, said: dict[str, str]) -> Iterator[_Outcome]:
        """The same for all letters of a consumer that wait, some at a time."""
        service, name = self.consumer(consumer)
        path = f"{_PATH}/{how}"
        after: int | None = 0
        while after is not None:
            wanted = {"consumer": name, "limit": _AT_A_TIME, "after": after, **said}
            page = self._document(self._send("POST", service, path, json=wanted), service, path)
            for each in page["outcomes"]:
                yield _Outcome(_Letter(service, each["id"]), each["state"], each["problem"])
            after = page["next_after"]

    def get(self, service: str, path: str) -> dict[str, Any]:
        """What a GET answers. Raises Refused."""
        return self._document(self._send("GET", service, path), service, path)

    def _service(self, name: str) -> str:
        if name not in self._instance.services:
            raise Refused(
                f"There is no service {name!r}.", remedy=f"Choose one of {', '.join(self.services)}."
            )
        return name

    def _send(self, method: str, service: str, path: str, **more: Any) -> httpx2.Response:
        try:
            return self._client.request(method, self._instance.url(service) + path, **more)
        except httpx2.TransportError as problem:
            raise Refused(
                f"{service} does not answer ({type(problem).__name__}).",
                remedy="See `tiendo doctor`; then run the same command again: what is settled stays so.",
            ) from problem

    @staticmethod
    def _document(answer: httpx2.Response, service: str, path: str) -> dict[str, Any]:
        if answer.is_success:
            document: dict[str, Any] = answer.json()
            return document
        problem = _problem(answer)
        if _is_no_route(answer):
            raise Refused(
                f"{service} has no consumers, hence no dead letters.",
                remedy="tiendo dead-letters list --state all shows which there are.",
            )
        raise Refused(
            f"{service} answered {answer.status_code}: {_plain(problem.get('detail') or path)}",
            remedy=_remedy(problem, "See its log."),
        )


@contextmanager
def _desk(data: Path) -> Iterator[_Desk]:
    instance = attach(data)
    if instance is None:
        raise Refused(f"Tiendo does not run on {data}.", remedy=f"Start it: tiendo up --data {data}")
    timeout = httpx2.Timeout(120, connect=5)
    with httpx2.Client(timeout=timeout, trust_env=False, headers=instance.headers) as client:
        yield _Desk(instance, client)


def _settle(
    data: Path,
    how: Literal["replay", "discard"],
    names: Sequence[str],
    said: dict[str, str],
    *,
    all_: bool,
    consumer: str | None,
    json_: bool,
) -> None:
    if all_ == bool(names) or all_ != (consumer is not None):
        raise Refused(
            "It is not clear which letters are meant.",
            remedy=f"tiendo dead-letters {how} SERVICE/ID..., or: --all --consumer NAME",
        )
    with _desk(data) as desk:
        if consumer is not None:
            outcomes = list(desk.settle_all(consumer, how, said))
        else:
            # All names are looked at before the first is settled.
            outcomes = [desk.settle(letter, how, said) for letter in [desk.letter(name) for name in names]]
    refused = [outcome for outcome in outcomes if outcome.problem is not None]
    if json_:
        letters = [
            {"letter": str(outcome.letter), "state": outcome.state, "problem": outcome.problem}
            for outcome in outcomes
        ]
        _print_json({"letters": letters, "settled": len(outcomes) - len(refused), "refused": len(refused)})
    elif len(outcomes) == len(refused) == 1:
        (only,) = refused
        assert only.problem is not None
        there = "tiendo dead-letters list --state all shows which there are."
        more = f"tiendo dead-letters show {only.letter} says more."
        raise Refused(
            f"{only.letter}: {_plain(only.problem.get('detail', ''))}",
            remedy=_remedy(only.problem, there if only.problem.get("status") == 404 else more),
        )
    else:
        _print_outcomes(outcomes, len(refused))
    if refused:
        raise typer.Exit(1)


def _problem(answer: httpx2.Response) -> dict[str, Any]:
    try:
        document: dict[str, Any] = answer.json()
    except ValueError:
        return {"detail": answer.text[:300]}
    return document


def _is_no_route(answer: httpx2.Response) -> bool:
    """Whether the service knows of no dead letters at all: it has no consumers."""
    return answer.status_code == 404 and _problem(answer).get("type") != "urn:tiendo:problem:not-found"


def _remedy(problem: dict[str, Any], otherwise: str) -> str:
    return _plain(problem.get("remedy") or otherwise)


def _plain(text: object, keep: str = "") -> str:
    """Text that a terminal only prints: what could not be read may hold anything, also commands for it."""
    return "".join(
        letter if letter.isprintable() or letter in keep else letter.encode("unicode_escape").decode()
        for letter in str(text)
    )


def _print_json(document: dict[str, Any]) -> None:
    typer.echo(json.dumps(document, ensure_ascii=False))


def _place(letter: dict[str, Any]) -> str:
    sequence, offset = letter["sequence"], letter["offset"]
    within = f"@{sequence}" if sequence is not None else f" at the broker's offset {offset}"
    return f"{letter['topic']}/{letter['partition']}{within}"


def _print_list(letters: list[dict[str, Any]], waiting: dict[str, int], *, more: bool) -> None:
    console = wide_console()
    if letters:
        grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0))
        for heading in ("Letter", "Consumer", "Place", "Since", "State", "Bytes"):
            grid.add_column(heading, no_wrap=True)
        grid.add_column("What it is, what is wrong with it", overflow="fold")
        for letter in letters:
            about = [_plain(letter["type"] or "unknown"), _plain(letter["reason"])]
            if letter["note"]:
                about.append(f"{letter['state']} by {_plain(letter['settled_by'])}: {_plain(letter['note'])}")
            grid.add_row(
                Text(letter["letter"]),
                Text(_plain(letter["consumer"])),
                Text(_place(letter)),
                Text(letter["at"][:19].replace("T", " ")),
                Text(letter["state"]),
                Text(f"{letter['size']:,}", justify="right"),
                Text("\n".join(about)),
            )
        console.print(grid)
    if more:
        console.print("There are more: --limit shows more, --json all that is known of each.")
    said = ", ".join(f"{name} {n:,}" for name, n in waiting.items())
    console.print(Text(f"Waiting: {said}" if said else "No dead letter waits."))


def _print_letter(which: _Letter, letter: dict[str, Any]) -> None:
    console = wide_console()
    facts = Grid.grid(padding=(0, 3, 0, 0))
    facts.add_column(no_wrap=True)
    facts.add_column(overflow="fold")
    settled = f" by {letter['settled_by']}, {letter['settled_at']}" if letter["settled_by"] else ""
    rows = {
        "Letter": str(which),
        "Consumer": letter["consumer"],
        "Place": _place(letter),
        "Event": f"{letter['type'] or 'unknown'}, id {letter['event_id'] or 'unknown'}",
        "What is wrong": letter["reason"],
        "Since": letter["at"],
        "State": f"{letter['state']}{settled}",
        "Note": letter["note"],
    }
    for name, value in rows.items():
        if value is not None:
            facts.add_row(name, Text(_plain(value)))
    body = letter["body"]
    cut = f", of which the last {body['cut']:,} are not shown" if body["cut"] else ""
    facts.add_row("Body", f"{letter['size']:,} bytes as {body['encoding']}{cut}:")
    console.print(facts)
    # Not through rich: it would break lines.
    typer.echo(_plain(body["content"], keep="\n\t"))


def _print_outcomes(outcomes: Sequence[_Outcome], refused: int) -> None:
    console = wide_console()
    if not outcomes:
        console.print("No dead letter of it waits.")
        return
    grid = Grid("Letter", "", "", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for outcome in outcomes:
        if outcome.problem is None:
            grid.add_row(str(outcome.letter), Text(str(outcome.state), style="green"), "")
        else:
            detail, remedy = outcome.problem.get("detail", ""), _remedy(outcome.problem, "")
            said = Text(f"{_plain(detail)} {remedy}".strip())
            grid.add_row(str(outcome.letter), Text("refused", style="red"), said)
    console.print(grid)
    if len(outcomes) > 1:
        console.print(f"{len(outcomes) - refused:,} settled, {refused:,} as they were")

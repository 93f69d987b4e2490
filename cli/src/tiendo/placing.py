"""`tiendo place`: let intake part the records of communes that a reorganisation divides by share."""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import httpx2
import typer

from tiendo.errors import Refused
from tiendo.folders import default_data
from tiendo.instance import Instance, attach

#: Seconds that one commune may take: all records are looked through for those who live there.
_PATIENCE = 600


def place(
    reorganisation: Annotated[
        int, typer.Argument(min=1, help="Its id: GET /v1/reorganisations of the aggregator lists them.")
    ],
    data: Annotated[Path, typer.Option("--data", help="Data folder.", default_factory=default_data)],
    undo: Annotated[
        bool, typer.Option("--undo", help="Take the moves back. Do so before the reorganisation is.")
    ] = False,
    json_: Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")] = False,
) -> None:
    """Part the records of divided communes by the agreed shares, each moved on the day. Again, it changes nothing."""
    with _desk(data) as (instance, client):
        found = _asked(client, "GET", f"{instance.url('aggregator')}/v1/reorganisations")
        asked = next((each for each in found["reorganisations"] if each["id"] == reorganisation), None)
        if asked is None:
            raise Refused(
                f"There is no reorganisation {reorganisation}.",
                remedy="GET /v1/reorganisations of the aggregator lists them.",
            )
        if not asked["shares"]:
            raise Refused(
                f"Reorganisation {reorganisation} parts no commune by share.",
                remedy="Give `shares` when it is applied.",
            )
        if asked["undone_at"] is not None and not undo:
            raise Refused(
                f"Reorganisation {reorganisation} was taken back.",
                remedy="Apply it anew: it gets another id.",
            )
        placed = []
        for unit, shares in sorted(asked["shares"].items()):
            path = f"{instance.url('intake')}/v1/placements/{reorganisation}/{unit}"
            if undo:
                placed.append(_asked(client, "DELETE", path))
            else:
                division = {"day": asked["effective_on"], "stays": asked["stays"][unit], "shares": shares}
                placed.append(_asked(client, "PUT", path, division))
    if json_:
        sys.stdout.write(json.dumps({"placements": placed}) + "\n")
        return
    for each in placed:
        parts = ", ".join(f"{unit} {n:,}" for unit, n in each["placed"].items())
        typer.echo(f"{each['unit']}: {'taken back' if each['undone_at'] else parts}")


@contextmanager
def _desk(data: Path) -> Iterator[tuple[Instance, httpx2.Client]]:
    instance = attach(data)
    if instance is None:
        raise Refused(f"Tiendo does not run on {data}.", remedy=f"Start it: tiendo up --data {data}")
    timeout = httpx2.Timeout(_PATIENCE, connect=5)
    with httpx2.Client(timeout=timeout, trust_env=False, headers=instance.headers) as client:
        yield instance, client


def _asked(client: httpx2.Client, method: str, url: str, document: object = None) -> dict[str, Any]:
    """What is answered. Raises Refused, with the problem's own words, for anything but 200."""
    try:
        answer = client.request(method, url, json=document)
    except httpx2.TransportError as error:
        raise Refused(
            f"{url}: {str(error) or type(error).__name__}", remedy="Run it again: what is placed stays so."
        ) from error
    said: dict[str, Any] = answer.json()
    if answer.status_code != 200:
        raise Refused(said.get("detail", answer.text), remedy=said.get("remedy") or "See the service's log.")
    return said

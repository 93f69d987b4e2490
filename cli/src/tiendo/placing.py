"""`tiendo place`: let intake part the records of communes that a reorganisation divides by share."""

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from tiendo.desk import desk
from tiendo.errors import Refused
from tiendo.folders import default_data

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
    with desk(data, _PATIENCE) as ask:
        found = ask("GET", "aggregator", "/v1/reorganisations")
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
            path = f"/v1/placements/{reorganisation}/{unit}"
            if undo:
                placed.append(ask("DELETE", "intake", path))
            else:
                division = {
                    "day": asked["effective_on"],
                    "stays": asked["stays"][unit],
                    "shares": shares,
                    "taken_in": asked["taken_in"][unit],
                }
                placed.append(ask("PUT", "intake", path, json=division))
    if json_:
        sys.stdout.write(json.dumps({"placements": placed}) + "\n")
        return
    for each in placed:
        parts = ", ".join(f"{unit} {n:,}" for unit, n in each["placed"].items())
        typer.echo(f"{each['unit']}: {'taken back' if each['undone_at'] else parts}")

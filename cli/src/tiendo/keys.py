"""`tiendo keys`: who may ask the services what. A key is shown once and stored as its SHA-256 only."""

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table as Grid

from tiendo.errors import Refused
from tiendo.folders import DataFolder, default_data, key_hash, new_api_key

app = typer.Typer(help="API keys of the services.", no_args_is_help=True)

Data = Annotated[Path, typer.Option("--data", help="Data folder.", default_factory=default_data)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@app.command()
def add(
    name: Annotated[str, typer.Argument(help="Whose key it is: a system, a person.")],
    scope: Annotated[
        list[str], typer.Option("--scope", help="May be repeated. An unknown one is answered with the list.")
    ],
    data: Data,
    unit: Annotated[
        list[str] | None,
        typer.Option(
            "--unit",
            help="A unit's code: it acts on this and all below only. May be repeated; none: everywhere.",
        ),
    ] = None,
    json_: AsJson = False,
) -> None:
    """Make a key. It is printed this once; running services know it within a second."""
    # Here, since it brings the whole HTTP framework along: half a second that other commands need not wait.
    from tiendo_common.service.auth import SCOPES, ApiKey

    unknown = sorted(set(scope) - set(SCOPES))
    if unknown:
        raise Refused(f"No such scope: {', '.join(unknown)}.", remedy=f"Scopes are {', '.join(SCOPES)}.")
    key = new_api_key()
    units = sorted(set(unit)) if unit else None
    entry: dict[str, Any] = {"name": name, "sha256": key_hash(key), "scopes": sorted(set(scope))}
    if units is not None:
        entry["units"] = units
    try:
        ApiKey(name, entry["sha256"], frozenset(scope), None if units is None else frozenset(units))
    except ValueError as error:
        raise Refused(
            f"{error}.", remedy="Leave the others out, or make a second key without --unit."
        ) from None
    with _keys(data) as keys:
        if any(each["name"] == name for each in keys):
            raise Refused(
                f"{name} has a key already.",
                remedy=f"Choose another name, or first: tiendo keys revoke {name}",
            )
        keys.append(entry)
    typer.echo(json.dumps({"key": key, **_shown(entry)}) if json_ else key)


@app.command("list")
def list_(data: Data, json_: AsJson = False) -> None:
    """Names, scopes and units of all keys."""
    stored = [_shown(entry) for entry in DataFolder(data).api_keys()]
    if json_:
        typer.echo(json.dumps({"keys": stored}))
        return
    grid = Grid("Name", "Scopes", "Units", box=None, pad_edge=False)
    for key in stored:
        grid.add_row(key["name"], ", ".join(key["scopes"]), ", ".join(key["units"] or ["everywhere"]))
    Console().print(grid)


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="Whose key.")], data: Data) -> None:
    """Take a key back: running services refuse it within seconds."""
    if name == "admin":
        raise Refused(
            "The admin's key is what the commands of tiendo use.",
            remedy="To replace it, stop Tiendo, delete admin.key and start again: another is made.",
        )
    with _keys(data) as keys:
        kept = [entry for entry in keys if entry["name"] != name]
        if len(kept) == len(keys):
            raise Refused(f"{name} has no key.", remedy="tiendo keys list shows who has one.")
        keys[:] = kept
    typer.echo(f"{name} has no key any more.")


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    """A stored key without its hash; `units` null: everywhere."""
    return {"name": entry["name"], "scopes": entry["scopes"], "units": entry.get("units")}


@contextmanager
def _keys(data: Path) -> Iterator[list[dict[str, Any]]]:
    """The stored keys, to be changed in place; written whole at the end, one writer at a time."""
    folder = DataFolder(data)
    folder.make()
    lock_file = folder.root / "keys.lock"
    lock_file.touch(mode=0o600)
    with lock_file.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        keys = folder.api_keys()
        yield keys
        folder.write_json(folder.api_keys_file, {"keys": keys})

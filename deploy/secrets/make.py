#!/usr/bin/env python3
"""Makes the secrets that docker-compose.yml and deploy/k8s name: random, as files, in `made` beside this script.

    python3 deploy/secrets/make.py                                  what is missing; nothing is ever overwritten
    python3 deploy/secrets/make.py --key NAME --scope intake:write  an API key more, shown this once
    … --key NAME --scope destination:write --unit 610              one that acts on these units and all below only

`made` is closed to all but its owner. The files in it are readable, since a container sees a file with the rights
that it has outside, and its user is none of this machine's. Python alone is needed, nothing of Tiendo.
"""

import argparse
import hashlib
import json
import os
import re
import secrets
import sys
from pathlib import Path

SERVICES = ("intake", "activation", "aggregator", "notifier")
#: As in tiendo_common.service.auth; a test compares them.
SCOPES = (
    "admin",
    "intake:write",
    "intake:read",
    "activation:write",
    "activation:read",
    "campaign:write",
    "declared:write",
    "measure:write",
    "progress:read",
    "incident:read",
    "incident:write",
    "destination:write",
    "policy:write",
)
#: Those that a key which is bound to units can have; compared, too.
BOUND_SCOPES = (
    "declared:write",
    "measure:write",
    "progress:read",
    "incident:read",
    "incident:write",
    "destination:write",
    "policy:write",
)


def main() -> None:
    """Make what is missing; with --key, add one."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--to", type=Path, default=Path(__file__).resolve().parent / "made", help="another folder"
    )
    parser.add_argument(
        "--postgres", default="postgres:5432", help="host:port of the server, as the services see it"
    )
    parser.add_argument("--key", metavar="NAME", help="whose API key to add: a system, a person")
    parser.add_argument("--scope", action="append", choices=SCOPES, help="what it may do; may be repeated")
    parser.add_argument("--unit", action="append", help="a unit's code; may be repeated; none: everywhere")
    arguments = parser.parse_args()
    if bool(arguments.key) != bool(arguments.scope):
        parser.error("--key and --scope go together")
    if arguments.unit:
        _check_units(parser, arguments)
    make(arguments.to, arguments.postgres)
    if arguments.key:
        entry = _entry(arguments.key, key := _new_key(), sorted(set(arguments.scope)), arguments.unit)
        add_key(arguments.to, entry)
        sys.stdout.write(f"{key}\n")


def _check_units(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """A service does not start with a key that is bound in vain."""
    if not all(re.fullmatch(r"[0-9]{2,10}", unit) for unit in arguments.unit):
        parser.error("--unit takes a unit's code: digits")
    if not arguments.key or not set(arguments.scope) <= set(BOUND_SCOPES):
        parser.error(f"--unit goes with --key and scopes of {', '.join(BOUND_SCOPES)} only")


def make(folder: Path, postgres: str) -> None:
    """Make each file that is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    # A folder of its own: a container that sees the folder, not the file, sees a file that was replaced in it.
    (folder / "api-keys").mkdir(exist_ok=True)
    (folder / "api-keys").chmod(0o755)
    password = _once(folder / "postgres-password", secrets.token_urlsafe(32))
    _once(folder / "postgres-url", f"postgresql://postgres:{password}@{postgres}/postgres")
    for service in SERVICES:
        url = f"postgresql://tiendo_{service}:{secrets.token_urlsafe(32)}@{postgres}/tiendo"
        _once(folder / f"{service}-database-url", url)
    person_keys = {"keys": [{"id": 1, "secret": secrets.token_hex(32)}]}
    _once(folder / "person-keys.json", json.dumps(person_keys))
    admin = _once(folder / "admin.key", _new_key())
    _once(
        folder / "api-keys" / "api-keys.json",
        json.dumps({"keys": [_entry("admin", admin, ["admin"])]}, indent=1),
    )


def add_key(folder: Path, entry: dict[str, object]) -> None:
    """Add an API key's entry; running services know it within seconds."""
    file = folder / "api-keys" / "api-keys.json"
    keys = json.loads(file.read_text(encoding="utf-8"))["keys"]
    if any(each["name"] == entry["name"] for each in keys):
        sys.exit(f"{entry['name']} has a key already; take its entry out of {file} to replace it.")
    _write(file, json.dumps({"keys": [*keys, entry]}, indent=1))


def _entry(name: str, key: str, scopes: list[str], units: list[str] | None = None) -> dict[str, object]:
    entry: dict[str, object] = {
        "name": name,
        "sha256": hashlib.sha256(key.encode()).hexdigest(),
        "scopes": scopes,
    }
    return entry | {"units": sorted(set(units))} if units else entry


def _new_key() -> str:
    return f"tiendo_{secrets.token_urlsafe(32)}"


def _once(file: Path, text: str) -> str:
    """Write a file that is not there yet; what it holds."""
    if not file.exists():
        _write(file, text)
    return file.read_text(encoding="utf-8").strip()


def _write(file: Path, text: str) -> None:
    """Whole or not at all."""
    draft = file.with_name(f".{file.name}.draft")
    draft.write_text(f"{text}\n", encoding="utf-8")
    draft.chmod(0o444)
    os.replace(draft, file)  # noqa: PTH105 - as short, and says that it replaces


if __name__ == "__main__":
    main()

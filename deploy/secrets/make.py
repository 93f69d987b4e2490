#!/usr/bin/env python3
"""Makes the secrets that docker-compose.yml and deploy/k8s name: random, as files, in `made` beside this script.

    python3 deploy/secrets/make.py                                  what is missing; nothing is ever overwritten
    python3 deploy/secrets/make.py --key NAME --scope intake:write  an API key more, shown this once

`made` is closed to all but its owner. The files in it are readable, since a container sees a file with the rights
that it has outside, and its user is none of this machine's. Python alone is needed, nothing of Tiendo.
"""

import argparse
import hashlib
import json
import os
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
    arguments = parser.parse_args()
    if bool(arguments.key) != bool(arguments.scope):
        parser.error("--key and --scope go together")
    make(arguments.to, arguments.postgres)
    if arguments.key:
        sys.stdout.write(f"{add_key(arguments.to, arguments.key, sorted(set(arguments.scope)))}\n")


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


def add_key(folder: Path, name: str, scopes: list[str]) -> str:
    """Add an API key; running services know it within seconds."""
    file = folder / "api-keys" / "api-keys.json"
    keys = json.loads(file.read_text(encoding="utf-8"))["keys"]
    if any(entry["name"] == name for entry in keys):
        sys.exit(f"{name} has a key already; take its entry out of {file} to replace it.")
    key = _new_key()
    _write(file, json.dumps({"keys": [*keys, _entry(name, key, scopes)]}, indent=1))
    return key


def _entry(name: str, key: str, scopes: list[str]) -> dict[str, object]:
    return {"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": scopes}


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

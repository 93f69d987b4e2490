"""The two made-up provincial systems of a campaign: their API keys, and the seed that they were sent with."""

import fcntl
from dataclasses import dataclass
from typing import Any

from tiendo.errors import Refused
from tiendo.folders import DataFolder, key_hash, new_api_key

SCOPES = ["activation:write", "intake:write"]
DEFAULT_SEED = 1
_REPLAYS = "replays.json"


@dataclass(frozen=True, slots=True)
class Seed:
    """The seed to replay with, and whether this data folder has lines of it already."""

    value: int
    resumed: bool


def seed_for(folder: DataFolder, campaign: str, asked: int | None) -> Seed:
    """The seed that a campaign was begun with here, else the one asked for.

    Raises Refused when another one is asked for: two seeds are two different sets of citizens.
    """
    known = _replays(folder).get(campaign, {}).get("seed")
    if known is None:
        return Seed(DEFAULT_SEED if asked is None else asked, resumed=False)
    if asked is not None and asked != known:
        raise Refused(
            f"{folder.root} holds {campaign} with seed {known}; seed {asked} would add other citizens to it.",
            remedy=f"Leave --seed out to go on with {known}, or choose another folder with --data DIR.",
        )
    return Seed(known, resumed=True)


def remember_seed(folder: DataFolder, campaign: str, seed: int) -> None:
    """Write down the seed before the first line is sent."""
    replays = _replays(folder)
    replays[campaign] = {"seed": seed}
    folder.write_json(folder.root / _REPLAYS, replays)


def system_keys(folder: DataFolder, campaign: str) -> tuple[str, str]:
    """New keys for the campaign's two systems, in place of those that they had.

    Each system numbers its lines 1, 2, 3; its name, which stays, keeps the numbers apart.
    """
    names = (f"{campaign}: system 1", f"{campaign}: system 2")
    keys = (new_api_key(), new_api_key())
    lock_file = folder.root / "keys.lock"  # as `tiendo keys` does it
    lock_file.touch(mode=0o600)
    with lock_file.open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        document = folder.read_json(folder.api_keys_file)
        kept = [entry for entry in document["keys"] if entry["name"] not in names]
        document["keys"] = kept + [
            {"name": name, "sha256": key_hash(key), "scopes": SCOPES}
            for name, key in zip(names, keys, strict=True)
        ]
        folder.write_json(folder.api_keys_file, document)
    return keys


def _replays(folder: DataFolder) -> dict[str, Any]:
    file = folder.root / _REPLAYS
    return folder.read_json(file) if file.exists() else {}

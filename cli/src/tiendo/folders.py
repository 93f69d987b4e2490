"""The data folder of one installation, and the folder of public facts.

    <data>/                     0700 (0710 with the server's group where root hands PostgreSQL to an account)
      settings.json             {"clock": "wall"|"driven"}: what the data were made with; "counts", if that was said
      admin.key                 the admin's API key, plain
      api-keys.json             {"keys": [{"name", "sha256", "scopes"}]}
      person-keys.json          {"keys": [{"id", "secret"}]}: the keys of the keyed hash of personal numbers
      database-passwords.json   {"intake": ..., ...}: the services' roles
      postgres/                 the embedded server (tiendo_common.database.embedded)
      logs/<service>.log        and logs/postgres.log
      instance.json             while `tiendo up` runs: where what is
      processes.json            the services' processes, to find those that a killed launcher left behind
      up.lock                   held while `tiendo up` runs; holds its pid
      keys.lock                 held while `tiendo keys` changes api-keys.json

All files are 0600. Secrets are made once, at the first start, and never overwritten.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, cast

from tiendo.errors import AlreadyRunning, OtherClock, Refused
from tiendo_common.database.bootstrap import SERVICES
from tiendo_common.database.embedded.accounts import server_account
from tiendo_common.files import replace_private

ClockMode = Literal["wall", "driven"]
DEFAULT_DATA = ".tiendo"


def default_data() -> Path:
    """`TIENDO_DATA`, else `.tiendo` in the current directory."""
    return Path(os.environ.get("TIENDO_DATA") or DEFAULT_DATA)


def facts_folder() -> Path:
    """The folder `data/` (units, campaigns): `TIENDO_DATA_FACTS`, else `./data`, else the checkout's."""
    named = os.environ.get("TIENDO_DATA_FACTS")
    places = [Path(named)] if named else [Path("data"), Path(__file__).resolve().parents[3] / "data"]
    for place in places:
        if (place / "units").is_dir():
            return place.absolute()
    raise Refused(
        f"No folder of units and campaigns in {' nor '.join(str(place.absolute()) for place in places)}.",
        remedy="Run from the checkout, or set TIENDO_DATA_FACTS to its folder data/.",
    )


def program() -> str:
    """How to call this program from here: by its name if the shell would find it, else by its path."""
    ours = Path(sys.prefix) / "bin" / "tiendo"
    found = shutil.which("tiendo")
    if found is not None and Path(found).resolve() == ours.resolve():
        return "tiendo"
    return str(ours.relative_to(Path.cwd()) if ours.is_relative_to(Path.cwd()) else ours)


def new_api_key() -> str:
    """256 random bits; the prefix tells secret scanners whose it is."""
    return f"tiendo_{secrets.token_urlsafe(32)}"


def key_hash(key: str) -> str:
    """What is stored of an API key: SHA-256 is enough for a random one."""
    return hashlib.sha256(key.encode()).hexdigest()


class DataFolder:
    """Names and makes what one installation keeps."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()
        self.settings = self.root / "settings.json"
        self.admin_key_file = self.root / "admin.key"
        self.api_keys_file = self.root / "api-keys.json"
        self.person_keys_file = self.root / "person-keys.json"
        self.database_passwords_file = self.root / "database-passwords.json"
        self.postgres = self.root / "postgres"
        self.logs = self.root / "logs"
        self.instance_file = self.root / "instance.json"
        self.processes_file = self.root / "processes.json"

    @property
    def private_files(self) -> tuple[Path, ...]:
        """Files that hold secrets."""
        return (
            self.admin_key_file,
            self.api_keys_file,
            self.person_keys_file,
            self.database_passwords_file,
            self.postgres / "passwords.json",
        )

    def exists(self) -> bool:
        return self.settings.exists()

    def make(self) -> None:
        """Make the folder and its secrets where they are missing. Raises Refused."""
        self.check()
        if not self.root.exists():
            try:
                self._make_root()
            except OSError as problem:
                raise self._unusable(f"{problem.strerror}") from problem
        if not self.settings.exists():
            replace_private(self.settings, "{}\n")
        self.logs.mkdir(mode=0o700, exist_ok=True)
        if not self.admin_key_file.exists():
            # The hash first: a key that was written is one that is known.
            key = new_api_key()
            others = [entry for entry in self.api_keys() if entry["name"] != "admin"]
            admin = {"name": "admin", "sha256": key_hash(key), "scopes": ["admin"]}
            self.write_json(self.api_keys_file, {"keys": [admin, *others]})
            replace_private(self.admin_key_file, key + "\n")
        if not self.person_keys_file.exists():
            self.write_json(self.person_keys_file, {"keys": [{"id": 1, "secret": secrets.token_hex(32)}]})
        if not self.database_passwords_file.exists():
            passwords = {service: secrets.token_urlsafe(32) for service in SERVICES}
            self.write_json(self.database_passwords_file, passwords)

    def check(self) -> None:
        """Raise Refused unless this is a data folder, or could become one."""
        place = next(each for each in (self.root, *self.root.parents) if each.exists())
        if not place.is_dir():
            raise self._unusable(f"{place} is a file")
        if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
            raise self._unusable(f"{place} is not yours to write, or read-only")
        if place != self.root or self.settings.exists():
            return
        if {entry.name for entry in self.root.iterdir()} - {"lost+found"}:
            raise Refused(
                f"{self.root} is no data folder of Tiendo, and it is not empty.",
                remedy="Choose another with --data.",
            )

    def _unusable(self, why: str) -> Refused:
        return Refused(
            f"{self.root} cannot be used as the data folder: {why}.",
            remedy="Choose another with --data, or run as the user who made it.",
        )

    def _make_root(self) -> None:
        self.root.mkdir(mode=0o700, parents=True)
        account = server_account()
        if account is not None:
            # Root may not run PostgreSQL itself. The folder is ours, made this moment: the account that will
            # may pass through it, and can list and read nothing.
            os.chown(self.root, -1, account.gid)
            self.root.chmod(0o710)

    def admin_key(self) -> str:
        """The admin's API key."""
        return self.admin_key_file.read_text(encoding="utf-8").strip()

    def api_keys(self) -> list[dict[str, Any]]:
        """Name, hash and scopes of every API key."""
        if not self.api_keys_file.exists():
            return []
        return cast("list[dict[str, Any]]", self.read_json(self.api_keys_file)["keys"])

    def database_passwords(self) -> dict[str, str]:
        """The password of each service's role."""
        return cast("dict[str, str]", self.read_json(self.database_passwords_file))

    def clock(self) -> ClockMode | None:
        """The clock mode that the data were made with; None before the first start."""
        if not self.settings.exists():
            return None
        return cast("ClockMode | None", self.read_json(self.settings).get("clock"))

    def counts(self) -> str | None:
        """What the data's aggregator was told to count when it last started with such a setting; None: never."""
        return None if not self.settings.exists() else self.read_json(self.settings).get("counts")

    def note_counts(self, counts: str) -> None:
        """Remember it for starts that say nothing. What its database holds is settled there."""
        self.write_json(self.settings, {**self.read_json(self.settings), "counts": counts})

    def settle_clock(self, asked: ClockMode | None) -> ClockMode:
        """The clock mode to run with: recorded at the first start (wall if none is asked for), kept since.

        Raises OtherClock: days known under one clock have no place among those of the other.
        """
        recorded = self.clock()
        if recorded is None:
            recorded = asked or "wall"
            self.write_json(self.settings, {**self.read_json(self.settings), "clock": recorded})
        elif asked is not None and asked != recorded:
            raise OtherClock(
                f"{self.root} was made with the {recorded} clock and cannot be run with the {asked} one.",
                remedy="Choose another folder with --data; a replay needs one of its own. "
                f"`tiendo up` runs this one with --clock {recorded}, or without --clock.",
            )
        return recorded

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold the folder for one instance. The lock ends with the process, however that ends."""
        lock_file = self.root / "up.lock"
        lock_file.touch(mode=0o600)
        with lock_file.open("r+") as lock:
            if not _try_lock(lock.fileno()):
                pid = lock.read().strip()
                raise AlreadyRunning(
                    f"Tiendo is already running on {self.root}, with pid {pid}.",
                    remedy=f"Use that one, stop it (kill {pid}), or choose another folder with --data.",
                )
            lock.truncate(0)
            lock.write(f"{os.getpid()}\n")
            lock.flush()
            yield

    def holder(self) -> int | None:
        """The pid of the process that holds the folder: an instance that starts, runs or stops."""
        lock_file = self.root / "up.lock"
        if not lock_file.exists():
            return None
        with lock_file.open() as lock:
            if _try_lock(lock.fileno()):
                return None
            pid = lock.read().strip()
            return int(pid) if pid else None

    def read_json(self, file: Path) -> dict[str, Any]:
        """A file of ours. Raises Refused if it was damaged."""
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
        except ValueError as problem:
            raise Refused(
                f"{file} is not JSON: {problem}.", remedy="Restore it from a backup, or mend it by hand."
            ) from problem
        return cast("dict[str, Any]", document)

    def write_json(self, file: Path, document: dict[str, Any]) -> None:
        replace_private(file, json.dumps(document, indent=1) + "\n")


def _try_lock(lock: int) -> bool:
    """Take a lock, unless another process has it for more than the moment of a look."""
    for _ in range(5):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(0.02)
    return False

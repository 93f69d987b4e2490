"""Who runs the server: root may not."""

import os
import pwd
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tiendo_common.database.embedded.errors import NoAccount

# Nothing of ours is the server's business: PGDATA and its like would even change what it does.
ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}


@dataclass(frozen=True)
class Account:
    """A Unix account."""

    name: str
    uid: int
    gid: int


def server_account() -> Account | None:
    """The account that runs a new server for root; None: we are not root and run it ourselves."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise NoAccount(
        "PostgreSQL refuses to run as root, and this machine has neither an account `postgres` nor `nobody`.",
        remedy="Run as a normal user, or name a server of your own: TIENDO_POSTGRES=postgresql://...",
    )


def identity(account: Account | None) -> dict[str, Any]:
    """Arguments that make a child give up root before it executes anything."""
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}


def run_as(arguments: list[str], account: Account | None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end under an account. Raises NoAccount."""
    try:
        return subprocess.run(  # noqa: S603 - our own arguments, no shell
            arguments,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            cwd="/",
            env=ENVIRONMENT,
            umask=0o077,
            check=False,
            **identity(account),
        )
    except subprocess.SubprocessError as problem:
        # This is how a refused setuid shows itself: root in a container without the right to be another.
        raise NoAccount(
            f"PostgreSQL refuses to run as root, and root may not become another account here: {problem}",
            remedy="Run as a normal user, or name a server of your own: TIENDO_POSTGRES=postgresql://...",
        ) from problem


def can_run(account: Account, program: Path) -> bool:
    """Whether the account can execute the program, libraries and all. Only trying tells the truth."""
    try:
        return run_as([str(program), "--version"], account).returncode == 0
    except (PermissionError, FileNotFoundError):
        return False


def can_enter(account: Account, folder: Path) -> bool:
    """Whether the account may work in a folder."""
    return run_as(["/bin/sh", "-c", 'cd "$1"', "sh", str(folder)], account).returncode == 0

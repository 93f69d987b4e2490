"""Where the server listens: a path of 107 characters at most."""

import contextlib
import os
import socket
import stat
import struct
import tempfile
from pathlib import Path

from tiendo_common.database.embedded.accounts import Account, can_enter
from tiendo_common.database.embedded.errors import NoPlace

SUPERUSER = "postgres"


# The socket's file name carries the port; each server has a folder of its own, so one number serves all.
SOCKET_PORT = 5432


_SOCKET_FOLDER_LIMIT = 107 - len(f"/.s.PGSQL.{SOCKET_PORT}.lock")


def socket_file_in(folder: Path, port: str) -> Path:
    """The socket of a server that listens in a folder."""
    return folder / f".s.PGSQL.{port}"


def answers(socket_file: Path) -> bool:
    """Ask for a session. To be asked for the password means that sessions are taken; nothing is logged."""
    names = b"user\0" + SUPERUSER.encode() + b"\0database\0" + SUPERUSER.encode() + b"\0\0"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1)
        try:
            connection.connect(str(socket_file))
            connection.sendall(struct.pack("!II", len(names) + 8, 3 << 16) + names)
            return bool(connection.recv(1024).startswith(b"R"))
        except OSError:
            return False


def make_socket_folder(account: Account | None, recorded: str | None) -> Path:
    """A private folder for the socket; the recorded one where it can be had, as clients know its name."""
    owner = os.geteuid() if account is None else account.uid
    if recorded is not None:
        folder = Path(recorded)
        with contextlib.suppress(OSError):
            if not folder.exists():
                folder.mkdir(mode=0o700)
                if account is not None:
                    os.chown(folder, account.uid, account.gid)
            facts = folder.lstat()
            if stat.S_ISDIR(facts.st_mode) and facts.st_uid == owner and stat.S_IMODE(facts.st_mode) == 0o700:
                _clear_socket_folder(folder)
                return folder
    for place in (tempfile.gettempdir(), "/tmp"):  # noqa: S108 - a private folder is made in it
        if account is not None and not can_enter(account, Path(place)):
            continue
        folder = Path(tempfile.mkdtemp(prefix="tiendo-", dir=place))
        if len(str(folder)) <= _SOCKET_FOLDER_LIMIT:
            if account is not None:
                os.chown(folder, account.uid, account.gid)
            return folder
        folder.rmdir()
    raise NoPlace("No folder with a name short enough for a socket.", remedy="Set TMPDIR to a short path.")


def _clear_socket_folder(folder: Path) -> None:
    for leftover in folder.glob(".s.PGSQL.*"):
        leftover.unlink(missing_ok=True)


def discard_socket_folder(folder: Path) -> None:
    """Remove it, if there is nothing of others in it."""
    with contextlib.suppress(OSError):
        _clear_socket_folder(folder)
        folder.rmdir()

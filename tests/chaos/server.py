"""A PostgreSQL server of the run's own, durable, that is killed, filled up and started again."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import asyncpg
import psutil

from tiendo_common.database.embedded.errors import LauncherError
from tiendo_common.database.embedded.server import EmbeddedPostgres, Server
from tiendo_common.database.pool import PASSING_FAULTS

DATABASE = "tiendo"
#: What a full disk is made of. The log is kept small: the disk must hold two rounds of it, and the data.
DISK_MEGABYTES = 900
_SETTINGS = {
    "min_wal_size": "80MB",
    "max_wal_size": "256MB",
    "shared_buffers": "128MB",
    # Two replicas of each service, with their pools.
    "max_connections": "250",
}
_BALLAST = "ballast"


def can_mount() -> bool:
    """Whether this user may mount a file system of a small size: root, and not in a container without the right."""
    if os.geteuid() != 0:
        return False
    probe = Path(tempfile.mkdtemp(prefix="tiendo-mount-"))
    try:
        return mount(probe, 1) and unmount(probe)
    finally:
        probe.rmdir()


def mount(folder: Path, megabytes: int) -> bool:
    """Put a file system of this size, in memory, on a folder; whether that worked."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0711", "tiendo-chaos", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def unmount(folder: Path) -> bool:
    """Take it away again, whatever still has it open."""
    return subprocess.run(["umount", "-l", str(folder)], capture_output=True, check=False).returncode == 0


class DatabaseUnderTest:
    """Starts the server and keeps it running, unless it is told to let it lie."""

    def __init__(self, folder: Path, log_file: Path, say: Callable[[str], None], *, small_disk: bool) -> None:
        self.starts = 0
        self.hung = 0
        self.small_disk = small_disk
        self._folder = folder
        self._say = say
        self._launcher = EmbeddedPostgres(folder, log_file=log_file, settings=_SETTINGS)
        self._server: Server | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._rest = 0.0

    @property
    def socket(self) -> Path:
        """Where the server listens; the same place after every start."""
        assert self._server is not None
        return self._server.socket_folder / f".s.PGSQL.{self._server.port}"

    def admin_dsn(self, database: str = DATABASE) -> str:
        """The superuser's URL, past every proxy."""
        assert self._server is not None
        return self._launcher.admin_dsn(self._server, database)

    async def start(self) -> None:
        self._folder.mkdir(mode=0o711)
        if self.small_disk:
            assert mount(self._folder, DISK_MEGABYTES)
        self._server = await asyncio.to_thread(self._launcher.start)
        self._watcher = asyncio.create_task(self._keep_running())

    async def stop(self) -> None:
        """Stop it at once; nobody needs the data any more."""
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.gather(self._watcher, return_exceptions=True)
        with contextlib.suppress(LauncherError, OSError):
            self.empty_disk()
            for process in self._processes():
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
            await asyncio.to_thread(self._launcher.stop, timeout=5)
        if self.small_disk:
            unmount(self._folder)

    async def dial(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """A connection for a proxy."""
        return await asyncio.open_unix_connection(str(self.socket))

    def kill(self, rest: float) -> int:
        """SIGKILL to the postmaster and all its workers; it is started again after `rest` seconds. How many."""
        self._rest = rest
        killed = 0
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(signal.SIGKILL)
                killed += 1
        return killed

    def fill_disk(self) -> int:
        """Leave no room where the data are; how many bytes that took."""
        ballast = self._folder / _BALLAST
        with ballast.open("ab") as file:
            size = file.tell()
            for step in (1 << 22, 1 << 12):
                with contextlib.suppress(OSError):
                    while True:
                        os.posix_fallocate(file.fileno(), size, step)
                        size += step
        return size

    def empty_disk(self) -> None:
        (self._folder / _BALLAST).unlink(missing_ok=True)

    def alive(self) -> bool:
        return self._launcher.alive()

    async def answers(self) -> bool:
        """Whether it takes sessions."""
        try:
            connection = await asyncpg.connect(self.admin_dsn("postgres"), timeout=2)
        except PASSING_FAULTS:
            return False
        await connection.close(timeout=2)
        return True

    def _processes(self) -> list[psutil.Process]:
        """The postmaster first, so that it cannot see its workers die."""
        home = self._launcher.home()
        if home is None:
            return []
        with contextlib.suppress(FileNotFoundError, ValueError, psutil.NoSuchProcess):
            postmaster = psutil.Process(int((home / "pgdata" / "postmaster.pid").read_text().split()[0]))
            if self._launcher.alive():
                return [postmaster, *postmaster.children()]
        return []

    async def _keep_running(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            if self._launcher.alive():
                continue
            await asyncio.sleep(self._rest or random.uniform(0.2, 0.6))
            self._rest = 0.0
            began = time.monotonic()
            try:
                self._server = await asyncio.to_thread(self._launcher.start, deadline=15)
            except (LauncherError, OSError) as problem:
                # A full disk, most likely: it is tried until there is room. A server that crashed again and again
                # for want of it may hang in its recovery when room is there: as a person would, we end it.
                self._say(f"PostgreSQL does not start: {str(problem).splitlines()[0][:200]}")
                if self.kill(0.1):
                    self.hung += 1
                await asyncio.sleep(0.5)
            else:
                self.starts += 1
                self._say(f"PostgreSQL is back after {time.monotonic() - began:.1f} s")

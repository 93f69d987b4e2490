"""The server's processes."""

from pathlib import Path

import psutil


def is_running(process: psutil.Process) -> bool:
    """Whether it lives: what has ended and was not waited for does not."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def works_in(process: psutil.Process, pgdata: Path) -> bool:
    """Whether this is a live PostgreSQL process of that cluster: each of them has it as its directory."""
    try:
        return bool(process.name().startswith("postgres") and Path(process.cwd()) == pgdata.resolve())
    except psutil.Error:  # gone, a zombie, or not ours
        return False


def workers_of(pgdata: Path) -> list[psutil.Process]:
    """All live processes of a cluster."""
    return [process for process in psutil.process_iter() if works_in(process, pgdata)]

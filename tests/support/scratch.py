"""Folders for the data of servers that live as long as a test."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

#: What all tests at once write, with room to spare: without it, a disk.
_ENOUGH = 8 * 2**30


def _place() -> Path:
    """Memory where the machine has plenty of it. A disk costs a copy of a database up to 0.5 s of CPU, memory 0.03."""
    memory = Path("/dev/shm")
    with contextlib.suppress(OSError):
        has = os.statvfs(memory)
        runs_programs = not has.f_flag & os.ST_NOEXEC
        free = min(has.f_bavail * has.f_frsize, psutil.virtual_memory().available)
        if runs_programs and free >= _ENOUGH and os.access(memory, os.W_OK):
            return memory
    return Path(tempfile.gettempdir())


PLACE = _place()


@contextlib.contextmanager
def scratch_folder(prefix: str = "tiendo-tests-") -> Iterator[Path]:
    """A folder that every account may pass through, unlike pytest's own: root's server runs as another."""
    folder = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=PLACE))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def abandoned_folders(prefix: str = "tiendo-tests-") -> Iterator[list[Path]]:
    """Folders of test sessions that were killed: to stop what runs in them, before they are removed."""
    found = [
        folder
        for folder in PLACE.glob(f"{prefix}[0-9]*")
        if folder.stat().st_uid == os.geteuid()
        and not psutil.pid_exists(int(folder.name.removeprefix(prefix).split("-")[0]))
    ]
    yield found
    for folder in found:
        shutil.rmtree(folder)

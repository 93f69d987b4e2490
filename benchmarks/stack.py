"""A whole Tiendo on an empty folder, for the duration of a measurement."""

import contextlib
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil

from tiendo.instance import Instance, running_instance

FACTS = Path(__file__).parent.parent / "data"


@contextlib.contextmanager
def empty_folder() -> Iterator[Path]:
    """A folder that is removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="tiendo-bench-"))
    folder.chmod(0o755)  # the database's account must be able to enter
    try:
        yield folder / "data"
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.asynccontextmanager
async def fresh_stack() -> AsyncIterator[Instance]:
    """All services on the embedded default, on a driven clock."""
    with empty_folder() as data:
        async with running_instance(data, clock="driven") as instance:
            yield instance


def processes(instance: Instance) -> dict[str, psutil.Process]:
    """The services' processes."""
    found: dict[str, psutil.Process] = {}
    for child in psutil.Process(instance.pid).children(recursive=True):
        for service in instance.services:
            if child.cmdline()[-1:] == [f"tiendo_{service}"]:
                found[service] = child
    return found


@contextlib.contextmanager
def paused(instance: Instance, services: tuple[str, ...]) -> Iterator[None]:
    """Hold some services still, so that another is measured alone."""
    chosen = [process for name, process in processes(instance).items() if name in services]
    for process in chosen:
        process.suspend()
    try:
        yield
    finally:
        for process in chosen:
            process.resume()

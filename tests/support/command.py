"""`tiendo` in a process of its own that need not load its libraries first: it is forked from one that has them, since
loading takes longer than most of what is tried. What is about the start itself runs `python -m tiendo`."""

import json
import multiprocessing
import os
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

_ROOT = Path(__file__).parents[2]
_FORKS = multiprocessing.get_context("forkserver")
# typer loads its adapters as soon as it is called.
_FORKS.set_forkserver_preload(["tiendo.app", "typer._adapters"])


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    status: int
    out: str
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """What it printed with --json."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


def environment(**settings: str) -> dict[str, str]:
    """This process's environment without what it says about Tiendo, and with these settings."""
    return {name: value for name, value in os.environ.items() if not name.startswith("TIENDO_")} | settings


def run_command(
    *arguments: str | Path, seconds: float = 240, settings: Mapping[str, str] = MappingProxyType({})
) -> Ended:
    """Run one command to its end, with these settings; none may end with a traceback, or take longer."""
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / name for name in ("out", "err")]
        process = _FORKS.Process(
            target=_run, args=([str(each) for each in arguments], environment(**settings), files)
        )
        process.start()
        process.join(seconds)
        in_time = process.exitcode is not None
        process.kill()
        process.join()
        out, err = (file.read_text(encoding="utf-8") for file in files)
        assert in_time, f"tiendo {arguments} still runs after {seconds} s: {out} {err}"
        assert "Traceback" not in err, err
        assert process.exitcode is not None
        return Ended(process.exitcode, out, err)


def _run(arguments: Sequence[str], settings: Mapping[str, str], files: Sequence[Path]) -> None:
    from tiendo.__main__ import main

    for stream, file in zip((sys.stdout, sys.stderr), files, strict=True):
        written = os.open(file, os.O_WRONLY | os.O_CREAT)
        os.dup2(written, stream.fileno())
        os.close(written)
    os.environ.clear()
    os.environ.update(settings)
    os.chdir(_ROOT)
    sys.argv = ["tiendo", *arguments]
    main()

"""Stand-ins for the services, for tests of what supervises them: what to start (`standin_program.py`), and how."""

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from tiendo.folders import ClockMode
from tiendo.stack import Plan
from tiendo.supervisor import Program
from tiendo_common.database.bootstrap import SERVICES

_PROGRAM = str(Path(__file__).with_name("standin_program.py"))


def standin(name: str, port: int, folder: Path, manner: str = "well") -> Program:
    """One stand-in; `folder` gets its log and the file `ended`."""
    env = {
        "STANDIN_NAME": name,
        "STANDIN_MANNER": manner,
        "STANDIN_ENDED": str(folder / "ended"),
        "TIENDO_PORT": str(port),
    }
    return Program(name, (sys.executable, _PROGRAM), env, port, folder / f"{name}.log")


def standin_table(plan: Plan, _clock: ClockMode, _urls: Mapping[str, str]) -> list[Program]:
    """All four services stood in for, in place of the real table."""
    return [
        standin(name, plan.port_base + offset, plan.data.logs, os.environ.get(f"STANDIN_{name}", "well"))
        for offset, name in enumerate(SERVICES)
    ]

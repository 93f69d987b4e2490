"""A command beside an instance that is just starting, and one that is told to end before it has begun."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.test_supervisor import eventually, folder, ports, tiendo_up
from tests.support.standins import standin_table
from tiendo.desk import desk
from tiendo.errors import Refused
from tiendo.folders import DataFolder
from tiendo.instance import attach, running_instance

__all__ = ["folder", "ports"]

#: Runs the command, and has Ctrl-C pressed in the middle of its loading.
_INTERRUPTED = """
import os, signal, sys

class Press:
    def find_spec(self, name, path=None, target=None):
        if name == "typer":
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Press())
from tiendo.__main__ import main
main()
"""


@pytest.mark.anyio
async def test_a_command_waits_for_an_instance_that_is_starting(folder: Path, ports: int) -> None:
    data, said = folder / "data", list[str]()
    with tiendo_up(data, ports) as up:
        for _ in eventually("that it has begun"):
            if DataFolder(data).holder() == up.process.pid:
                break
        assert attach(data) is None
        with pytest.raises(Refused, match="starts or stops"), desk(data, 1):
            pytest.fail("asked before anything answers")
        async with running_instance(data, say=said.append, table=standin_table) as instance:
            assert instance.pid == up.process.pid
        assert said == [f"Tiendo starts or stops on {data}, with pid {up.process.pid}: waiting for it"]
        assert up.ready() == instance


def test_ctrl_c_while_a_command_loads_ends_it_without_a_word() -> None:
    ended = subprocess.run(
        [sys.executable, "-c", _INTERRUPTED], capture_output=True, text=True, timeout=60, check=False
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (-signal.SIGINT, "", "")

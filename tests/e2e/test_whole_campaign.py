"""The main job as a user runs it: a whole campaign through the four services, while parts of it are killed."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import psutil
import pytest

from tests.support.scratch import scratch_folder
from tiendo.instance import Instance, attach
from tiendo.supervisor import free_port_base

pytestmark = pytest.mark.timeout(900)

#: Seconds between kills; a dead part is back within a few.
BETWEEN_KILLS = 6.0
VICTIMS = ("intake", "activation", "aggregator", "notifier", "postgres")


@dataclass(frozen=True)
class Up:
    """A running `tiendo up`."""

    data: Path
    process: subprocess.Popen[bytes]

    @property
    def instance(self) -> Instance:
        found = attach(self.data)
        assert found is not None
        return found

    def wait_for_lines(self) -> None:
        """Return while lines are being answered: a busy machine takes a while to make them up."""
        before, until = self._answered(), time.monotonic() + 120
        while self._answered() == before:
            assert time.monotonic() < until, "no line is answered"
            time.sleep(0.02)

    def _answered(self) -> list[str]:
        """What intake says of the lines that it has answered since its start."""
        try:
            said = httpx2.get(f"{self.instance.url('intake')}/metrics", timeout=30, trust_env=False).text
        except httpx2.TransportError:
            return []
        return [line for line in said.splitlines() if line.startswith("tiendo_lines_total")]

    def kill(self, name: str) -> None:
        """SIGKILL one part."""
        if name == "postgres":
            (pid_file,) = (self.data / "postgres").rglob("postmaster.pid")
            os.kill(int(pid_file.read_text().split()[0]), signal.SIGKILL)
            return
        for child in psutil.Process(self.process.pid).children():
            if f"tiendo_{name}" in " ".join(child.cmdline()):
                child.kill()
                return
        raise AssertionError(f"{name} does not run")


def tiendo(*arguments: str, patience: float = 850) -> subprocess.CompletedProcess[str]:
    """Run the command line as a user does, for so many seconds at most."""
    return subprocess.run(
        [sys.executable, "-m", "tiendo", *arguments],
        capture_output=True,
        text=True,
        timeout=patience,
        check=False,
    )


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with scratch_folder() as folder:
        data = folder / "data"
        ports = ("--port-base", str(free_port_base(10_000 + os.getpid() % 1000 * 10)))
        process = subprocess.Popen(
            [sys.executable, "-m", "tiendo", "up", "--data", str(data), "--clock", "driven", *ports],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            until = time.monotonic() + 90
            while attach(data) is None:
                assert process.poll() is None, "tiendo up ended"
                assert time.monotonic() < until, "tiendo up is not ready after 90 s"
                time.sleep(0.1)
            yield Up(data, process)
            process.terminate()
            assert process.wait(90) == 0
        finally:
            process.kill()


@pytest.fixture(scope="module")
def replayed(up: Up) -> dict[str, Any]:
    """What the replay of Kon Tum said, after every part was killed once in mid-replay."""
    command = [sys.executable, "-m", "tiendo", "replay", "kon-tum-2023", "--data", str(up.data), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as replay:
        try:
            for victim in VICTIMS:
                time.sleep(BETWEEN_KILLS)
                up.wait_for_lines()
                assert replay.poll() is None, "the replay ended before everything was killed"
                up.kill(victim)
            out, _ = replay.communicate(timeout=850)
        finally:
            replay.kill()
    assert replay.returncode == 0, out[:2000]
    document = json.loads(out)
    assert isinstance(document, dict)
    return document


def test_the_published_figures_of_kon_tum_come_out_although_every_part_was_killed_once(
    replayed: dict[str, Any],
) -> None:
    figures = {figure["id"]: figure for figure in replayed["figures"]}
    intake = figures["intake_of_target"]
    assert (intake["value"], intake["level_1"], intake["level_2"]) == (293_928, 75_908, 218_020)
    assert intake["percent"] == "69.8"
    activated = figures["activated_of_approved"]
    assert (activated["value"], activated["level_1"], activated["level_2"]) == (182_769, 17_791, 164_978)
    assert activated["percent"] == "78"
    assert all(figure["matches"] for figure in replayed["figures"])
    assert replayed["counts"]["unexpected"] == 0


def test_every_line_was_answered_and_the_simulated_troubles_were_there(replayed: dict[str, Any]) -> None:
    counts = replayed["counts"]
    assert counts["sent"] == counts["accepted"] + counts["duplicate"] + counts["rejected"]
    assert counts["duplicate"] > counts["sent"] * 0.02
    assert counts["rejected"] > counts["sent"] * 0.001
    assert counts["sent_again"] > 0, "nothing was killed while a request was under way"


def test_the_report_read_afterwards_says_the_same(up: Up, replayed: dict[str, Any]) -> None:
    report = tiendo("report", "kon-tum-2023", "--data", str(up.data), "--json")
    assert report.returncode == 0, report.stderr
    assert json.loads(report.stdout)["figures"] == replayed["figures"]


@pytest.mark.usefixtures("replayed")
def test_the_funnel_comes_to_the_published_figures(up: Up) -> None:
    answer = httpx2.get(
        f"{up.instance.url('aggregator')}/v1/campaigns/kon-tum-2023/funnel",
        params={"as_of": "2023-12-07", "depth": 2},
        headers={"Authorization": f"Bearer {up.instance.admin_key}"},
        timeout=60,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    province, *below = answer.json()["units"]
    assert [province[name] for name in ("taken", "approved", "activated")] == [293_928, 234_319, 182_769]
    assert province["undecided"]["citizens"] + province["rejected"] == 293_928 - 234_319
    assert province["not_activated"]["citizens"] == 234_319 - 182_769
    activations = province["activations"]
    assert (activations["in_time"] + activations["late"], activations["undated"]) == (182_769, 0)
    communes = [unit for unit in below if unit["level"] == "commune"]
    for backlog in ("undecided", "not_activated"):
        bands = [[band["citizens"] for band in unit[backlog]["bands"]] for unit in (province, *communes)]
        assert min(map(min, bands)) >= 0
        assert sum(bands[0]) == province[backlog]["citizens"]
        assert [sum(each) for each in zip(*bands[1:], strict=True)] == bands[0]
    assert sum(each["came_right"] for each in province["failures"]) > 0
    assert all(each["came_right"] <= each["attempts"] for each in province["failures"])


@pytest.mark.usefixtures("replayed")
def test_counters_are_clean(up: Up) -> None:
    proof = tiendo("reconcile", "kon-tum-2023", "--data", str(up.data), "--json")
    assert proof.returncode == 0, proof.stdout[:1000]
    assert json.loads(proof.stdout)["clean"] is True


@pytest.mark.usefixtures("replayed")
def test_another_seed_on_the_same_data_is_refused_with_the_remedy(up: Up) -> None:
    other = tiendo("replay", "kon-tum-2023", "--seed", "2", "--data", str(up.data))
    assert other.returncode != 0
    assert "--data" in other.stderr

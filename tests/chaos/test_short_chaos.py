"""A short run of the chaos suite, as every `make test` has it. `make chaos` has all faults and as long as wanted."""

import itertools
import random
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos.faults import plan
from tests.support.kafka import require_kafka

#: One of each family, of those that every machine can have: neither root nor libfaketime is asked for.
FAULTS = ("kill", "postgres", "late", "lose-down", "poison")
KAFKA_FAULTS = ("kill", "late", "broker-kill", "broker-half", "repeats", "foreign")
SECONDS = 20


def chaos(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the suite as a person does: in a process of its own, which cleans up behind itself."""
    return subprocess.run(
        [sys.executable, "-m", "tests.chaos", *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )


@pytest.mark.timeout(420)
@pytest.mark.parametrize(("log", "faults"), [("postgres", FAULTS), ("kafka", KAFKA_FAULTS)])
def test_no_count_is_off_by_one_after_a_short_run_of_faults(log: str, faults: tuple[str, ...]) -> None:
    if log == "kafka":
        require_kafka()
    run = chaos("--seconds", str(SECONDS), "--log", log, "--rate", "60", "--faults", ",".join(faults))
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-3000:]


def test_a_plan_has_each_fault_once_before_any_comes_again_and_is_the_same_for_a_seed() -> None:
    schedule = plan(FAULTS, 120, random.Random(7))
    names = [name for _, name in schedule]
    assert set(names[: len(FAULTS)]) == set(names[len(FAULTS) : 2 * len(FAULTS)]) == set(FAULTS)
    pauses = [later - sooner for (sooner, _), (later, _) in itertools.pairwise(schedule)]
    assert all(3 <= pause <= 8 for pause in pauses)
    assert schedule == plan(FAULTS, 120, random.Random(7))

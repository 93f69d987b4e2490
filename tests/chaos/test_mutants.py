"""The suite is red when the product is broken in the ways that it is there to find (`make chaos-mutants`)."""

from pathlib import Path

import pytest

from tests.chaos.test_short_chaos import chaos

pytestmark = [pytest.mark.long, pytest.mark.timeout(420)]

#: What breaks, the faults that bring it to light, and the check that must be red.
MUTANTS = {
    "position": ("postgres", "late", "counters are the records"),
    "append": ("postgres", "kill,postgres", "counters are the records"),
    "outbox": ("postgres", "late", "all that is told reached the sink"),
    "sequence": ("kafka", "repeats,foreign", "counters are the records"),
}
COMMON = ("--first-seed", "1", "--seconds", "25", "--rate", "60")


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_build_is_found(mutant: str, tmp_path: Path) -> None:
    log, faults, check = MUTANTS[mutant]
    run = chaos(*COMMON, "--log", log, "--faults", faults, "--mutant", mutant, "--keep-in", str(tmp_path))
    assert run.returncode == 1, run.stdout[-6000:] + run.stderr[-3000:]
    assert f"RED  {check}" in run.stdout, run.stdout[-6000:]


@pytest.mark.parametrize("log", ["postgres", "kafka"])
def test_the_same_faults_find_nothing_in_the_real_build(log: str) -> None:
    faults = ",".join(
        dict.fromkeys(
            fault for mode, names, _ in MUTANTS.values() if mode == log for fault in names.split(",")
        )
    )
    run = chaos(*COMMON, "--log", log, "--faults", faults)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-3000:]

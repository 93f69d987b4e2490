"""`python -m tests.chaos`: run seeds, one after the other, and say what came of each."""

import argparse
import asyncio
import signal
import sys
from pathlib import Path

import uvloop

from tests.chaos import faults
from tests.chaos.orchestrator import Outcome, Wanted, run
from tiendo_common.errors import TiendoError

SHOWN = 5


def main() -> int:
    arguments = _parser().parse_args()
    kinds = tuple(arguments.faults.split(",")) if arguments.faults else None
    failed = []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        wanted = Wanted(
            seed, arguments.seconds, arguments.log, arguments.rate, kinds, arguments.mutant, arguments.keep_in
        )
        _write(f"\n== seed {seed}, {arguments.seconds:g} s, log: {arguments.log} ==")
        outcome = uvloop.run(_interruptible(wanted))
        report(outcome)
        if not outcome.good:
            failed.append(outcome)
    _write(f"\n{arguments.seeds - len(failed)} of {arguments.seeds} seeds are good")
    for outcome in failed:
        _write(f"repeat seed {outcome.wanted.seed}: {outcome.wanted.command}")
    return 1 if failed else 0


async def _interruptible(wanted: Wanted) -> Outcome:
    """SIGTERM ends a run as Ctrl-C does: in order."""
    task = asyncio.current_task()
    assert task is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await run(wanted, _write)


def report(outcome: Outcome) -> None:
    """What happened and what came of it."""
    _write(f"faults: {', '.join(f'{name} {n}' for name, n in sorted(outcome.faults.items()))}")
    for name, why in outcome.skipped.items():
        _write(f"  skipped: {name}, which {why}")
    for name, count in outcome.counts.items():
        _write(f"{name}: {count}")
    for verdict in outcome.verdicts:
        _write(f"{'ok ' if verdict.good else 'RED'}  {verdict.name}: {verdict.counted}")
        for wrong in verdict.wrong[:SHOWN]:
            _write(f"       {wrong}")
        if len(verdict.wrong) > SHOWN:
            _write(f"       and {len(verdict.wrong) - SHOWN:,} more")
    if not outcome.good:
        _write(f"logs and journal: {outcome.kept}\nrepeat: {outcome.wanted.command}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seeds", type=int, default=1, help="how many, one after the other")
    parser.add_argument("--first-seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=90, help="of faults, a seed")
    parser.add_argument("--log", choices=("postgres", "kafka"), default="postgres")
    parser.add_argument("--rate", type=float, default=Wanted.rate, help="requests a second")
    parser.add_argument("--faults", help=f"only these, of {','.join(faults.EVERYWHERE)}")
    parser.add_argument(
        "--keep-in", type=Path, default=Wanted.keep_in, help="where the logs of a failed seed are kept"
    )
    parser.add_argument("--mutant", help="run a deliberately broken build (mutants/)")
    return parser


def _write(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(130)
    except TiendoError as problem:
        sys.exit(str(problem))

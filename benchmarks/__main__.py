"""`python -m benchmarks [NAME]`: one JSON object a line."""

import asyncio
import logging
import signal
import sys

import structlog

from benchmarks.measurements import MEASUREMENTS, WHEN_NAMED


async def _measure(names: list[str]) -> None:
    known = MEASUREMENTS | WHEN_NAMED
    for name in names:
        for result in await known[name]():
            print(result.line(), flush=True)


def main() -> None:
    # Standard output holds results and nothing else; what a service says in passing would also cost it time.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    names = sys.argv[1:] or list(MEASUREMENTS)
    known = [*MEASUREMENTS, *WHEN_NAMED]
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"No such measurement: {', '.join(unknown)}. There are: {', '.join(known)}.")
    # As Ctrl-C does: what was started is stopped, also when a limit of time ends a measurement.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    asyncio.run(_measure(names))


main()

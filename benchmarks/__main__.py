"""`python -m benchmarks [NAME]`: one JSON object a line."""

import asyncio
import sys

from benchmarks.measurements import MEASUREMENTS, WHEN_NAMED


async def _measure(names: list[str]) -> None:
    known = MEASUREMENTS | WHEN_NAMED
    for name in names:
        for result in await known[name]():
            print(result.line(), flush=True)


def main() -> None:
    names = sys.argv[1:] or list(MEASUREMENTS)
    known = [*MEASUREMENTS, *WHEN_NAMED]
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"No such measurement: {', '.join(unknown)}. There are: {', '.join(known)}.")
    asyncio.run(_measure(names))


main()

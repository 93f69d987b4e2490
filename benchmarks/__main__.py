"""`python -m benchmarks [NAME]`: one JSON object a line."""

import asyncio
import sys

from benchmarks.measurements import MEASUREMENTS


async def _measure(names: list[str]) -> None:
    for name in names:
        for result in await MEASUREMENTS[name]():
            print(result.line(), flush=True)


def main() -> None:
    names = sys.argv[1:] or list(MEASUREMENTS)
    unknown = [name for name in names if name not in MEASUREMENTS]
    if unknown:
        sys.exit(f"No such measurement: {', '.join(unknown)}. There are: {', '.join(MEASUREMENTS)}.")
    asyncio.run(_measure(names))


main()

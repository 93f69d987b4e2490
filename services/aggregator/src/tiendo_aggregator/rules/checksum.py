"""One number for many counters: equal counters have equal checksums, wherever they were counted.

It is a sum over cells, so it needs no order, and those of two parts add up to that of both. It leaves out when
something became known: records don't keep that.
"""

import hashlib
from collections.abc import Mapping

from tiendo_aggregator.rules.reconciliation import Part, Whole

MODULUS = 2**64


def checksum(cells: Mapping[Whole, int] | Mapping[Part, int]) -> int:
    """The sum of each cell's number times a weight that its key alone determines, modulo 2⁶⁴. `storage.rebuild` has the
    same in SQL."""
    return sum(n * _weight(cell) for cell, n in cells.items()) % MODULUS


def _weight(cell: Whole | Part) -> int:
    # Against slips of ours, not against somebody who looks for collisions.
    digest = hashlib.md5("|".join(map(str, cell)).encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:8], "big", signed=True)


def printed(value: int) -> str:
    """Sixteen hexadecimal digits."""
    return f"{value % MODULUS:016x}"

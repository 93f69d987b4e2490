"""Tables of sums: columns that identify a row, and a number `n` that is only ever added to."""

from collections.abc import Sequence


def adding_sums(key: Sequence[str], source: str, table: str) -> str:
    """One statement that adds rows. Sorted, so that replicas which touch the same rows lock them in the same order."""
    names = ", ".join(key)
    return (
        f"INSERT INTO {table} AS old ({names}, n) SELECT {names}, n FROM {source} ORDER BY {names} "  # noqa: S608
        f"ON CONFLICT ({names}) DO UPDATE SET n = old.n + excluded.n"
    )

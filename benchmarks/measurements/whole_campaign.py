"""A whole campaign on Kafka."""

import contextlib
import os
from collections.abc import Iterator

from benchmarks.campaign import replay_whole
from benchmarks.parts import fresh_node
from benchmarks.result import Result, against
from benchmarks.stack import empty_folder
from tiendo.instance import running_instance


async def replay_kafka(runs: int = 3) -> list[Result]:
    """Kon Tum whole, its events carried by a durable Kafka node, against the embedded default in the same run."""
    rates: list[float] = []
    embedded: list[float] = []
    for _ in range(runs):
        embedded.append(await _rate())
        with empty_folder() as home:
            async with fresh_node(home.parent / "kafka", durable=True) as broker:
                with carried_by(f"kafka://{broker.bootstrap}"):
                    rates.append(await _rate())
    how = "Kafka and PostgreSQL durable"
    return [against("replay_kafka", "lines/s", rates, embedded, "ratio >= 0.7", how=how)]


async def _rate() -> float:
    with empty_folder() as data:
        async with running_instance(data, clock="driven"):
            outcome = await replay_whole(data)
            assert all(figure["matches"] for figure in outcome["figures"]), outcome
            return float(outcome["lines_a_second"])


@contextlib.contextmanager
def carried_by(log: str) -> Iterator[None]:
    """What carries the events of the stacks that are started meanwhile."""
    before = os.environ.get("TIENDO_LOG")
    os.environ["TIENDO_LOG"] = log
    try:
        yield
    finally:
        del os.environ["TIENDO_LOG"]
        if before is not None:
            os.environ["TIENDO_LOG"] = before

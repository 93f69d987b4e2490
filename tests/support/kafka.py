"""One real Apache Kafka node for a module of tests.

`kafka_node`, shared with all tests by `tests/conftest.py`, is the node: `kafka_node.bootstrap` is where it is.
It outlives the tests of a module, so that each should use topics of its own; a test that kills it starts it again.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.parts import require
from tests.support.scratch import abandoned_folders, scratch_folder
from tiendo.broker.jars import ToolMissing, check_tools
from tiendo.broker.node import KafkaNode, end_leftover_node
from tiendo.supervisor import free_port_base

__all__ = ["KafkaNode", "kafka_folder", "kafka_node", "require_kafka", "two_free_ports"]

_PREFIX = "tiendo-kafka-tests-"


def require_kafka() -> None:
    """Skip, or fail in CI, where Java or Maven is missing."""
    try:
        check_tools()
    except ToolMissing as missing:
        require("Java or Maven", False, f"{missing.detail} {missing.remedy}")


@contextlib.contextmanager
def kafka_folder() -> Iterator[Path]:
    """A folder for homes of nodes, removed at the end; nodes that a failed test left running are ended."""
    with scratch_folder(_PREFIX) as folder:
        try:
            yield folder
        finally:
            _end_nodes(folder)


def two_free_ports() -> int:
    """The first of two free ports in a row, below those that the system hands out by itself."""
    return free_port_base(20_000 + os.getpid() % 1000 * 10, count=2)


# Not the session's: few modules need one, and in a minute of doing nothing it takes half of what its start takes.
@pytest.fixture(scope="module")
def kafka_node() -> Iterator[KafkaNode]:
    """The module's node. Not durable: nobody needs a test's data after a power cut."""
    require_kafka()
    _remove_abandoned()
    with kafka_folder() as folder, KafkaNode(folder / "home", port=two_free_ports(), durable=False) as node:
        yield node


def _remove_abandoned() -> None:
    """End and remove the nodes of test sessions that were killed."""
    with abandoned_folders(_PREFIX) as folders:
        for folder in folders:
            _end_nodes(folder)


def _end_nodes(folder: Path) -> None:
    for record in folder.rglob("process.json"):
        end_leftover_node(record.parent)

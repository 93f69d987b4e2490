"""What to do about a test whose real part (Kafka, kcat, a tool) is not on this machine."""

import os

import pytest


def require(part: str, found: bool, how: str) -> None:
    """Skip the test if a part that it needs was not found, with the reason; where CI is set, fail it.

    `how` says how to get it: "apt install kcat". Call it from a fixture or the test itself.
    """
    if found:
        return
    reason = f"{part} is not on this machine. {how}"
    if os.environ.get("CI"):
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)

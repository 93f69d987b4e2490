"""What the command line loads before it knows what it is asked for."""

import subprocess
import sys


def test_no_command_waits_for_libraries_that_it_does_not_use() -> None:
    """Together they take longer to load than all else: Kafka's client, and what the services are made of."""
    heavy = {"aiokafka", "fastapi", "pydantic", "sqlalchemy", "structlog"}
    program = f"import sys, tiendo.__main__; print(*sorted({heavy!r} & sys.modules.keys()))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.split() == []

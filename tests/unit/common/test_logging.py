"""Logs: one JSON object a line, and no more of an error than where it happened."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from tiendo_common.observability import logging as logs

CITIZEN = "062199000001"


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Logging belongs to the whole process."""
    root = logging.getLogger()
    handlers, level, noisy = root.handlers, root.level, logging.getLogger("alembic").level
    ours = structlog.get_config()
    yield
    structlog.configure(**ours)
    structlog.contextvars.clear_contextvars()
    root.handlers, root.level = handlers, level
    logging.getLogger("alembic").setLevel(noisy)


def test_a_line_is_one_json_object_that_names_the_service(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("intake")
    structlog.get_logger("a").info("tổ 3 đã gửi", lines=3, text="one\ntwo")
    structlog.get_logger("a").debug("not at this level")
    logging.getLogger("a.library").warning("from a %s", "library")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (first["event"], first["lines"], first["text"]) == ("tổ 3 đã gửi", 3, "one\ntwo")
    assert (first["service"], first["level"]) == ("intake", "info")
    assert (second["service"], second["event"], second["level"]) == ("intake", "from a library", "warning")
    assert first["timestamp"].endswith("Z")


def test_an_error_shows_its_path_through_the_code_and_no_values(capsys: pytest.CaptureFixture[str]) -> None:
    def handle(citizen_id: str) -> None:
        raise LookupError("nobody")

    logs.configure("intake")
    try:
        handle(CITIZEN)
    except LookupError as error:
        structlog.get_logger("a").error("unexpected error", exc_info=error)
        structlog.get_logger("a").exception("unexpected error")
        logging.getLogger("a.library").exception("failed")
    lines = capsys.readouterr().err
    assert lines.count("LookupError: nobody") == 3
    assert lines.count("in handle") == 3
    assert CITIZEN not in lines

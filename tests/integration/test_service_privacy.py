"""A personal number goes in and is nowhere afterwards: not in a table, an answer, a log line or a metric."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.directory import CAMPAIGN, publish_directory
from tests.support.postgres import Database
from tests.support.services import (
    activation_line,
    amendment_line,
    approval_line,
    at,
    citizen,
    dump,
    intake_line,
    ndjson,
    spawned,
)
from tiendo_common.service.lines import LineDecoder
from tiendo_intake.http_schemas import IntakeLine, intake_submission

pytestmark = pytest.mark.anyio


def leaky_lines(who: str) -> list[dict[str, Any] | bytes]:
    """Lines of somebody who puts the number wherever there is room for text."""
    good = intake_line(who)
    return [
        good | {"line_id": who},
        good | {"line_id": f"hồ sơ {who}/1"},
        good | {"campaign": who},
        good | {"team": f"Tổ của {who}"},
        good | {"team": "gọi 0912345678"},
        good | {"channel": who},
        good | {"level": int(who)},
        good | {"cohorts": [who]},
        good | {"residence_unit": who},
        good | {"collecting_unit": who},
        good | {"occurred_at": who},
        good | {"citizen_id": f"{who}0"},
        good | {"citizen_id": f" {who}"},
        good | {"note": who, who: who},
        json.dumps(good)[:-1].encode() + b', "citizen_id": ' + who.encode() + b"}",
        json.dumps(good)[:-4].encode(),
        who.encode(),
        json.dumps(who).encode(),
    ]


async def test_a_personal_number_is_nowhere(database: Database, tmp_path: Path) -> None:
    """Both services as processes, so that all that they print is seen; the clock is the wall's."""
    await publish_directory(database)
    citizens = [citizen() for _ in range(12)]
    answers: list[str] = []
    async with (
        spawned(database, "intake", tmp_path) as desk,
        spawned(database, "activation", tmp_path) as phones,
    ):
        for service in (desk, phones):
            await service.listening()
            await service.ready()

        async def say(service: Any, method: str, path: str, content: bytes | None = None) -> None:
            kind = "application/x-ndjson" if path.endswith("bulk") else "application/json"
            answer = await service.client.request(
                method, path, content=content, headers={"Authorization": "Bearer nimda", "Content-Type": kind}
            )
            assert answer.status_code < 500
            answers.append(f"{answer.headers} {answer.text}")

        for who in citizens[:8]:
            for name, service, line in (
                ("intakes", desk, intake_line(who, level=1, team="Tổ 3")),
                ("intakes", desk, intake_line(who, level=2, occurred_at=at(13))),
                ("approvals", desk, approval_line(who)),
                ("amendments", desk, amendment_line(who, "correct", cohorts=["workers"])),
                ("activations", phones, activation_line(who, result="failed", reason="network")),
                ("activations", phones, activation_line(who)),
            ):
                await say(service, "POST", f"/v1/{name}", json.dumps(line).encode())
                await say(service, "POST", f"/v1/{name}/bulk", ndjson([line, line]))
        for who in citizens[8:]:
            leaky = leaky_lines(who)
            for name, service in (("intakes", desk), ("approvals", desk), ("activations", phones)):
                for each in leaky:
                    await say(service, "POST", f"/v1/{name}", ndjson([each]))
                await say(service, "POST", f"/v1/{name}/bulk", ndjson(leaky))
            for path in (f"/v1/intakes/{who}", f"/{who}", f"/v1/{who}?citizen_id={who}"):
                await say(desk, "GET", path)
                await say(phones, "DELETE", path.replace("intakes", "accounts"))
        for service in (desk, phones):
            await say(service, "GET", "/metrics")
            await say(service, "GET", "/v1/tally")
            await say(service, "GET", "/openapi.json")
        tables = await dump(database)
        logs = desk.log.read_text() + phones.log.read_text()

    assert CAMPAIGN in tables
    assert "intake.record" in tables
    assert "started" in logs
    for who in citizens:
        for name, text in (("tables", tables), ("logs", logs), ("answers", "\n".join(answers))):
            assert who not in text, name
            assert who.encode().hex() not in text, name
    assert "0912345678" not in tables


def test_a_submission_does_not_print_its_citizen() -> None:
    who = citizen()
    line = LineDecoder(IntakeLine).decode(json.dumps(intake_line(who)).encode())
    submission = intake_submission("province", line)
    assert who not in f"{submission!r} {submission}"

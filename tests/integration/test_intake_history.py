"""The history of a dossier: every version stays, with what made it so."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.directory import AWAY, CAMPAIGN, HOME, publish_directory
from tests.support.postgres import Database
from tests.support.services import Service, amendment_line, approval_line, at, citizen, intake, intake_line

pytestmark = pytest.mark.anyio


@pytest.fixture
async def desk(database: Database, tmp_path: Path) -> AsyncIterator[Service]:
    await publish_directory(database)
    async with intake(database, tmp_path) as each:
        yield each


async def test_corrections_never_overwrite(desk: Service) -> None:
    who, other = citizen(), citizen()
    [record] = await desk.accept("/v1/intakes", intake_line(who, level=1))
    await desk.accept("/v1/intakes", intake_line(other))
    await desk.accept("/v1/approvals", approval_line(who))
    await desk.accept(
        "/v1/amendments",
        amendment_line(who, "correct", residence_unit=AWAY, reason="wrong_village"),
        amendment_line(other, "void"),
    )
    await desk.accept(
        "/v1/intakes", intake_line(who, level=2, occurred_at=at(16, 0), working_day="2023-11-15")
    )
    await desk.accept("/v1/amendments", amendment_line(who, "void", reason="wrong_person"))
    await desk.accept("/v1/intakes", intake_line(who, occurred_at=at(18)))
    # A duplicate is no version.
    await desk.bulk("/v1/intakes", [intake_line(who, occurred_at=at(19))])
    answer = await desk.get(f"/v1/intakes/{record}/history", key="reader")
    assert answer["record_id"] == record
    versions = answer["versions"]
    assert [(each["version"], each["change"], each["reason"]) for each in versions] == [
        (1, "recorded", None),
        (2, "approved", None),
        (3, "corrected", "wrong_village"),
        (4, "upgraded", None),
        (5, "voided", "wrong_person"),
        (6, "recorded", None),
    ]
    assert {each["submitter"] for each in versions} == {"province"}
    assert {each["campaign"] for each in versions} == {CAMPAIGN}
    assert versions[0]["occurred_at"].startswith("2023-11-12")
    assert {each["known_day"] for each in versions} == {"2023-11-20"}
    # The true time stays beside the day on which it counts.
    upgraded = versions[3]
    assert [each["working_day"] for each in versions] == [None, None, None, "2023-11-15", None, None]
    assert upgraded["occurred_at"] == at(16, 0)
    assert upgraded["segments"][-1]["from_day"] == "2023-11-15"
    # Each says what stood then, the last one what stands now.
    residences = [[part["residence"] for part in each["segments"]] for each in versions]
    assert residences == [[HOME], [HOME, HOME], [AWAY, AWAY], [AWAY, AWAY, AWAY], [], [HOME]]
    now = await desk.get(f"/v1/intakes/{record}")
    assert (now["version"], now["segments"]) == (6, versions[-1]["segments"])
    assert who not in str(answer)


async def test_a_record_that_is_not_there_has_no_history(desk: Service) -> None:
    path = "/v1/intakes/5f0c7d5e-3b8a-4c1d-9e42-7a6b1c2d3e4f/history"
    headers = {"Authorization": f"Bearer {'reader'[::-1]}"}
    answer = await desk.client.get(path, headers=headers)
    assert (answer.status_code, answer.json()["field"]) == (404, "record_id")
    assert (await desk.client.get("/v1/intakes/1/history", headers=headers)).status_code == 422
    may_not = await desk.client.get(path, headers={"Authorization": f"Bearer {'province'[::-1]}"})
    assert may_not.status_code == 403

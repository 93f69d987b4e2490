"""What every service has: health, metrics, its clock, its log's heads, problems, and who may ask."""

import json
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.directory import publish_directory
from tests.support.postgres import Database
from tests.support.services import NOW, Service, activation, intake, intake_line

pytestmark = pytest.mark.anyio

ADMIN = {"Authorization": "Bearer nimda"}
PROBLEM = "application/problem+json"


@pytest.fixture(scope="module")
async def services(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, Service]]:
    await publish_directory(module_database)
    folder = tmp_path_factory.mktemp("services")
    async with (
        intake(module_database, folder) as one,
        activation(module_database, folder) as other,
    ):
        yield {"intake": one, "activation": other}


@pytest.fixture(params=["intake", "activation"])
def service(request: pytest.FixtureRequest, services: dict[str, Service]) -> Service:
    name: str = request.param
    return services[name]


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/metrics", "/openapi.json", "/v1/clock"])
async def test_what_an_operator_asks_needs_no_key(service: Service, path: str) -> None:
    assert (await service.client.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/v1/log", "/v1/positions", "/v1/tally"])
async def test_what_only_an_admin_may_ask(service: Service, path: str) -> None:
    for key, status in (("wrong", 401), ("redaer", 403), ("ecnivorp", 403), ("nimda", 200)):
        answer = await service.client.get(path, headers={"Authorization": f"Bearer {key}"})
        assert answer.status_code == status
    assert (await service.client.get(path)).status_code == 401


@pytest.mark.parametrize("path", ["/", "/v2/intakes", "/v1", "/v1/nothing", "/docs"])
async def test_what_is_not_there_is_a_problem(service: Service, path: str) -> None:
    answer = await service.client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (404, PROBLEM)
    assert answer.json()["status"] == 404


@pytest.mark.parametrize("path", ["/v1/intakes/{}", "/v1/accounts/{}"])
@pytest.mark.parametrize(
    ("record", "status"),
    [
        ("5f0a2f2e-8a7d-4c3c-9d0e-2f1d6f3b9a11", 404),
        ("1", 422),
        ("062199000001", 422),
        ("%00", 422),
        ("ổ", 422),
    ],
)
async def test_a_record_that_is_not_there_is_a_problem(
    services: dict[str, Service], path: str, record: str, status: int
) -> None:
    service = services["intake" if "intakes" in path else "activation"]
    answer = await service.client.get(path.format(record), headers=ADMIN)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM)
    assert answer.json()["field"] == "record_id"


async def test_requests_are_counted_by_the_template_of_their_route(services: dict[str, Service]) -> None:
    service = services["intake"]
    record = "5f0a2f2e-8a7d-4c3c-9d0e-2f1d6f3b9a11"
    await service.client.get(f"/v1/intakes/{record}", headers=ADMIN)
    await service.client.get(f"/{record}")
    metrics = (await service.client.get("/metrics")).text
    assert 'route="/v1/intakes/{record_id}"' in metrics
    assert 'route="unmatched"' in metrics
    assert record not in metrics


async def test_the_log_and_the_positions_say_how_far_things_are(services: dict[str, Service]) -> None:
    topics = (await services["intake"].get("/v1/log"))["topics"]
    assert set(topics) == {"intake", "approval", "dossier"}
    assert {len(topic["next"]) for topic in topics.values()} == {16}
    positions = await services["activation"].get("/v1/positions")
    assert positions["consumers"] == {"dossiers": {"dossier": topics["dossier"]["next"]}}
    assert datetime.fromisoformat(positions["complete_to"]["dossiers"]) <= NOW
    assert (await services["intake"].get("/v1/positions"))["consumers"] == {}


async def move(service: Service, body: Any) -> Any:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return await service.client.post(
        "/v1/clock", content=content, headers=ADMIN | {"Content-Type": "application/json"}
    )


@pytest.mark.parametrize(
    ("body", "status", "field"),
    [
        ({"now": "2023-11-20T12:59:59Z"}, 409, "now"),
        ({"now": "2020-01-01T00:00:00Z"}, 409, "now"),
        ({"now": "3000-01-01T00:00:00Z"}, 422, "now"),
        ({"now": "9999-12-31T23:59:59Z"}, 422, "now"),
        ({"now": "0001-01-01T00:00:00+14:00"}, 409, "now"),
        ({"now": "2023-11-20T20:00:00"}, 422, "now"),
        ({"now": "tomorrow"}, 422, "now"),
        ({"now": 1e300}, 422, "now"),
        ({"now": None}, 422, "now"),
        ({}, 422, "now"),
        ([], 422, "body"),
        (b"", 422, "body"),
        (b"{", 422, None),
        (b"[" * 100_000, 400, None),
        (b'{"now": "\xff"}', 400, None),
    ],
)
async def test_a_clock_is_not_moved_by_nonsense(
    service: Service, body: Any, status: int, field: str | None
) -> None:
    before = (await service.get("/v1/clock"))["now"]
    answer = await move(service, body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, PROBLEM), answer.text
    if field is not None:
        assert answer.json()["field"] == field
    assert (await service.get("/v1/clock"))["now"] == before


async def test_a_driven_clock_goes_on_where_it_stood(database: Database, tmp_path: Path) -> None:
    await publish_directory(database)
    later = NOW + timedelta(days=3)
    async with intake(database, tmp_path) as service:
        assert (await move(service, {"now": later.isoformat()})).status_code == 200
        assert (await move(service, {"now": later.isoformat()})).status_code == 200
    async with intake(database, tmp_path) as service:
        clock = await service.get("/v1/clock")
        assert datetime.fromisoformat(clock["now"]) == later
        assert (clock["today"], clock["driven"]) == ("2023-11-23", True)
        watermark = await service.kit.pool.fetchval("SELECT min(complete_to) FROM log_watermark")
        assert watermark == later
    async with intake(database, tmp_path, clock="wall") as service:
        assert not (await service.get("/v1/clock"))["driven"]
        answer = await move(service, {"now": "2999-01-01T00:00:00Z"})
        assert (answer.status_code, answer.headers["content-type"]) == (409, PROBLEM)


async def test_only_an_admin_moves_the_clock(service: Service) -> None:
    for key, status in (("wrong", 401), ("ecnivorp", 403)):
        answer = await service.client.post(
            "/v1/clock", json={"now": "2999-01-01T00:00:00Z"}, headers={"Authorization": f"Bearer {key}"}
        )
        assert answer.status_code == status


async def test_a_key_that_may_read_may_not_write_and_the_other_way_round(
    services: dict[str, Service],
) -> None:
    service = services["intake"]
    assert (await service.post("/v1/intakes", intake_line("062199999999"), key="reader")).status_code == 403
    answer = await service.client.get(
        "/v1/intakes/5f0a2f2e-8a7d-4c3c-9d0e-2f1d6f3b9a11", headers={"Authorization": "Bearer ecnivorp"}
    )
    assert answer.status_code == 403
    assert "intake:read" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ("provnce=62", "provnce", "Did you mean 'province'?"),
        ("asof=2023-11-12", "asof", "There are "),
        ("province=62&province=60", "province", "Send it once."),
    ],
)
async def test_a_question_that_would_be_passed_over_is_refused_by_name(
    services: dict[str, Service], query: str, field: str, words: str
) -> None:
    answer = await services["intake"].client.get(f"/v1/tally?{query}", headers=ADMIN)
    problem = answer.json()
    assert (answer.status_code, problem["field"]) == (422, field)
    assert words in problem["remedy"]


async def test_what_probes_and_scrapers_add_to_a_question_is_let_be(service: Service) -> None:
    for path in ("/livez?verbose", "/readyz?verbose=1", "/metrics?name[]=up"):
        assert (await service.client.get(path)).status_code == 200


async def test_a_member_that_stands_twice_in_a_document_is_refused_by_name(service: Service) -> None:
    before = (await service.client.get("/v1/clock")).json()
    later = (NOW + timedelta(days=1)).isoformat()
    body = f'{{"now": "{later}", "now": "{before["now"]}"}}'
    answer = await service.client.post(
        "/v1/clock", content=body, headers={**ADMIN, "Content-Type": "application/json"}
    )
    assert (answer.status_code, answer.json()["field"]) == (422, "now")
    assert (await service.client.get("/v1/clock")).json() == before

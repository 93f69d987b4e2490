"""What the services say of themselves in /openapi.json is what they do: tried by schemathesis, for a short while."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.support.directory import publish_directory
from tests.support.postgres import Database
from tests.support.services import Spawned, spawned
from tiendo_common.service.bodies import NDJSON

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
brief = settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@schemathesis.serializer(NDJSON)
def as_lines(context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Each generated line is sent three times: as it is, spoilt, and again."""
    line = json.dumps(value).encode()
    return b"\n".join([line, line[:-1], line])


@schemathesis.deserializer(NDJSON)
def from_lines(context: schemathesis.DeserializationContext, response: schemathesis.Response) -> Any:
    """The schema is that of one answer."""
    return json.loads(response.content.splitlines()[0])


@pytest.fixture(scope="module")
async def urls(
    anyio_backend: object, module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[str, str]]:
    """Both services as processes."""
    folder = tmp_path_factory.mktemp("services")
    await publish_directory(module_database)
    async with (
        spawned(module_database, "intake", folder) as one,
        spawned(module_database, "activation", folder) as other,
    ):
        for service in (one, other):
            await service.listening()
            await service.ready()
        yield {"intake": url(one), "activation": url(other)}


def url(service: Spawned) -> str:
    return f"http://127.0.0.1:{service.port}"


@pytest.mark.parametrize("service", ["intake", "activation"])
def test_a_service_does_what_it_says(urls: dict[str, str], service: str) -> None:
    schema = schemathesis.openapi.from_url(f"{urls[service]}/openapi.json")
    tried = 0
    for found in schema.get_all_operations():
        assert isinstance(found, Ok)

        @brief
        @given(case=found.ok().as_strategy())
        def try_it(case: Case[Any]) -> None:
            case.call_and_validate(checks=CHECKS, headers={"Authorization": "Bearer nimda"})

        try_it()
        tried += 1
    assert tried > 8


def test_every_answer_that_says_no_is_documented(urls: dict[str, str]) -> None:
    for address in urls.values():
        document = httpx2.get(f"{address}/openapi.json").json()
        for path, operations in document["paths"].items():
            for operation in operations.values():
                assert {"4XX", "503"} <= set(operation["responses"]), path
                for status in ("4XX", "422"):
                    assert list(operation["responses"][status]["content"]) == ["application/problem+json"]

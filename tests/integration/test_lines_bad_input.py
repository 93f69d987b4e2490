"""Whatever is sent, each line gets a clear answer, a bad one costs no good one, and nothing is an accident."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pytest

from tests.support.directory import DISTRICT, GONE, HOME, NEW, publish_directory
from tests.support.postgres import Database
from tests.support.services import (
    Service,
    activation,
    activation_line,
    amendment_line,
    approval_line,
    at,
    citizen,
    intake,
    intake_line,
    ndjson,
)
from tiendo_common.clock import VIETNAM
from tiendo_common.service.bodies import MAX_BODY, MAX_LINES, MAX_SINGLE

pytestmark = pytest.mark.anyio

Line = dict[str, Any]
PROBLEM = "application/problem+json"


@dataclass
class Kind:
    """One kind of line: who takes it, where, and a good one for a citizen."""

    service: Service
    path: str
    good: Callable[[str], Line]


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


@pytest.fixture(params=["intakes", "approvals", "amendments", "activations"])
def kind(request: pytest.FixtureRequest, services: dict[str, Service]) -> Kind:
    goods: dict[str, Callable[[str], Line]] = {
        "intakes": intake_line,
        "approvals": approval_line,
        "amendments": lambda who: amendment_line(who, "void"),
        "activations": activation_line,
    }
    name: str = request.param
    service = services["activation" if name == "activations" else "intake"]
    return Kind(service, f"/v1/{name}", goods[name])


async def with_dossiers(kind: Kind, count: int) -> list[str]:
    """So many citizens, with a dossier where this kind of line needs one."""
    citizens = [citizen() for _ in range(count)]
    if kind.path in ("/v1/approvals", "/v1/amendments"):
        await kind.service.accept("/v1/intakes", *[intake_line(who) for who in citizens])
    return citizens


#: Values that are wrong in a line of any kind.
WRONG: list[tuple[str, object]] = [
    ("citizen_id", "06219900001"),
    ("citizen_id", "0621990000012"),
    ("citizen_id", "06219900000a"),
    ("citizen_id", "không phải số"),
    ("citizen_id", ""),
    ("citizen_id", "0621990000\x00"),
    ("citizen_id", "003199000001"),
    ("citizen_id", "062224000001"),
    ("citizen_id", 62199000001),
    ("citizen_id", None),
    ("citizen_id", ["062199000001"]),
    ("occurred_at", "2023-11-20T20:06:00+07:00"),
    ("occurred_at", "2099-01-01T00:00:00Z"),
    ("occurred_at", "2019-11-10T08:00:00+07:00"),
    ("occurred_at", "1950-01-01T00:00:00Z"),
    ("occurred_at", "0001-01-01T00:00:00+14:00"),
    ("occurred_at", "9999-12-31T23:59:59-12:00"),
    ("occurred_at", "2023-11-12T08:00:00"),
    ("occurred_at", "2023-11-12"),
    ("occurred_at", "12/11/2023"),
    ("occurred_at", 1699750800),
    ("working_day", "2023-11-10"),
    ("working_day", "2023-11-16"),
    ("working_day", "2023-02-29"),
    ("working_day", "hôm qua"),
    ("working_day", 20231112),
    ("campaign", "kon-tum-2099"),
    ("campaign", ""),
    ("campaign", "kon-tum\x00"),
    ("line_id", ""),
    ("line_id", "x" * 101),
    ("line_id", "nul\x00"),
    ("line_id", "line\n"),
    ("line_id", 7),
    ("line_id", None),
]
#: Values that are wrong in a line of one kind.
WRONG_OF_KIND: dict[str, list[tuple[str, Line]]] = {
    "/v1/intakes": [
        ("residence_unit", {"residence_unit": "99999"}),
        ("residence_unit", {"residence_unit": NEW}),
        ("residence_unit", {"residence_unit": DISTRICT}),
        ("residence_unit", {"residence_unit": "2334a"}),
        ("residence_unit", {"residence_unit": 23341}),
        ("residence_unit", {"residence_unit": None}),
        ("collecting_unit", {"collecting_unit": "99999"}),
        ("collecting_unit", {"collecting_unit": NEW}),
        ("collecting_unit", {"collecting_unit": ""}),
        ("level", {"level": 3}),
        ("level", {"level": 0}),
        ("level", {"level": "2"}),
        ("level", {"level": 10**300}),
        ("level", {"level": True}),
        ("channel", {"channel": "pigeon"}),
        ("cohorts", {"cohorts": "workers"}),
        ("cohorts[1]", {"cohorts": ["workers", "pirates"]}),
        ("team", {"team": "Tổ\x00"}),
        ("team", {"team": "gọi 0912345678"}),
    ],
    "/v1/approvals": [
        ("decision", {"decision": "perhaps"}),
        ("reason", {"decision": "rejected"}),
        ("reason", {"decision": "rejected", "reason": "ảnh mờ"}),
        ("reason", {"decision": "rejected", "reason": ""}),
    ],
    "/v1/amendments": [
        ("kind", {"kind": "delete"}),
        ("kind", {"kind": "correct"}),
        ("level", {"level": 1}),
        ("residence_unit", {"residence_unit": HOME}),
        ("level", {"kind": "move", "residence_unit": HOME, "level": 1}),
        ("cohorts", {"kind": "move", "residence_unit": HOME, "cohorts": []}),
        ("residence_unit", {"kind": "move"}),
        ("residence_unit", {"kind": "move", "residence_unit": "99999"}),
        ("residence_unit", {"kind": "move", "residence_unit": NEW}),
        ("residence_unit", {"kind": "correct", "residence_unit": DISTRICT}),
        ("residence_unit", {"kind": "correct", "residence_unit": NEW}),
        ("collecting_unit", {"kind": "correct", "collecting_unit": "99999"}),
        ("level", {"kind": "correct", "level": 3}),
        ("reason", {"reason": None}),
        ("reason", {"reason": "Nguyễn Văn A"}),
    ],
    "/v1/activations": [
        ("result", {"result": "perhaps"}),
        ("reason", {"result": "failed"}),
        ("reason", {"result": "failed", "reason": "bad_mood"}),
        ("reason", {"reason": "network"}),
        ("reason", {"result": "deactivated", "reason": "other"}),
        ("collecting_unit", {"collecting_unit": "99999"}),
        ("collecting_unit", {"collecting_unit": NEW}),
        ("collecting_unit", {"collecting_unit": "x" * 60_000}),
        ("collecting_unit", {"collecting_unit": "2334\x00"}),
        ("channel", {"channel": "pigeon"}),
        ("team", {"team": "0912345678"}),
    ],
}


def wrong_lines(kind: Kind, citizens: list[str]) -> list[tuple[str, Line]]:
    """Every wrong line of this kind, with the field that is wrong."""
    changes = [(field, {field: value}) for field, value in WRONG] + WRONG_OF_KIND[kind.path]
    assert len(citizens) >= len(changes)
    return [(field, kind.good(who) | change) for who, (field, change) in zip(citizens, changes, strict=False)]


#: What is no line at all.
NO_LINES: list[bytes] = [
    b"{",
    b'{"line_id": "half a li',
    b"null",
    b"17",
    b'"text"',
    b"[1, 2]",
    b"{}{}",
    b"line_id;citizen_id",
    b"\xff\xfe{\x00}\x00",
    b"\xef\xbb\xbf{}",
    b'{"line_id": "\\ud800"}',
    b'{"line_id": "\xed\xa0\x80"}',
    b'{"line_id": NaN}',
    b"[" * 10_000,
    b'{"x": ' + b"[" * 10_000 + b"]" * 10_000 + b"}",
    b'{"x": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
    b"\x00",
]


async def test_a_wrong_line_alone_is_answered_with_its_field(kind: Kind) -> None:
    for field, line in wrong_lines(kind, await with_dossiers(kind, 60)):
        answer = await kind.service.post(kind.path, line)
        assert answer.status_code == 422, (line, answer.text)
        assert answer.headers["content-type"] == PROBLEM
        problem = answer.json()
        assert (problem["status"], problem["field"]) == (422, field)
        assert problem["detail"]
        assert problem["remedy"].endswith("."), problem
        assert "`" not in problem["detail"], problem
        assert problem["retryable"] == (problem["type"] == "urn:tiendo:problem:unknown-campaign")


async def test_wrong_lines_among_others_cost_no_good_one(kind: Kind) -> None:
    citizens = await with_dossiers(kind, 120)
    wrong = wrong_lines(kind, citizens)
    good = [kind.good(who) for who in citizens[60 : 60 + len(wrong)]]
    lines: list[Line | bytes] = []
    for (_, bad), fine in zip(wrong, good, strict=True):
        lines += [bad, fine]
    answers = await kind.service.bulk(kind.path, lines)
    assert [answer["line"] for answer in answers] == list(range(1, len(lines) + 1))
    for (field, line), answer, after in zip(wrong, answers[::2], answers[1::2], strict=True):
        assert (answer["status"], answer["problem"]["field"]) == ("rejected", field), line
        assert answer["problem"]["status"] == 422
        assert after["status"] == "accepted"
    assert [answer["line_id"] for answer in answers[1::2]] == [line["line_id"] for line in good]


@pytest.mark.parametrize("raw", NO_LINES)
async def test_what_is_no_line_is_said_to_be_none(kind: Kind, raw: bytes) -> None:
    answer = await kind.service.post(kind.path, raw)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == PROBLEM
    assert answer.json()["detail"]
    assert answer.json()["remedy"]


async def test_what_is_no_line_costs_no_good_one(kind: Kind) -> None:
    citizens = await with_dossiers(kind, len(NO_LINES))
    lines: list[Line | bytes] = []
    for who, raw in zip(citizens, NO_LINES, strict=True):
        lines += [kind.good(who), raw]
    answers = await kind.service.bulk(kind.path, lines)
    assert {answer["status"] for answer in answers[::2]} == {"accepted"}
    assert {answer["status"] for answer in answers[1::2]} == {"rejected"}
    assert all("line_id" not in answer for answer in answers[1::2])


async def test_a_line_that_is_not_utf_8_is_said_to_be_so(kind: Kind) -> None:
    line = json.dumps(kind.good(citizen())).encode().replace(b"kon-tum", b"kon-t\xfam")
    answer = await kind.service.post(kind.path, line)
    assert answer.status_code == 422
    assert "UTF-8" in answer.json()["detail"]
    answer = await kind.service.post(kind.path, json.dumps(kind.good(citizen())).encode("utf-16"))
    assert "UTF-8" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("field", "value", "detail", "remedy"),
    [
        ("level", "1", "This is text, which does not belong here.", "Send one of 1, 2, as a number."),
        ("level", 3, "This is not one of 1, 2, as a number.", "Send one of 1, 2, as a number."),
        ("citizen_id", 62199000001, "This is a whole number, which does not belong here.",
         "Send the 12 digits as text, with the zeros in front."),
        ("occurred_at", "2023-11-12T08:00:00", "This moment lacks its offset.",
         "Send a moment with its offset, like 2023-11-12T08:00:00+07:00."),
        ("occurred_at", "2023-02-29T08:00:00+07:00",
         "There is no such moment, or it is not written as RFC 3339 says.",
         "Send a moment with its offset, like 2023-11-12T08:00:00+07:00."),
        ("channel", "pigeon", "This is not one of fixed, home, mobile, online.",
         "Send one of fixed, home, mobile, online."),
    ],
)  # fmt: skip
async def test_what_is_wrong_is_said_in_words_and_with_what_is_right(
    services: dict[str, Service], field: str, value: object, detail: str, remedy: str
) -> None:
    answer = (await services["intake"].post("/v1/intakes", intake_line(citizen()) | {field: value})).json()
    assert (answer["field"], answer["detail"], answer["remedy"]) == (field, detail, remedy)


async def test_a_field_that_is_missing_is_told_with_what_it_is(services: dict[str, Service]) -> None:
    line = intake_line(citizen())
    del line["level"]
    answer = (await services["intake"].post("/v1/intakes", line)).json()
    assert answer["detail"] == "The line has no field 'level'."
    assert (answer["field"], answer["remedy"]) == ("level", "Send one of 1, 2, as a number.")


async def test_a_field_that_is_there_twice_is_refused_by_its_name(kind: Kind) -> None:
    [who] = await with_dossiers(kind, 1)
    raw = json.dumps(kind.good(who) | {"campaign": "first"})[:-1] + ', "campaign": "kon-tum-2023"}'
    answer = await kind.service.post(kind.path, raw.encode())
    assert (answer.status_code, answer.json()["field"]) == (422, "campaign")
    [bad, good] = await kind.service.bulk(kind.path, [raw.encode() + b"\n", kind.good(who)])
    assert (bad["status"], bad["problem"]["field"], good["status"]) == ("rejected", "campaign", "accepted")


@pytest.mark.parametrize("more", [{"hello": 1}, {"n": 10**300}, {"note": "x" * 1000}, {"more": [[[{}]]]}])
async def test_a_field_that_is_not_known_is_refused_by_its_name(kind: Kind, more: Line) -> None:
    [who] = await with_dossiers(kind, 1)
    answer = await kind.service.post(kind.path, kind.good(who) | more)
    assert answer.status_code == 422
    [name] = more
    assert answer.json()["field"] == name
    [bad, good] = await kind.service.bulk(kind.path, [kind.good(who) | more, kind.good(who)])
    assert (bad["status"], bad["problem"]["field"], good["status"]) == ("rejected", name, "accepted")


async def test_a_misspelt_field_is_told_with_the_right_one(services: dict[str, Service]) -> None:
    answer = await services["intake"].post("/v1/intakes", intake_line(citizen(), cohort=["workers"]))
    assert answer.status_code == 422
    assert (answer.json()["field"], answer.json()["remedy"]) == ("cohort", "Did you mean 'cohorts'?")


async def test_a_byte_order_mark_costs_no_line(kind: Kind) -> None:
    first, second, third = await with_dossiers(kind, 3)
    answers = await kind.service.bulk(
        kind.path, [b"\xef\xbb\xbf" + ndjson([kind.good(first)]), kind.good(second)]
    )
    assert [answer["status"] for answer in answers] == ["accepted"] * 2
    single = await kind.service.post(kind.path, b"\xef\xbb\xbf" + ndjson([kind.good(third)]))
    assert single.status_code == 201


async def test_an_object_printed_over_several_lines_is_answered_once(kind: Kind) -> None:
    [who] = await with_dossiers(kind, 1)
    answer = await kind.service.post(f"{kind.path}/bulk", json.dumps(kind.good(who), indent=4).encode())
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert "several lines" in answer.json()["detail"]
    assert "one JSON object a line" in answer.json()["remedy"]


async def test_a_streamed_body_over_the_limit_is_told_the_limit(kind: Kind) -> None:
    async def endless() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY // 2**20 + 1):
            yield b" " * 2**20

    for path, kind_of_body, limit in (
        (kind.path, "application/json", MAX_SINGLE),
        (f"{kind.path}/bulk", "application/x-ndjson", MAX_BODY),
        ("/v1/clock", "application/json", MAX_BODY),
    ):
        answer = await kind.service.client.post(
            path, content=endless(), headers={"Authorization": "Bearer nimda", "Content-Type": kind_of_body}
        )
        assert answer.status_code == 413
        assert f"{limit:,} bytes" in answer.json()["detail"]


async def test_moments_at_the_edge_of_what_is_accepted_are_accepted(kind: Kind) -> None:
    """Another machine's clock may be five minutes ahead; baselines are up to three years older."""
    early, late = await with_dossiers(kind, 2)
    lines = [
        kind.good(early) | {"occurred_at": "2020-11-10T00:00:00+07:00"},
        kind.good(late) | {"occurred_at": "2023-11-20T20:05:00+07:00"},
    ]
    await kind.service.accept(kind.path, *lines)


@pytest.mark.parametrize("body", [b"", b"\n\n", b" \r\n "])
async def test_an_empty_body_is_said_to_be_empty(kind: Kind, body: bytes) -> None:
    answer = await kind.service.post(f"{kind.path}/bulk", body)
    assert (answer.status_code, answer.headers["content-type"]) == (422, PROBLEM)
    assert "empty" in answer.json()["detail"]
    assert (await kind.service.post(kind.path, body)).status_code == 422


async def test_an_array_instead_of_lines_is_said_to_be_one(kind: Kind) -> None:
    [who] = await with_dossiers(kind, 1)
    for body in (json.dumps([kind.good(who)]), json.dumps([kind.good(who)], indent=2)):
        answer = await kind.service.post(f"{kind.path}/bulk", body.encode())
        assert answer.status_code == 422
        assert "array" in answer.json()["detail"]
        assert "one JSON object a line" in answer.json()["remedy"]


async def test_two_hundred_thousand_lines_are_too_many(kind: Kind) -> None:
    answer = await kind.service.post(f"{kind.path}/bulk", b'{"line_id": "1"}\n' * 200_000)
    assert answer.status_code == 413
    assert f"{MAX_LINES:,}" in answer.json()["detail"]


async def test_bodies_over_the_limit_are_too_large(kind: Kind) -> None:
    single = await kind.service.post(kind.path, b" " * (MAX_SINGLE + 1))
    bulk = await kind.service.post(f"{kind.path}/bulk", b" " * (MAX_BODY + 1))
    for answer in (single, bulk):
        assert (answer.status_code, answer.headers["content-type"]) == (413, PROBLEM)
        assert answer.headers["connection"] == "close"


@pytest.mark.parametrize("declared", ["text/csv", "application/x-www-form-urlencoded", "multipart/form-data"])
async def test_a_body_of_another_kind_is_not_read(kind: Kind, declared: str) -> None:
    [who] = await with_dossiers(kind, 1)
    for path in (kind.path, f"{kind.path}/bulk"):
        answer = await kind.service.post(path, kind.good(who), **{"Content-Type": declared})
        assert (answer.status_code, answer.headers["content-type"]) == (415, PROBLEM)
        assert answer.json()["field"] == "Content-Type"
    answer = await kind.service.post(kind.path, kind.good(who), **{"Content-Encoding": "gzip"})
    assert answer.status_code == 415


@pytest.mark.parametrize(
    "header", ["", "Bearer", "Bearer wrong", "Bearer \xe9", "Basic ecnivorp", "Bearer  ecnivorp x"]
)
async def test_without_a_valid_key_nothing_is_taken(kind: Kind, header: str) -> None:
    for path in (kind.path, f"{kind.path}/bulk"):
        answer = await kind.service.client.post(
            path,
            content=ndjson([kind.good(citizen())]),
            headers=[(b"Authorization", header.encode("latin-1"))],
        )
        assert (answer.status_code, answer.headers["content-type"]) == (401, PROBLEM)
        assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_key_without_the_scope_takes_nothing(kind: Kind) -> None:
    for path in (kind.path, f"{kind.path}/bulk"):
        answer = await kind.service.post(path, kind.good(citizen()), key="reader")
        assert (answer.status_code, answer.headers["content-type"]) == (403, PROBLEM)
        assert "write" in answer.json()["detail"]


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE", "PATCH"])
async def test_another_method_is_refused(kind: Kind, method: str) -> None:
    for path in (kind.path, f"{kind.path}/bulk"):
        answer = await kind.service.client.request(method, path, headers={"Authorization": "Bearer nimda"})
        # `bulk` is read as a record's id by GET.
        assert answer.status_code == (422 if (method, path) == ("GET", "/v1/intakes/bulk") else 405)
        assert answer.headers["content-type"] == PROBLEM


async def test_lines_are_answered_in_their_order_over_several_chunks(kind: Kind) -> None:
    """2,500 lines: every hundredth unreadable, every hundred-and-first empty."""
    citizens = await with_dossiers(kind, 2500)
    lines: list[Line | bytes] = []
    for number, who in enumerate(citizens):
        lines.append(b"" if number % 101 == 0 else b"{" if number % 100 == 0 else kind.good(who))
    answers = await kind.service.bulk(kind.path, lines)
    expected = [number for number, line in enumerate(lines, 1) if line != b""]
    assert [answer["line"] for answer in answers] == expected
    for answer in answers:
        line = lines[answer["line"] - 1]
        if isinstance(line, bytes):
            assert answer["status"] == "rejected"
        else:
            assert (answer["status"], answer["line_id"]) == ("accepted", line["line_id"])


async def test_units_are_those_of_the_day_on_which_it_happened(services: dict[str, Service]) -> None:
    """After the reform, a dossier of before it is corrected to a unit of then."""
    intake = services["intake"]
    who, other = citizen(), citizen()
    await intake.accept(
        "/v1/intakes", intake_line(who), intake_line(other, residence_unit=GONE, collecting_unit=GONE)
    )
    later = datetime(2025, 8, 1, 9, tzinfo=VIETNAM)
    await intake.move_clock(later)
    after = {"occurred_at": later.isoformat()}
    await intake.accept(
        "/v1/amendments",
        amendment_line(who, "correct", residence_unit=GONE, collecting_unit=DISTRICT, **after),
        amendment_line(other, "move", residence_unit=NEW, **after),
    )
    new = citizen()
    answers = await intake.bulk(
        "/v1/amendments",
        [
            amendment_line(who, "correct", residence_unit=NEW, **after),
            amendment_line(other, "correct", collecting_unit=NEW, **after),
            amendment_line(who, "move", residence_unit=GONE, **after),
        ],
    )
    assert [answer["problem"]["field"] for answer in answers] == [
        "residence_unit",
        "collecting_unit",
        "residence_unit",
    ]
    await intake.accept("/v1/intakes", intake_line(new, residence_unit=NEW, collecting_unit=NEW, **after))
    [answer] = await intake.bulk(
        "/v1/intakes", [intake_line(citizen(), residence_unit=HOME, collecting_unit=GONE, **after)]
    )
    assert "did not exist on 2025-08-01" in answer["problem"]["detail"]


def test_the_lines_of_these_tests_are_about_november() -> None:
    assert at(12).startswith("2023-11-12")

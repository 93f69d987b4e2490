"""Lines are decoded one by one; what is wrong with one is said by field, and no value is repeated."""

import json
from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiendo_activation.http_schemas import ActivationLine
from tiendo_common.clock import local_day
from tiendo_common.errors import Invalid
from tiendo_common.service.lines import FactLine, LineDecoder, line_id_of
from tiendo_intake.http_schemas import AmendmentLine, ApprovalLine, IntakeLine

CITIZEN = "062199000001"
COMMON = {
    "line_id": "1",
    "citizen_id": CITIZEN,
    "occurred_at": "2023-11-12T08:00:00+07:00",
    "campaign": "kon-tum-2023",
}
LINES: dict[type[FactLine], dict[str, Any]] = {
    IntakeLine: COMMON
    | {
        "level": 2,
        "residence_unit": "23341",
        "collecting_unit": "23341",
        "channel": "mobile",
        "team": "Tổ 3",
    },
    ApprovalLine: COMMON | {"decision": "rejected", "reason": "photo_unclear"},
    AmendmentLine: COMMON | {"kind": "move", "reason": "moved_house", "residence_unit": "23344"},
    ActivationLine: COMMON | {"result": "failed", "reason": "network", "channel": "home"},
}
decoders = {kind: LineDecoder(kind) for kind in LINES}
kinds = pytest.mark.parametrize("kind", list(LINES))


def text_of(kind: type[FactLine], /, **changed: object) -> bytes:
    return json.dumps(LINES[kind] | changed, ensure_ascii=False).encode()


def problem_of(kind: type[FactLine], raw: bytes) -> Invalid:
    with pytest.raises(Invalid) as caught:
        decoders[kind].decode(raw)
    return caught.value


@kinds
def test_a_good_line_is_read(kind: type[FactLine]) -> None:
    line = decoders[kind].decode(text_of(kind))
    assert line.line_id == "1"
    assert line.occurred_at.utcoffset() is not None


@pytest.mark.parametrize(
    ("occurred_at", "working_day", "day"),
    [
        ("2023-11-12T00:00:00+07:00", "2023-11-11", "2023-11-11"),
        ("2023-11-12T05:59:59.999999+07:00", "2023-11-11", "2023-11-11"),
        ("2023-11-11T17:40:00Z", "2023-11-11", "2023-11-11"),
        ("2023-11-12T00:40:00+07:00", "2023-11-12", "2023-11-12"),
        ("2023-11-12T00:40:00+07:00", None, "2023-11-12"),
        ("2024-03-01T00:40:00+07:00", "2024-02-29", "2024-02-29"),
        ("2024-01-01T01:00:00+07:00", "2023-12-31", "2023-12-31"),
        ("2023-11-12T06:00:00+07:00", "2023-11-11", None),
        ("2023-11-12T00:40:00+07:00", "2023-11-10", None),
        ("2023-11-11T23:40:00+07:00", "2023-11-12", None),
        ("2023-11-12T00:40:00Z", "2023-11-11", None),  # 07:40 in Vietnam
    ],
)
@kinds
def test_what_is_done_at_night_may_be_of_the_day_before(
    kind: type[FactLine], occurred_at: str, working_day: str | None, day: str | None
) -> None:
    raw = text_of(kind, occurred_at=occurred_at, working_day=working_day)
    if day is None:
        problem = problem_of(kind, raw)
        assert (problem.field, problem.remedy is not None) == ("working_day", True)
        return
    line = decoders[kind].decode(raw)
    assert line.day == date.fromisoformat(day)
    # Said or not, the date itself is the same.
    is_other = working_day is not None and line.day != local_day(line.occurred_at)
    assert line.shift_began_on == (line.day if is_other else None)


@kinds
def test_a_missing_field_is_named(kind: type[FactLine]) -> None:
    for field in COMMON:
        broken = {name: value for name, value in LINES[kind].items() if name != field}
        assert problem_of(kind, json.dumps(broken).encode()).field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("line_id", ""),
        ("line_id", "x" * 101),
        ("line_id", "tab\tin it"),
        ("line_id", "ends in a line break\n"),
        ("line_id", "nul \0"),
        ("line_id", 17),
        ("line_id", f"citizen-{CITIZEN}"),
        ("campaign", CITIZEN),
        ("campaign", ""),
        ("campaign", "kon-tum-2023\n"),
        ("citizen_id", 62199000001),
        ("citizen_id", None),
        ("occurred_at", "2023-11-12"),
        ("occurred_at", "2023-11-12T08:00:00"),
        ("occurred_at", "yesterday"),
        ("occurred_at", 1699750800),
        ("occurred_at", "2023-02-30T08:00:00Z"),
        ("occurred_at", "2023-11-12T24:30:00Z"),
        ("occurred_at", "0001-01-01T00:00:00+14:00"),
        ("occurred_at", "9999-12-31T23:59:59-12:00"),
        ("working_day", "2023-11-11"),  # done at 08:00
        ("working_day", "2023-11-13"),
        ("working_day", "2023-02-29"),
        ("working_day", "2023-11-12T00:00:00"),
        ("working_day", "yesterday"),
        ("working_day", 12),
        ("working_day", ""),
    ],
)
@kinds
def test_a_bad_value_is_named_and_not_repeated(kind: type[FactLine], field: str, value: object) -> None:
    problem = problem_of(kind, text_of(kind, **{field: value}))
    assert problem.field == field
    assert CITIZEN not in json.dumps(problem.document())


@pytest.mark.parametrize(
    ("kind", "field", "value"),
    [
        (IntakeLine, "level", 3),
        (IntakeLine, "level", 0),
        (IntakeLine, "level", True),
        (IntakeLine, "level", "2"),
        (IntakeLine, "level", 2.0),
        (IntakeLine, "level", 10**400),
        (IntakeLine, "residence_unit", 23341),
        (IntakeLine, "residence_unit", "2334a"),
        (IntakeLine, "residence_unit", "23341\n"),
        (IntakeLine, "residence_unit", CITIZEN),
        (IntakeLine, "collecting_unit", ""),
        (IntakeLine, "channel", CITIZEN),
        (IntakeLine, "team", ""),
        (IntakeLine, "team", "Tổ của anh Nam 0912345678"),
        (IntakeLine, "team", "x" * 101),
        (IntakeLine, "team", "Tổ 3\n"),
        (IntakeLine, "cohorts", ["workers", CITIZEN]),
        (IntakeLine, "cohorts", ["workers"] * 9),
        (IntakeLine, "cohorts", "workers"),
        (ApprovalLine, "decision", "maybe"),
        (ApprovalLine, "reason", "Nguyễn Văn A said so"),
        (ApprovalLine, "reason", "late\n"),
        (ApprovalLine, "reason", ""),
        (ApprovalLine, "reason", "x" * 65),
        (AmendmentLine, "kind", "delete"),
        (AmendmentLine, "residence_unit", "x"),
        (AmendmentLine, "level", 3),
        (AmendmentLine, "cohorts", ["nobody"]),
        (ActivationLine, "result", "perhaps"),
        (ActivationLine, "reason", "bad_mood"),
        (ActivationLine, "collecting_unit", CITIZEN),
        (ActivationLine, "collecting_unit", "2334\0"),
        (ActivationLine, "team", "0912345678"),
        (ActivationLine, "channel", "pigeon"),
    ],
)
def test_a_bad_value_of_its_own_is_named_and_not_repeated(
    kind: type[FactLine], field: str, value: object
) -> None:
    problem = problem_of(kind, text_of(kind, **{field: value}))
    assert problem.field is not None
    assert problem.field.split("[")[0] == field
    assert CITIZEN not in json.dumps(problem.document())


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b"null",
        b"17",
        b'"text"',
        b"[]",
        b"{}{}",
        b"\xff\xfe\x00",
        b"\xef\xbb\xbf{}",
        b'{"line_id": "\\ud800"}',
        b'{"line_id": "\\udc00x"}',
        b'{"line_id": "\xed\xa0\x80"}',
        b'{"line_id": NaN}',
        b"[" * 100_000,
        b'{"line_id": ' + b'{"a":' * 100_000,
        b'{"unknown": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        text_of(IntakeLine)[:-20],
        text_of(IntakeLine).replace("Tổ 3".encode(), b"T\xe1 3"),
    ],
)
@kinds
def test_what_is_no_line_is_refused(kind: type[FactLine], raw: bytes) -> None:
    problem = problem_of(kind, raw)
    assert len(json.dumps(problem.document())) < 500
    assert line_id_of(raw) is None or raw.startswith(b'{"line_id"')


def test_the_id_of_a_line_is_found_though_the_rest_of_it_is_bad() -> None:
    assert line_id_of(text_of(IntakeLine, level=3)) == "1"
    assert line_id_of(b'{"level": 1}') is None


@given(st.binary(max_size=200))
def test_no_bytes_are_an_accident(raw: bytes) -> None:
    for decoder in decoders.values():
        with pytest.raises(Invalid):
            decoder.decode(raw)
    line_id_of(raw)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=8,
)


@given(st.data())
def test_no_value_of_any_field_is_an_accident(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(list(LINES)))
    field = data.draw(st.sampled_from(sorted(LINES[kind])))
    raw = json.dumps(LINES[kind] | {field: data.draw(json_values)}).encode()
    try:
        line = decoders[kind].decode(raw)
    except Invalid:
        return
    assert isinstance(msgspec.to_builtins(line), dict)


@kinds
def test_a_field_that_is_not_known_is_named(kind: type[FactLine]) -> None:
    problem = problem_of(kind, text_of(kind, hello=1))
    assert problem.field == "hello"
    assert "hello" in problem.detail
    assert "line_id" in (problem.remedy or "")


@pytest.mark.parametrize(
    ("kind", "slip", "meant"),
    [
        (IntakeLine, "cohort", "cohorts"),
        (IntakeLine, "Channel", "channel"),
        (ApprovalLine, "reasons", "reason"),
        (AmendmentLine, "residence", "residence_unit"),
        (ActivationLine, "collectingUnit", "collecting_unit"),
    ],
)
def test_a_slip_in_a_field_is_told_with_the_right_one(kind: type[FactLine], slip: str, meant: str) -> None:
    problem = problem_of(kind, text_of(kind, **{slip: "x"}))
    assert (problem.field, problem.remedy) == (slip, f"Did you mean {meant!r}?")


@pytest.mark.parametrize(
    "name", [CITIZEN, f"id {CITIZEN}", f"x{CITIZEN}", "x0912-345-678", "a\nb", "", "x" * 500, "họ tên"]
)
@kinds
def test_the_name_of_a_field_that_may_say_too_much_is_not_repeated(kind: type[FactLine], name: str) -> None:
    problem = problem_of(kind, text_of(kind, **{name: 1}))
    assert problem.field is None
    if name:
        assert json.dumps(name)[1:-1] not in json.dumps(problem.document())


@pytest.mark.parametrize(
    ("kind", "field", "value", "words"),
    [
        (IntakeLine, "channel", "pigeon", "fixed, home, mobile, online"),
        (IntakeLine, "level", 3, "1, 2"),
        (IntakeLine, "cohorts", ["pirates"], "armed_forces, elderly"),
        (AmendmentLine, "channel", "pigeon", "fixed, home, mobile, online"),
        (AmendmentLine, "cohorts", ["pirates"], "armed_forces, elderly"),
        (ActivationLine, "reason", "bad_mood", "network, no_smartphone"),
        (IntakeLine, "residence_unit", "2334a", "digits only"),
        (ActivationLine, "collecting_unit", "2334a", "digits only"),
        (IntakeLine, "team", "0912345678", "a number of nine digits"),
        (IntakeLine, "team", "Tổ 0912.345 678", "a number of nine digits"),
        (ApprovalLine, "reason", "Photo", "small letters and underscores"),
        (AmendmentLine, "campaign", "a\n", "without control characters"),
    ],
)
def test_what_is_accepted_is_said_in_words(
    kind: type[FactLine], field: str, value: object, words: str
) -> None:
    detail = problem_of(kind, text_of(kind, **{field: value})).detail
    assert words in detail
    assert "regex" not in detail


@pytest.mark.parametrize(
    ("form", "wanted"),
    [
        ('{{{}, "campaign": "c"}}', "campaign"),
        ('{{"campaign" :"b",{}}}', "campaign"),
        ('{{"campaign"\t:"b",{}}}', "campaign"),
        ('{{"c\\u0061mpaign":"b",{}}}', "campaign"),
        ('{{"line_id":"2", {}}}', "line_id"),
        ("{{{}}}", None),
        ("{{\n{}\t}}", None),
    ],
)
@kinds
def test_a_field_that_stands_twice_is_refused_by_name(
    kind: type[FactLine], form: str, wanted: str | None
) -> None:
    # A text that looks like a field is none.
    said = text_of(kind, line_id='a":b').decode()[1:-1]
    raw = form.format(said).encode()
    if wanted is None:
        assert decoders[kind].decode(raw).line_id == 'a":b'
    else:
        problem = problem_of(kind, raw)
        assert (problem.field, problem.remedy) == (wanted, "Send it once.")

"""Personal numbers and the keyed hash that stands for them."""

import csv
import hashlib
import hmac
import json
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiendo_common.errors import Invalid
from tiendo_common.identity import PROVINCE_CODES, PersonHasher, PersonKey, check_personal_number

TODAY = date(2023, 11, 12)
PUBLISHED = Path(__file__).parents[3] / "data" / "personal-number-provinces.csv"
KEYS = [PersonKey(number, bytes([number]) * 32) for number in (1, 2, 3, 7)]
digests = st.binary(min_size=32, max_size=32)


def test_the_province_codes_are_those_of_the_circular() -> None:
    with PUBLISHED.open(encoding="utf-8") as file:
        assert {row["code"] for row in csv.DictReader(file)} == PROVINCE_CODES


@pytest.mark.parametrize("place", sorted(PROVINCE_CODES))
def test_a_number_of_any_province_is_well_formed(place: str) -> None:
    check_personal_number(f"{place}199000001", TODAY)


@pytest.mark.parametrize("place", ["100", "101", "999"])
def test_a_number_of_another_country_is_well_formed(place: str) -> None:
    check_personal_number(f"{place}199000001", TODAY)


@pytest.mark.parametrize("place", ["000", "003", "016", "097", "099"])
def test_a_place_that_is_neither_province_nor_country_is_named(place: str) -> None:
    with pytest.raises(Invalid, match=place) as caught:
        check_personal_number(f"{place}199000001", TODAY)
    assert caught.value.field == "citizen_id"


@pytest.mark.parametrize(
    "number",
    [
        "",
        "06219900001",
        "0621990000012",
        "06219900000a",
        " 62199000001",
        "062199000001\n",
        "-62199000001",
        "0621990000.1",
        "".join(chr(0x660 + int(digit)) for digit in "062199000001"),
        "".join(chr(0xFF10 + int(digit)) for digit in "062199000001"),
        "²62199000001",
        "\x00" * 12,
    ],
)
def test_what_is_not_twelve_digits_is_refused_and_not_repeated(number: str) -> None:
    with pytest.raises(Invalid, match="12 digits") as caught:
        check_personal_number(number, TODAY)
    assert len(number) < 5 or number not in str(caught.value.document())


@pytest.mark.parametrize(
    ("century_and_year", "year"),
    [("000", 1900), ("199", 1999), ("200", 2000), ("323", 2023), ("099", 1999), ("223", 2023)],
)
def test_centuries_and_years_up_to_this_one_are_accepted(century_and_year: str, year: int) -> None:
    assert year <= TODAY.year
    check_personal_number(f"062{century_and_year}123456", TODAY)


@pytest.mark.parametrize("century_and_year", ["224", "324", "299", "400", "599", "623", "999"])
def test_a_year_of_birth_in_the_future_is_refused(century_and_year: str) -> None:
    with pytest.raises(Invalid, match="future") as caught:
        check_personal_number(f"062{century_and_year}123456", TODAY)
    assert century_and_year + "123456" not in str(caught.value.document())


@given(st.text())
def test_any_text_is_judged_and_none_is_an_accident(text: str) -> None:
    try:
        check_personal_number(text, TODAY)
    except Invalid:
        return
    assert len(text.encode()) == 12


def test_the_hash_is_an_hmac_under_each_key_in_turn() -> None:
    first = hmac.new(KEYS[0].secret, b"062199000001", hashlib.sha256).digest()
    assert PersonHasher(KEYS[:1]).hash("062199000001") == first
    second = hmac.new(KEYS[1].secret, first, hashlib.sha256).digest()
    assert PersonHasher(KEYS[:2]).hash("062199000001") == second


@given(st.from_regex(r"[0-9]{12}", fullmatch=True), st.integers(1, 4), st.integers(1, 4))
def test_a_hash_lifted_is_the_hash_made_anew(number: str, one: int, other: int) -> None:
    before, after = sorted((one, other))
    older, newer = PersonHasher(KEYS[:before]), PersonHasher(KEYS[:after])
    assert newer.lift(older.hash(number), older.key_id) == newer.hash(number)


@given(digests, st.integers(1, 4), st.integers(1, 4))
def test_lifting_in_two_steps_is_lifting_in_one(digest: bytes, one: int, other: int) -> None:
    first, second = sorted((one, other))
    half = PersonHasher(KEYS[:first]).lift(digest, 1)
    assert PersonHasher(KEYS[:second]).lift(half, KEYS[first - 1].id) == PersonHasher(KEYS[:second]).lift(
        digest, 1
    )


def test_without_the_new_key_an_old_hash_does_not_become_a_new_one() -> None:
    assert PersonHasher(KEYS[:1]).lift(b"d" * 32, 1) == b"d" * 32


def test_a_mark_recognises_the_keys_up_to_one_of_them() -> None:
    both, first = PersonHasher(KEYS[:2]), PersonHasher(KEYS[:1])
    assert both.mark(1) == first.mark(1)
    assert both.mark(2) != both.mark(1)
    assert PersonHasher([PersonKey(1, b"x" * 32)]).mark(1) != first.mark(1)
    assert PersonHasher(KEYS[1:2]).mark(2) != both.mark(2)


@pytest.mark.parametrize(
    "keys",
    [
        [],
        [PersonKey(2, b"a" * 32), PersonKey(1, b"b" * 32)],
        [PersonKey(1, b"a" * 32), PersonKey(1, b"b" * 32)],
        [PersonKey(1, b"short")],
    ],
)
def test_unusable_keys_are_refused(keys: list[PersonKey]) -> None:
    with pytest.raises(ValueError, match="key"):
        PersonHasher(keys)


def test_keys_are_read_from_their_file(tmp_path: Path) -> None:
    file = tmp_path / "person-keys.json"
    file.write_text(json.dumps({"keys": [{"id": key.id, "secret": key.secret.hex()} for key in KEYS]}))
    assert PersonHasher.from_file(file).hash("062199000001") == PersonHasher(KEYS).hash("062199000001")

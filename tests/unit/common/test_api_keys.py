"""API keys in a file: recognised by their hash, read again when the file changes."""

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from tiendo_common.errors import BadKeys
from tiendo_common.identity import PersonHasher
from tiendo_common.service.auth import SCOPES, ApiKeys, OutOfBounds


def write(file: Path, *keys: tuple[str, str, list[str]]) -> None:
    stored = [
        {"name": name, "sha256": hashlib.sha256(key.encode()).hexdigest(), "scopes": scopes}
        for name, key, scopes in keys
    ]
    file.write_text(json.dumps({"keys": stored}))
    touch(file)


def touch(file: Path) -> None:
    """A later time of change than ever before, however coarse the file system's clock is."""
    touch.turn += 1  # type: ignore[attr-defined]
    moment = 1_700_000_000_000_000_000 + touch.turn * 1_000_000_000  # type: ignore[attr-defined]
    os.utime(file, ns=(moment, moment))


touch.turn = 0  # type: ignore[attr-defined]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    file = tmp_path / "api-keys.json"
    write(file, ("province", "the key", ["intake:write"]), ("boss", "another", ["admin"]))
    return file


def name_of(keys: ApiKeys, key: str) -> str | None:
    holder = keys.holder(key)
    return holder.name if holder else None


def test_a_key_is_recognised_and_another_is_not(file: Path) -> None:
    keys = ApiKeys(file)
    for _ in range(2):
        assert name_of(keys, "the key") == "province"
        assert name_of(keys, "the key ") is None
        assert name_of(keys, "") is None
        assert name_of(keys, "chìa khoá") is None
        assert name_of(keys, hashlib.sha256(b"the key").hexdigest()) is None


def test_a_key_may_do_what_its_scopes_say_and_admin_may_do_all(file: Path) -> None:
    keys = ApiKeys(file)
    province, boss = keys.holder("the key"), keys.holder("another")
    assert province is not None
    assert boss is not None
    assert [scope for scope in SCOPES if province.may(scope)] == ["intake:write"]
    assert all(boss.may(scope) for scope in SCOPES)


def test_a_key_that_was_taken_away_or_added_is_so_after_a_refresh(file: Path) -> None:
    keys = ApiKeys(file)
    assert name_of(keys, "the key") == "province"
    write(file, ("newcomer", "fresh", ["intake:read"]))
    keys.refresh()
    assert name_of(keys, "the key") is None
    assert name_of(keys, "fresh") == "newcomer"


def test_a_key_that_was_made_is_known_when_it_is_first_used(file: Path) -> None:
    keys = ApiKeys(file)
    write(file, ("newcomer", "fresh", ["intake:read"]))
    assert name_of(keys, "fresh") == "newcomer"


def test_whoever_guesses_keys_makes_no_work(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ApiKeys, "LOOK", 3600.0)
    keys = ApiKeys(file)
    assert name_of(keys, "a guess") is None
    write(file, ("newcomer", "fresh", ["intake:read"]))
    assert name_of(keys, "fresh") is None
    keys.refresh()
    assert name_of(keys, "fresh") == "newcomer"


def test_scopes_that_changed_hold_after_a_refresh_for_keys_seen_before(file: Path) -> None:
    keys = ApiKeys(file)
    assert name_of(keys, "the key") == "province"
    write(file, ("province", "the key", []))
    keys.refresh()
    holder = keys.holder("the key")
    assert holder is not None
    assert not holder.may("intake:write")


def test_a_file_replaced_by_another_is_read(file: Path, tmp_path: Path) -> None:
    keys = ApiKeys(file)
    other = tmp_path / "other"
    write(other, ("newcomer", "fresh", []))
    os.utime(other, ns=(file.stat().st_mtime_ns, file.stat().st_mtime_ns))
    other.replace(file)
    keys.refresh()
    assert name_of(keys, "fresh") == "newcomer"


@pytest.mark.parametrize("slip", [b"", b"{", b'{"keys": 1}', b'{"keys": [{"name": "\xff"}]}', None])
def test_a_slip_while_editing_locks_nobody_out(file: Path, slip: bytes | None) -> None:
    keys = ApiKeys(file)
    if slip is None:
        file.unlink()
    else:
        file.write_bytes(slip)
        touch(file)
    keys.refresh()
    assert name_of(keys, "the key") == "province"
    write(file, ("newcomer", "fresh", []))
    keys.refresh()
    assert name_of(keys, "fresh") == "newcomer"


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"keys": [{"sha256": 1}]}', b"\xff"])
def test_a_service_does_not_start_with_a_file_that_is_none_of_keys(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(content)
    with pytest.raises(BadKeys, match=r"keys\.json is no file of API keys"):
        ApiKeys(file)
    with pytest.raises(BadKeys, match=r"keys\.json is no file of person keys"):
        PersonHasher.from_file(file)


def stored(**more: Any) -> bytes:
    """A file of one key."""
    key = {"name": "district", "sha256": hashlib.sha256(b"k").hexdigest(), "scopes": ["incident:read"]}
    return json.dumps({"keys": [key | more]}).encode()


def test_a_key_without_units_acts_everywhere_and_one_with_units_on_these_and_below(tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    for units, allowed, refused in (
        (None, [("23341", ["610", "62"]), (None, [])], []),
        (["610", "23434"], [("610", ["62"]), ("23341", ["610", "62"]), ("23434", [])],
         [("62", []), ("611", ["62"]), ("23344", []), (None, [])]),
    ):  # fmt: skip
        file.write_bytes(stored() if units is None else stored(units=units))
        key = ApiKeys(file).holder("k")
        assert key is not None
        for unit, above in allowed:
            key.check_unit(unit, above, field="unit")
        for unit, above in refused:
            with pytest.raises(OutOfBounds) as refusal:
                key.check_unit(unit, above, field="unit")
            assert (refusal.value.status, refusal.value.field) == (403, "unit")
            assert "23434, 610" in refusal.value.detail


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"units": []}, "could do nothing"),
        ({"units": ["Đăk Glei"]}, "'Đăk Glei' is no unit's code"),
        ({"units": ["610"], "scopes": ["admin"]}, "cannot have admin"),
        ({"units": ["610"], "scopes": ["intake:write", "incident:read"]}, "cannot have intake:write"),
    ],
)
def test_a_key_that_is_bound_in_vain_is_none(tmp_path: Path, more: dict[str, Any], said: str) -> None:
    file = tmp_path / "keys.json"
    file.write_bytes(stored(**more))
    with pytest.raises(BadKeys, match=said):
        ApiKeys(file)
    file.write_bytes(stored())
    keys = ApiKeys(file)
    file.write_bytes(stored(**more))
    touch(file)
    keys.refresh()
    assert name_of(keys, "k") == "district"

"""`tiendo keys` and `tiendo doctor`, run as commands."""

import errno
import hashlib
import json
import os
import socket
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import stamina

from tests.support.command import run_command
from tests.support.scratch import scratch_folder
from tests.support.standins import standin_table
from tiendo.__main__ import main
from tiendo.doctor import examine
from tiendo.errors import OtherClock
from tiendo.folders import DataFolder
from tiendo.instance import running_instance
from tiendo.supervisor import free_port_base
from tiendo_common.service.auth import ApiKeys


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch_folder() as scratch:
        yield scratch


def tiendo(*arguments: str, status: int = 0) -> str:
    """What the command prints: on standard output, or on standard error if it is to fail."""
    ended = run_command(*arguments)
    assert ended.status == status, ended.out + ended.err
    return ended.out if status == 0 else ended.err


def stored(data: Path) -> dict[str, Any]:
    return {key["name"]: key for key in json.loads((data / "api-keys.json").read_text())["keys"]}


def test_a_key_is_printed_once_and_stored_as_its_hash(folder: Path) -> None:
    data = folder / "data"
    key = tiendo(
        "keys", "add", "province-62", "--scope", "intake:write", "--scope", "intake:read", "--data", str(data)
    ).strip()
    assert key not in (data / "api-keys.json").read_text()
    entry = stored(data)["province-62"]
    assert entry["sha256"] == hashlib.sha256(key.encode()).hexdigest()
    assert entry["scopes"] == ["intake:read", "intake:write"]
    assert stat.S_IMODE((data / "api-keys.json").stat().st_mode) == 0o600
    listed = json.loads(tiendo("keys", "list", "--json", "--data", str(data)))
    assert listed["keys"][1] == {
        "name": "province-62", "scopes": ["intake:read", "intake:write"], "units": None,
    }  # fmt: skip
    assert "sha256" not in tiendo("keys", "list", "--data", str(data))


def test_a_key_may_be_bound_to_units_but_not_in_vain(folder: Path) -> None:
    data = str(folder / "data")
    bound = ("--unit", "610", "--unit", "23434", "--data", data)
    scopes = ("--scope", "destination:write", "--scope", "incident:read")
    made = json.loads(tiendo("keys", "add", "dak-glei", *scopes, *bound, "--json"))
    assert made["units"] == ["23434", "610"]
    listed = json.loads(tiendo("keys", "list", "--json", "--data", data))
    assert listed["keys"][1] == {key: made[key] for key in ("name", "scopes", "units")}
    assert "23434, 610" in tiendo("keys", "list", "--data", data)
    holder = ApiKeys(folder / "data" / "api-keys.json").holder(made["key"])
    assert holder is not None
    assert holder.units == frozenset({"610", "23434"})
    for more, said in (
        (("--scope", "admin", *bound), "cannot have admin"),
        (("--scope", "intake:write", *bound), "cannot have intake:write"),
        ((*scopes, "--unit", "Đăk Glei", "--data", data), "no unit's code"),
    ):
        assert said in " ".join(tiendo("keys", "add", "other", *more, status=1).split())
    assert set(stored(folder / "data")) == {"admin", "dak-glei"}


def test_a_name_has_one_key_and_unknown_scopes_are_refused(folder: Path) -> None:
    data = str(folder / "data")
    tiendo("keys", "add", "a", "--scope", "intake:write", "--data", data)
    refused = tiendo("keys", "add", "a", "--scope", "intake:write", "--data", data, status=1)
    assert "tiendo keys revoke a" in refused
    assert "intake:write" in tiendo("keys", "add", "b", "--scope", "everything", "--data", data, status=1)
    assert set(stored(folder / "data")) == {"admin", "a"}


def test_a_revoked_key_is_gone_and_the_admins_key_stays(folder: Path) -> None:
    data = str(folder / "data")
    tiendo("keys", "add", "a", "--scope", "progress:read", "--data", data)
    tiendo("keys", "revoke", "a", "--data", data)
    assert "a has no key" in tiendo("keys", "revoke", "a", "--data", data, status=1)
    tiendo("keys", "revoke", "admin", "--data", data, status=1)
    assert set(stored(folder / "data")) == {"admin"}


def test_a_lost_admin_key_is_replaced_and_the_other_keys_stay(folder: Path) -> None:
    data = DataFolder(folder / "data")
    tiendo("keys", "add", "a", "--scope", "progress:read", "--data", str(data.root))
    before = stored(data.root)
    data.admin_key_file.unlink()
    data.make()
    after = stored(data.root)
    assert after["a"] == before["a"]
    assert after["admin"]["sha256"] == hashlib.sha256(data.admin_key().encode()).hexdigest()


def test_doctor_prints_one_object_and_finds_a_new_machine_well(folder: Path) -> None:
    # Below the ports that the system gives to outgoing connections, which come and go.
    ports = str(free_port_base(21_000 + os.getpid() % 1000 * 10))
    answer = json.loads(tiendo("doctor", "--json", "--data", str(folder / "data"), "--port-base", ports))
    assert answer["ok"] is True
    assert {check["name"] for check in answer["checks"]} >= {
        "Python",
        "PostgreSQL",
        "Disk",
        "Memory",
        "Ports",
    }
    assert not (folder / "data").exists(), "a look changes nothing"


def test_doctor_fails_on_a_taken_port_and_names_the_remedy(folder: Path, unused_port: int) -> None:
    base = min(unused_port, 65_000)
    with socket.create_server(("127.0.0.1", base)):
        ended = run_command("doctor", "--data", folder / "d", "--port-base", str(base))
    assert ended.status == 1
    assert f"taken: {base} (intake)" in ended.out
    assert "--port-base" in ended.out


def test_doctor_fails_on_secrets_that_others_may_read(folder: Path, unused_port: int) -> None:
    data = DataFolder(folder / "data")
    data.make()
    data.admin_key_file.chmod(0o644)
    checks = {check.name: check for check in examine(data.root, min(unused_port, 65_000))}
    assert checks["Secrets"].state == "fail"
    assert checks["Secrets"].remedy == f"chmod 600 {data.admin_key_file}"


@pytest.mark.parametrize(
    ("place", "why"),
    [
        ("strange", "no data folder of Tiendo, and it is not empty"),
        ("strange/file", "is a file"),
        ("strange/file/below", "is a file"),
        ("/proc/tiendo", "cannot be used as the data folder"),
    ],
)
def test_what_can_be_no_data_folder_is_refused_in_words(folder: Path, place: str, why: str) -> None:
    (folder / "strange").mkdir()
    (folder / "strange" / "file").touch()
    said = tiendo("up", "--data", str(folder / place), status=1)
    assert why in said
    assert "Choose another with --data" in said
    if not place.startswith("/proc"):  # that it takes no folders shows when one is made
        checks = {check.name: check for check in examine(folder / place, 65_000)}
        assert checks["Data folder"].state == "fail"
        assert why in checks["Data folder"].detail


def test_a_full_disk_is_said_in_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def full(_: DataFolder) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", "/full/settings.json")

    monkeypatch.setattr(DataFolder, "make", full)
    monkeypatch.setattr(sys, "argv", ["tiendo", "keys", "add", "a", "--scope", "admin"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 1
    assert capsys.readouterr().err == (
        "tiendo: /full/settings.json: No space left on device\n"
        "What to do: free some space, or choose another folder with --data.\n"
    )


def test_waiting_for_a_service_is_not_told_in_a_librarys_words(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    monkeypatch.setattr(sys, "argv", ["tiendo", "keys", "list", "--data", str(folder / "d")])
    with pytest.raises(SystemExit):
        main()
    capsys.readouterr()
    for attempt in stamina.retry_context(on=KeyError, attempts=2, wait_max=0.0):
        with attempt:
            if attempt.num == 1:
                raise KeyError
    assert capsys.readouterr() == ("", "")


@pytest.mark.anyio
async def test_doctor_asks_the_services_of_a_running_instance(folder: Path) -> None:
    async with running_instance(folder / "data", clock="driven", table=standin_table) as instance:
        checks = {check.name: check for check in examine(instance.data, 8400)}
    assert checks["Instance"].detail == f"running, pid {os.getpid()}"
    assert checks["Clock"].detail.startswith("driven")
    assert checks["Database"].detail.startswith("the embedded server: running")
    for service in instance.services:
        assert checks[service].state == "ok"
    assert "Ports" not in checks


def test_whoever_replays_on_the_wall_clock_is_told_what_a_replay_can_do(folder: Path) -> None:
    data = DataFolder(folder / "data")
    data.make()
    assert data.settle_clock(None) == "wall"
    with pytest.raises(OtherClock) as refused:
        data.settle_clock("driven")
    # A replay has no --clock.
    assert refused.value.remedy.startswith(
        "Choose another folder with --data; a replay needs one of its own."
    )

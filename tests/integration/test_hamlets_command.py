"""`tiendo hamlets`, run as a command beside the services."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from tests.integration.test_aggregator_funnel import whole_world
from tests.integration.test_parting_by_share import command_line
from tests.support.directory import AWAY, HOME
from tests.support.postgres import Database

pytestmark = [pytest.mark.anyio, pytest.mark.counted]

DAY, LATER = "2023-01-01", "2023-11-15"
Command = Callable[..., Awaitable[str]]


@pytest.fixture
async def command(database: Database, tmp_path: Path) -> AsyncIterator[Command]:
    async with whole_world(database, tmp_path) as world, command_line(world, tmp_path) as run:

        async def hamlets(*arguments: str, status: int = 0) -> str:
            return await run("hamlets", *arguments, status=status)

        yield hamlets


def written(folder: Path, *lines: str, encoding: str = "utf-8") -> str:
    file = folder / "thôn.csv"
    file.write_bytes("\r\n".join(lines).encode(encoding))
    return str(file)


async def test_a_table_is_looked_at_then_taken_in_then_listed(command: Command, tmp_path: Path) -> None:
    # As Excel writes it, the columns in another order, an empty line in between.
    table = written(
        tmp_path, "Commune,name,CODE", f"{HOME},Thôn Đăk 1,{HOME}001", "", f'{HOME},"Thôn 2, mới",{HOME}002',
        encoding="utf-8-sig",
    )  # fmt: skip
    asked = ("import", table, "--province", "62", "--from-day", DAY)
    said = await command(*asked, "--dry-run")
    assert said.splitlines()[0] == f"2 hamlets of 62 from {DAY} on: 2 new, 0 renamed, 0 moved, 0 ended."
    assert f"new  {HOME}001  Thôn Đăk 1 ({HOME})" in said
    assert said.splitlines()[-1] == "Nothing was changed: this was a dry run."
    assert await command("list", "62", "--as-of", DAY) == f"62 has no hamlets on {DAY}.\n"

    answer = json.loads(await command(*asked, "--json"))
    assert (answer["dry_run"], answer["counts"]["added"]) == (False, 2)
    assert (await command(*asked)).splitlines() == [
        f"2 hamlets of 62 from {DAY} on: 0 new, 0 renamed, 0 moved, 0 ended."
    ]
    listed = json.loads(await command("list", "62", "--json"))
    assert [(each["code"], each["name"], each["parent"]) for each in listed["hamlets"]] == [
        (f"{HOME}001", "Thôn Đăk 1", HOME),
        (f"{HOME}002", "Thôn 2, mới", HOME),
    ]

    # From a later day on another list, which ends itself: a new one, one renamed, one left out.
    table = written(tmp_path, "code,name,commune", f"{HOME}001,Thôn Một,{HOME}", f"{AWAY}001,Thôn Ba,{AWAY}")
    said = await command(
        "import", table, "--province", "62", "--from-day", LATER, "--until-day", "2024-01-01"
    )
    first, *changes = [" ".join(line.split()) for line in said.splitlines()]
    assert first == f"2 hamlets of 62 from {LATER} on until 2024-01-01: 1 new, 1 renamed, 0 moved, 1 ended."
    assert changes == [
        f"new {AWAY}001 Thôn Ba ({AWAY})",
        f"renamed {HOME}001 Thôn Một, before: Thôn Đăk 1",
        f"ended {HOME}002 Thôn 2, mới ({HOME})",
    ]
    said = " ".join((await command("list", "62", "--as-of", "2023-11-20")).split())
    assert f"{HOME}001 Thôn Một {HOME} {LATER} 2024-01-01" in said
    assert f"{HOME}002" not in said


REFUSED: list[tuple[list[str], str, str]] = [
    ([], "is empty", "code, name and commune"),
    (["code;name;commune"], "line 1: the columns are 'code;name;commune'", "separated by commas"),
    (["code,name,commune,note"], "line 1: the columns are", "code, name and commune"),
    (
        ["code,name,commune", "", "1,Thôn 1"],
        "line 3: it has 2 columns, and the first line has 3",
        "quotation",
    ),
    (["code,name,commune", f"1,,{HOME}"], "line 2, column name: nothing stands there", "Every hamlet"),
    (
        ["code,name,commune", f'1,"Thôn,{HOME}'],
        "line 2: unexpected end of data",
        "code, name and commune",
    ),
    # What the service refuses is said of the file's lines.
    (
        ["code,name,commune", "", f"{HOME}001,Thôn 1,{HOME}", f"{HOME}001,Thôn 2,{HOME}"],
        f"line 4, column code: The code {HOME}001 stands already at line 3",
        "Leave one out",
    ),
    (
        ["commune,code,name", f"610,{HOME}001,Thôn 1"],
        "line 2, column commune: Thôn 1",
        "Name its commune",
    ),
    (["code,name,commune", f"x,Thôn 1,{HOME}"], "line 2, column code", "two to ten digits"),
]


async def test_what_is_no_list_is_refused_by_line_column_and_remedy(command: Command, tmp_path: Path) -> None:
    for lines, words, remedy in REFUSED:
        table = written(tmp_path, *lines)
        said = await command("import", table, "--province", "62", "--from-day", DAY, status=1)
        first, second = said.splitlines()
        assert words in first
        assert remedy in first + second
        assert second.startswith("What to do: ")
    assert await command("list", "62", "--as-of", DAY) == f"62 has no hamlets on {DAY}.\n"


async def test_other_encodings_days_and_places_are_refused_in_words(command: Command, tmp_path: Path) -> None:
    table = written(tmp_path, "code,name,commune", f"{HOME}001,Thôn Hai,{HOME}", encoding="cp1258")
    asked = ("import", table, "--province", "62")
    said = await command(*asked, "--from-day", DAY, status=1)
    assert "line 2: what stands there is not UTF-8" in said
    table = written(tmp_path, "code,name,commune", f"{HOME}001,Thôn Một,{HOME}")
    assert "'tomorrow' is not a day" in await command(*asked, "--from-day", "tomorrow", status=1)
    assert "before it begins" in await command(*asked, "--from-day", DAY, "--until-day", DAY, status=1)
    said = await command("import", table, "--province", "99", "--from-day", DAY, status=1)
    assert "There is no unit '99'" in said
    assert "No such file" in await command(
        "import", str(tmp_path / "none.csv"), "--province", "62", "--from-day", DAY, status=1
    )
    assert "There is no unit '99'" in await command("list", "99", status=1)

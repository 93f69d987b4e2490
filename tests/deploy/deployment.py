"""What the tests of deployment share: tools, versions, settings, and a Dockerfile carried out without Docker."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic_settings import BaseSettings

from tests.support.parts import require
from tiendo_activation.settings import Settings as ActivationSettings
from tiendo_aggregator.settings import Settings as AggregatorSettings
from tiendo_common.service.settings import BrokerSettings
from tiendo_intake.settings import Settings as IntakeSettings
from tiendo_notifier.settings import NotifierSettings

ROOT = Path(__file__).resolve().parents[2]
SERVICES: dict[str, type[BaseSettings]] = {
    "intake": IntakeSettings,
    "activation": ActivationSettings,
    "aggregator": AggregatorSettings,
    "notifier": NotifierSettings,
}
#: The user of our images.
USER = 10001
VERSION = tomllib.loads((ROOT / "cli" / "pyproject.toml").read_text())["project"]["version"]

#: What the PostgreSQL client reads beside our settings.
_OF_POSTGRES = {"PGSSLMODE", "PGSSLROOTCERT"}
#: Options of `tiendo setup`.
_OF_SETUP = {"TIENDO_POSTGRES_FILE", "TIENDO_KAFKA_REPLICATION"}


def tool(name: str, how: str) -> str:
    """The path of a tool of the environment or the machine; skips the test, or fails it in CI, without one."""
    found: str | None = shutil.which(
        name, path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    )
    require(name, found is not None, how)
    assert found is not None
    return found


def run(*command: str | Path, **more: Any) -> str:
    """What a command prints. Fails with all that it said, if it fails."""
    words = [str(part) for part in command]
    ended: subprocess.CompletedProcess[str] = subprocess.run(
        words, capture_output=True, text=True, check=False, **more
    )
    assert ended.returncode == 0, f"{' '.join(words)}\n{ended.stdout}\n{ended.stderr}"
    return ended.stdout


def unknown_settings(image: str, names: Iterable[str]) -> set[str]:
    """Names of environment variables that mean nothing to an image."""
    fields = SERVICES.get(image, BrokerSettings).model_fields
    known = {f"TIENDO_{name.upper()}" for name in fields} | _OF_POSTGRES
    return set(names) - known - (_OF_SETUP if image == "setup" else set())


def missing_settings(image: str, names: Iterable[str]) -> set[str]:
    """Settings without a default that an image is not given."""
    required = {
        f"TIENDO_{name.upper()}"
        for name, facts in SERVICES[image].model_fields.items()
        if facts.is_required()
    }
    return required - set(names)


def version_of_tag(image: str) -> str:
    """The tag of an image; fails on one that moves."""
    _, colon, tag = image.rpartition(":")
    assert colon, f"{image} has no tag"
    assert re.search(r"\d+\.\d+", tag), f"the tag of {image} may mean another image tomorrow"
    return tag


@dataclass
class Stage:
    """One FROM of a Dockerfile."""

    name: str
    base: str
    instructions: list[tuple[str, str]] = field(default_factory=list)


def stages(dockerfile: Path) -> dict[str, Stage]:
    """The stages of a Dockerfile that gives each a name."""
    found: dict[str, Stage] = {}
    for line in _lines(dockerfile.read_text(encoding="utf-8")):
        word, _, rest = line.partition(" ")
        if word == "FROM":
            base, _, name = rest.partition(" AS ")
            found[name] = stage = Stage(name, base)
        else:
            stage.instructions.append((word, rest.strip()))
    return found


def _lines(text: str) -> Iterator[str]:
    kept = "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
    return (line for line in kept.replace("\\\n", " ").splitlines() if line.strip())


@dataclass
class Image:
    """What carrying out a target leaves: its files below `root`, and what it says of them."""

    root: Path
    environment: dict[str, str] = field(default_factory=dict)
    said: dict[str, str] = field(default_factory=dict)

    def command(self, instruction: str) -> list[str]:
        """The words of ENTRYPOINT, CMD or HEALTHCHECK."""
        words: list[str] = json.loads(self.said[instruction][self.said[instruction].index("[") :])
        return [self.at(word) for word in words]

    def at(self, text: str) -> str:
        """A text with the image's own paths in their place on this machine."""
        return re.sub(r"(?<![\w/.-])/(source|work|opt|run|etc)(?=[/\"' ]|$)", rf"{self.root}/\1", text)


class Builder:
    """Carries out the stages that a target needs, each once, in folders that are empty at first.

    No layers, no isolation, `python` is one of this machine: what it shows is that what is copied is enough,
    that the steps work, and that what they leave runs.
    """

    def __init__(self, dockerfile: Path, folder: Path, python: Path) -> None:
        self._stages = stages(dockerfile)
        self._folder = folder
        self._python = python
        self._built: dict[tuple[str, str], Image] = {}

    def build(self, target: str, **arguments: str) -> Image:
        """The image of a target."""
        # Only a stage that takes the argument, or stands on one that does, differs by it.
        given = arguments.get("SERVICE", "") if self._takes(target, "SERVICE") else ""
        if (target, given) in self._built:
            return self._built[target, given]
        stage = self._stages[target]
        image = Image(self._folder / f"{target}{'-' if given else ''}{given}")
        image.root.mkdir()
        image.root.chmod(0o755)
        if stage.base in self._stages:
            base = self.build(stage.base, **arguments)
            _lay(base.root, image.root)
            image.environment |= base.environment
            image.said |= base.said
        for word, rest in stage.instructions:
            self._carry_out(image, word, rest, arguments)
        self._built[target, given] = image
        return image

    def _takes(self, target: str, argument: str) -> bool:
        stage = self._stages[target]
        of_others = re.findall(r"--from=(\S+)", " ".join(rest for _, rest in stage.instructions))
        return ("ARG", argument) in stage.instructions or any(
            self._takes(other, argument) for other in {stage.base, *of_others} & self._stages.keys()
        )

    def _carry_out(self, image: Image, word: str, rest: str, arguments: dict[str, str]) -> None:
        here = Path(image.at(image.said.get("WORKDIR", "/source")))
        if word == "COPY" and rest.startswith("--from="):
            stage, source, to = rest.removeprefix("--from=").split()
            other = self.build(stage, **arguments)
            _lay(Path(other.at(source)), Path(image.at(to)))
            _tell_place(Path(image.at(to)), str(other.root), str(image.root))
        elif word == "COPY":
            *sources, to = rest.split()
            for source in sources:
                place = Path(image.at(to)) if to.startswith("/") else here / to
                _take(source, place / Path(source).name if to.endswith("/") else place)
        elif word == "RUN":
            words = json.loads(rest) if rest.startswith("[") else ["sh", "-ec", rest]
            here.mkdir(exist_ok=True)
            words = [image.at(str(each)) for each in words]
            if words[0] == "python":
                words[0] = str(self._python)
            path = f"{self._folder}{os.pathsep}{os.environ['PATH']}"
            (self._folder / "python").unlink(missing_ok=True)
            (self._folder / "python").symlink_to(self._python)
            run(*words, cwd=here, env={**os.environ, "PATH": path, **arguments})
        elif word == "ENV":
            image.environment |= {name: image.at(value) for name, _, value in map(_pair, shlex.split(rest))}
        else:
            image.said[word] = rest


def _pair(text: str) -> tuple[str, str, str]:
    return text.partition("=")


def _take(source: str, to: Path) -> None:
    """Copy from the checkout what .dockerignore lets through."""
    assert any(Path(source).is_relative_to(allowed) for allowed in let_through()), f"{source} is held back"
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info", ".*")
    _own(to.parent)
    if (ROOT / source).is_dir():
        shutil.copytree(ROOT / source, to, ignore=ignored, dirs_exist_ok=True)
    else:
        shutil.copy2(ROOT / source, to)


def _own(folder: Path) -> None:
    """Make a folder, or turn links to another stage's into one: nothing may be written there."""
    for each in reversed([folder, *folder.parents]):
        if each.is_symlink():
            _lay(each.resolve(), each)
    folder.mkdir(parents=True, exist_ok=True)


def let_through() -> list[str]:
    """What .dockerignore lets the builder see."""
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert "*" in lines, ".dockerignore must name what goes in, not what stays out"
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


def _tell_place(folder: Path, stage: str, image: str) -> None:
    """A program names the Python beside it by its whole path, which in Docker is the same in all stages."""
    for program in [path for path in folder.iterdir() if path.is_symlink() and path.is_file()]:
        text = program.read_text(encoding="utf-8")
        mode = program.stat().st_mode
        program.unlink()
        program.write_text(text.replace(stage, image), encoding="utf-8")
        program.chmod(mode)


def _lay(layer: Path, over: Path) -> None:
    """What a folder holds, over what another holds. A folder that only one has is linked: thousands of files less."""
    if over.is_symlink():
        below = over.resolve()
        over.unlink()
        _lay(below, over)
    over.mkdir(parents=True, exist_ok=True)
    for entry in layer.iterdir():
        place = over / entry.name
        if entry.is_dir() and not entry.is_symlink() and place.exists():
            _lay(entry, place)
        else:
            place.unlink(missing_ok=True)
            place.symlink_to(entry.readlink() if entry.is_symlink() else entry)

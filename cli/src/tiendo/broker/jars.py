"""Java, and the jars that a Kafka node is made of.

Maven fetches the jars once, into a folder that all nodes of a checkout share: `.tools/kafka/<version>-<list>`,
or the folder that `TIENDO_KAFKA_JARS` names. `deploy/kafka/pom.xml` says which, and `deploy/kafka/jars.sha256`
what each must be, to the byte: no others are run, wherever they came from. `<list>` is the beginning of that
list's own hash, so that a folder always belongs to one list.

After a change of pom.xml write the list anew, and look at what changed: `make kafka-jars`, which is
`python -m tiendo.broker.jars`.
"""

import contextlib
import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tiendo.errors import Refused

_FOLDER_VARIABLE = "TIENDO_KAFKA_JARS"
_OLDEST_JAVA = 17  # that Kafka 4 runs on
_DRAFT = ".draft-"
_FETCH_PATIENCE = 900.0


class ToolMissing(Refused):
    """Java or Maven is not installed, or too old."""


class FetchFailed(Refused):
    """Maven could not fetch the jars, or there is no place to put them."""


class WrongJars(Refused):
    """A jar is missing, or is not the one that the list names."""


@dataclass(frozen=True)
class Java:
    """A Java that Kafka runs on."""

    program: Path
    version: str  # in full, as it says itself: 17.0.15


@dataclass(frozen=True)
class Jars:
    """A folder of jars that are what the list says."""

    folder: Path
    names: tuple[str, ...]

    @property
    def classpath(self) -> str:
        """In the order of the list: a class archive is good for one order."""
        return ":".join(str(self.folder / name) for name in self.names)


def deploy_folder() -> Path:
    """The checkout's `deploy/kafka`. Raises Refused."""
    folder = Path(__file__).resolve().parents[4] / "deploy" / "kafka"
    if not (folder / "pom.xml").is_file():
        raise Refused(
            f"There is no {folder}, which says what a Kafka node is made of.",
            remedy="Run from a checkout of Tiendo, installed as `make` installs it.",
        )
    return folder


def find_java() -> Java:
    """The Java of JAVA_HOME, else of PATH. Raises ToolMissing."""
    program = _tool("java", "JAVA_HOME")
    if program is None:
        raise ToolMissing(
            "Kafka needs Java, and there is none in JAVA_HOME or PATH.",
            remedy="Install Java 17 or newer. On Debian: apt install default-jre-headless maven",
        )
    result = subprocess.run([program, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(?P<full>(?P<major>\d+)[^"]*)"', result.stderr)
    if found is None or int(found["major"]) < _OLDEST_JAVA:
        said = found["full"] if found else "broken: " + (result.stderr.strip() or "it says no version")
        raise ToolMissing(
            f"Kafka needs Java {_OLDEST_JAVA} or newer; {program} is {said}.",
            remedy="Install one and set JAVA_HOME to it. On Debian: apt install default-jre-headless",
        )
    return Java(program, found["full"])


def find_maven() -> Path:
    """The command `mvn`. Raises ToolMissing."""
    program = _tool("mvn", "MAVEN_HOME")
    if program is None:
        raise ToolMissing(
            "Kafka's jars are fetched by Maven, and there is no mvn in PATH.",
            remedy="Install it. On Debian: apt install default-jre-headless maven",
        )
    return program


def check_tools() -> None:
    """Raise ToolMissing if this machine lacks what a node needs: Java; Maven until the jars are there."""
    find_java()
    if not _filled(jars_folder()):
        find_maven()


def jars_folder() -> Path:
    """Where the jars are or will be."""
    named = os.environ.get(_FOLDER_VARIABLE)
    if named:
        return Path(named).absolute()
    deploy = deploy_folder()
    text = (deploy / "jars.sha256").read_bytes()
    version = re.search(rb" kafka_[\d.]+-(.+)\.jar\n", text)
    assert version is not None, "a node without Kafka"
    name = f"{version[1].decode()}-{hashlib.sha256(text).hexdigest()[:8]}"
    return deploy.parents[1] / ".tools" / "kafka" / name


def fetched_jars() -> Jars:
    """The jars, fetched if they are not there yet; each is compared with the list, every time.

    Several processes may do this at once: one fetches, the others wait for it. A process that is killed
    meanwhile leaves nothing that is taken for the jars. Raises ToolMissing, FetchFailed, WrongJars.
    """
    folder = jars_folder()
    if not _filled(folder):
        find_java()  # Maven's own words about a missing Java are long
        try:
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _draft(folder.parent) as draft:
                # Another process may have fetched them while this one waited for the lock.
                if not _filled(folder):
                    _fetch(draft)
                    _verify(draft, fresh=True)
                    draft.replace(folder)
        except OSError as problem:
            raise FetchFailed(
                f"Kafka's jars cannot be put into {folder}: {problem.strerror}.",
                remedy=f"Choose another folder: {_FOLDER_VARIABLE}.",
            ) from problem
    return _verify(folder)


@contextlib.contextmanager
def locked(file: Path, waiting: str) -> Iterator[None]:
    """Hold a lock, which ends with the process. `waiting` is said if another holds it."""
    with file.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say(waiting)
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def say(text: str) -> None:
    """Tell whoever waits why: on stderr, since stdout may be somebody's JSON."""
    sys.stderr.write(f"tiendo: {text}\n")
    sys.stderr.flush()


def write_list() -> Path:
    """Fetch what pom.xml asks for, whatever the list says, and make that the list. Raises Refused."""
    file = deploy_folder() / "jars.sha256"
    with tempfile.TemporaryDirectory(prefix="tiendo-jars-") as folder:
        _fetch(Path(folder))
        names = sorted(path.name for path in Path(folder).iterdir())
        lines = [f"{_sha256(Path(folder) / name)}  {name}\n" for name in names]
    file.write_text("".join(lines), encoding="ascii")
    return file


def _tool(name: str, home_variable: str) -> Path | None:
    home = os.environ.get(home_variable)
    places = [str(Path(home) / "bin")] if home else []
    found = shutil.which(name, path=os.pathsep.join([*places, os.environ.get("PATH", "")]))
    return None if found is None else Path(found)


def _filled(folder: Path) -> bool:
    return folder.is_dir() and any(folder.iterdir())


@contextlib.contextmanager
def _draft(parent: Path) -> Iterator[Path]:
    """A new folder to fetch into. One process at a time: what another left there was left by a dead one."""
    with locked(parent / "fetch.lock", "another process is fetching Apache Kafka: waiting for it"):
        for stale in parent.glob(f"{_DRAFT}*"):
            shutil.rmtree(stale)
        draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=parent))
        try:
            draft.chmod(0o755)  # a shared folder, and nothing secret in it
            yield draft
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def _fetch(into: Path) -> None:
    maven = find_maven()
    say("fetching Apache Kafka with Maven, once; this can take a minute")
    began = time.monotonic()
    try:
        result = subprocess.run(
            [
                maven,
                "--batch-mode",
                "--quiet",
                "--strict-checksums",
                f"--file={deploy_folder() / 'pom.xml'}",
                "dependency:copy-dependencies",
                f"-DoutputDirectory={into}",
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_FETCH_PATIENCE,
            check=False,
        )
        failed, said = result.returncode != 0, result.stdout + result.stderr
    except subprocess.TimeoutExpired:
        failed, said = True, f"It did not end in {_FETCH_PATIENCE:.0f} s."
    if failed:
        raise FetchFailed(
            "Maven could not fetch Kafka's jars:\n" + "\n".join(said.strip().splitlines()[:10]),
            remedy="Maven says what it lacks: the network perhaps, or a mirror in its settings.xml.",
        )
    megabytes = sum(path.stat().st_size for path in into.iterdir()) / 1e6
    say(f"fetched {megabytes:.0f} MB in {time.monotonic() - began:.0f} s")


def _verify(folder: Path, *, fresh: bool = False) -> Jars:
    """Compare a folder with the list. Jars that are not in the list are not looked at, nor run."""
    text = (deploy_folder() / "jars.sha256").read_text(encoding="ascii")
    wanted = {name: digest for digest, name in (line.split("  ", 1) for line in text.splitlines())}
    remedy = (
        "If pom.xml was changed, write the list anew: make kafka-jars. "
        "If it was not, do not trust the place that Maven fetched from."
        if fresh
        else f"Remove {folder}: the next start fetches it again."
    )
    for name, digest in wanted.items():
        try:
            found = _sha256(folder / name)
        except FileNotFoundError:
            raise WrongJars(f"{name} is missing in {folder}.", remedy=remedy) from None
        if found != digest:
            raise WrongJars(
                f"{folder / name} is not the jar that deploy/kafka/jars.sha256 names: "
                f"its SHA-256 is {found}, not {digest}.",
                remedy=remedy,
            )
    return Jars(folder, tuple(wanted))


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _main() -> None:
    try:
        sys.stdout.write(f"{write_list()}\n")
    except Refused as refused:
        sys.stderr.write(f"tiendo: {refused.detail}\nWhat to do: {refused.remedy}\n")
        sys.exit(1)


if __name__ == "__main__":
    _main()

"""A Kafka node as a process.

**What its home holds** (0700): `cluster-id`, made once; `data` (the logs of topics and of the quorum);
`server.properties`, written at every start; `kafka.log`; `process.json` while it runs, to find a node whose
launcher was killed; `launcher.lock`, held by the launcher that runs it.

**What it survives.** A node that was killed recovers from its logs at the next start. A launcher that was
killed leaves its node running: the next one on that home ends it first.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterable
from pathlib import Path
from string import Template
from types import TracebackType
from typing import IO

import psutil

from tiendo.broker.jars import Jars, Java, deploy_folder, fetched_jars, find_java, locked, say
from tiendo.broker.probe import cluster_at
from tiendo.broker.secured import Secured
from tiendo.errors import AlreadyRunning, PortTaken, Refused
from tiendo.supervisor import HOST, free_port_base, holder_of, port_is_free, recorded_processes
from tiendo_common.files import last_lines, replace_private

DEFAULT_PORT = 9092
_POLL_SECONDS = 0.02
_RECORD = "process.json"
# Names beside `cluster-id` that a launcher may have made before it.
_OURS = {"launcher.lock", "lost+found"}
# Nothing of ours is the node's business: JDK_JAVA_OPTIONS and its like would change what it does. UTF-8, or Java
# cannot name a folder that is called "Tiến độ".
_ENVIRONMENT = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8", "TZ": "UTC"}
_JVM = (
    "-Xmx512m",
    # The quick compiler only. A start takes 1.5 s of CPU instead of 2.5 (of 4.6 without the class archive), and
    # what one node does for one machine hardly profits from the better code.
    "-XX:TieredStopAtLevel=1",
    # A node that is out of memory ends, and can be started again, instead of living on in part.
    "-XX:+ExitOnOutOfMemoryError",
)


class BrokerFailed(Refused):
    """The node did not come up, or ended by itself; the message ends with the last lines of its log."""


class KafkaNode:
    """Starts and stops the node of one home.

    It listens on 127.0.0.1 only: at `port` for clients, at `controller_port` (else the port after it) for itself.
    The ports may change from start to start. `log_file` receives all that the node says. `durable=False` leaves
    the disk to the operating system: for tests, a power cut then loses acknowledged records; a kill does not.
    `advertised_port`: where clients are told to come, if something stands in between. `secured`: a second listener.
    """

    def __init__(
        self,
        home: Path,
        *,
        port: int = DEFAULT_PORT,
        controller_port: int | None = None,
        log_file: Path | None = None,
        durable: bool = True,
        advertised_port: int | None = None,
        secured: Secured | None = None,
    ) -> None:
        self.home = home.absolute()
        self.port = port
        self.controller_port = port + 1 if controller_port is None else controller_port
        self.log_file = (log_file or home / "kafka.log").absolute()
        self._durable = durable
        self._advertised_port = advertised_port or port
        self._secured = secured
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[str] | None = None

    def __enter__(self) -> "KafkaNode":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """Where clients find it: `127.0.0.1:port`."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int | None:
        """The pid of the node, while it runs."""
        return self._process.pid if self._process is not None and self.alive() else None

    def alive(self) -> bool:
        """Whether the process that was started here exists. Cheap: for watching it."""
        return self._process is not None and self._process.poll() is None

    def start(self, *, deadline: float = 120.0) -> None:
        """Start the node; returns once it takes requests. Does nothing if it runs.

        The first start on a machine fetches Kafka and prepares its classes, and says so on stderr. `deadline`
        (seconds) is for the node itself, and leaves room for recovery after a crash. Raises Refused: ToolMissing,
        FetchFailed, WrongJars, AlreadyRunning, PortTaken, BrokerFailed.
        """
        if self.alive():
            return
        java = find_java()
        jars = fetched_jars()
        self._launch(java, jars, [f"-XX:SharedArchiveFile={_class_archive(java, jars)}"], deadline)

    def stop(self, *, grace: float = 30.0) -> str:
        """Stop the node: SIGTERM, after `grace` seconds SIGKILL. Returns `stopped`, `killed` or `not running`."""
        process = self._process
        if process is None or not self.alive():
            self._let_go()
            return "not running"
        process.terminate()
        try:
            process.wait(grace)
        except subprocess.TimeoutExpired:
            self.kill()
            return "killed"
        self._let_go()
        return "stopped"

    def kill(self) -> None:
        """End the node at once (SIGKILL), as a crash would."""
        if self._process is not None and self.alive():
            self._process.kill()
            self._process.wait()
        self._let_go()

    def failed(self, what: str) -> BrokerFailed:
        """An error that ends with what the node said last."""
        return BrokerFailed(
            f"Kafka {what}. Its log ({self.log_file}) ends with:\n{last_lines(self.log_file, 15)}",
            remedy="The log says what it lacks; once that is mended, start again: nothing is lost.",
        )

    def _launch(self, java: Java, jars: Jars, options: Iterable[str], deadline: float) -> None:
        self._take_home()
        try:
            end_leftover_node(self.home)
            for port in (self.port, self.controller_port, *([self._secured.port] if self._secured else [])):
                _check_port(port)
            cluster = self._cluster_id()
            command = [str(java.program), *_JVM, *options, *_logging(), "-cp", jars.classpath]
            self._format(command, cluster)
            self._spawn([*command, "kafka.Kafka", "server.properties"])
            self._await_answer(cluster, deadline)
        except BaseException:
            self.kill()
            raise

    def _take_home(self) -> None:
        """Make the home and hold it: two nodes in one home would be one too many."""
        if self._lock is not None:
            return  # held since an earlier start: the node ended by itself
        try:
            self.home.mkdir(mode=0o700, parents=True, exist_ok=True)
            names = {path.name for path in self.home.iterdir() if not path.name.startswith(".")}
            if "cluster-id" not in names and names - _OURS - {self.log_file.name}:
                raise Refused(
                    f"{self.home} is no home of a Kafka node, and it is not empty.",
                    remedy="Choose another with --data.",
                )
            lock = (self.home / "launcher.lock").open("a+")
        except (PermissionError, FileExistsError, NotADirectoryError) as problem:
            raise Refused(
                f"{self.home} cannot be used as the home of a Kafka node: {problem.strerror}.",
                remedy="Choose another with --data, or run as the user who made it.",
            ) from problem
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            lock.close()
            raise AlreadyRunning(
                f"A Kafka node is already running in {self.home}.",
                remedy="Use that one, stop it, or choose another folder with --data.",
            ) from None
        self._lock = lock

    def _let_go(self) -> None:
        """Forget a node that has ended."""
        if self._process is not None:
            (self.home / _RECORD).unlink(missing_ok=True)
            self._process = None
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _cluster_id(self) -> str:
        file = self.home / "cluster-id"
        if not file.exists():
            replace_private(file, f"{secrets.token_urlsafe(16)}\n")
        return file.read_text(encoding="ascii").strip()

    def _format(self, command: list[str], cluster: str) -> None:
        """Write the configuration; at the first start, make `data` beside its place and rename it: half a
        storage is never taken for a whole one."""
        if not (self.home / "data").exists():
            draft = self.home / "data.draft"
            shutil.rmtree(draft, ignore_errors=True)
            self._write_properties(data=draft.name)
            result = subprocess.run(
                [
                    *command,
                    "kafka.tools.StorageTool",
                    "format",
                    f"--cluster-id={cluster}",
                    "--config=server.properties",
                    *(self._secured.format_options() if self._secured else []),
                ],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                cwd=self.home,
                env=_ENVIRONMENT,
                umask=0o077,
                check=False,
            )
            if result.returncode != 0:
                said = "\n".join((result.stdout + result.stderr).strip().splitlines()[-15:])
                raise BrokerFailed(
                    f"Kafka could not make its storage in {self.home}:\n{said}",
                    remedy="Free some disk space if that is what it lacks; then start again.",
                )
            draft.rename(self.home / "data")
        self._write_properties(data="data")

    def _write_properties(self, *, data: str) -> None:
        text = (deploy_folder() / "server.properties").read_text(encoding="utf-8")
        if self._secured is not None:
            text += (deploy_folder() / "secured.properties").read_text(encoding="utf-8")
            replace_private(self.home / "keystore.pem", self._secured.keystore.read_text(encoding="ascii"))
        text = Template(text).substitute(
            port=self.port,
            advertised_port=self._advertised_port,
            controller_port=self.controller_port,
            data=data,
            flush_messages=1 if self._durable else 2**63 - 1,
            secured_port=self._secured.port if self._secured else 0,
        )
        replace_private(self.home / "server.properties", text)

    def _spawn(self, command: list[str]) -> None:
        self.log_file.parent.mkdir(parents=True, exist_ok=True)
        self.log_file.touch(mode=0o600)
        with self.log_file.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.home,  # where `data` is, and what Java writes about a crash of its own belongs
                env=_ENVIRONMENT,
                start_new_session=True,  # Ctrl-C in the launcher's terminal is not the node's
                umask=0o077,
            )
        with contextlib.suppress(psutil.NoSuchProcess):
            birth = {"pid": self._process.pid, "born": psutil.Process(self._process.pid).create_time()}
            replace_private(self.home / _RECORD, json.dumps({"Kafka": birth}) + "\n")

    def _await_answer(self, cluster: str, deadline: float) -> None:
        until = time.monotonic() + deadline
        while cluster_at(HOST, self.port) != cluster:
            if not self.alive():
                raise self.failed("ended")
            if time.monotonic() > until:
                raise self.failed(f"took no requests within {deadline:.0f} s")
            time.sleep(_POLL_SECONDS)


def end_leftover_node(home: Path, *, grace: float = 10.0) -> None:
    """End the node of a launcher that was killed, if it still runs."""
    processes = list(recorded_processes(home / _RECORD).values())
    for process in processes:
        say(f"Kafka (pid {process.pid}) was left behind by a launcher that died: ending it")
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    _, stubborn = psutil.wait_procs(processes, timeout=grace)
    for process in stubborn:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(stubborn, timeout=5)


def _check_port(port: int) -> None:
    if not port_is_free(port):
        holder = holder_of(port)
        raise PortTaken(
            f"Port {port}, which Kafka needs, is taken{f' by {holder}' if holder else ''}.",
            remedy=f"Choose another, for example --port {free_port_base(port + 100, 2)}, or end what holds it.",
        )


def _logging() -> list[str]:
    return [f"-Dlog4j2.configurationFile={deploy_folder() / 'log4j2.properties'}"]


def _class_archive(java: Java, jars: Jars) -> Path:
    """Kafka's classes as this Java has them in memory, to be mapped instead of loaded: made once, beside the jars.

    A start takes 1.5 s of CPU with it and 2.6 without. Java checks that an archive fits, and goes without one that
    does not, or is not there: so nothing is lost if it cannot be made.
    """
    archive = jars.folder / f"classes-{java.version}.jsa"
    if archive.exists() or not os.access(jars.folder, os.W_OK):
        return archive
    with locked(jars.folder / "classes.lock", "another process is preparing Kafka's classes: waiting for it"):
        if not archive.exists():
            _make_class_archive(archive, java, jars)
    return archive


def _make_class_archive(archive: Path, java: Java, jars: Jars) -> None:
    """The archive holds what a node has loaded that starts and stops."""
    say("preparing Kafka's classes for faster starts, once")
    began = time.monotonic()
    draft = archive.with_suffix(".draft")
    home = (
        jars.folder / "classes-home"
    )  # a fixed place, so that one left by a launcher that was killed is found
    end_leftover_node(home)
    shutil.rmtree(home, ignore_errors=True)
    node = KafkaNode(home, port=free_port_base(19_000 + os.getpid() % 1000 * 10, 2), durable=False)
    try:
        node._launch(java, jars, [f"-XX:ArchiveClassesAtExit={draft}"], 120)
        if node.stop(grace=120) != "stopped":
            raise node.failed("wrote its classes for too long")
        draft.chmod(0o644)
        draft.rename(archive)
    except (Refused, OSError) as problem:
        say(f"Kafka's classes could not be prepared, so starts will be slower: {problem}")
    else:
        say(f"prepared in {time.monotonic() - began:.0f} s")
    finally:
        node.kill()
        draft.unlink(missing_ok=True)
        shutil.rmtree(home, ignore_errors=True)

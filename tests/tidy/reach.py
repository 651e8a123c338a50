"""Every Python file is there for something: a program, a test, a migration, or what one of these imports."""

import ast
import re
import tomllib
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.tidy.tree import Tree

_RUN_AS_MODULE = re.compile(r"(?:^|\s)-m\s+([a-z_][\w.]*)", re.MULTILINE)
_RUN_AS_FILE = re.compile(r"\b([\w/]+\.py)\b")
_FOUND_BY_A_TOOL = re.compile(
    r"(?:.*/)?(?:test_\w+|conftest)\.py|migrations/(?:env|versions/\w+)\.py|(?:.*/)?__main__\.py|examples/\w+/\w+\.py"
)


def every_file_is_reachable(tree: Tree) -> Iterator[str]:
    """Nothing lies about that no program and no test uses."""
    files = {_module_of(path): path for path, _ in tree.python()}
    wanted = {name: _names_in(name, files[name], module) for name, module in _modules(tree)}
    seen: set[str] = set()
    todo = _starts(tree, files)
    while todo:
        name = todo.pop()
        if name in files and name not in seen:
            seen.add(name)
            todo |= _with_parents(wanted[name])
    return (f"{path}: nothing uses it" for name, path in files.items() if name not in seen)


def _modules(tree: Tree) -> Iterator[tuple[str, ast.Module]]:
    return ((_module_of(path), module) for path, module in tree.python())


def _module_of(path: str) -> str:
    steps = PurePosixPath(path).with_suffix("").parts
    return ".".join(steps[:-1] if steps[-1] == "__init__" else steps)


def _starts(tree: Tree, files: dict[str, str]) -> set[str]:
    """Modules that tools find by themselves, that the packaging names, and that scripts run."""
    starts = {name for name, path in files.items() if _FOUND_BY_A_TOOL.fullmatch(path)}
    scripts = tomllib.loads(tree.texts.get("pyproject.toml", "")).get("project", {}).get("scripts", {})
    starts |= {target.partition(":")[0] for target in scripts.values()}
    for path, text in tree.texts.items():
        if not path.endswith((".py", ".txt")):
            starts |= set(_RUN_AS_MODULE.findall(text))
            starts |= (
                {_module_of(file) for file in _RUN_AS_FILE.findall(text)} if not path.endswith(".md") else set()
            )
    return _with_parents(starts)


def _names_in(name: str, path: str, module: ast.Module) -> set[str]:
    """Every module that this one may import, by statement or by a name in a string."""
    package = name if path.endswith("/__init__.py") else name.rpartition(".")[0]
    names: set[str] = set()
    for node in ast.walk(module):
        match node:
            case ast.Import(names=aliases):
                names |= {alias.name for alias in aliases}
            case ast.ImportFrom(module=target, names=aliases, level=level):
                source = _absolute(package, target, level)
                names |= {source, *(f"{source}.{alias.name}" for alias in aliases)}
            case ast.Constant(value=str(text)) if "." in text and " " not in text:
                names.add(text.partition(":")[0])
            case _:
                pass
    return names


def _absolute(package: str, target: str | None, level: int) -> str:
    if level == 0:
        return target or ""
    steps = package.split(".")[: 1 - level or None]
    return ".".join([*steps, target] if target else steps)


def _with_parents(names: set[str]) -> set[str]:
    """Importing a module runs the packages that it is in."""
    return {
        ".".join(steps[:end]) for steps in (name.split(".") for name in names) for end in range(1, len(steps) + 1)
    }

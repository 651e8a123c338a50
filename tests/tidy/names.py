"""Names that say nothing, marks that promise for later, and what only a terminal program may do."""

import ast
import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.tidy.tree import PACKAGES, Tree

_EMPTY_NAMES = frozenset({"base", "common", "helper", "helpers", "misc", "util", "utils"})
_LATER = re.compile(r"\b(?:" + "|".join(("TO" + "DO", "FIX" + "ME", "X" * 3)) + r")\b")
_MAY_PRINT = ("worker/cli/", "devtools/", "benchmarks/")


def files_have_telling_names(tree: Tree) -> Iterator[str]:
    """No file and no folder is called utils, common, helpers or base."""
    for path in tree.texts:
        steps = PurePosixPath(path).with_suffix("").parts
        if not _EMPTY_NAMES.isdisjoint(steps):
            yield f"{path}: says nothing about what is in it"


def nothing_is_left_for_later(tree: Tree) -> Iterator[str]:
    """What is to be done stands in the issue tracker, not in a file."""
    for path, text in tree.texts.items():
        for number, line in enumerate(text.splitlines(), 1):
            if found := _LATER.search(line):
                yield f"{path}:{number}: {found[0]}"


def only_terminal_programs_print(tree: Tree) -> Iterator[str]:
    """The CLI and devtools speak to a terminal; everything else logs."""
    for path, module in tree.python(*PACKAGES):
        if path.startswith(_MAY_PRINT):
            continue
        for node in ast.walk(module):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print":
                yield f"{path}:{node.lineno}: print"


def one_underscore_is_enough(tree: Tree) -> Iterator[str]:
    """Private names have one underscore: two are mangled, and only get in a reader's way."""
    for path, module in tree.python():
        for node in ast.walk(module):
            if (name := _name_of(node)) and name.startswith("__") and not name.endswith("__"):
                yield f"{path}:{getattr(node, 'lineno', 0)}: {name}"


def _name_of(node: ast.AST) -> str | None:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name) | ast.arg(arg=name):
            return name
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return name
        case _:
            return None

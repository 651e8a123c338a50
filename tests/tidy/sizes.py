"""Files and functions stay small. What is bigger already is listed here, and may only shrink."""

import ast
from collections.abc import Iterator, Mapping

from tests.tidy.tree import PACKAGES, Tree

MODULE_LINES_MAX = 200
BODY_LINES_MAX = 40
TEST_LINES_MAX = 600

MODULE_LINES_ALLOWED: Mapping[str, int] = {}
TEST_LINES_ALLOWED: Mapping[str, int] = {}
BODY_LINES_ALLOWED: Mapping[str, int] = {}


def modules_are_small(tree: Tree, allowed: Mapping[str, int] = MODULE_LINES_ALLOWED) -> Iterator[str]:
    """A module is 200 lines at most."""
    sizes = {path: tree.texts[path].count("\n") for path, _ in tree.python(*PACKAGES)}
    return _ratchet(sizes, MODULE_LINES_MAX, allowed)


def suites_are_no_novels(tree: Tree, allowed: Mapping[str, int] = TEST_LINES_ALLOWED) -> Iterator[str]:
    """A file of tests, or of what they need, is 600 lines at most: they list cases, which takes room."""
    sizes = {path: tree.texts[path].count("\n") for path, _ in tree.python("tests")}
    return _ratchet(sizes, TEST_LINES_MAX, allowed)


def bodies_are_short(tree: Tree, allowed: Mapping[str, int] = BODY_LINES_ALLOWED) -> Iterator[str]:
    """A function's body is 40 lines at most, its docstring not counted."""
    sizes: dict[str, int] = {}
    for path, module in tree.python(*PACKAGES):
        for node in ast.walk(module):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                name = f"{path}::{node.name}"
                sizes[name] = max(sizes.get(name, 0), _body_lines(node))
    return _ratchet(sizes, BODY_LINES_MAX, allowed)


def _body_lines(function: ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    documented = ast.get_docstring(function, clean=False) is not None
    code = function.body[1:] if documented else function.body
    return (code[-1].end_lineno or 0) - code[0].lineno + 1 if code else 0


def _ratchet(sizes: Mapping[str, int], limit: int, allowed: Mapping[str, int]) -> Iterator[str]:
    for name, lines in sizes.items():
        may = allowed.get(name, limit)
        if lines > may:
            yield f"{name}: {lines} lines, {may} allowed: split it"
        elif lines < may and name in allowed:
            yield f"{name}: shrank to {lines} lines: write that into tests/tidy/sizes.py, or nothing up to {limit}"
    for name in allowed.keys() - sizes.keys():
        yield f"{name}: is gone: take it out of tests/tidy/sizes.py"

"""What the worker may complain about stands in the runbook, and what stands there can happen."""

import ast
import re
from collections.abc import Iterator

from tests.tidy.tree import Tree

_RUNBOOK = "docs/runbook.md"
_ROW = re.compile(r"^\| `([a-z_]+\.[a-z_]+)` \| (info|warning|error|critical) \|", re.MULTILINE)
_LEVELS = {"info": "info", "warning": "warning", "error": "error", "exception": "error", "critical": "critical"}
_WAKING = frozenset({"warning", "error", "critical"})


def complaints_are_explained(tree: Tree) -> Iterator[str]:
    """Each line that the worker logs at WARNING or above has its row in the runbook, with its level."""
    explained = set(_ROW.findall(tree.texts.get(_RUNBOOK, "")))
    for place, line in _logged(tree):
        if line[1] in _WAKING and line not in explained:
            yield f"{place}: `{line[0]}` ({line[1]}) has no row in {_RUNBOOK}"


def explanations_explain_something(tree: Tree) -> Iterator[str]:
    """Each row of the runbook is about a line that the worker does log, at that level."""
    logged = {line for _, line in _logged(tree)}
    for row in _ROW.findall(tree.texts.get(_RUNBOOK, "")):
        if row not in logged:
            yield f"{_RUNBOOK}: nothing logs `{row[0]}` ({row[1]})"


def _logged(tree: Tree) -> Iterator[tuple[str, tuple[str, str]]]:
    """Where something is logged; its name and its level."""
    for path, module in tree.python("worker"):
        for node in ast.walk(module):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log"), attr=method),
                    args=[ast.Constant(value=str(name)), *_],
                ) if method in _LEVELS:
                    yield f"{path}:{node.lineno}", (name, _LEVELS[method])

"""What the documents say is so: examples compile, links lead somewhere, settings exist, decisions are listed."""

import ast
import posixpath
import re
import textwrap
from collections.abc import Iterator

from tests.tidy.tree import Tree
from worker.config import SettingsError, load_settings

_PYTHON_FENCE = re.compile(r"^([ \t]*)```(?:python|py)\b[^\n]*\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"^([ \t]*)(```|~~~).*?^\1\2[ \t]*$", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`[^`\n]*`")
_LINK = re.compile(r"\[[^\]]*\]\(<?([^)\s>]+)>?(?:\s+\"[^\"]*\")?\)|^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
_HEADING = re.compile(r"^#{1,6}\s+(.*?)\s*#*\s*$", re.MULTILINE)
_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*:")
_SETTING = re.compile(r"\bSTREAMS_[A-Z][A-Z0-9_]*[A-Z0-9]\b")
_SPEAKS_OF_SETTINGS = re.compile(r".*\.md|Dockerfile|docker-compose\.yml|deploy/.*|Makefile")
_DECISION = re.compile(r"docs/adr/((\d{4})-[a-z0-9-]+\.md)")


def examples_compile(tree: Tree) -> Iterator[str]:
    """A fenced Python example is Python; `await` may stand at its top."""
    for path, text in tree.documents():
        for fence in _PYTHON_FENCE.finditer(text):
            try:
                compile(
                    textwrap.dedent(fence[2]), path, "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
                )
            except SyntaxError as error:
                yield f"{path}:{text.count(chr(10), 0, fence.start()) + 1 + (error.lineno or 0)}: {error.msg}"


def links_lead_somewhere(tree: Tree) -> Iterator[str]:
    """A relative link names a file or folder of the repository, and a heading that is there."""
    places = set(tree.texts) | {folder for path in tree.texts for folder in _folders(path)}
    for path, text in tree.documents():
        for link in _LINK.finditer(_INLINE_CODE.sub("", _FENCE.sub("", text))):
            address = link[1] or link[2]
            if _SCHEME.match(address):
                continue
            file, _, anchor = address.partition("#")
            target = posixpath.normpath(posixpath.join(posixpath.dirname(path), file)) if file else path
            if target not in places or (anchor and anchor not in _anchors(tree.texts.get(target, ""))):
                yield f"{path}: {address}"


def _folders(path: str) -> Iterator[str]:
    yield "."
    while path := posixpath.dirname(path):
        yield path


def _anchors(text: str) -> set[str]:
    """The names that forges make of headings."""
    headings = _HEADING.findall(_FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def settings_exist(tree: Tree) -> Iterator[str]:
    """A variable that the documents and the deployment speak of is one that the worker reads."""
    for path, text in tree.texts.items():
        if _SPEAKS_OF_SETTINGS.fullmatch(path):
            yield from (f"{path}: {name}" for name in sorted(set(_SETTING.findall(text))) if not _is_setting(name))


def _is_setting(variable: str) -> bool:
    """Ask the worker, which refuses what it does not know; that it wants another value is another matter."""
    try:
        load_settings({variable: ""})
    except SettingsError as error:
        return "is not a setting" not in str(error)
    return True


def decisions_are_listed(tree: Tree) -> Iterator[str]:
    """Each decision is linked in the index, and their numbers have no gap."""
    index = tree.texts.get("docs/adr/README.md", "")
    found = [match for path in tree.texts if (match := _DECISION.fullmatch(path))]
    for expected, decision in enumerate(found, 1):
        if f"({decision[1]})" not in index:
            yield f"docs/adr/README.md: does not list {decision[1]}"
        if int(decision[2]) != expected:
            yield f"{decision[0]}: number {expected:04} was expected"

"""The repository names no machine: no registry's host, nobody's home, no lock file that records addresses.

Whoever builds it may use a mirror; hashes say what is right, not where it came from. The patterns are put together
from pieces, so that this file does not offend against itself.
"""

import re
from collections.abc import Iterator
from pathlib import PurePosixPath

from tests.tidy.tree import Tree

_HOSTS = (
    ("files", "pythonhosted"),
    ("pypi", "org"),
    ("registry", "npmjs"),
    ("registry", "yarnpkg"),
    ("deb", "debian"),
    ("security", "debian"),
    ("archive", "ubuntu"),
    ("ghcr", "io"),
    ("quay", "io"),
    ("docker", "io"),
    ("proxy", "golang"),
    ("static", "crates"),
)
_HOST = re.compile("|".join(rf"\b{re.escape('.'.join(parts))}\b" for parts in _HOSTS))
_HOME = re.compile(r"(?<![\w.}])(?:/(?:home|Users)/\w[\w.-]*/" + "|/ro" + r"ot/|[A-Z]:\\Users\\)")
_LOCKS = re.compile(r"(?:(?:uv|poetry|pdm|Pipfile|yarn|Cargo)\.lock|pylock.*\.toml|pnpm-lock\.yaml)")
_NPM_LOCK = "package-lock.json"
_REQUIREMENT_ADDRESS = re.compile(r"^\s*(?:--?(?:i|index-url|extra-index-url|f|find-links|trusted-host)\b|.*://)")


def no_registry_host_is_named(tree: Tree) -> Iterator[str]:
    """Package registries are the installer's business."""
    return _lines_with(_HOST, tree)


def no_home_is_named(tree: Tree) -> Iterator[str]:
    """An absolute path into somebody's home works on one machine only."""
    return _lines_with(_HOME, tree)


def _lines_with(pattern: re.Pattern[str], tree: Tree) -> Iterator[str]:
    for path, text in tree.texts.items():
        if pattern.search(text):
            for number, line in enumerate(text.splitlines(), 1):
                if found := pattern.search(line):
                    yield f"{path}:{number}: {found[0]}"


def no_lock_file_records_addresses(tree: Tree) -> Iterator[str]:
    """The lock files of these tools record where things were downloaded; requirements/ has hashes instead. That of
    npm can do without: npm's setting for it is omit-lockfile-registry-resolved.
    """
    for path, text in tree.texts.items():
        name = PurePosixPath(path).name
        if _LOCKS.fullmatch(name) or (name == _NPM_LOCK and '"resolved"' in text):
            yield path


def requirements_have_no_addresses(tree: Tree) -> Iterator[str]:
    """A pinned requirement is a name, a version and hashes."""
    for path, text in tree.texts.items():
        if path.startswith("requirements/"):
            for number, line in enumerate(text.splitlines(), 1):
                if _REQUIREMENT_ADDRESS.match(line):
                    yield f"{path}:{number}: {line.strip()}"

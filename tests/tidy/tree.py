"""The files of a work tree, as the rules see them."""

import ast
import os
import subprocess
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

PACKAGES = ("worker", "schemas", "stream_client", "migrations", "devtools", "benchmarks")


def git(root: Path, *arguments: str) -> str:
    """Run git in a folder and return what it printed. In a git hook too, where the environment names another."""
    command = ["git", *arguments]
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(command, cwd=root, env=env, check=True, capture_output=True, timeout=60)  # noqa: S603 - git
    return done.stdout.decode()


class Tree:
    """The text files that git tracks or would track; what it ignores does not exist. Read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._modules: dict[str, ast.Module] = {}

    @cached_property
    def texts(self) -> dict[str, str]:
        """Every file's text by its path below the root, with forward slashes."""
        listed = git(self.root, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
        paths = sorted(path for path in listed.split("\0") if path and (self.root / path).is_file())
        return {path: (self.root / path).read_text("utf-8", errors="replace") for path in paths}

    def python(self, *folders: str) -> Iterator[tuple[str, ast.Module]]:
        """Each Python file with its syntax tree: all of them, or those below some folders."""
        for path, text in self.texts.items():
            if path.endswith(".py") and (
                not folders or path.startswith(tuple(f"{folder}/" for folder in folders))
            ):
                yield path, self._parsed(path, text)

    def _parsed(self, path: str, text: str) -> ast.Module:
        if path not in self._modules:
            self._modules[path] = ast.parse(text, path)
        return self._modules[path]

    def documents(self) -> Iterator[tuple[str, str]]:
        """Each Markdown file with its text."""
        return ((path, text) for path, text in self.texts.items() if path.endswith(".md"))

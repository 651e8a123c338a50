"""A system under measurement: a process of its own, whose output is kept for the case that it fails."""

import os
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from benchmarks.peers.place import Place
from benchmarks.systems import System
from devtools.process import Child
from devtools.project import ROOT

_STOP_DEADLINE_S: Final = 10.0
_SHOWN_BYTES_MAX: Final = 4_000
_NOTHING: Final[Mapping[str, str]] = {}


class EndedEarly(Exception):
    """The system ended by itself. The text says which, and its last words."""


class Running:
    """The process, and what it has written."""

    def __init__(self, name: str, child: Child, *, environ: Mapping[str, str], log: Path) -> None:
        self.environ = environ
        self._name = name
        self._child = child
        self._log = log

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._child.pid

    def must_run(self) -> None:
        """Raise EndedEarly if it does not run any more."""
        if not self._child.is_running:
            words = self._log.read_text(errors="replace")[-_SHOWN_BYTES_MAX:]
            raise EndedEarly(f"{self._name} ended by itself:\n{words}")


@contextmanager
def started(
    system: System, place: Place, *, argv: Sequence[str] = (), more: Mapping[str, str] = _NOTHING
) -> Iterator[Running]:
    """Start a system for the length of a block; it is asked to stop at its end, and killed where it does not.

    `argv` runs in its place; `more` variables come on top of its own.
    """
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "TZ") if name in os.environ}
    with tempfile.NamedTemporaryFile(prefix="bench-", suffix=".log") as log:
        path = Path(log.name)
        environ = kept | dict(system.environ(place)) | dict(more)
        with Child(argv or system.argv(), env=environ, cwd=ROOT, log=path) as child:
            yield Running(system.name, child, environ=environ, log=path)
            child.stop(signal.SIGTERM, deadline_s=_STOP_DEADLINE_S)

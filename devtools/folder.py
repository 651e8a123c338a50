"""A server's own folder: a temporary one that goes with it, or a given one that stays."""

import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from devtools.failures import StartFailed

# Everyone may walk into these two, which root's TMPDIR does not promise.
_PUBLIC = ("/tmp", "/var/tmp")  # noqa: S108 - mkdtemp makes the folder


class ServerFolder:
    """A folder that one server at a time may use."""

    def __init__(self, given: Path | None = None, *, public: bool = False) -> None:
        """Take `given`, or make a temporary folder; `public` ones lie where any user may walk in.

        Raises StartFailed if another process uses the given folder.
        """
        self._given = given
        self._lock: int | None = None
        if given is None:
            parent = next(folder for folder in _PUBLIC if Path(folder).is_dir()) if public else None
            self.path = Path(tempfile.mkdtemp(prefix="streams-", dir=parent))
        else:
            self.path = given.absolute()
            self.path.mkdir(parents=True, exist_ok=True)
            self._lock = self._taken()

    def close(self) -> None:
        """Remove a temporary folder, give a given one free; may be called again."""
        if self._given is None:
            shutil.rmtree(self.path, ignore_errors=True)
        elif self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _taken(self) -> int:
        lock = os.open(self.path / "lock", os.O_WRONLY | os.O_CREAT)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as failure:
            os.close(lock)
            raise StartFailed(f"{self.path} is in use: a server runs in it already") from failure
        return lock

"""What every private server can do."""

import atexit
import os
import signal
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from typing import ClassVar, Self

from devtools.failures import StartFailed
from devtools.folder import ServerFolder
from devtools.process import Child
from devtools.tree import descendants
from devtools.waiting import seen

_START_DEADLINE_S = 60.0
_STOP_DEADLINE_S = 30.0
_TRIES_MAX = 3
_LAST_LINES_MAX = 20


class PrivateServer(ABC):
    """A server of our own on 127.0.0.1; for one thread at a time.

    As a context manager it is started at once, and nothing is left of it at the end. Once it has been up, every
    later start is on the same ports, with what it has stored. Its processes never outlive this one.
    """

    title: ClassVar[str]
    log_name: ClassVar[str]
    stop_signal: ClassVar[signal.Signals]
    kill_signal: ClassVar[signal.Signals]

    def __init__(self, folder: ServerFolder) -> None:
        """Prepare a server in `folder`, which becomes the server's."""
        self._folder = folder
        # The server itself first, then what it needs beside it.
        self._children: list[Child] = []
        self._has_been_up = False

    @abstractmethod
    def _launch(self, children: list[Child]) -> None:
        """Start the processes, each put into `children` as soon as it runs; the server itself ends up first."""

    @abstractmethod
    def _answers(self) -> bool:
        """Tell whether it serves clients now."""

    @abstractmethod
    def _move(self) -> None:
        """Take other ports: somebody was faster between our look and its start."""

    def __enter__(self) -> Self:
        """Start it; raises StartFailed."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""
        self.close()

    @property
    def pids(self) -> list[int]:
        """The processes we started for it, the server itself first; each may have others below it."""
        return [child.pid for child in self._children]

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended, by us or by itself."""
        return bool(self._children) and self._children[0].is_running

    def start(self, *, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Start it and wait until it serves clients; nothing happens if it runs.

        Raises StartFailed, also if `cancelled` says so meanwhile.
        """
        if self.is_running:
            return
        atexit.register(self.close)
        try:
            self._come_up(cancelled)
        except BaseException:
            self.kill()  # asked to stop while it starts, a server takes its time
            raise

    def stop(self) -> None:
        """Stop it as an operator would; what has not ended after 30 s is killed. May be called again."""
        self._end(self.stop_signal)

    def kill(self) -> None:
        """Take its power away: no goodbye, nothing put in order. May be called again."""
        self._end(self.kill_signal)

    def restart(self) -> None:
        """Stop it and start it again. Raises StartFailed."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open and nobody answers."""
        self._send_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._send_all(signal.SIGCONT)

    def close(self) -> None:
        """Stop it and remove its temporary folder; it cannot be started again."""
        self.stop()
        self._folder.close()
        atexit.unregister(self.close)

    def _come_up(self, cancelled: Callable[[], bool]) -> None:
        for _ in range(_TRIES_MAX):
            self.kill()  # what an end by itself, or a start that failed, has left
            self._launch(self._children)
            seen(lambda: cancelled() or not self.is_running or self._answers(), within_s=_START_DEADLINE_S)
            if cancelled():
                raise StartFailed(f"{self.title} was told to end while it started")
            if self.is_running and self._answers():
                self._has_been_up = True
                return
            if not self._has_been_up:
                self._move()
        raise StartFailed(f"{self.title} did not start. Its last words:\n{self._last_words()}")

    def _end(self, signum: signal.Signals) -> None:
        if signum is not signal.SIGKILL:
            self.resume()
        while self._children:
            self._children[0].stop(signum, deadline_s=_STOP_DEADLINE_S)
            del self._children[0]

    def _send_all(self, signum: signal.Signals) -> None:
        """Signal the server and all below it: some of those are in sessions of their own."""
        if self.is_running:
            for pid in (self.pids[0], *descendants(self.pids[0])):
                with suppress(ProcessLookupError):
                    os.kill(pid, signum)

    def _last_words(self) -> str:
        words = (self._folder.path / self.log_name).read_text(errors="replace").strip()
        return "\n".join(f"  {line}" for line in words.splitlines()[-_LAST_LINES_MAX:])

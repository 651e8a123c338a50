"""Where the demo plays: a broker and a worker of its own, and a folder for all that they keep."""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Self

from devtools.broker import PrivateBroker
from devtools.failures import StartFailed
from devtools.ports import free_port
from devtools.process import Child
from devtools.project import ROOT
from devtools.readiness import is_ready

_KEPT: Final = ("PATH", "HOME", "LANG", "TZ", "VIRTUAL_ENV")
_LAST_LINES_MAX: Final = 20
_BROKER_ENDED: Final = (
    "the demo's own broker has ended by itself, and nothing of the demo is left: start it again; "
    "if it ends again, look for what ends it (too little memory?)"
)


class House:
    """Nothing of it is left at the end: it is killed, for all that it has is thrown away anyway.

    The calls block; for one thread at a time. Raises MissingPrograms if there is no RabbitMQ to be had.
    """

    def __init__(self) -> None:
        self._broker = PrivateBroker()
        self._port = free_port()
        self._worker: Child | None = None
        self._open = ExitStack()
        self._open.callback(self._broker.close)
        self._open.callback(self._broker.kill)
        litter = TemporaryDirectory(prefix="streams-demo-", ignore_cleanup_errors=True)
        self._folder = Path(self._open.enter_context(litter))
        self._open.callback(self.kill_worker)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()

    @property
    def url(self) -> str:
        """The broker's address."""
        return self._broker.url

    def start_broker(self, *, cancelled: Callable[[], bool]) -> None:
        """Start it and wait until it serves clients. Raises StartFailed, also if `cancelled` says so."""
        self._broker.start(cancelled=cancelled)

    def start_worker(self) -> None:
        """Start it, and do not wait. It goes on with the database of the one before."""
        environment = {name: os.environ[name] for name in _KEPT if name in os.environ} | {
            "STREAMS_AMQP_URL": self.url,
            "STREAMS_DATABASE_URL": f"sqlite+aiosqlite:///{self._folder / 'streams.db'}",
            "STREAMS_HTTP_PORT": str(self._port),
        }
        self._worker = Child([sys.executable, "-m", "worker", "run"], env=environment, cwd=ROOT, log=self._log)

    def worker_is_ready(self) -> bool:
        """Tell whether it consumes. Raises StartFailed as `must_run` does."""
        self.must_run()
        return is_ready(self._port)

    def must_run(self) -> None:
        """Raise StartFailed where the broker or a worker that was started has ended by itself."""
        if not self._broker.is_running:
            raise StartFailed(_BROKER_ENDED)
        if self._worker is not None and not self._worker.is_running:
            words = self._log.read_text(errors="replace").strip().splitlines()[-_LAST_LINES_MAX:]
            raise StartFailed("\n  ".join(["the worker has ended by itself. Its last words:", *words]))

    def kill_worker(self) -> None:
        """Take its power away: SIGKILL. Nothing happens if there is none."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.kill()

    @property
    def _log(self) -> Path:
        return self._folder / "worker.log"

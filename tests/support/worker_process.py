"""The worker as its users run it: a process of its own, told by its environment."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import aiohttp

from devtools.ports import free_port

READY_WITHIN_S = 90.0
EXIT_WITHIN_S = 60.0
HEALTH_WITHIN_S = 30.0
# Reads one line from us and goes. If we die, however that happens, it reads the end of the pipe instead.
_GUARD = 'read -r word || kill -KILL "$1"'


def settings_of(url: str, namespace: str, database_url: str, **more: str) -> dict[str, str]:
    return {
        "STREAMS_AMQP_URL": url,
        "STREAMS_NAMESPACE": namespace,
        "STREAMS_DATABASE_URL": database_url,
        "STREAMS_DATABASE_MIGRATE": "true",
        **more,
    }


class WorkerProcess:
    """One `stream-worker run`. What it logs goes to a file, whose end is shown when it does not do as expected.

    `program` is a module to run in its place: a worker with something between its parts. It ends with us,
    however we end. `is_covered`: whether coverage looks on where it is on, which makes a worker half as fast.
    """

    def __init__(
        self, settings: Mapping[str, str], *, program: str | None = None, is_covered: bool = True
    ) -> None:
        self._arguments = [sys.executable, "-m", *([program] if program else ["worker", "run"])]
        self.port = free_port()
        self._log = Path(tempfile.mkstemp(prefix="worker-", suffix=".log")[1])
        put_aside = "STREAMS_" if is_covered else ("STREAMS_", "COVERAGE_")
        kept = {name: value for name, value in os.environ.items() if not name.upper().startswith(put_aside)}
        self._environ = kept | {"STREAMS_HTTP_PORT": str(self.port), **settings}
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None
        self.log_at_exit = ""

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: S603 - our own program
                self._arguments, env=self._environ, stdout=log, stderr=log
            )
        self._let_guard_go()
        self._guard = subprocess.Popen(  # noqa: S603 - our own program
            ["/bin/sh", "-c", _GUARD, "guard", str(self._process.pid)],
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    async def ready(self) -> Self:
        """Wait until it consumes."""
        deadline_s = time.monotonic() + READY_WITHIN_S
        while time.monotonic() < deadline_s and self.is_running:
            if (await self.readiness())[0] == 200:
                return self
            await asyncio.sleep(0.05)
        raise AssertionError(f"the worker is not ready: {self.log[-3000:]}")

    async def readiness(self) -> tuple[int, dict[str, object]]:
        """Return what /readyz answers now; 0 where nobody listens."""
        return await self._health("readyz")

    async def tasks(self) -> int:
        """Return how many tasks /livez says there are; 0 where nobody listens."""
        _, body = await self._health("livez")
        return int(str(body.get("tasks", 0)))

    async def _health(self, path: str) -> tuple[int, dict[str, object]]:
        try:
            timeout = aiohttp.ClientTimeout(total=HEALTH_WITHIN_S)
            async with (
                aiohttp.ClientSession(timeout=timeout) as http,
                http.get(f"http://127.0.0.1:{self.port}/{path}") as answer,
            ):
                return answer.status, json.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError):
            return 0, {}

    @property
    def process(self) -> "subprocess.Popen[bytes]":
        assert self._process is not None, "start it first"
        return self._process

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    @property
    def log(self) -> str:
        return self._log.read_text(errors="replace") if self._log.exists() else self.log_at_exit

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    async def exit_code(self, *, within_s: float = EXIT_WITHIN_S) -> int:
        """Wait for its end."""
        return await asyncio.to_thread(self.process.wait, within_s)

    async def stop(self) -> int:
        """Ask it to drain and go, and return its exit code."""
        if self.is_running:
            self.signal(signal.SIGTERM)
        return await self.exit_code()

    async def kill(self) -> None:
        """End it as a power failure would."""
        self.process.kill()
        await self.exit_code()

    async def __aenter__(self) -> Self:
        self.start()
        try:
            return await self.ready()
        except BaseException:
            await self.kill()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._process is not None and self.is_running:
                code = await self.stop()
                assert code == 0 or error is not None, f"exit code {code}: {self.log[-3000:]}"
        finally:
            await self.discard()

    async def discard(self) -> None:
        """Leave nothing behind."""
        if self._process is not None and self.is_running:
            await self.kill()
        self._let_guard_go()
        self.log_at_exit = self.log
        self._log.unlink(missing_ok=True)

    def _let_guard_go(self) -> None:
        guard, self._guard = self._guard, None
        if guard is not None:
            guard.communicate(b"done\n")

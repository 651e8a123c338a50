"""A worker on a bad day of its broker: what an operator sees of it, and whether devices are served."""

import json
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from devtools.broker import PrivateBroker
from tests.support.wire import Device, eventually
from tests.support.worker_process import WorkerProcess, settings_of

# What an outage costs then: seconds, not minutes.
QUICK = {
    "STREAMS_HEARTBEAT_S": "2",
    "STREAMS_CONNECT_TIMEOUT_S": "2",
    "STREAMS_CONFIRM_TIMEOUT_S": "2",
    "STREAMS_SETTLE_TIMEOUT_S": "1",
    "STREAMS_WATCHDOG_S": "0.2",
    "STREAMS_RECONNECT_MAX_S": "0.5",
    "STREAMS_RELAY_INTERVAL_S": "0.2",
    "STREAMS_RELAY_GRACE_S": "0.5",
    "STREAMS_EVENT_RETRIES": "1",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BadDay:
    """One worker with its own broker objects and database."""

    broker: PrivateBroker
    worker: WorkerProcess
    namespace: str
    settings: dict[str, str]

    async def until_not_ready(self, *, within_s: float = 60) -> str:
        """Wait until the worker says that it is not ready, and return what it says of its consuming."""

        async def look() -> str | None:
            status, body = await self.worker.readiness()
            consuming = body["checks"]["consuming"] if status == 503 else {"ok": True}  # type: ignore[index]
            return None if consuming["ok"] else str(consuming["detail"])

        return await eventually(look, within_s=within_s)

    async def until_logged(self, event: str, *, within_s: float = 60) -> None:
        """Wait until the log has an event."""

        async def look() -> bool:
            return f'"{event}"' in self.worker.log

        await eventually(look, within_s=within_s)

    async def until_an_epoch_ends(self, reason: str, *, within_s: float = 60) -> None:
        """Wait until an epoch has ended for a reason."""

        async def look() -> bool:
            return any(reason in ended for ended in self.reasons())

        try:
            await eventually(look, within_s=within_s)
        except TimeoutError:
            raise AssertionError(f"no epoch ended with {reason!r}, but {self.reasons()}") from None

    async def assert_it_works(self) -> None:
        """Wait until it is ready, and see that it is not only said so."""
        await self.worker.ready()
        async with Device(self.broker.url, self.namespace) as device:
            answer = await device.command(
                "create", message_id=uuid.uuid4().hex, device_id=f"cam-{uuid.uuid4().hex}"
            )
        assert answer["outcome"] == "created"

    def reasons(self) -> list[str]:
        """Why epochs ended, in order."""
        lines = [json.loads(line) for line in self.worker.log.splitlines() if line.startswith("{")]
        return [str(line["reason"]) for line in lines if line.get("event") == "epoch.over"]


@asynccontextmanager
async def bad_day(
    broker: PrivateBroker, namespace: str, folder: Path, *, url: str | None = None, **more: str
) -> AsyncIterator[BadDay]:
    """Run a worker with a database in a folder; `url` is its way to the broker, `more` are settings."""
    database_url = f"sqlite+aiosqlite:///{folder / 'streams.db'}"
    settings = settings_of(url or broker.url, namespace, database_url, **QUICK | more)
    async with WorkerProcess(settings) as worker:
        yield BadDay(broker=broker, worker=worker, namespace=namespace, settings=settings)

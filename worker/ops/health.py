"""Health over HTTP: is the process alive, and is it ready to work. A small port, on the loopback by default."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from aiohttp import web

from worker.ops.cleaning import one_line
from worker.ops.heartbeat import Heartbeat

Check = Callable[[], Awaitable[str | None]]
"""Returns None where all is well, else the reason in a few words."""

CHECK_TIMEOUT_S: Final = 2.0
"""Under the timeout of whoever asks: an answer that says which check hangs is worth more than none."""

BEAT_AGE_MAX_S: Final = 10.0
"""A loop that did not turn for so long misses heartbeats of the broker: only a restart helps."""

_CLOSE_S: Final = 1.0
_BODY_BYTES_MAX: Final = 1_024

log = logging.getLogger(__name__)


class PortTaken(Exception):
    """The health port cannot be listened on. One line, with what to do."""


class HealthServer:
    """Answers `/livez` and `/readyz`, and 404 to all else, as JSON.

    `/livez` is 200 while the event loop turns, and looks at nothing else: a restart does not bring a broker back.
    It tells how many tasks the loop has: a number that only ever grows is a leak.
    `/readyz` asks every check at once, each with a deadline of its own; it is 200 if all are well, else 503, and
    names each. Port 0 takes a free one, which `port` tells.
    """

    def __init__(
        self,
        *,
        host: str,
        port: int,
        checks: Mapping[str, Check],
        check_timeout_s: float = CHECK_TIMEOUT_S,
        beat_age_max_s: float = BEAT_AGE_MAX_S,
    ) -> None:
        self._host = host
        self._port = port
        self._checks = dict(checks)
        self._check_timeout_s = check_timeout_s
        self._beat_age_max_s = beat_age_max_s
        self._heartbeat = Heartbeat()
        self._runner: web.AppRunner | None = None

    @property
    def port(self) -> int:
        """The port it listens on; before it does, the one it was given."""
        addresses = self._runner.addresses if self._runner else []
        return int(addresses[0][1]) if addresses else self._port

    async def start(self) -> None:
        """Listen. Raises PortTaken."""
        app = web.Application(client_max_size=_BODY_BYTES_MAX)
        app.router.add_get("/livez", self._livez)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_route("*", "/{any:.*}", _not_found)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=_CLOSE_S)
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, self._host, self._port).start()
        except OSError as error:  # taken, not ours to take, or no address of this machine
            await self.stop()
            raise PortTaken(
                f"Cannot listen on {self._host}:{self._port} for health: {_reason(error)}. "
                "Set STREAMS_HTTP_PORT to a free port, or to 0 for none."
            ) from error
        self._heartbeat.start()

    async def stop(self) -> None:
        """Stop listening. Idempotent; harmless before `start`."""
        await self._heartbeat.stop()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _livez(self, _: web.Request) -> web.Response:
        age_s = self._heartbeat.age_s
        alive = age_s <= self._beat_age_max_s
        body = {
            "status": "ok" if alive else "unavailable",
            "beat_age_s": round(age_s, 3),
            "tasks": len(asyncio.all_tasks()),
        }
        return web.json_response(body, status=200 if alive else 503)

    async def _readyz(self, _: web.Request) -> web.Response:
        asking = (_ask(name, check, self._check_timeout_s) for name, check in self._checks.items())
        reasons = await asyncio.gather(*asking)
        results = {name: _result(reason) for name, reason in zip(self._checks, reasons, strict=True)}
        ready = not any(reasons)
        body = {"status": "ok" if ready else "unavailable", "checks": results}
        return web.json_response(body, status=200 if ready else 503)


def _reason(error: OSError) -> str:
    number = error.errno or 0  # what comes from looking a name up is numbered from 0 down
    return os.strerror(number) if number > 0 else error.strerror or str(error)


async def _not_found(_: web.Request) -> web.Response:
    return web.json_response({"status": "not_found"}, status=404)


async def _ask(name: str, check: Check, timeout_s: float) -> str | None:
    try:
        async with asyncio.timeout(timeout_s):
            reason = await check()
    except TimeoutError:
        return f"no answer within {timeout_s:g} s"
    except Exception as error:  # whoever asks wants to hear of all the others too
        log.warning("health.check_failed", extra={"check": name}, exc_info=True)
        return f"the check itself failed: {type(error).__name__}"
    return None if reason is None else one_line(reason) or "not well"


def _result(reason: str | None) -> dict[str, object]:
    return {"ok": True} if reason is None else {"ok": False, "detail": reason}

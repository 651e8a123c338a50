"""The life of the process: epochs one after another, for ever; then stop, drain, close, each with a deadline.

Shutdown in order: a signal sets `stopping`; the pipeline takes nothing more, finishes, publishes, acknowledges and
returns; the epoch closes its connections; the caller closes the rest. A second signal does not wait for any of it.
"""

import asyncio
import contextlib
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final

from worker.service.backoff import pauses
from worker.service.ports import EpochOver

log = logging.getLogger(__name__)

FAREWELL_S: Final = 1.0  # of the drain's time, what is left for closing when the rest was not enough

Established = Callable[[], None]
Epoch = Callable[[Established], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """How long to wait for what. An epoch that lasted `steady_s` was sound: the next pause is short again."""

    drain_timeout_s: float = 20.0
    reconnect_min_s: float = 0.2
    reconnect_max_s: float = 10.0
    steady_s: float = 30.0


async def run_until_stopped(
    epoch: Epoch,
    stopping: asyncio.Event,
    lifecycle: Lifecycle,
    *,
    fatal_at_start: tuple[type[EpochOver], ...] = (),
) -> bool:
    """Run epochs until a signal sets `stopping`, then drain; return whether all ended within the deadline.

    An epoch calls what it is given once it is established. Raises `fatal_at_start` where an epoch ends so before
    any was established, and whatever else an epoch raises but EpochOver: a defect must end the process, which
    would otherwise be alive but deaf.
    """
    with _signals(stopping):
        supervising = asyncio.create_task(
            _supervise(epoch, stopping, lifecycle, fatal_at_start), name="runtime.supervise"
        )
        signalled = asyncio.create_task(stopping.wait(), name="runtime.signalled")
        try:
            await asyncio.wait({supervising, signalled}, return_when=asyncio.FIRST_COMPLETED)
            return await _drain(supervising, lifecycle.drain_timeout_s)
        finally:
            signalled.cancel()
            supervising.cancel()


async def _drain(supervising: "asyncio.Task[None]", timeout_s: float) -> bool:
    """Wait for the end, but no longer than the deadline: what is not settled by then is delivered again."""
    farewell_s = min(FAREWELL_S, timeout_s / 2)
    await asyncio.wait({supervising}, timeout=timeout_s - farewell_s)
    if not supervising.done():
        log.warning("drain.unfinished", extra={"timeout_s": timeout_s})
        supervising.cancel()
        await asyncio.wait({supervising}, timeout=farewell_s)
        return False
    supervising.result()
    return True


async def _supervise(
    epoch: Epoch, stopping: asyncio.Event, lifecycle: Lifecycle, fatal_at_start: tuple[type[EpochOver], ...]
) -> None:
    waits = _pauses(lifecycle)
    established: list[bool] = []
    number = 0
    while not stopping.is_set():
        number += 1
        began_s = time.monotonic()
        try:
            await epoch(lambda: established.append(True))
        except EpochOver as over:
            if not established and isinstance(over, fatal_at_start):
                raise
            if time.monotonic() - began_s > lifecycle.steady_s:
                waits = _pauses(lifecycle)
            pause_s = next(waits)
            log.warning("epoch.over", extra={"epoch": number, "reason": str(over), "next_in_s": round(pause_s, 2)})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), pause_s)


def _pauses(lifecycle: Lifecycle) -> Iterator[float]:
    return pauses(first_s=lifecycle.reconnect_min_s, longest_s=lifecycle.reconnect_max_s)


@contextlib.contextmanager
def _signals(stopping: asyncio.Event) -> Iterator[None]:
    """Set `stopping` at the first SIGTERM or SIGINT; at the second leave at once, as a killed process would."""
    loop = asyncio.get_running_loop()

    def on_signal(number: signal.Signals) -> None:
        if stopping.is_set():
            log.warning("stop.at_once", extra={"signal": number.name})
            os._exit(128 + number)
        log.info("stop.draining", extra={"signal": number.name})
        stopping.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_signal, number)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)

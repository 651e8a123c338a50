"""Who starts the worker, kills it in the middle of its work, and starts it again."""

import asyncio
import time
from typing import Final

from devtools.demo.board import Mood, WorkerState
from devtools.demo.cast import RUSH
from devtools.demo.scene import Scene
from devtools.failures import StartFailed

_WORKER: Final = "worker"
_LOOK_S: Final = 0.002
_LOOK_FOR_READINESS_S: Final = 0.05
_READY_WITHIN_S: Final = 90.0
_IN_THE_MIDDLE_WITHIN_S: Final = 1.0
_IN_HAND: Final = 12
_AWAY: Final = 0.06
_AWAY_MIN_S: Final = 0.5


async def start_worker(scene: Scene) -> None:
    """Start it and wait until it consumes, or until somebody wants the end. Raises StartFailed."""
    scene.board.worker = WorkerState.STARTING
    scene.house.start_worker()
    deadline_s = time.monotonic() + _READY_WITHIN_S
    while not await asyncio.to_thread(scene.house.worker_is_ready):
        if time.monotonic() > deadline_s:
            raise StartFailed(f"the worker was not ready within {_READY_WITHIN_S:.0f} s")
        if not await scene.ending.pause(_LOOK_FOR_READINESS_S):
            return
    scene.board.worker = WorkerState.READY


async def keep_worker(scene: Scene) -> None:
    """Kill it when most devices want something, and start it again."""
    board = scene.board
    if not await scene.reaches(RUSH):
        return
    if not await _is_in_the_middle(scene):
        return
    scene.house.kill_worker()
    board.worker, board.gone_at_s, board.gone_with = WorkerState.KILLED, board.now_s, len(board.ledger.waiting)
    board.tell(_WORKER, f"is killed (SIGKILL), {board.gone_with} in hand", Mood.BAD)
    scene.worker_is_gone.set()
    await scene.ending.pause(max(_AWAY_MIN_S, _AWAY * board.seconds))
    board.tell(_WORKER, f"starts again, {len(board.ledger.waiting)} commands wait", Mood.NEWS)
    await start_worker(scene)
    if board.worker is WorkerState.READY:
        board.back_at_s = board.now_s
        board.tell(_WORKER, f"is back after {board.back_at_s - board.gone_at_s:.1f} s", Mood.GOOD)
    scene.worker_is_back.set()


async def watch(scene: Scene) -> None:
    """Raise StartFailed if the broker or the worker ends by itself; run until cancelled."""
    while True:
        await asyncio.sleep(_LOOK_FOR_READINESS_S)
        scene.house.must_run()


async def _is_in_the_middle(scene: Scene) -> bool:
    """Wait until some of the rush are answered and many are not; not for ever, the worker may be too fast.

    Tell whether that came before somebody wanted the end.
    """
    ledger = scene.board.ledger
    before, deadline_s = len(ledger.answers), time.monotonic() + _IN_THE_MIDDLE_WITHIN_S
    while not (len(ledger.answers) > before and len(ledger.waiting) >= _IN_HAND) and time.monotonic() < deadline_s:
        if not await scene.ending.pause(_LOOK_S):
            return False
    return True

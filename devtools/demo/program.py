"""The demo as a program: its options, its terminal, and how it ends."""

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from devtools.demo.board import Board
from devtools.demo.books import Books, books
from devtools.demo.cast import cast
from devtools.demo.house import House
from devtools.demo.picture import draw
from devtools.demo.scene import Ending, Scene
from devtools.demo.show import show
from devtools.demo.stage import Stage, stage_for
from devtools.failures import ServerFailure
from devtools.project import say

_FRAME_S: Final = 0.1
_SECONDS_MIN, _SECONDS_MAX = 1.0, 3_600.0
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(argv: Sequence[str] | None = None, *, build: Callable[[], House] = House) -> int:
    """Run the demo in the house that `build` makes.

    Return 0 where the books balance, 1 where they do not or could not be made.
    """
    parser = argparse.ArgumentParser(prog="make demo", description="See the worker at work, and lose it once.")
    parser.add_argument("--seconds", type=_seconds, default=20.0, help="how long the devices play (20)")
    parser.add_argument("--patience", type=_seconds, default=60.0, help="what takes more seconds is lost (60)")
    parser.add_argument("--seed", type=int, default=7, help="another seed is another cast (7)")
    parser.add_argument("--picture", type=Path, help="write the last picture into this file, as SVG")
    options = parser.parse_args(argv)
    logging.getLogger().addHandler(logging.NullHandler())  # what goes wrong shows in the books
    board = Board(parts=cast(options.seed), seconds=options.seconds)
    try:
        sums = asyncio.run(_run(board, build=build, patience_s=options.patience))
    except ServerFailure as failure:
        say(str(failure))
        return 1
    except BrokenPipeError:  # whoever reads has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python fails on it once more
        return 1
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # it is over anyway
    if options.picture is not None:
        draw(board, sums, options.picture)
    return 0 if sums.balance else 1


async def _run(board: Board, *, build: Callable[[], House], patience_s: float) -> Books:
    """Show all of it, and say what it came to.

    The signals are ours before anything is there to clean up, the terminal too, and until all is said.
    """
    ending = Ending()
    for signum in _SIGNALS:
        asyncio.get_running_loop().add_signal_handler(signum, ending.press)
    stage = stage_for(board)
    with stage:
        sums = await _played(board, stage, ending, build=build, patience_s=patience_s)
    stage.close(sums)
    return sums


async def _played(
    board: Board, stage: Stage, ending: Ending, *, build: Callable[[], House], patience_s: float
) -> Books:
    painter = asyncio.create_task(_paint(stage))
    try:
        with build() as house:
            return await show(Scene(board=board, house=house, ending=ending, patience_s=patience_s))
    except ServerFailure:
        if not ending.wanted.is_set():
            raise
        return books(board.ledger, is_over=False)
    finally:
        board.end()
        painter.cancel()
        with suppress(asyncio.CancelledError):
            await painter


async def _paint(stage: Stage) -> None:
    while True:
        stage.paint()
        await asyncio.sleep(_FRAME_S)


def _seconds(text: str) -> float:
    with suppress(ValueError):
        if _SECONDS_MIN <= float(text) <= _SECONDS_MAX:
            return float(text)
    raise argparse.ArgumentTypeError(f"not seconds, from {_SECONDS_MIN:.0f} to {_SECONDS_MAX:.0f}")

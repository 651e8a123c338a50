"""`stream-worker` as people and scripts use it, told by its arguments and environment.

As a program of its own where starting and ending it is what is tested; else called here, which spares the seconds
that a Python and its imports take.
"""

import asyncio
import logging
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

from click.testing import CliRunner

from worker.cli import main

ENDS_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """A program that has run."""

    code: int
    out: str
    err: str


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "worker", *arguments]


def environment(**settings: str) -> dict[str, str]:
    """Nothing of the settings of whoever runs the tests."""
    kept = {name: value for name, value in os.environ.items() if not name.upper().startswith("STREAMS_")}
    return kept | settings


def stream_worker_program(*arguments: str, **settings: str) -> Ended:
    """Run it to its end, in a process of its own."""
    ended = subprocess.run(  # noqa: S603 - our own program
        command(*arguments),
        env=environment(**settings),
        capture_output=True,
        encoding="utf-8",
        timeout=ENDS_WITHIN_S,
        check=False,
    )
    return Ended(code=ended.returncode, out=ended.stdout, err=ended.stderr)


def stream_worker(*arguments: str, **settings: str) -> Ended:
    """Call it, in a thread: it runs an event loop of its own, and this one may be a loop's already."""
    with ThreadPoolExecutor(1, "stream-worker") as thread:
        return thread.submit(_call, arguments, settings).result(ENDS_WITHIN_S)


async def stream_worker_meanwhile(*arguments: str, **settings: str) -> Ended:
    """Call it while the event loop turns, for what this process has to answer."""
    return await asyncio.to_thread(_call, arguments, settings)


def _call(arguments: tuple[str, ...], settings: dict[str, str]) -> Ended:
    with CliRunner().isolation(env=settings) as (out, err, _), _same_log_handlers():
        try:
            main(arguments)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        return Ended(code=code, out=out.getvalue().decode(), err=err.getvalue().decode())


@contextmanager
def _same_log_handlers() -> Iterator[None]:
    """Take away what a command adds; a process of its own would end with it."""
    root = logging.getLogger()
    before = list(root.handlers)
    try:
        yield
    finally:
        root.handlers[:] = before

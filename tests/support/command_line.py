"""`stream-worker` as people and scripts use it: a program of its own, told by its arguments and environment."""

import asyncio
import os
import subprocess
import sys
from dataclasses import dataclass

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


def stream_worker(*arguments: str, **settings: str) -> Ended:
    """Run it to its end."""
    ended = subprocess.run(  # noqa: S603 - our own program
        command(*arguments),
        env=environment(**settings),
        capture_output=True,
        encoding="utf-8",
        timeout=ENDS_WITHIN_S,
        check=False,
    )
    return Ended(code=ended.returncode, out=ended.stdout, err=ended.stderr)


async def stream_worker_meanwhile(*arguments: str, **settings: str) -> Ended:
    """Run it to its end while the event loop turns, for what this process has to answer."""
    return await asyncio.to_thread(stream_worker, *arguments, **settings)

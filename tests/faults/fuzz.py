"""Hostile messages for as long as one likes: `python -m tests.faults.fuzz [--seconds N] [--seed S]`.

Each portion has a seed of its own, counted up from the first. What fails is written to a file; the same seed fails
again, and so does the file.
"""

import argparse
import asyncio
import itertools
import json
import secrets
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from tests.faults.decoder_path import DecoderPath
from tests.faults.hostile import HostileMessage, Hostility
from tests.faults.mill import Mill, Tripped
from tests.support.stores import memory_store

PORTION: Final = 2_500
_SEEDS: Final = 2**31


def main(arguments: Sequence[str] | None = None, *, path: Callable[[], DecoderPath] = DecoderPath) -> int:
    """Return 0 when nothing failed, 1 when something did. `path` is what the messages go."""
    parser = argparse.ArgumentParser(
        prog="fuzz", description="Hostile messages through decoder, worker and database."
    )
    parser.add_argument(
        "--seconds", type=float, default=60, help="for how long; one portion at least (default: 60)"
    )
    parser.add_argument("--portions", type=int, help=f"how many of {PORTION:,} messages, whatever time they take")
    parser.add_argument("--seed", type=int, help="the first portion's (default: by chance)")
    parser.add_argument("--folder", type=Path, default=Path(), help="where a failure is written (default: here)")
    parser.add_argument("--replay", type=Path, metavar="FILE", help="only what stands in such a file")
    asked = parser.parse_args(arguments)
    if asked.replay:
        return asyncio.run(_replay(_kept_in(asked.replay), path))
    seed = secrets.randbelow(_SEEDS) if asked.seed is None else asked.seed
    return asyncio.run(_fuzz(seed, asked=asked, path=path))


async def _fuzz(first_seed: int, *, asked: argparse.Namespace, path: Callable[[], DecoderPath]) -> int:
    began_s = time.monotonic()
    kinds: Counter[str] = Counter()
    _say(f"seed {first_seed}\n")
    for seed in itertools.count(first_seed):
        messages = list(Hostility(seed).messages(PORTION))
        if tripped := await _grind(messages, path, kinds):
            file = _keep(tripped, seed, messages, asked.folder)
            _say(f"\nfailed: {tripped}\nagain: --seed {seed}, or --replay {file}\n")
            return 1
        elapsed_s = time.monotonic() - began_s
        _say(f"\r{kinds.total():,} messages in {elapsed_s:.0f} s, {kinds.total() / elapsed_s:,.0f} a second ")
        if seed + 1 - first_seed == asked.portions or (not asked.portions and elapsed_s >= asked.seconds):
            break
    _say("\nnothing failed: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(kinds.items())) + "\n")
    return 0


async def _replay(messages: Sequence[HostileMessage], path: Callable[[], DecoderPath]) -> int:
    tripped = await _grind(messages, path, Counter())
    _say(f"failed: {tripped}\n" if tripped else "nothing failed\n")
    return 1 if tripped else 0


async def _grind(
    messages: Sequence[HostileMessage], path: Callable[[], DecoderPath], kinds: Counter[str]
) -> Tripped | None:
    async with memory_store() as store:
        mill = Mill(store=store, path=path())
        try:
            await mill.grind(messages)
        except Tripped as tripped:
            return tripped
    kinds.update(mill.kinds)
    return None


def _keep(tripped: Tripped, seed: int, messages: Sequence[HostileMessage], folder: Path) -> Path:
    """Write the message to blame, or all of the portion where that is not known."""
    guilty = [tripped.message] if tripped.message else messages
    written = [
        {"routing_key": one.routing_key.hex(), "header": one.header.hex(), "body": one.body.hex()}
        for one in guilty
    ]
    file = folder / f"fuzz-{seed}.json"
    file.write_text(json.dumps({"seed": seed, "why": str(tripped), "messages": written}, indent=1), "utf-8")
    return file


def _kept_in(file: Path) -> list[HostileMessage]:
    messages = json.loads(file.read_text("utf-8"))["messages"]
    return [HostileMessage(**{part: bytes.fromhex(digits) for part, digits in one.items()}) for one in messages]


def _say(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    raise SystemExit(main())

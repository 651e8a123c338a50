"""Steady load and a random fault every few seconds: `python -m tests.faults.soak --minutes 15`."""

import argparse
import asyncio
import logging
import secrets
import shutil
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from devtools.broker import PrivateBroker
from devtools.postgres import PrivatePostgres
from tests.faults.soak_report import line_of, table_of
from tests.faults.soaked import Moment, Soaked
from tests.faults.soaking import soak
from tests.faults.world import POSTGRES_SETTINGS, SETUPS_BY_NAME, Servers, Setup

MINUTES: Final = 15.0
EXIT_VIOLATED: Final = 1

_SHARES: Final = {"postgresql-3": 2 / 3, "sqlite": 1 / 3}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what the arguments say; return 0 where every promise held."""
    told = _parser().parse_args(arguments)
    shares = {told.setup: 1.0} if told.setup else _SHARES
    parts = [(SETUPS_BY_NAME[name], share * told.minutes * 60) for name, share in shares.items()]
    # Their connections break all the time here, and each of them would say so.
    logging.getLogger("aio_pika").setLevel(logging.CRITICAL)
    logging.getLogger("aiormq").setLevel(logging.CRITICAL)
    folder = Path(tempfile.mkdtemp(prefix="soak-"))
    _say(f"seed {told.seed}")
    soaked = asyncio.run(_run(folder, parts, told.seed))
    _say(table_of(soaked))
    if all(one.verdict.is_good for one in soaked):
        shutil.rmtree(folder)
        return 0
    _say(f"records and logs are in {folder}")
    return EXIT_VIOLATED


async def _run(folder: Path, parts: Sequence[tuple[Setup, float]], seed: int) -> list[Soaked]:
    with PrivateBroker() as broker, PrivatePostgres(settings=POSTGRES_SETTINGS) as postgres:
        servers = Servers(broker=broker, postgres=postgres, folder=folder)
        return [
            await soak(servers, setup, length_s=length_s, seed=seed, say=_say_moment) for setup, length_s in parts
        ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=MINUTES, help="how long, in all")
    parser.add_argument(
        "--seed", type=int, default=secrets.randbelow(1_000_000), help="of the load and the faults"
    )
    parser.add_argument(
        "--setup",
        choices=SETUPS_BY_NAME,
        help="only this one; default: two thirds of the time postgresql-3, one third sqlite",
    )
    return parser


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _say_moment(moment: Moment) -> None:
    _say(line_of(moment))


if __name__ == "__main__":
    raise SystemExit(main())

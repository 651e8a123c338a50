"""Runs every fault on every setup, and says what came of it: `python -m tests.faults.run --help`.

The servers are its own. Progress goes to standard error, the tables to standard output; a trial that was not good
leaves its record and the logs of its workers in a folder that is named.
"""

import argparse
import asyncio
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import asyncpg

from devtools.broker import PrivateBroker
from devtools.postgres import PrivatePostgres
from tests.faults.matrix import Case, Choice, cases
from tests.faults.table import machine, sections, write_into
from tests.faults.trial import Outcome
from tests.faults.world import POSTGRES_SETTINGS, SETUPS, SETUPS_BY_NAME, Servers, Setup

CONNECT_WITHIN_S: Final = 10.0
AT_ONCE: Final = 3  # a trial waits most of its time; more would find a machine of two CPUs too slow
EXIT_VIOLATED: Final = 1


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for; return the exit code: 1 where a promise was broken or a trial failed."""
    parser = _parser()
    asked = parser.parse_args(arguments)
    if asked.write is not None and (asked.only or asked.setup is not SETUPS):
        parser.error("a document has whole groups: --write goes with --group, not with --only or --setup")
    chosen = cases(
        Choice(group=asked.group, only=asked.only, setups=asked.setup), runs=asked.runs, seed=asked.seed
    )
    folder = Path(tempfile.mkdtemp(prefix="streams-faults-"))
    with ExitStack() as stack:
        broker = stack.enter_context(PrivateBroker())
        postgres = stack.enter_context(PrivatePostgres(settings=POSTGRES_SETTINGS))
        servers = Servers(broker=broker, postgres=postgres, folder=folder)
        outcomes = asyncio.run(_run(servers, chosen, at_once=asked.at_once))
        kind = machine(broker, asyncio.run(_postgres_version(postgres)))
    result = sections(outcomes, said=f"{datetime.now(UTC).date().isoformat()}, {kind}.")
    sys.stdout.write("\n".join(result.values()))
    if asked.write is not None:
        write_into(asked.write, result)
    if all(outcome.is_good for outcome in outcomes):
        shutil.rmtree(folder)
        return 0
    sys.stderr.write(f"records and logs of what was not good: {folder}\n")
    return EXIT_VIOLATED


async def _run(servers: Servers, chosen: Sequence[Case], *, at_once: int) -> Sequence[Outcome]:
    """Run those that leave the servers alone beside each other, then the others one by one."""
    began_s, outcomes = time.monotonic(), dict[tuple[str, int], Outcome]()

    async def run(case: Case, among: asyncio.Semaphore) -> None:
        async with among:
            outcome = await case.run(servers, is_watched=True)
        outcomes[str(case), case.seed] = outcome
        _tell(f"{len(outcomes)}/{len(chosen)} {time.monotonic() - began_s:5.0f} s", case, outcome)

    for harms, among in ((False, asyncio.Semaphore(at_once)), (True, asyncio.Semaphore(1))):
        async with asyncio.TaskGroup() as tasks:
            for case in chosen:
                if case.fault.harms_servers is harms:
                    tasks.create_task(run(case, among), name=f"trial {case}")
    return [outcomes[str(case), case.seed] for case in chosen]


def _tell(progress: str, case: Case, outcome: Outcome) -> None:
    verdict = outcome.verdict
    word = "good" if outcome.is_good else "VIOLATED" if verdict else "FAILED"
    recovery = f", recovered in {verdict.recovery_s:.1f} s" if verdict else ""
    sys.stderr.write(f"{progress}  {word}  {case} (seed {case.seed}), crashes {outcome.crashes}{recovery}\n")
    if not outcome.is_good:
        sys.stderr.write(
            f"{verdict or outcome.trouble}\n  {outcome.record}\n  {outcome.record.with_suffix('.log')}\n"
        )
    sys.stderr.flush()


async def _postgres_version(postgres: PrivatePostgres) -> str:
    url = postgres.url("postgres").replace("+asyncpg", "")
    connection = await asyncpg.connect(url, timeout=CONNECT_WITHIN_S, command_timeout=CONNECT_WITHIN_S)
    try:
        return str(await connection.fetchval("SHOW server_version"))
    finally:
        await connection.close(timeout=CONNECT_WITHIN_S)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tests.faults.run", description="Do to the worker what the world does."
    )
    parser.add_argument("--group", help="faults of one group only, such as worker or database")
    parser.add_argument("--only", default="", metavar="TEXT", help="faults whose name has this in it")
    parser.add_argument(
        "--runs", type=int, default=1, help="of each fault on each setup, each with a seed of its own"
    )
    parser.add_argument(
        "--setup",
        type=_setups,
        default=SETUPS,
        metavar="NAMES",
        help=f"of {', '.join(SETUPS_BY_NAME)}; default: all",
    )
    parser.add_argument("--seed", type=int, default=1, help="of the first run's load")
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help="how many trials run beside each other")
    parser.add_argument(
        "--write", type=Path, metavar="FILE", help="a document whose tables of these groups to replace"
    )
    return parser


def _setups(names: str) -> Sequence[Setup]:
    try:
        return [SETUPS_BY_NAME[name] for name in names.split(",")]
    except KeyError as unknown:
        raise argparse.ArgumentTypeError(f"{unknown} is none of {', '.join(SETUPS_BY_NAME)}") from None


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

"""The short form of the matrix: some faults of every group, on every setup. `make faults` has all of them.

Trials that harm no server run beside each other: most of a trial is waiting.
"""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import pytest

from devtools.broker import PrivateBroker
from devtools.postgres import PrivatePostgres
from tests.faults.matrix import Case, rounds, short_cases
from tests.faults.world import Servers

AT_ONCE = 3
SEED = 1

ROUNDS = list(rounds(short_cases(seed=SEED), at_once=AT_ONCE))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("together", ROUNDS, ids=lambda together: "; ".join(map(str, together)))
async def test_every_promise_holds(
    broker: PrivateBroker, postgres: PrivatePostgres, tmp_path: Path, together: Sequence[Case]
) -> None:
    servers = Servers(broker=broker, postgres=postgres, folder=tmp_path)
    outcomes = await asyncio.gather(*(case.run(servers, is_watched=False) for case in together))
    for case, outcome in zip(together, outcomes, strict=True):
        assert outcome.is_good, f"{case}:\n{outcome.verdict or outcome.trouble}\n{outcome.record}"

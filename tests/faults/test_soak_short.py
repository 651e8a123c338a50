"""A little of the soak, whose whole is `make soak`."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.broker import PrivateBroker
from devtools.postgres import PrivatePostgres
from tests.faults.soak_report import line_of, table_of
from tests.faults.soaking import soak
from tests.faults.world import SETUPS, Servers, Setup

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

LENGTH_S = 75
FAULTS_MIN = 4


@pytest.fixture(scope="module")
def harmed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Servers that are killed and frozen."""
    with PrivateBroker() as broker, PrivatePostgres(settings={"fsync": "off"}) as postgres:
        folder: Path = tmp_path_factory.mktemp("soak")
        yield Servers(broker=broker, postgres=postgres, folder=folder)


@pytest.mark.parametrize("setup", [SETUPS[0], SETUPS[-1]], ids=str)
async def test_after_a_soak_the_books_balance_and_nothing_has_grown(harmed: Servers, setup: Setup) -> None:
    lines: list[str] = []

    soaked = await soak(
        harmed, setup, length_s=LENGTH_S, seed=11, say=lambda moment: lines.append(line_of(moment))
    )

    assert soaked.verdict.is_good, "\n".join([*lines, table_of([soaked])])
    assert soaked.faults.total() >= FAULTS_MIN
    assert len(lines) > LENGTH_S // 10

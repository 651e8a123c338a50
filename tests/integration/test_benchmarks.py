"""A measurement in small: the worker on real servers, and books that balance."""

from collections.abc import Iterator

import pytest

from benchmarks.bench import Bench
from benchmarks.measures.latency import Pace, latency
from benchmarks.measures.statements import statements
from benchmarks.measures.throughput import throughput
from benchmarks.servers import Servers
from benchmarks.systems import DATABASES, worker

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    with Servers() as servers:
        yield Bench(servers=servers, seed="1")


@pytest.mark.parametrize("database", DATABASES)
async def test_a_trial_of_the_worker_balances_and_has_its_numbers(bench: Bench, database: str) -> None:
    outcome = await throughput(bench, worker(database), count=300, number=1)
    assert outcome.sample.broken == {}
    assert outcome.sample.values["per_s"] > 0
    assert outcome.sample.values["cpu_us"] > 0
    assert outcome.sizes.reply_bytes > 100
    assert outcome.sizes.event_bytes > outcome.sizes.reply_bytes


async def test_latency_is_measured_at_a_pace(bench: Bench) -> None:
    pace = Pace(measure="latency", per_s=50, seconds=1)
    sample = await latency(bench, worker(DATABASES[0]), pace, number=1)
    assert sample.broken == {}
    assert 0 < sample.values["p50_ms"] <= sample.values["p99_ms"]


async def test_statements_are_counted_in_each_transaction(bench: Bench) -> None:
    sample = await statements(bench, worker(DATABASES[0]), batch_max=16)
    assert sample.values["most"] > 0
    assert sample.values["transactions"] > 0

"""The harness on a calm day: a real worker, nothing breaks, and the books balance."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import pytest

from devtools.broker import PrivateBroker
from tests.faults.checks.verdict import Circumstances, verdict
from tests.faults.checks.violation import Invariant
from tests.faults.crowd import Crowd, Plan
from tests.faults.history import Fate
from tests.faults.journal import now_s
from tests.faults.record import read_record, write_record
from tests.faults.snapshot import read_snapshot
from tests.faults.wire_log import Direction
from tests.support.proxy import Proxy
from tests.support.worker_process import WorkerProcess, settings_of

pytestmark = pytest.mark.slow

COMMANDS = 300
SPOKEN_WITHIN_S = 60.0
SETTLED_WITHIN_S = 30.0


async def test_a_calm_trial_is_clean_and_its_numbers_are_right(
    broker: PrivateBroker, namespace: str, database_url: str, tmp_path: Path
) -> None:
    plan = Plan(seed=7, commands=COMMANDS, rate_per_s=150, sender="guest")
    async with Proxy(broker.url, is_tapped=True) as tap:
        settings = settings_of(tap.url, namespace, database_url)
        async with WorkerProcess(settings), Crowd(broker.url, namespace, plan) as crowd:
            async with asyncio.timeout(SPOKEN_WITHIN_S):
                await crowd.speak()
            calm = Circumstances(healed_at_s=now_s(), within_s=SETTLED_WITHIN_S)
            assert await crowd.settle(database_url, within_s=SETTLED_WITHIN_S)
            history = await crowd.history()
        seen = tap.wire_log()
    snapshot = await read_snapshot(database_url)
    result = verdict(history, snapshot, replace(calm, seen=seen))

    assert result.is_good, str(result)
    assert (result.commands, result.unconfirmed) == (COMMANDS, 0)
    assert (result.lost, result.effects_twice, result.answers_that_differ, result.out_of_order) == (0, 0, 0, 0)
    assert len(history.answers) >= COMMANDS
    assert {request.fate for request in history.requests} == {Fate.CONFIRMED}
    outcomes = [json.loads(row.reply_body).get("outcome") for row in snapshot.handled]
    nameless = [row for row in snapshot.events if b"causationid" not in row.body]
    assert result.events == sum(o in ("created", "stopped") for o in outcomes) + len(nameless)
    assert nameless
    assert {"created", "reused", "stopped", "already_stopped", "found"} <= set(outcomes)

    # The wire was looked at: had the broker confirmed nothing, every acknowledgement had been too early.
    silence = [f for f in seen if (f.direction, f.method) != (Direction.TO_WORKER, "Basic.Ack")]
    unconfirmed = verdict(history, snapshot, replace(calm, seen=silence))
    assert {violation.invariant for violation in unconfirmed.violations} == {Invariant.I13}
    assert len(unconfirmed.violations) >= len(snapshot.handled)

    write_record(tmp_path / "trial.jsonl", history, snapshot)
    assert read_record(tmp_path / "trial.jsonl") == (history, snapshot)

"""200,000 messages that no well-meaning sender writes, from their bytes to what is said of them."""

import asyncio
import json
import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import Final

import pytest
from typing_extensions import override

from devtools.postgres import PrivatePostgres
from tests.faults import fuzz
from tests.faults.decoder_path import DecoderPath, Read
from tests.faults.hostile import Hostility
from tests.faults.mill import Mill
from tests.support.stores import made_store

HALF: Final = 40  # portions of 2,500 messages
WITHIN_S: Final = 500.0
ROOT: Final = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.timeout(WITHIN_S + 20)
@pytest.mark.parametrize("seed", [0, HALF])
async def test_200000_hostile_messages_trip_nothing_over(seed: int, tmp_path: Path) -> None:
    """In a process of its own, where no coverage is measured: that would take several times as long."""
    arguments = ["--seed", str(seed), "--portions", str(HALF), "--folder", str(tmp_path)]
    environ = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE")}
    fuzzing = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.faults.fuzz",
        *arguments,
        cwd=ROOT,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(WITHIN_S):
        told = (await fuzzing.communicate())[0].decode()

    assert fuzzing.returncode == 0, told[-3_000:]
    assert "100,000 messages" in told
    counts = [
        int(count.replace(",", "")) for count in re.findall(r"(?:Received|Refused|Unreadable) ([\d,]+)", told)
    ]
    assert sum(counts) == 100_000
    assert min(counts) > 10_000, "too few of one kind"


async def test_what_is_received_is_taken_by_postgresql_too(postgres: PrivatePostgres) -> None:
    """It is the stricter one: U+0000 and lone surrogates have no place there."""
    postgres.create_database("hostile")
    async with made_store(postgres.url("hostile")) as store:
        mill = Mill(store=store)
        await mill.grind(Hostility(2 * HALF).messages(fuzz.PORTION))
    assert mill.kinds["Received"] > 300
    postgres.drop_database("hostile")


def test_the_same_seed_writes_the_same_messages() -> None:
    assert list(Hostility(1).messages(500)) == list(Hostility(1).messages(500))
    assert list(Hostility(1).messages(5)) != list(Hostility(2).messages(5))


async def test_fuzzing_says_the_seed_and_how_far_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert await asyncio.to_thread(fuzz.main, ["--seconds", "0", "--seed", "17"]) == 0

    told = capsys.readouterr().out
    assert told.startswith("seed 17\n")
    assert "2,500 messages" in told
    assert "nothing failed: Received" in told


class TrippedOver(DecoderPath):
    """Stumbles over what has a certain byte in its body."""

    @override
    def check(self, read: Read) -> None:
        if b"\xff" in read.delivery.body:
            raise LookupError("a byte of all ones")


async def test_a_message_that_fails_is_named_and_kept_and_fails_again(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    failing = partial(fuzz.main, path=TrippedOver)

    assert await asyncio.to_thread(failing, ["--seconds", "0", "--seed", "17", "--folder", str(tmp_path)]) == 1

    file = tmp_path / "fuzz-17.json"
    told = capsys.readouterr().out
    assert f"failed: LookupError: a byte of all ones\nagain: --seed 17, or --replay {file}\n" in told
    (kept,) = json.loads(file.read_text())["messages"]
    assert b"\xff" in bytes.fromhex(kept["body"])
    assert await asyncio.to_thread(failing, ["--replay", str(file)]) == 1
    assert await asyncio.to_thread(fuzz.main, ["--replay", str(file)]) == 0

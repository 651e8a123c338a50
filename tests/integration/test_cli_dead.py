"""`stream-worker dead list`, `show` and `discard` against a real broker; `replay` has tests of its own."""

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator

import pytest

from devtools.broker import PrivateBroker
from tests.support import raw_amqp as raw
from tests.support.broker_users import PASSWORD, User, make
from tests.support.command_line import command, environment, stream_worker_meanwhile
from tests.support.graveyard import Graveyard
from worker.amqp.dead_queue import PREFETCH

MANY = 1_200


@pytest.fixture
async def graveyard(broker: PrivateBroker, namespace: str) -> AsyncIterator[Graveyard]:
    async with Graveyard(broker.url, namespace) as graveyard:
        yield graveyard


async def test_no_letters_are_none(graveyard: Graveyard) -> None:
    ended = await graveyard.dead("list")

    assert (ended.code, ended.out, ended.err) == (0, "", "There are no dead letters.\n")


async def test_letters_are_listed_for_people_the_oldest_first(graveyard: Graveyard) -> None:
    await graveyard.bury(b"one", b"second", died_s_ago=300)

    ended = await graveyard.dead("list")

    heading, first, second = ended.out.splitlines()
    assert (ended.code, ended.err) == (0, "")
    assert heading.split()[:3] == ["NO", "AGE", "REASON"]
    assert first.split()[:7] == ["1", "5m", "internal", "stream.create", "m-1", "cam-1", "3"]
    assert second.split()[:7] == ["2", "5m", "internal", "stream.create", "m-2", "cam-1", "6"]


async def test_what_the_broker_gave_up_is_listed_with_its_reason(graveyard: Graveyard) -> None:
    await graveyard.expire(b"too late", message_id="m-late", user_id="guest")

    (letter,) = await graveyard.listed()

    assert (letter["reason"], letter["message_id"], letter["sender"]) == ("expired", "m-late", "guest")
    assert (letter["routing_key"], letter["size_bytes"]) == ("cam-1", 8)
    assert 0 <= letter["age_s"] < 120


async def test_letters_are_found_by_what_is_known_of_them(graveyard: Graveyard) -> None:
    await graveyard.bury(b"old", reason="malformed", died_s_ago=7_200, message_id="old")
    await graveyard.bury(b"new", key="cam-9", type="stream.stop", message_id="new")
    await graveyard.expire(b"late", message_id="late")

    for filters, found in {
        "--reason malformed": ["old"],
        "--reason malformed --reason internal": ["old", "new"],
        "--type stream.stop": ["new"],
        "--id late": ["late"],
        "--device cam-9": ["new"],
        "--older-than 1h": ["old"],
        "--newer-than 1h": ["new", "late"],
        "--reason expired --type stream.stop": [],
        "--limit 2": ["old", "new"],
    }.items():
        assert await graveyard.ids(*filters.split()) == found, filters


async def test_looking_costs_no_letter_and_changes_no_number(graveyard: Graveyard) -> None:
    await graveyard.bury(*(b"%d" % number for number in range(40)))
    numbers = await graveyard.ids()

    await graveyard.dead("list", "--limit", "3")
    await graveyard.dead("show", "7")
    await graveyard.dead("discard", "--reason", "none", "--yes")

    assert await graveyard.ids() == numbers == [f"m-{number}" for number in range(1, 41)]
    await graveyard.until_ready("dead", 40)


async def test_many_letters_keep_their_order_and_progress_is_told(graveyard: Graveyard) -> None:
    """More than one consumer may hold; with `show` and short lists in between."""
    assert MANY > PREFETCH
    await graveyard.bury(*[b"{}"] * MANY)
    everything = [f"m-{number}" for number in range(1, MANY + 1)]

    for _ in range(2):
        ended = await graveyard.dead("list", "--limit", str(MANY), "--json")
        assert [json.loads(line)["message_id"] for line in ended.out.splitlines()] == everything
        assert ended.err.splitlines() == [f"looking: {count} of {MANY}" for count in (500, 1_000)]
        assert await graveyard.ids("--limit", "2") == ["m-1", "m-2"]
    ended = await graveyard.dead("show", str(PREFETCH + 2), "--json")
    assert json.loads(ended.out)["message_id"] == f"m-{PREFETCH + 2}"


async def test_a_letter_is_shown_with_all_that_is_in_it(graveyard: Graveyard) -> None:
    await graveyard.bury(b"other", message_id="other")
    await graveyard.bury(
        b'{"device_id":\n "cam-1\x1b[2J"}',
        message_id="m-7",
        correlation_id="c-7",
        reply_to="amq.gen-x",
        headers={"traceparent": "00-1", "x-streams-user-id": "alice"},
    )

    by_number, by_id = await graveyard.dead("show", "2"), await graveyard.dead("show", "m-7")

    def timeless(text: str) -> str:
        return re.sub(r"(?m)^(age_s|  x-delivery-count:) .*\n", "", text)

    assert (by_number.code, by_number.err) == (0, "")
    assert timeless(by_number.out) == timeless(by_id.out)
    for line in (
        "number            2",
        "reason            internal",
        "sender            alice",
        "correlation_id    c-7",
        "reply_to          amq.gen-x",
        "  traceparent: 00-1",
        "body (27 bytes)",
        '{"device_id":',
        ' "cam-1\\x1b[2J"}',
    ):
        assert line in by_number.out.splitlines()


async def test_a_letter_is_shown_as_json_and_its_body_byte_for_byte(graveyard: Graveyard) -> None:
    body = b"\xff\x00\r\n" * 2_000
    await graveyard.bury(body, message_id="m-7")

    cut = json.loads((await graveyard.dead("show", "m-7", "--json")).out)
    whole = json.loads((await graveyard.dead("show", "m-7", "--json", "--full")).out)

    assert (cut["body"], cut["body_is_cut"], whole["body_is_cut"]) == (None, True, False)
    assert bytes.fromhex(whole["body_hex"]) == body
    assert whole["headers"]["x-streams-reason"] == "internal"


async def test_a_raw_body_is_printed_as_it_came(graveyard: Graveyard) -> None:
    await graveyard.bury("no newline, ü".encode())

    assert (await graveyard.dead("show", "1", "--raw")).out == "no newline, ü"


async def test_a_letter_that_is_not_there_is_1(graveyard: Graveyard) -> None:
    await graveyard.bury(b"one")

    ended = await graveyard.dead("show", "2")

    assert (ended.code, ended.out, ended.err) == (1, "", "None of the 1 dead letters matches.\n")


async def test_what_is_discarded_is_gone_and_nothing_else(graveyard: Graveyard) -> None:
    await graveyard.bury(b"one", b"two", b"three", reason="malformed", message_id="bad-{}")
    await graveyard.bury(b"four", b"five")

    ended = await graveyard.dead("discard", "--reason", "malformed", "--limit", "2", "--yes", "--json")

    outcomes = [(letter["message_id"], letter["outcome"]) for letter in map(json.loads, ended.out.splitlines())]
    assert outcomes == [("bad-1", "discarded"), ("bad-2", "discarded")]
    assert (ended.code, ended.err) == (0, "discarded 2\n")
    assert await graveyard.ids() == ["bad-3", "m-1", "m-2"]


@pytest.mark.parametrize("verb", ["discard", "replay"])
async def test_a_dry_run_lists_and_changes_nothing(graveyard: Graveyard, verb: str) -> None:
    await graveyard.bury(b"one", b"two")

    ended = await graveyard.dead(verb, "--dry-run", "--id", "m-2")

    assert ended.code == 0
    assert [line.split()[4] for line in ended.out.splitlines()[1:]] == ["m-2"]
    assert ended.err == f"1 of 2 letters would be {verb}ed; nothing was changed.\n"
    assert await graveyard.ids() == ["m-1", "m-2"]
    assert await graveyard.ready("commands") == 0


@pytest.mark.parametrize("verb", ["discard", "replay"])
async def test_without_a_terminal_nobody_is_asked_and_nothing_done(graveyard: Graveyard, verb: str) -> None:
    await graveyard.bury(b"one")

    ended = await graveyard.dead(verb)

    assert (ended.code, ended.out) == (2, "")
    assert "give --yes, or --dry-run" in ended.err
    assert await graveyard.ids() == ["m-1"]


async def test_what_no_library_can_read_is_listed_and_can_be_discarded(graveyard: Graveyard) -> None:
    """Only the broker makes such letters: of what it could not read itself, the worker keeps the body."""
    body, (flags, properties) = b"poison", next(iter(raw.POISONS.values()))
    header = raw.header(flags, properties, body_size=len(body))
    async with raw.RawPublisher(graveyard.settings["STREAMS_AMQP_URL"]) as publisher:
        await publisher.publish(f"{graveyard.namespace}.dead", b"\xff\xfe", header, body)
    await graveyard.until_ready("dead", 1)
    await graveyard.bury(b"good")

    poison, good = await graveyard.listed()
    replayed = await graveyard.dead("replay", "--id", "none", "--reason", "undecodable", "--yes")
    kept = await graveyard.dead("replay", "--reason", "undecodable", "--yes")
    discarded = await graveyard.dead("discard", "--reason", "undecodable", "--yes")

    assert (poison["reason"], poison["size_bytes"], good["message_id"]) == ("undecodable", 6, "m-1")
    assert (replayed.code, replayed.out, replayed.err) == (0, "", "None of the 2 dead letters matches.\n")
    assert (kept.code, kept.out) == (1, "unreadable 1\n")
    assert (discarded.code, discarded.out) == (0, "discarded 1\n")
    assert await graveyard.ids() == ["m-1"]


async def test_a_queue_that_is_missing_is_78(broker: PrivateBroker, namespace: str) -> None:
    ended = await stream_worker_meanwhile(
        "dead", "list", STREAMS_AMQP_URL=broker.url, STREAMS_NAMESPACE=f"{namespace}-none"
    )

    assert (ended.code, ended.out) == (78, "")
    assert "There is no queue" in ended.err
    assert "topology apply" in ended.err


async def test_a_user_who_may_not_read_is_told_so(broker: PrivateBroker, graveyard: Graveyard) -> None:
    user = User(name=f"blind-{graveyard.namespace}")
    await make(broker, [user])
    await graveyard.bury(b"one")

    ended = await graveyard.dead("list", STREAMS_AMQP_URL=user.url(broker))

    assert ended.code == 78
    assert f"The broker does not let us read {graveyard.namespace}.dead" in ended.err
    assert PASSWORD not in ended.err
    assert len(ended.err.splitlines()) == 1


async def test_a_broker_that_is_away_is_69() -> None:
    ended = await stream_worker_meanwhile("dead", "list", STREAMS_AMQP_URL="amqp://guest:hunter2@127.0.0.1:1/")

    assert (ended.code, ended.out) == (69, "")
    assert "127.0.0.1:1" in ended.err
    assert "hunter2" not in ended.err


@pytest.mark.parametrize(("answer", "left"), [(b"n\n", 2), (b"y\n", 0)])
async def test_on_a_terminal_somebody_is_asked(graveyard: Graveyard, answer: bytes, left: int) -> None:
    await graveyard.bury(b"one", b"two")
    ours, theirs = os.openpty()
    process = await asyncio.create_subprocess_exec(
        *command("dead", "discard"),
        env=environment(**graveyard.settings),
        stdin=theirs,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    os.write(ours, answer)
    async with asyncio.timeout(60):
        out, err = await process.communicate()
    os.close(ours)
    os.close(theirs)

    assert process.returncode == 0
    assert "discard 2 letters? [y/N]:" in err.decode()
    assert out.decode() == ("" if left else "discarded 2\n")
    await graveyard.until_ready("dead", left)

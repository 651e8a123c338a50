"""What a message says of itself forges no line of the worker's log, and moves nobody's cursor."""

import asyncio
import json
import re
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from yarl import URL

from devtools.broker import PrivateBroker
from tests.support.raw_amqp import RawPublisher, short, table, text
from tests.support.wire import Party, eventually
from tests.support.worker_process import WorkerProcess, settings_of

QUEUE = 50  # the number of AMQP's class

FORGED = "forged.line"
JSON_LINE = json.dumps({"timestamp": "2026-01-12T09:30:00Z", "level": "critical", "logger": "w", "event": FORGED})
PEOPLES_LINE = f"2026-01-12T09:30:00.000000Z [critical ] {FORGED} [worker] reason=x"
# What ends a line for one reader or another, moves a cursor, or turns text around.
MARKS = (
    "\n",
    "\r",
    "\r\n",
    "\x0b",
    "\x0c",
    "\x1c",
    "\x1e",
    "\x85",
    "\u2028",
    "\u2029",
    "\x1b[2K\x1b[1A",
    "\x9b2K",
    "\x08",
)
TURNS = "\u202e\u2066\u200f\ufeff"
NO_MARK = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\u200b-\u200f\ufeff]")
MACHINE_NAME = re.compile(r"[a-z_]+\.[a-z_]+")
BEGINS_AS_OURS = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z \[(debug|info|warning|error|critical) *\] \S")

HOSTILE = [f"a{mark}{line}{mark}" for mark in MARKS for line in (JSON_LINE, PEOPLES_LINE, FORGED)] + [
    f"{TURNS}{PEOPLES_LINE}",
    f"x level=critical event={FORGED}",
    "amqp://worker:hunter2@broker.example/" + "x" * 200,
]
# The others' queues are called differently in the end: RabbitMQ takes line ends out of a name.
REFUSED = [words for words in HOSTILE if not {"\r", "\n"} & set(words)]
EVE = f"eve\u2028{FORGED}\u202e"


def address_of(words: str) -> str:
    return f"nobody-{words}"[:120]


class FullQueues(RawPublisher):
    """Queues that take nothing, under names that a client library would not let through."""

    async def make(self, name: str) -> None:
        """Make one, which goes with this connection."""
        refuses = table((b"x-max-length", b"I" + bytes(4)), (b"x-overflow", text(b"reject-publish")))
        exclusive = b"\x04"
        self._send_method(1, QUEUE, 10, b"\x00\x00" + short(name.encode()) + exclusive + refuses)
        async with asyncio.timeout(60):
            assert await self._method() == (QUEUE, 11)


class Attacker(Party):
    """Somebody who writes what the worker will have to speak of."""

    async def tell(self, words: str, **properties: Any) -> None:
        """Publish a command with hostile words wherever there is room, to be answered where nothing fits in."""
        given: dict[str, Any] = {
            "type": words[:250],
            "message_id": f"{uuid.uuid4().hex[:8]}{words}"[:120],
            "correlation_id": words[:250],
            "reply_to": address_of(words),
            "app_id": words[:250],
            "user_id": EVE,
            "headers": {words[:100]: words, "traceparent": words, "x-death": words},
        } | properties
        exchange = await self.channel.get_exchange(f"{self.namespace}.commands", ensure=False)
        await exchange.publish(aio_pika.Message(b'{"device_id": "cam-1"}', **given), words[:60])

    async def orphan_the_dead(self) -> None:
        """Have the broker refuse dead letters."""
        queue = await self.channel.get_queue(f"{self.namespace}.dead", ensure=False)
        await queue.unbind(f"{self.namespace}.dead", "#")


@pytest.fixture(scope="module")
def attackers_url(broker: PrivateBroker) -> str:
    broker.ctl("add_user", EVE, "hunter2")
    broker.ctl("set_permissions", EVE, ".*", ".*", ".*")
    return str(URL(broker.url).with_user(EVE).with_password("hunter2"))


@asynccontextmanager
async def attacked(
    url: str, attackers_url: str, form: str, folder: Path, namespace: str
) -> AsyncIterator[WorkerProcess]:
    settings = settings_of(
        url,
        namespace,
        f"sqlite+aiosqlite:///{folder}/streams.db",
        STREAMS_LOG_FORMAT=form,
        STREAMS_LOG_LEVEL="DEBUG",
        STREAMS_REPLY_TO_PATTERN="(?s)nobody-.*",
    )
    async with (
        WorkerProcess(settings) as worker,
        FullQueues(url) as queues,
        Attacker(attackers_url, namespace) as attacker,
    ):
        for words in HOSTILE:
            await queues.make(address_of(words))
            await attacker.tell(words)
            await attacker.tell(words, type="stream.create")
        await attacker.orphan_the_dead()
        for words in HOSTILE:
            await attacker.tell(words, reply_to=f"not-allowed-{words}"[:120])

        async def look() -> bool:
            log = worker.log
            return log.count("reply.refused") >= 2 * len(REFUSED) and log.count(
                "dead_letter.given_to_broker"
            ) >= len(HOSTILE)

        try:
            await eventually(look)
        except TimeoutError:
            raise AssertionError(f"it does not speak of all of it: {worker.log[-3000:]}") from None
        yield worker


@pytest.mark.parametrize("form", ["json", "console"])
async def test_no_message_forges_a_line_of_the_log(
    broker: PrivateBroker, attackers_url: str, namespace: str, tmp_path: Path, form: str
) -> None:
    async with attacked(broker.url, attackers_url, form, tmp_path, namespace) as worker:
        pass

    log = worker.log_at_exit
    assert FORGED in log, "nothing of what was sent was spoken of"
    assert "hunter2" not in log
    assert NO_MARK.search(log) is None
    lines = log.rstrip("\n").split("\n")
    if form == "json":
        parsed = [json.loads(line) for line in lines]
        assert [line for line in parsed if line["event"] == FORGED] == []
        ours = [line["event"] for line in parsed if line["logger"].startswith("worker.")]
        assert [event for event in ours if not MACHINE_NAME.fullmatch(event)] == []
    else:
        assert [line for line in lines if not BEGINS_AS_OURS.match(line)] == []
        assert [line for line in lines if re.match(rf"\S+ \[\w+ *\] {FORGED}", line)] == []

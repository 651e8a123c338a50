"""Forged direct reply addresses on a real broker: what costs the connection, and whom."""

import base64
from collections.abc import AsyncIterator

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage

from devtools.broker import PrivateBroker
from tests.support.broker_side import Stranger, reply, sessions
from tests.support.direct_addresses import direct_address
from tests.support.wire import DIRECT, eventually
from worker.amqp.reputation import kin_of
from worker.amqp.session import Session
from worker.service.messages import Confirmation

PROCESSES = range(0, 2**15, 2_048)


@pytest.fixture
async def session(broker: PrivateBroker, namespace: str) -> AsyncIterator[Session]:
    async with sessions(broker.url, namespace).open() as session:
        yield session


@pytest.fixture
async def asker(broker: PrivateBroker, namespace: str, session: Session) -> AsyncIterator["Asker"]:
    del session
    async with Asker(broker.url, namespace) as asker:
        yield asker


class Asker(Stranger):
    """Asks from several channels, each of which has an address of its own."""

    def __init__(self, url: str, namespace: str) -> None:
        super().__init__(url, namespace)
        self.heard: list[bytes] = []

    async def addresses(self, count: int) -> list[str]:
        """Learn the addresses as the worker does."""
        return [await self._address() for _ in range(count)]

    async def _address(self) -> str:
        channel = await self._connection.channel()
        inbox = await channel.declare_queue(exclusive=True)

        async def hear(message: AbstractIncomingMessage) -> None:
            self.heard.append(message.body)

        direct = await channel.get_queue(DIRECT, ensure=False)
        await direct.consume(hear, no_ack=True)
        await channel.default_exchange.publish(aio_pika.Message(b"", reply_to=DIRECT), inbox.name)
        seen = await eventually(lambda: inbox.get(no_ack=True, fail=False))
        assert seen.reply_to is not None
        return seen.reply_to


async def test_new_askers_lose_nothing_by_forged_addresses(session: Session, asker: Asker) -> None:
    honest = await asker.addresses(5)
    forged = [direct_address(f"reply@{number}", number) for number in range(60)]

    ends = await session.publisher.publish(
        [reply(address) for address in forged]
        + [reply(address, body=b"%d" % number) for number, address in enumerate(honest)]
    )

    assert ends[60:] == [Confirmation.CONFIRMED] * 5

    async def have_heard() -> bool:
        return len(asker.heard) == 5

    await eventually(have_heard)
    assert sorted(asker.heard) == [b"0", b"1", b"2", b"3", b"4"]


async def test_the_askers_of_a_node_are_kin(asker: Asker) -> None:
    assert len({kin_of(address) for address in await asker.addresses(3)}) == 1


async def test_kin_of_an_honest_address_do_no_harm_whatever_is_forged(session: Session, asker: Asker) -> None:
    (honest,) = await asker.addresses(1)
    process = base64.b64decode(honest.split(".")[3])
    forged = [
        f"{DIRECT}.{base64.b64encode(process[:-12] + number.to_bytes(4) + process[-8:]).decode()}.{key}"
        for number in PROCESSES
        for key in ("", ".", "not base 64", "\u00e9" * 40)
    ]
    assert {kin_of(address) for address in forged} == {kin_of(honest)}

    ends = await session.publisher.publish([reply(address) for address in [*forged, honest]])

    assert ends == [Confirmation.CONFIRMED] * (len(forged) + 1)

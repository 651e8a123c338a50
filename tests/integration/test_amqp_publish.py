"""Publishing on a real broker: confirmed, refused or unknown; and replies that end their connection."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import aio_pika
import pytest
from aio_pika.abc import AbstractIncomingMessage, AbstractQueue

from devtools.broker import PrivateBroker
from tests.support.broker_side import (
    NOW,
    Stranger,
    deliveries,
    event,
    letter,
    reply,
    sessions,
    take,
)
from tests.support.proxy import Proxy
from tests.support.wire import DIRECT, eventually
from worker.amqp.session import Session
from worker.service.messages import Confirmation

CONFIRMED, REFUSED, UNKNOWN = Confirmation.CONFIRMED, Confirmation.REFUSED, Confirmation.UNKNOWN
GIVEN_UP = Confirmation.GIVEN_UP
HELD_UP = Confirmation.HELD_UP
CONFIRM_TIMEOUT_S = 2.0  # what opens a session has to be confirmed within it too
FORGED = "amq.rabbitmq.reply-to.AAAA.BBBB"


@pytest.fixture
async def session(broker: PrivateBroker, namespace: str) -> AsyncIterator[Session]:
    async with sessions(broker.url, namespace).open() as session:
        yield session


@pytest.fixture
async def stranger(broker: PrivateBroker, namespace: str, session: Session) -> AsyncIterator[Stranger]:
    del session  # which declares what the stranger uses
    async with Stranger(broker.url, namespace) as stranger:
        yield stranger


async def full_queue(stranger: Stranger, **more: object) -> str:
    """Make a queue that takes one message and refuses every other."""
    arguments = {"x-max-length": 1, "x-overflow": "reject-publish", **more}
    return (await stranger.channel.declare_queue(exclusive=True, arguments=arguments)).name  # type: ignore[arg-type]


async def test_an_event_without_a_subscriber_is_confirmed(session: Session) -> None:
    assert await session.publisher.publish([event()]) == [CONFIRMED]


async def test_a_subscriber_gets_an_event_with_its_properties(session: Session, stranger: Stranger) -> None:
    queue = await stranger.channel.declare_queue(exclusive=True)
    await queue.bind(f"{stranger.namespace}.events", "stream.*.cam-1")
    said = event()

    assert await session.publisher.publish([said, event(device_id="cam-2")]) == [CONFIRMED] * 2

    heard = await stranger.get(queue.name)
    assert (heard.body, heard.message_id, heard.type) == (said.body, str(said.id), "stream.created")
    assert (heard.content_type, heard.delivery_mode) == ("application/cloudevents+json", 2)
    assert heard.timestamp == NOW.replace(microsecond=0)
    assert heard.app_id == "stream-worker"
    assert heard.routing_key == "stream.created.cam-1"
    assert await queue.get(fail=False) is None


async def test_thousands_arrive_in_the_order_in_which_they_were_published(
    session: Session, stranger: Stranger
) -> None:
    queue = await stranger.channel.declare_queue(exclusive=True)
    await queue.bind(f"{stranger.namespace}.events", "#")

    assert await session.publisher.publish([event(number) for number in range(2_000)]) == [CONFIRMED] * 2_000

    assert [int((await stranger.get(queue.name)).body) for _ in range(2_000)] == list(range(2_000))


async def test_an_event_that_a_full_queue_refuses_is_refused(session: Session, stranger: Stranger) -> None:
    queue = await full_queue(stranger)
    await (await stranger.channel.get_queue(queue, ensure=False)).bind(f"{stranger.namespace}.events", "#.cam-1")

    ends = await session.publisher.publish([event(1), event(2), event(3, device_id="cam-2"), event(4)])

    assert ends == [CONFIRMED, REFUSED, CONFIRMED, REFUSED]


async def test_a_reply_to_a_queue_that_is_gone_is_confirmed(session: Session) -> None:
    assert await session.publisher.publish([reply("amq.gen-gone"), reply("streams.reply.gone")]) == [CONFIRMED] * 2


async def test_a_reply_to_a_full_queue_is_refused(session: Session, stranger: Stranger) -> None:
    full = await full_queue(stranger)

    assert await session.publisher.publish([reply(full), reply(full), reply("amq.gen-x")]) == [
        CONFIRMED,
        REFUSED,
        CONFIRMED,
    ]


async def test_a_reply_has_the_properties_of_the_contract(session: Session, stranger: Stranger) -> None:
    queue = await stranger.channel.declare_queue(exclusive=True)

    await session.publisher.publish([reply(queue.name, body=b'{"outcome":"found"}')])

    heard = await stranger.get(queue.name)
    assert (heard.body, heard.type, heard.correlation_id) == (b'{"outcome":"found"}', "stream.reply", "c-1")
    assert (heard.content_type, heard.app_id, heard.exchange) == ("application/json", "stream-worker", "")
    assert heard.message_id == reply(queue.name).message_id


async def test_a_dead_letter_that_nobody_keeps_is_refused(session: Session, stranger: Stranger) -> None:
    await stranger.send(b"bad", b"worse", message_id="the same")
    bad = await take(session, 1)
    await stranger.channel.queue_delete(f"{stranger.namespace}.dead")

    assert await session.publisher.publish([event(), letter(bad[0]), event()]) == [CONFIRMED, REFUSED, CONFIRMED]


async def test_a_dead_letter_is_told_from_others_with_its_message_id(session: Session, stranger: Stranger) -> None:
    """aiormq tells returned messages by their message ids, which strangers choose."""
    await stranger.send(b"bad", b"bad", message_id=reply("x").message_id)
    await session.consumer.widen()
    letters = [letter(message) for message in await take(session, 2)]
    replies = [reply("amq.gen-gone") for _ in range(20)]
    await stranger.channel.queue_delete(f"{stranger.namespace}.dead")

    ends = await session.publisher.publish([*replies, *letters, *replies])

    assert ends == [CONFIRMED] * 20 + [REFUSED] * 2 + [CONFIRMED] * 20


async def test_what_a_paused_broker_does_not_confirm_is_unknown_within_the_deadline(
    broker: PrivateBroker, namespace: str
) -> None:
    async with sessions(broker.url, namespace, confirm_timeout_s=CONFIRM_TIMEOUT_S).open() as session:
        broker.pause()
        try:
            began_s = time.monotonic()
            ends = await session.publisher.publish([event(), reply("amq.gen-x"), reply(FORGED)])
            took_s = time.monotonic() - began_s
        finally:
            broker.resume()

    assert ends == [UNKNOWN] * 3
    assert took_s < 6 * CONFIRM_TIMEOUT_S


async def test_a_thousand_that_are_not_confirmed_cost_one_deadline(broker: PrivateBroker, namespace: str) -> None:
    async with (
        Proxy(broker.url) as proxy,
        sessions(proxy.url, namespace, confirm_timeout_s=CONFIRM_TIMEOUT_S).open() as session,
    ):
        proxy.freeze()
        began_s = time.monotonic()

        ends = await session.publisher.publish(
            [*(event(number) for number in range(1_000)), *(reply(f"{DIRECT}.x{n}") for n in range(1_000))]
        )

        assert ends == [UNKNOWN] * 2_000
        assert time.monotonic() - began_s < 6 * CONFIRM_TIMEOUT_S
        proxy.thaw()


async def test_a_line_that_is_cut_in_the_middle_leaves_nobody_waiting(
    broker: PrivateBroker, namespace: str
) -> None:
    """aiormq forgets who waits for a place in its write queue; the deadline would be theirs."""
    async with (
        Proxy(broker.url) as proxy,
        sessions(proxy.url, namespace, confirm_timeout_s=100, in_flight_max=2_000).open() as session,
    ):
        proxy.freeze("to_client")  # lest the last confirm is faster than the cut
        publishing = asyncio.create_task(session.publisher.publish([event(number) for number in range(2_000)]))
        before_bytes = proxy.passed_bytes()

        async def is_under_way() -> bool:
            return proxy.passed_bytes() > before_bytes

        await eventually(is_under_way)
        began_s = time.monotonic()
        proxy.cut()

        ends = await publishing

        assert UNKNOWN in ends
        assert REFUSED not in ends
        assert time.monotonic() - began_s < 50


async def test_without_the_events_exchange_it_is_unknown_and_the_epoch_ends(
    session: Session, stranger: Stranger
) -> None:
    await stranger.channel.exchange_delete(f"{stranger.namespace}.events")

    assert UNKNOWN in await session.publisher.publish([event(), event(), event()])
    with pytest.raises(Exception, match="the connection is gone"):
        async with asyncio.timeout(60):
            await session.consumer.watch()


Asker = Callable[[], Awaitable[tuple[str, list[AbstractIncomingMessage]]]]


@pytest.fixture
async def asker(broker: PrivateBroker, namespace: str, session: Session) -> AsyncIterator[Asker]:
    """Make honest askers: each has a direct reply-to address, learnt as the worker learns it, and a list."""
    del session
    async with Stranger(broker.url, namespace) as stranger:

        async def make() -> tuple[str, list[AbstractIncomingMessage]]:
            channel = await stranger._connection.channel()
            inbox = await channel.declare_queue(exclusive=True)
            heard: list[AbstractIncomingMessage] = []

            async def hear(message: AbstractIncomingMessage) -> None:
                heard.append(message)

            direct = await channel.get_queue(DIRECT, ensure=False)
            await direct.consume(hear, no_ack=True)
            await channel.default_exchange.publish(aio_pika.Message(b"", reply_to=DIRECT), inbox.name)
            seen = await eventually(lambda: inbox.get(no_ack=True, fail=False))
            assert seen.reply_to is not None
            return seen.reply_to, heard

        yield make


async def hears(heard: list[AbstractIncomingMessage], count: int) -> None:
    async def look() -> bool:
        return len(heard) >= count

    await eventually(look)


async def test_an_honest_direct_reply_arrives(session: Session, asker: Asker) -> None:
    address, heard = await asker()

    assert (
        await session.publisher.publish([reply(address, body=b"1"), reply(address, body=b"2")]) == [CONFIRMED] * 2
    )

    await hears(heard, 2)
    assert [message.body for message in heard] == [b"1", b"2"]


async def test_a_forged_address_costs_neither_the_honest_beside_it_nor_the_epoch(
    session: Session, stranger: Stranger, asker: Asker
) -> None:
    (alice, alice_heard), (bob, bob_heard) = await asker(), await asker()
    watching = asyncio.create_task(session.consumer.watch())

    ends = await session.publisher.publish(
        [reply(alice), reply(FORGED), event(), reply("amq.gen-x"), reply(FORGED), reply(bob)]
    )

    assert [end for place, end in enumerate(ends) if place not in {1, 4}] == [CONFIRMED] * 4
    assert {ends[1], ends[4]} <= {GIVEN_UP, CONFIRMED}
    await hears(alice_heard, 1)
    await hears(bob_heard, 1)
    assert not watching.done()
    assert session.consumer.is_consuming
    await stranger.send(b"after")
    await session.settlement.acknowledge(deliveries(await take(session, 1)))
    assert await session.publisher.publish([reply(alice)]) == [CONFIRMED]
    watching.cancel()


async def test_a_forged_address_among_hundreds_costs_no_deadline(
    broker: PrivateBroker, namespace: str, asker: Asker
) -> None:
    """A publisher that is stuck when the connection ends would take a confirm's deadline."""
    address, heard = await asker()
    replies = [reply(address) for _ in range(200)]
    async with sessions(broker.url, namespace, confirm_timeout_s=100).open() as session:
        began_s = time.monotonic()

        ends = await session.publisher.publish([*replies[:20], reply(FORGED), *replies[20:]])

        assert ends[:20] + ends[21:] == [CONFIRMED] * 200
        assert time.monotonic() - began_s < 50
        await hears(heard, 200)


async def test_nothing_but_forged_addresses_do_not_end_the_epoch(session: Session) -> None:
    ends = await session.publisher.publish([reply(f"amq.rabbitmq.reply-to.A{n}.BBBB") for n in range(10)])

    assert UNKNOWN not in ends
    assert await session.publisher.publish([event()]) == [CONFIRMED]
    assert session.consumer.is_consuming


async def test_an_asker_who_is_gone_costs_nothing(session: Session, broker: PrivateBroker, namespace: str) -> None:
    async with Stranger(broker.url, namespace) as gone:
        inbox = await gone.channel.declare_queue(exclusive=True)
        direct = await gone.channel.get_queue(DIRECT, ensure=False)

        async def hear(_: AbstractIncomingMessage) -> None:
            """Nobody will."""

        await direct.consume(hear, no_ack=True)
        await gone.channel.default_exchange.publish(aio_pika.Message(b"", reply_to=DIRECT), inbox.name)
        seen = await eventually(lambda: inbox.get(no_ack=True, fail=False))
    assert seen.reply_to is not None

    ends = await session.publisher.publish([reply(seen.reply_to), event()])

    assert ends[0] in {CONFIRMED, GIVEN_UP}
    assert ends[1] is CONFIRMED


async def test_a_direct_replies_line_that_was_cut_while_idle_is_replaced(
    broker: PrivateBroker, namespace: str
) -> None:
    async with Proxy(broker.url) as proxy, sessions(proxy.url, namespace).open() as session:
        watching = asyncio.create_task(session.consumer.watch())
        proxy.number(2).cut()

        for _ in range(3):
            assert await session.publisher.publish([reply(f"{DIRECT}.x"), event()]) in (
                [CONFIRMED, CONFIRMED],
                [GIVEN_UP, CONFIRMED],
            )
        assert not watching.done()
        watching.cancel()


async def silent_queue(broker: PrivateBroker, stranger: Stranger) -> AbstractQueue:
    """Make a quorum queue that has lost its majority: it has another member, which never was there."""
    name = f"{stranger.namespace}.silent"
    queue = await stranger.channel.declare_queue(name, durable=True, arguments={"x-queue-type": "quorum"})
    server = f"'%2F_{name}'"
    add = f"ra:add_member({{{server}, node()}}, {{{server}, 'nobody@nowhere'}}, 100)."
    await asyncio.to_thread(broker.ctl, "eval", add)
    return queue


async def test_silence_about_one_queue_costs_nobody_else_a_confirm(broker: PrivateBroker, namespace: str) -> None:
    opening = sessions(broker.url, namespace, confirm_timeout_s=CONFIRM_TIMEOUT_S)
    async with opening.open() as session, Stranger(broker.url, namespace) as stranger:
        silent = await silent_queue(broker, stranger)
        await silent.bind(f"{namespace}.events", "stream.*.cam-2")
        said = [event(device_id=f"cam-{number}") for number in (1, 2, 3)]

        ends = await session.publisher.publish([*said, reply(f"{namespace}.gone")])

        assert ends == [CONFIRMED, GIVEN_UP, HELD_UP, CONFIRMED]
        assert await session.publisher.publish([said[2], reply(silent.name)]) == [HELD_UP, GIVEN_UP]
        assert await session.publisher.publish([said[2]]) == [CONFIRMED]

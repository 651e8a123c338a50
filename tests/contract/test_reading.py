"""How a connection of ours reads beside aiormq's own: what it takes, what it leaves, and in which order."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import aiormq
import pytest
from aiormq.abc import DeliveredMessage
from aiormq.exceptions import ChannelNotFoundEntity
from pamqp.body import ContentBody
from pamqp.commands import Basic, Channel, Connection
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from tests.support.broker_side import options
from tests.support.fake_channel import wire
from tests.support.scripted_broker import ScriptedBroker, delivery, frames
from tests.support.wire import eventually
from worker.amqp.burst import End, send_burst
from worker.amqp.deadline import reason
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.frame_reader import FRAMES_A_TURN_MAX
from worker.amqp.link import Link
from worker.amqp.shortcut import Straight
from worker.service.ports import EpochOver


class Taker:
    """A consumer that wants its deliveries at once, and notes what it heard of, and where."""

    def __init__(self) -> None:
        self.heard: list[object] = []
        self.tasks: set[object] = set()
        self.straight: Any = Straight(take=self._take)

    def _take(self, taken: AmqpDelivery) -> None:
        self.heard.append(taken.body)
        self.tasks.add(asyncio.current_task())

    async def until(self, count: int) -> list[object]:
        await eventually(lambda: asyncio.sleep(0, len(self.heard) >= count))
        return self.heard


@asynccontextmanager
async def linked(*, confirms: bool = False, **changed: Any) -> AsyncIterator[tuple[ScriptedBroker, Link]]:
    async with ScriptedBroker() as broker:
        link = await Link.open(options(broker.url, **changed), purpose="reading", confirms=confirms)
        try:
            yield broker, link
        finally:
            await link.close()


async def test_what_is_taken_is_taken_while_the_socket_is_read_and_aiormq_never_sees_it(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with linked() as (broker, link):
        taker = Taker()
        await link.channel.basic_consume("q", taker.straight, consumer_tag="c")
        with caplog.at_level(logging.DEBUG, "aiormq.connection"):
            broker.say(*delivery("c", 1, b"a"), *delivery("c", 2), *delivery("c", 3, b"b", b"c"), Basic.QosOk())
            await eventually(lambda: asyncio.sleep(0, "QosOk" in caplog.text))

        assert taker.heard == [b"a", b"", b"bc"]
        assert taker.tasks == {None}
        assert "Deliver" not in caplog.text


async def test_any_other_callback_is_called_by_aiormq_as_ever() -> None:
    async with linked() as (broker, link):
        plain: asyncio.Queue[DeliveredMessage] = asyncio.Queue()
        taker = Taker()
        await link.channel.basic_consume("q", plain.put, consumer_tag="plain")
        await link.channel.basic_consume("q", taker.straight, consumer_tag="c")

        broker.say(*delivery("plain", 1, b"a"), *delivery("c", 2, b"b"), *delivery("plain", 3, b"c"))

        assert [(await plain.get()).body, (await plain.get()).body] == [b"a", b"c"]
        assert taker.heard == [b"b"]


async def test_aiormq_itself_can_call_one_that_wants_it_at_once() -> None:
    taker = Taker()
    async with ScriptedBroker() as broker, aiormq.connect(broker.url) as plain:
        channel = await plain.channel(publisher_confirms=False)
        await channel.basic_consume("q", taker.straight, consumer_tag="c")

        broker.say(*delivery("c", 1, b"a"))

        assert await taker.until(1) == [b"a"]
        assert None not in taker.tasks


async def test_what_comes_with_the_answer_to_consuming_is_taken() -> None:
    async with linked() as (broker, link):
        taker = Taker()
        broker.answers[Basic.Consume] = lambda said: [
            Basic.ConsumeOk(said.consumer_tag),
            *delivery(said.consumer_tag, 1, b"a"),
        ]

        await link.channel.basic_consume("q", taker.straight)

        assert await taker.until(1) == [b"a"]


async def test_whoever_cancelled_has_had_all_that_came_before_the_answer() -> None:
    async with linked() as (broker, link):
        taker, other = Taker(), Taker()
        await link.channel.basic_consume("q", taker.straight, consumer_tag="c")
        await link.channel.basic_consume("p", other.straight, consumer_tag="d")
        broker.answers[Basic.Cancel] = lambda said: [
            *delivery("c", 1, b"a"),
            *delivery("d", 2, b"b"),
            *delivery("c", 3, b"c"),
            Basic.CancelOk(said.consumer_tag),
            *delivery("d", 4, b"d"),
        ]

        await link.channel.basic_cancel("c")

        assert taker.heard == [b"a", b"c"]
        assert await other.until(2) == [b"b", b"d"]
        broker.say(*delivery("c", 5, b"late"), *delivery("d", 6, b"e"))
        assert await other.until(3) == [b"b", b"d", b"e"]
        assert taker.heard == [b"a", b"c"]


async def test_who_is_cancelled_by_the_broker_hears_of_it_behind_the_deliveries() -> None:
    async with linked() as (broker, link):
        taker = Taker()
        link.channel.on_consumer_cancel_callbacks.add(taker.heard.append)  # type: ignore[arg-type]
        await link.channel.basic_consume("q", taker.straight, consumer_tag="c")

        broker.say(*delivery("c", 1, b"a"), Basic.Cancel("c", nowait=True))

        heard = await taker.until(2)
        assert heard[0] == b"a"
        assert isinstance(heard[1], Basic.Cancel)


async def test_the_end_of_a_channel_is_told_behind_the_deliveries_and_harms_no_other() -> None:
    async with linked() as (broker, link):
        taker, other = Taker(), Taker()
        link.when_lost(taker.heard.append)
        await link.channel.basic_consume("q", taker.straight, consumer_tag="c")
        beside = await link.new_channel()
        await beside.basic_consume("q", other.straight, consumer_tag="c")

        broker.say(*delivery("c", 1, b"a"), *delivery("c", 2, b"half")[:2], Channel.Close(404, "NOT_FOUND", 0, 0))
        broker.say(*delivery("c", 1, b"b"), channel=beside.number)

        heard = await taker.until(2)
        assert heard[0] == b"a"
        assert isinstance(heard[1], EpochOver)
        assert "NOT_FOUND" in str(heard[1])
        assert await other.until(1) == [b"b"]


async def test_the_end_of_a_connection_is_told_behind_the_deliveries() -> None:
    async with linked() as (broker, link):
        taker = Taker()
        link.when_lost(taker.heard.append)
        await link.channel.basic_consume("q", taker.straight, consumer_tag="c")

        broker.write(
            frames(1, *delivery("c", 1, b"a"), *delivery("c", 2, b"half")[:1])
            + frames(0, Connection.Close(320, "CONNECTION_FORCED", 0, 0))
        )
        broker.hang_up()

        heard = await taker.until(2)
        assert heard[0] == b"a"
        assert "CONNECTION_FORCED" in str(heard[1])


async def test_a_channel_that_takes_the_number_of_one_that_was_closed_has_its_own_deliveries() -> None:
    async with linked() as (broker, link):
        first, second = Taker(), Taker()
        old = await link.new_channel()
        await old.basic_consume("q", first.straight, consumer_tag="c")
        broker.say(*delivery("c", 1, b"half")[:2], Channel.Close(404, "NOT_FOUND", 0, 0), channel=old.number)
        await eventually(lambda: asyncio.sleep(0, old.is_closed))
        new = await link.new_channel()
        await new.basic_consume("q", second.straight, consumer_tag="c")

        broker.say(*delivery("c", 1, b"a"), channel=new.number)

        assert new.number == old.number
        assert await second.until(1) == [b"a"]
        assert first.heard == []


async def test_messages_that_are_asked_for_come_between_deliveries() -> None:
    async with linked() as (broker, link):
        taker = Taker()
        await link.channel.basic_consume("q", taker.straight, consumer_tag="c")
        header = ContentHeader(0, 3)
        broker.answers[Basic.Get] = lambda _: [
            *delivery("c", 1, b"a"),
            Basic.GetOk(2, redelivered=False, exchange="x", routing_key="k", message_count=0),
            header,
            ContentBody(b"got"),
            *delivery("c", 3, b"b"),
        ]

        got = await link.channel.basic_get("q")

        assert got.body == b"got"
        assert await taker.until(2) == [b"a", b"b"]


async def test_a_confirm_ends_its_publishes_and_aiormq_never_sees_it(caplog: pytest.LogCaptureFixture) -> None:
    async with linked(confirms=True) as (broker, link):
        with caplog.at_level(logging.DEBUG, "aiormq.connection"):
            sending = asyncio.create_task(send_burst(link.channel, [wire(key) for key in "abcdef"], timeout_s=60))
            await broker.until_heard(Basic.Publish, 6)
            broker.say(Basic.Ack(2), Basic.Ack(3, multiple=True), Basic.Nack(5, multiple=True), Basic.Ack(6))

            assert await sending == [End.CONFIRMED] * 3 + [End.NACKED] * 2 + [End.CONFIRMED]
        assert not link.channel.confirmations
        assert "<Basic.Ack" not in caplog.text
        assert "<Basic.Nack" not in caplog.text


async def test_aiormqs_own_publishes_are_confirmed_and_refused_too() -> None:
    async with linked(confirms=True) as (broker, link):
        publishes = [asyncio.create_task(link.channel.basic_publish(b"", routing_key="k")) for _ in range(2)]
        await broker.until_heard(Basic.Publish, 2)

        broker.say(Basic.Ack(1), Basic.Nack(2))

        ends = await asyncio.gather(*publishes, return_exceptions=True)
        assert [type(end).__name__ for end in ends] == ["Ack", "DeliveryError"]


async def test_a_confirm_does_not_overtake_the_return_before_it() -> None:
    async with linked(confirms=True) as (broker, link):
        mandatory = wire("nobody", mandatory=True)
        mandatory.properties.message_id = "m-1"
        sending = asyncio.create_task(send_burst(link.channel, [mandatory, wire("a")], timeout_s=60))
        await broker.until_heard(Basic.Publish, 2)

        returned = Basic.Return(312, "NO_ROUTE", "", "nobody"), ContentHeader(0, 0, mandatory.properties)
        broker.say(*returned, Basic.Ack(2, multiple=True))

        assert await sending == [End.RETURNED, End.CONFIRMED]


IN_HAND = {
    End.NACKED: frames(0, Heartbeat()) + frames(1, Basic.Nack(2, multiple=True)),  # left to aiormq
    End.RETURNED: b"".join(
        frames(1, Basic.Return(312, "NO_ROUTE", "", "k"), ContentHeader(0, 0, Basic.Properties(message_id=key)))
        for key in "ab"
    ),
}


@pytest.mark.parametrize(("refused", "in_hand"), IN_HAND.items(), ids=["nacked", "returned"])
async def test_a_confirm_does_not_overtake_a_refusal_that_aiormq_has_in_hand(refused: End, in_hand: bytes) -> None:
    async with linked(confirms=True) as (broker, link):
        reader: Any = cast("Any", link)._connection._socket._reader
        messages = [wire(key, mandatory=True) for key in "abc"]
        for message in messages:
            message.properties.message_id = message.routing_key
        sending = asyncio.create_task(send_burst(link.channel, messages, timeout_s=60))
        await broker.until_heard(Basic.Publish, 3)

        reader.feed_data(in_hand)
        waits = [False]
        while waits[-2:] != [True, False]:  # aiormq has just begun with the last of it
            await asyncio.sleep(0)
            waits.append(not link.channel.frames.empty())
        reader.feed_data(frames(1, Basic.Ack(3, multiple=True)))

        assert await sending == [refused, refused, End.CONFIRMED]


async def test_a_connection_on_which_only_deliveries_come_is_not_taken_for_dead() -> None:
    async with linked() as (broker, link):
        taker = Taker()
        await link.channel.basic_consume("q", taker.straight, consumer_tag="c")
        connection: Any = link.channel.connection
        before_s = connection._Connection__last_frame_time

        broker.say(*delivery("c", 1, b"a"))

        await eventually(lambda: asyncio.sleep(0, connection._Connection__last_frame_time > before_s))


async def test_the_broker_may_say_between_deliveries_that_it_takes_nothing() -> None:
    async with linked() as (broker, link):
        taker = Taker()
        await link.channel.basic_consume("q", taker.straight, consumer_tag="c")
        connection: Any = link.channel.connection

        broker.write(
            frames(1, *delivery("c", 1, b"a"))
            + frames(0, Connection.Blocked("memory"))
            + frames(1, *delivery("c", 2, b"b"))
        )

        assert await taker.until(2) == [b"a", b"b"]
        await eventually(lambda: asyncio.sleep(0, not connection._Connection__connection_unblocked.is_set()))


GOOD = frames(1, *delivery("c", 1, b"a"))
NONSENSE = {
    "a method without its end": frames(1, Basic.QosOk())[:-1] + b"\x00",
    "a body without its end": GOOD[:-1] + b"\xcd",
    "an unknown type of frame": b"\x05" + frames(1, Basic.QosOk())[1:],
    "an unknown method": b"\x01\x00\x01\x00\x00\x00\x04\x00\x3c\x00\x63\xce",
    "a method of no bytes": b"\x01\x00\x01\x00\x00\x00\x00\xce",
    "a body of no bytes": b"\x03\x00\x01\x00\x00\x00\x00\xce",
    "another protocol": b"HTTP/1.1 400 Bad Request\r\n\r\n",
    "another version": b"AMQP\x00\x01\x00\x00",
    "a frame larger than any": b"\x03\x00\x01\x7f\xff\xff\xffabc",
    "half a frame": GOOD[:-5],
    "half of a frame's head": GOOD[:3],
    "nothing": b"",
    "the end, with its reason": frames(0, Connection.Close(320, "CONNECTION_FORCED", 0, 0)),
}


async def end_by_aiormq(nonsense: bytes) -> str:
    async with ScriptedBroker() as broker:
        connection = aiormq.Connection(broker.url)
        await connection.connect()
        channel = await connection.channel(publisher_confirms=False)
        await channel.basic_consume("q", lambda _: None, consumer_tag="c")  # type: ignore[arg-type, return-value]
        closing = connection.closing
        broker.write(nonsense)
        broker.hang_up()
        await asyncio.wait({closing}, timeout=60)
        return reason(closing.exception() or Exception())


@pytest.mark.parametrize("nonsense", NONSENSE.values(), ids=NONSENSE.keys())
@pytest.mark.parametrize("before", [b"", GOOD], ids=["first", "behind a delivery"])
async def test_what_is_no_amqp_ends_a_connection_as_it_ends_aiormqs_own(nonsense: bytes, before: bytes) -> None:
    async with linked() as (broker, link):
        taker = Taker()
        await link.channel.basic_consume("q", taker.straight, consumer_tag="c")
        closing = link.channel.connection.closing
        broker.write(before + nonsense)
        broker.hang_up()
        await asyncio.wait({closing}, timeout=60)

        assert reason(closing.exception() or Exception()) == await end_by_aiormq(before + nonsense)
        assert taker.heard == ([b"a"] if before else [])


async def test_a_delivery_that_is_broken_off_by_another_frame_ends_the_connection() -> None:
    async with linked() as (broker, link):
        taker = Taker()
        link.when_lost(taker.heard.append)
        await link.channel.basic_consume("q", taker.straight, consumer_tag="c")

        broker.say(*delivery("c", 1, b"half")[:2], *delivery("c", 2, b"a"))

        (over,) = await taker.until(1)
        assert "in the middle of a delivery" in str(over)


@pytest.mark.parametrize("last", [1, FRAMES_A_TURN_MAX], ids=["first turn", "later turn"])
async def test_a_consumer_that_breaks_ends_the_connection_and_has_nothing_twice(last: int) -> None:
    async with linked() as (broker, link):
        lost: asyncio.Future[EpochOver] = asyncio.get_running_loop().create_future()
        taken: list[int] = []

        def take(delivery: AmqpDelivery) -> None:
            taken.append(delivery.tag)
            if delivery.tag == last:
                raise MemoryError("no room")

        link.when_lost(lost.set_result)
        await link.channel.basic_consume("q", cast("Any", Straight(take=take)), consumer_tag="c")
        broker.write(b"".join(frames(1, *delivery("c", tag)) for tag in range(1, 2 * last + 1)))

        async with asyncio.timeout(60):
            assert "no room" in str(await lost)
        assert taken == list(range(1, last + 1))


async def test_how_a_channel_ends_is_as_aiormq_says() -> None:
    async with linked() as (broker, link):
        closing = link.channel.closing
        broker.say(Channel.Close(404, "NOT_FOUND", 0, 0))

        with pytest.raises(ChannelNotFoundEntity):
            await closing

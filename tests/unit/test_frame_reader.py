"""Frames are cut out of whatever came, and what is not taken is left to aiormq as it was."""

import asyncio
import itertools
import struct
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, Final, cast

import pytest
from aiormq.exceptions import InvalidFrameError
from hypothesis import given
from hypothesis import strategies as st
from pamqp.body import ContentBody
from pamqp.commands import Basic, Queue
from pamqp.commands import Channel as ChannelClass
from pamqp.heartbeat import Heartbeat

from tests.support import raw_amqp as raw
from tests.support.scripted_broker import delivery, frames
from worker.amqp import frame_reader
from worker.amqp.delivery import AmqpDelivery
from worker.amqp.frame_reader import FRAMES_A_TURN_MAX, FrameReader
from worker.amqp.shortcut import Straight

OTHERS: Final = frames(1, Queue.DeclareOk("q", 1, 2)), frames(0, Heartbeat()), frames(7, Basic.QosOk())
HEARD: Final = frames(0, Heartbeat())


@dataclass(slots=True)
class Known:
    """What is asked of a channel: its consumer is `c`, and one that aiormq serves is `other`."""

    taken: list[AmqpDelivery] = field(default_factory=list)
    is_closed: bool = False
    confirmations: dict[int, str] = field(default_factory=dict)
    frames: asyncio.Queue[object] = field(default_factory=asyncio.Queue)
    ended: list[tuple[int, type]] = field(default_factory=list)

    @property
    def consumers(self) -> dict[str, object]:
        straight = Straight(take=self.taken.append)

        @wraps(cast("Callable[..., Any]", straight))
        async def as_aiormq_keeps_it(_: object) -> None:
            raise AssertionError("it is not taken that way")

        return {"c": as_aiormq_keeps_it, "other": Known.consumers}

    def _confirm_delivery(self, tag: int, frame: object) -> None:
        del self.confirmations[tag]
        self.ended.append((tag, type(frame)))


def reading(*channels: Known) -> FrameReader:
    reader = FrameReader()
    reader.shortcut.channels = cast("Any", dict(enumerate(channels, start=1)))
    return reader


def run(test: Callable[[], Awaitable[None]]) -> None:
    async def timed() -> None:
        async with asyncio.timeout(30):
            await test()

    with asyncio.Runner() as runner:
        runner.run(timed())


def cut(data: bytes, sizes: Sequence[int]) -> list[bytes]:
    """Cut into pieces of these sizes, over and over."""
    pieces, at = [], 0
    for size in itertools.cycle(sizes):
        if at >= len(data):
            return pieces
        pieces.append(data[at : at + size])
        at += size
    return pieces


async def rest_of(reader: FrameReader) -> bytes:
    """What aiormq would read, but for the heartbeats that stand for what was taken."""
    reader.feed_eof()
    return await reader.read()


BODIES = st.lists(st.binary(min_size=1, max_size=30), max_size=3)
SAID = st.lists(st.sampled_from(OTHERS) | st.tuples(st.sampled_from([1, 2]), BODIES), max_size=12)


@given(said=SAID, sizes=st.lists(st.integers(1, 60), min_size=1, max_size=5), wait_every=st.integers(1, 9))
def test_however_the_bytes_come_each_has_its_own(said: list[Any], sizes: list[int], wait_every: int) -> None:
    async def main() -> None:
        channels = Known(), Known()
        reader = reading(*channels)
        wire, others, sent = b"", b"", {1: [], 2: []}  # type: ignore[var-annotated]
        for number, one in enumerate(said):
            if isinstance(one, bytes):
                wire, others = wire + one, others + one
            else:
                wire += frames(one[0], *delivery("c", number, *one[1], message_id=str(number)))
                sent[one[0]].append((number, b"".join(one[1])))

        for number, piece in enumerate(cut(wire, sizes)):
            reader.feed_data(piece)
            if number % wait_every == 0:
                await asyncio.sleep(0)

        assert (await rest_of(reader)).replace(HEARD, b"") == others.replace(HEARD, b"")
        for number, channel in enumerate(channels, start=1):
            assert [(each.tag, each.body) for each in channel.taken] == sent[number]
            assert all(each.properties.message_id == str(each.tag) for each in channel.taken)

    run(main)


async def test_contents_of_two_channels_may_be_mixed() -> None:
    channels = Known(), Known()
    reader = reading(*channels)
    first, second = delivery("c", 1, b"a", b"b"), delivery("c", 2, b"c", b"d")

    for one, other in zip(first, second, strict=True):
        reader.feed_data(frames(1, one) + frames(2, other))

    assert [channel.taken[0].body for channel in channels] == [b"ab", b"cd"]


async def test_a_delivery_is_what_the_broker_wrote() -> None:
    channel = Known()
    deliver = Basic.Deliver("c", 2**63 - 1, redelivered=True, exchange="ex", routing_key="é" * 127)

    reading(channel).feed_data(frames(1, deliver, delivery("c", 1, message_type="t")[1]))

    (taken,) = channel.taken
    assert (taken.tag, taken.redelivered, taken.exchange) == (2**63 - 1, True, "ex")
    assert (taken.routing_key, taken.body, taken.properties) == (
        "é" * 127,
        b"",
        Basic.Properties(message_type="t"),
    )


async def test_what_another_consumer_is_to_have_is_left_to_aiormq() -> None:
    channel = Known()
    reader = reading(channel)
    theirs = frames(1, *delivery("other", 1, b"a")) + frames(1, *delivery("nobody", 2, b"b"))

    reader.feed_data(theirs + frames(1, *delivery("c", 3, b"c")) + frames(9, *delivery("c", 4)))

    assert [each.tag for each in channel.taken] == [3]
    assert await rest_of(reader) == theirs + frames(9, *delivery("c", 4)) + HEARD


async def test_on_a_closed_channel_nothing_is_handed_over() -> None:
    channel = Known(is_closed=True)
    reader = reading(channel)

    reader.feed_data(frames(1, *delivery("c", 1, b"a")))

    assert channel.taken == []
    assert await rest_of(reader) == HEARD


async def test_a_turn_ends_and_others_have_theirs_and_the_end_is_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(frame_reader, "TURN_MAX_S", 60.0)
    channel = Known()
    reader = reading(channel)
    seen: list[int] = []
    loop = asyncio.get_running_loop()
    look = loop.call_soon

    def looked() -> None:
        seen.append(len(channel.taken))
        if len(seen) < 8:
            look(looked)

    reader.feed_data(b"".join(frames(1, *delivery("c", tag, b"x")) for tag in range(1, FRAMES_A_TURN_MAX + 1)))
    reader.feed_data(frames(1, *delivery("c", FRAMES_A_TURN_MAX + 1, b"y"), Basic.QosOk()))
    reader.feed_eof()
    looked()

    assert seen == [FRAMES_A_TURN_MAX // 3]
    assert (await reader.read()).replace(HEARD, b"") == frames(1, Basic.QosOk())
    assert reader.at_eof()
    assert seen[1] <= 2 * FRAMES_A_TURN_MAX // 3 + 1
    assert [each.tag for each in channel.taken] == list(range(1, FRAMES_A_TURN_MAX + 2))


async def test_thousands_that_come_at_once_are_taken_in_many_turns() -> None:
    channel = Known()
    reader = reading(channel)

    reader.feed_data(frames(1, *delivery("c", 1, b"x")) * 3_000)

    taken = []
    while len(channel.taken) < 3_000:
        taken.append(len(channel.taken))
        await asyncio.sleep(0)
    assert max(after - before for before, after in zip([0, *taken], taken, strict=False)) <= 100


async def test_a_turn_ends_too_where_its_few_frames_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(frame_reader, "TURN_MAX_S", -1.0)
    channel = Known()
    reader = reading(channel)

    reader.feed_data(frames(1, *delivery("c", 1), *delivery("c", 2), Basic.QosOk()))

    taken = []
    while len(channel.taken) < 2:
        taken.append(len(channel.taken))
        await asyncio.sleep(0)
    assert taken == [0, 1, 1]
    assert (await rest_of(reader)).replace(HEARD, b"") == frames(1, Basic.QosOk())


async def test_a_connection_that_is_lost_in_the_middle_of_a_turn_is_lost() -> None:
    channel = Known()
    reader = reading(channel)
    reader.feed_data(frames(1, *delivery("c", 1)) * FRAMES_A_TURN_MAX)
    taken = len(channel.taken)

    reader.set_exception(ConnectionResetError("reset"))

    for _ in range(5):
        await asyncio.sleep(0)
    assert len(channel.taken) == taken
    with pytest.raises(ConnectionResetError):
        await reader.readexactly(1)


async def test_a_frame_that_comes_in_many_pieces_is_copied_a_few_times_and_not_for_each() -> None:
    channel = Known()
    reader = reading(channel)
    body = bytes(64 * 1024 * 1024)
    wire = frames(1, *delivery("c", 1, body))
    began_s = time.monotonic()

    for start in range(0, len(wire), 4096):
        reader.feed_data(wire[start : start + 4096])

    assert channel.taken[0].body == body
    assert time.monotonic() - began_s < 30


@pytest.mark.parametrize(
    "nonsense",
    [
        frames(1, delivery("c", 2)[0]),
        frames(1, Basic.QosOk()),
        frames(1, ContentBody(b"early")),
        frames(1, delivery("c", 1)[1])[:-10] + b"\xce",
    ],
)
async def test_what_does_not_belong_into_a_delivery_ends_the_connection(nonsense: bytes) -> None:
    channel = Known()
    reader = reading(channel)

    reader.feed_data(frames(1, delivery("c", 1)[0]) + _sized(nonsense))
    reader.feed_data(frames(1, *delivery("c", 3)))

    with pytest.raises(InvalidFrameError):
        await reader.readexactly(1)
    assert channel.taken == []


@pytest.mark.parametrize("kept_bytes", [4, *range(6, 19)])
async def test_a_deliver_that_is_cut_off_ends_the_connection(kept_bytes: int) -> None:
    channel = Known()
    payload = frames(1, Basic.Deliver("c", 1, exchange="ex", routing_key=""))[7:-1][:kept_bytes]
    reader = reading(channel)

    reader.feed_data(struct.pack(">BHI", 1, 1, len(payload)) + payload + b"\xce")

    with pytest.raises(InvalidFrameError):
        await reader.readexactly(1)


async def test_a_body_frame_without_a_body_ends_the_connection_as_pamqp_would() -> None:
    reader = reading(Known())

    reader.feed_data(frames(1, *delivery("c", 1, b"ab")[:2]) + struct.pack(">BHI", 3, 1, 0) + b"\xce")

    with pytest.raises(InvalidFrameError):
        await reader.readexactly(1)


async def test_a_channel_that_is_closed_in_the_middle_of_a_delivery_says_so_itself() -> None:
    channel = Known()
    reader = reading(channel)
    close = frames(1, ChannelClass.Close(404, "NOT_FOUND", 0, 0))

    reader.feed_data(frames(1, *delivery("c", 1, b"ab")[:2]) + close + frames(1, *delivery("c", 2, b"cd")))

    assert [each.body for each in channel.taken] == [b"cd"]
    assert await rest_of(reader) == close + HEARD


async def test_confirms_end_what_they_name_and_nothing_else() -> None:
    channel = Known(confirmations=dict.fromkeys([5, 1, 2, 3, 4], "waits"))
    reader = reading(channel)

    reader.feed_data(frames(1, Basic.Ack(2), Basic.Nack(4, multiple=True, requeue=False), Basic.Ack(9)))
    await asyncio.sleep(0)

    assert channel.ended == [(2, Basic.Ack), (1, Basic.Nack), (3, Basic.Nack), (4, Basic.Nack)]
    assert await rest_of(reader) == frames(1, Basic.Ack(9)) + HEARD


async def test_a_confirm_overtakes_nothing_that_aiormq_has_in_hand() -> None:
    channel = Known(confirmations=dict.fromkeys(range(1, 9), "waits"))
    reader = reading(channel)
    returned = frames(1, Basic.Return(312, "NO_ROUTE", "", "k"), delivery("c", 1)[1])

    reader.feed_data(returned + frames(1, Basic.Ack(1)))
    reader.feed_data(frames(1, Basic.Ack(2)))
    assert channel.ended == []
    assert await reader.readexactly(len(returned) + 42) == returned + frames(1, Basic.Ack(1), Basic.Ack(2))

    channel.frames.put_nowait("a frame of it")
    reader.feed_data(frames(1, Basic.Ack(3)))
    assert channel.ended == []
    await reader.readexactly(21)

    channel.frames.get_nowait()
    reader.feed_data(frames(1, Basic.Ack(4)))
    assert channel.ended == [(4, Basic.Ack)]


async def test_aiormq_is_told_now_and_then_that_something_was_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    reader = reading(Known())
    for tag in range(1, 4):
        reader.feed_data(frames(1, *delivery("c", tag)))
    monkeypatch.setattr(frame_reader, "HEARD_EVERY_S", 0.0)
    reader.feed_data(frames(1, *delivery("c", 4)))

    assert await rest_of(reader) == HEARD * 2


async def test_its_own_names_are_not_those_of_the_stream_it_is() -> None:
    theirs = set(dir(asyncio.StreamReader(loop=asyncio.get_running_loop())))
    books = {name for name in FrameReader.__init__.__code__.co_names if not name.startswith("__")}
    methods = {name for name in vars(FrameReader) if not name.startswith("__")}

    assert {"_data", "_wanted_bytes", "shortcut"} <= books
    assert not books & theirs
    assert methods & theirs == {"feed_data", "feed_eof", "set_exception", "readexactly"}


def _sized(frame: bytes) -> bytes:
    kind, number, _ = struct.unpack_from(">BHI", frame)
    return struct.pack(">BHI", kind, number, len(frame) - 8) + frame[7:]


def test_raw_headers_are_those_of_the_protocol() -> None:
    assert raw.header(0, body_size=0) == frames(1, delivery("c", 1)[1])[7:-1]

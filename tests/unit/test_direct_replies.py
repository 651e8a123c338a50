"""Direct replies: an address that ends the connection costs nobody but itself."""

import time

import pytest

from tests.support.fake_channel import HANGS, FakeChannel, Fate, nack, wire
from worker.amqp.confirming import ConfirmingChannel
from worker.amqp.direct_replies import DirectReplies
from worker.service.messages import Confirmation
from worker.service.ports import EpochOver

CONFIRMED, REFUSED, UNKNOWN = Confirmation.CONFIRMED, Confirmation.REFUSED, Confirmation.UNKNOWN


class Line:
    """A connection that is opened anew as often as it ends, up to a number of times."""

    def __init__(self, *fatal: str, opens_max: int = 1_000) -> None:
        self.channels: list[FakeChannel] = []
        self.fates: dict[str, Fate] = {}
        self._fatal = frozenset(fatal)
        self._opens_max = opens_max

    async def reopen(self) -> ConfirmingChannel:
        if len(self.channels) == self._opens_max:
            raise EpochOver("connecting to the broker: ConnectionRefusedError")
        self.channels.append(FakeChannel(fate=self.fates.get, fatal=self._fatal))
        return self.channels[-1].confirming(timeout_s=0.05)

    def sent(self, key: str) -> int:
        return sum(channel.sent.count(key) for channel in self.channels)


async def send(line: Line, keys: str) -> list[Confirmation]:
    replies = DirectReplies(line.reopen)
    await replies.open()
    return await replies.send([wire(key) for key in keys])


async def test_honest_ones_go_out_together_on_one_connection() -> None:
    line = Line()

    assert await send(line, "abc") == [CONFIRMED] * 3
    assert len(line.channels) == 1


async def test_one_that_is_refused_is_not_sent_again() -> None:
    line = Line()
    line.fates["b"] = nack()

    assert await send(line, "abc") == [CONFIRMED, REFUSED, CONFIRMED]
    assert line.sent("b") == 1


async def test_one_that_ends_the_connection_is_refused_and_the_others_are_confirmed() -> None:
    line = Line("x")

    assert await send(line, "axb") == [CONFIRMED, REFUSED, CONFIRMED]
    assert line.sent("x") == 3  # once among the others, twice alone


async def test_many_that_end_the_connection_are_refused_one_by_one() -> None:
    line = Line("x")

    assert await send(line, "xaxbxxc") == [REFUSED, CONFIRMED, REFUSED, CONFIRMED, REFUSED, REFUSED, CONFIRMED]


async def test_after_one_that_ended_it_the_connection_is_there_for_the_next() -> None:
    line = Line("x")
    replies = DirectReplies(line.reopen)
    await replies.open()

    assert await replies.send([wire("x")]) == [REFUSED]
    assert await replies.send([wire("a")]) == [CONFIRMED]


async def test_a_connection_that_ended_while_idle_is_opened_again() -> None:
    line = Line()
    replies = DirectReplies(line.reopen)
    await replies.open()
    line.channels[0].is_closed = True

    assert await replies.send([wire("a")]) == [CONFIRMED]
    assert line.channels[1].sent == ["a"]


async def test_without_replies_the_connection_is_left_alone() -> None:
    line = Line()
    replies = DirectReplies(line.reopen)
    await replies.open()
    line.channels[0].is_closed = True

    assert await replies.send([]) == []
    assert len(line.channels) == 1


async def test_a_slow_broker_is_waited_for_once_and_not_once_for_each() -> None:
    line = Line()
    line.fates.update(dict.fromkeys("abcdefghij", HANGS))
    began_s = time.monotonic()

    assert await send(line, "abcdefghij") == [UNKNOWN] * 10
    assert line.sent("a") == 1
    assert time.monotonic() - began_s < 0.4


async def test_a_broker_that_turns_slow_after_the_connection_ended_is_waited_for_once() -> None:
    line = Line("x")
    line.fates.update(dict.fromkeys("abcdefgh", HANGS))
    began_s = time.monotonic()

    assert await send(line, "xabcdefgh") == [REFUSED] + [UNKNOWN] * 8
    assert time.monotonic() - began_s < 0.4


async def test_a_broker_that_is_away_leaves_the_rest_unknown_and_does_not_raise() -> None:
    line = Line("x", opens_max=2)

    assert await send(line, "axbc") == [CONFIRMED, UNKNOWN, UNKNOWN, UNKNOWN]


async def test_opening_says_that_the_broker_is_away() -> None:
    replies = DirectReplies(Line(opens_max=0).reopen)

    with pytest.raises(EpochOver, match="ConnectionRefusedError"):
        await replies.open()

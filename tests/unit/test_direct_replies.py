"""Direct replies: an address that ends the connection costs nobody but itself."""

import random
import time
from collections.abc import Sequence
from dataclasses import replace

import pytest

from tests.support.direct_addresses import direct_address
from tests.support.fake_channel import HANGS, FakeChannel, Fate, nack, wire
from worker.amqp.confirming import ConfirmingChannel
from worker.amqp.direct_replies import CUTS_MAX, ENDS_MAX, DirectReplies
from worker.amqp.reply_round import TURN_MAX
from worker.service.messages import Confirmation
from worker.service.ports import EpochOver

CONFIRMED, GIVEN_UP, UNKNOWN = Confirmation.CONFIRMED, Confirmation.GIVEN_UP, Confirmation.UNKNOWN


class Line:
    """A connection that is opened anew as often as it ends, up to a number of times."""

    def __init__(
        self, *fatal: str, opens_max: int = 1_000, loses_confirms: bool = False, cuts: Sequence[str] = ()
    ) -> None:
        self.channels: list[FakeChannel] = []
        self.fates: dict[str, Fate] = {}
        self._fatal = frozenset(fatal)
        self._cuts = list(cuts)  # the keys at which the network ends the first connections
        self._opens_max = opens_max
        self._loses_confirms = loses_confirms

    async def reopen(self) -> ConfirmingChannel:
        if len(self.channels) == self._opens_max:
            raise EpochOver("connecting to the broker: ConnectionRefusedError")
        cut = frozenset([self._cuts.pop(0)]) if self._cuts else frozenset[str]()
        self.channels.append(
            FakeChannel(
                fate=self.fates.get,
                fatal=self._fatal | cut,
                loses_confirms=self._loses_confirms,
                is_cut=bool(cut),
            )
        )
        return self.channels[-1].confirming(timeout_s=0.05)

    def sent(self, key: str) -> int:
        return sum(channel.sent.count(key) for channel in self.channels)


async def send(line: Line, keys: Sequence[str]) -> list[Confirmation]:
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

    assert await send(line, "abc") == [CONFIRMED, Confirmation.REFUSED, CONFIRMED]
    assert line.sent("b") == 1


async def test_one_that_ends_the_connection_is_refused_and_the_others_are_confirmed() -> None:
    line = Line("x")

    assert await send(line, "axb") == [CONFIRMED, GIVEN_UP, CONFIRMED]
    assert line.sent("x") == 2  # once among the others, once alone


async def test_several_that_end_the_connection_are_refused_and_the_others_are_confirmed() -> None:
    line = Line("x", "y", "z")

    assert await send(line, "xaybxzc") == [GIVEN_UP, CONFIRMED, GIVEN_UP, CONFIRMED, GIVEN_UP, GIVEN_UP, CONFIRMED]
    assert len(line.channels) == 6  # each of the three ended two; what comes after them opens the next


async def test_those_behind_one_that_ended_it_go_out_before_it_is_tried_again() -> None:
    line = Line("x")

    await send(line, "axb")

    assert [channel.sent for channel in line.channels] == [["a", "x"], ["b", "x"]]


async def test_where_confirms_are_lost_too_the_honest_ones_are_found_out() -> None:
    line = Line("x", loses_confirms=True)

    assert await send(line, "abxcd") == [CONFIRMED, CONFIRMED, GIVEN_UP, CONFIRMED, CONFIRMED]


async def test_one_that_only_seemed_to_end_the_connection_is_not_refused() -> None:
    line = Line()
    replies = DirectReplies(line.reopen)
    await replies.open()
    line.channels[0].fatal = frozenset("a")  # this one connection, whatever for

    assert await replies.send([wire("a"), wire("b")]) == [CONFIRMED, CONFIRMED]


async def test_what_the_network_cuts_is_blamed_on_nobody() -> None:
    line = Line(cuts="bb")
    replies = DirectReplies(line.reopen)
    await replies.open()

    assert await replies.send([wire(key) for key in "abc"]) == [CONFIRMED] * 3
    assert await replies.send([wire("b")]) == [CONFIRMED]


async def test_a_network_that_goes_on_cutting_leaves_the_rest_unknown() -> None:
    line = Line(cuts="b" * 10)

    assert await send(line, "abc") == [CONFIRMED, UNKNOWN, UNKNOWN]
    assert len(line.channels) == CUTS_MAX


async def test_an_address_that_ended_it_twice_is_refused_at_once_from_then_on() -> None:
    line = Line("x")
    replies = DirectReplies(line.reopen)
    await replies.open()
    await replies.send([wire("x")])

    assert await replies.send([wire("x"), wire("a"), wire("x")]) == [GIVEN_UP, CONFIRMED, GIVEN_UP]
    assert line.sent("x") == 2


async def test_a_flood_of_forged_addresses_ends_the_connection_a_few_times_and_no_more() -> None:
    forged = [f"x{number}" for number in range(400)]
    line = Line(*forged)
    replies = DirectReplies(line.reopen)
    await replies.open()

    assert await replies.send([wire(key) for key in forged]) == [GIVEN_UP] * 400
    assert len(line.channels) == ENDS_MAX


async def test_once_the_connection_has_ended_a_few_go_out_at_a_time() -> None:
    """What is behind the next one to end it would be sent for nothing."""
    line = Line("x")

    assert await send(line, ["x", *(f"new-{number}" for number in range(50))]) == [GIVEN_UP, *[CONFIRMED] * 50]

    assert line.channels[1].in_flight_most == TURN_MAX


async def test_an_address_that_proved_good_loses_nothing_by_a_flood() -> None:
    forged = [f"x{number}" for number in range(100)]
    line = Line(*forged)
    replies = DirectReplies(line.reopen)
    await replies.open()
    await replies.send([wire("good")])

    ends = await replies.send([wire(key) for key in [*forged, "good", "new", "good"]])

    assert ends == [GIVEN_UP] * 100 + [CONFIRMED, GIVEN_UP, CONFIRMED]
    assert line.sent("good") == 3


@pytest.mark.parametrize("forged_count", [12, 40, 100, 200])
async def test_new_askers_lose_nothing_by_forged_addresses_among_them(forged_count: int) -> None:
    honest = [direct_address("reply@1", number) for number in range(256 - forged_count)]
    forged = [direct_address(f"forged@{number}", number) for number in range(forged_count)]
    keys = honest + forged
    random.Random(1).shuffle(keys)
    line = Line(*forged)

    assert await send(line, keys) == [GIVEN_UP if key in forged else CONFIRMED for key in keys]
    assert len(line.channels) <= ENDS_MAX + 1


async def test_new_askers_lose_nothing_where_forged_addresses_came_first() -> None:
    same = [direct_address("forged@0", number) for number in range(100)]
    other = [direct_address(f"forged@{number}", number) for number in range(100)]
    honest = [direct_address("reply@1", number) for number in range(3)]
    line = Line(*same, *other)

    assert await send(line, [*same, *other, *honest]) == [GIVEN_UP] * 200 + [CONFIRMED] * 3
    assert len(line.channels) == ENDS_MAX


async def test_who_is_like_one_that_proved_good_loses_nothing_in_later_rounds() -> None:
    forged = [direct_address(f"forged@{number}", 0) for number in range(100)]
    line = Line(*forged)
    replies = DirectReplies(line.reopen)
    await replies.open()
    await replies.send([wire(direct_address("reply@1", 1))])

    ends = await replies.send([wire(key) for key in [*forged, direct_address("reply@1", 2)]])

    assert ends == [GIVEN_UP] * 100 + [CONFIRMED]
    assert line.channels[0].sent[1] == direct_address("reply@1", 2)


async def test_replies_to_one_address_keep_their_order() -> None:
    line = Line("x")
    replies = DirectReplies(line.reopen)
    await replies.open()
    await replies.send([wire("b")])
    messages = [replace(wire(key), body=b"%d" % number) for number, key in enumerate("abxabab")]

    await replies.send(messages)

    for key in "ab":
        bodies = [body for channel in line.channels for body in channel.bodies_to(key)]
        assert bodies == sorted(bodies)


async def test_after_one_that_ended_it_the_connection_is_there_for_the_next() -> None:
    line = Line("x")
    replies = DirectReplies(line.reopen)
    await replies.open()

    assert await replies.send([wire("x")]) == [GIVEN_UP]
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
    line, many = Line(), [f"a-{number}" for number in range(400)]
    line.fates.update(dict.fromkeys(many, HANGS))
    began_s = time.monotonic()

    assert await send(line, many) == [UNKNOWN] * 400
    assert line.sent("a-0") == 1
    assert time.monotonic() - began_s < 10, "each by itself would take 20 s"


async def test_a_broker_that_turns_slow_after_the_connection_ended_is_waited_for_once() -> None:
    line, many = Line("x"), [f"a-{number}" for number in range(400)]
    line.fates.update(dict.fromkeys(many, HANGS))
    began_s = time.monotonic()

    assert await send(line, ["x", *many]) == [UNKNOWN] * 401
    assert time.monotonic() - began_s < 10, "each by itself would take 20 s"


async def test_a_broker_that_is_away_leaves_the_rest_unknown_and_does_not_raise() -> None:
    line = Line("x", opens_max=1)

    assert await send(line, "axbc") == [CONFIRMED, UNKNOWN, UNKNOWN, UNKNOWN]


async def test_opening_says_that_the_broker_is_away() -> None:
    replies = DirectReplies(Line(opens_max=0).reopen)

    with pytest.raises(EpochOver, match="ConnectionRefusedError"):
        await replies.open()

"""What a living broker says nothing of: found out, counted as refused, and nobody else pays."""

import asyncio
import time
from dataclasses import dataclass, field

from tests.support.fake_channel import HANGS, FakeChannel, Fate, wire
from worker.amqp.confirming import ConfirmingChannel
from worker.amqp.doubt import IMPATIENT_S, Patience
from worker.amqp.silence import HELD_UP_MAX
from worker.service.messages import Confirmation
from worker.service.ports import EpochOver

CONFIRMED, GIVEN_UP, UNKNOWN = Confirmation.CONFIRMED, Confirmation.GIVEN_UP, Confirmation.UNKNOWN
HELD_UP = Confirmation.HELD_UP
CANARY = wire("canary")
TIMEOUT_S = 0.02


@dataclass(slots=True)
class Broker:
    """Says nothing of what goes to "silent". A channel that sent to "stuck" says nothing from then on. One that is
    `mute` says nothing at all, and where it `opens` none there is no other channel.
    """

    channels: list[FakeChannel] = field(default_factory=list)
    is_mute: bool = False
    opens: bool = True

    async def open(self) -> FakeChannel:
        if not self.opens:
            raise EpochOver("there is none")
        channel = FakeChannel()
        channel.fate = lambda key: self._fate(channel, key)
        self.channels.append(channel)
        return channel

    def _fate(self, channel: FakeChannel, key: str) -> Fate:
        if self.is_mute or key == "silent":
            return HANGS
        latest = len(channel.sent) - channel.sent[::-1].index(key)
        return HANGS if "stuck" in channel.sent[:latest] else None

    async def confirming(
        self, *, timeout_s: float = TIMEOUT_S, in_flight_max: int = 256, patience: Patience | None = None
    ) -> ConfirmingChannel:
        first = await self.open()
        return first.confirming(
            timeout_s=timeout_s, in_flight_max=in_flight_max, renew=self.open, canary=CANARY, patience=patience
        )

    @property
    def sent(self) -> list[list[str]]:
        return [channel.sent for channel in self.channels]


async def test_of_what_a_living_broker_says_nothing_counts_as_refused() -> None:
    broker = Broker()
    channel = await broker.confirming()

    assert await channel.send([wire(key) for key in ("a", "silent", "b")]) == [CONFIRMED, GIVEN_UP, CONFIRMED]
    assert broker.sent == [["a", "silent", "b", "canary"]]


async def test_what_stands_behind_it_on_a_channel_that_is_held_up_goes_over_another() -> None:
    broker = Broker()
    channel = await broker.confirming()

    assert await channel.send([wire(key) for key in ("a", "stuck", "b", "c")]) == [
        CONFIRMED,
        GIVEN_UP,
        CONFIRMED,
        CONFIRMED,
    ]
    assert broker.sent == [["a", "stuck", "b", "c", "canary"], ["canary", "b", "c"]]
    assert await channel.send([wire("d")]) == [CONFIRMED]
    assert broker.sent[1][-1] == "d"
    assert not broker.channels[0].is_closed, "it would not answer"


async def test_a_channel_that_was_held_up_is_closed_once_the_broker_has_said_all_of_it() -> None:
    broker = Broker()
    channel = await broker.confirming()
    await channel.send([wire("stuck")])
    held_up = broker.channels[0]

    await channel.send([wire("a")])
    assert not held_up.is_closed

    held_up.confirmations.clear()  # as aiormq does with each that is late
    await channel.send([wire("b")])
    assert held_up.is_closed
    assert not broker.channels[1].is_closed


async def test_what_may_wait_is_held_up_by_it() -> None:
    broker = Broker()
    channel = await broker.confirming()

    ends = await channel.send([wire("a"), wire("stuck", may_wait=True), wire("b", may_wait=True)])

    assert ends == [CONFIRMED, GIVEN_UP, HELD_UP]


async def test_each_that_holds_a_channel_up_is_found() -> None:
    broker = Broker()
    channel = await broker.confirming()

    assert await channel.send([wire(key) for key in ("stuck", "a", "stuck", "b")]) == [
        GIVEN_UP,
        CONFIRMED,
        GIVEN_UP,
        CONFIRMED,
    ]


async def test_of_what_a_broker_that_says_nothing_at_all_has_heard_nobody_knows() -> None:
    broker = Broker(is_mute=True)
    channel = await broker.confirming(in_flight_max=1)

    assert await channel.send([wire("a"), wire("b")]) == [UNKNOWN, UNKNOWN]
    assert broker.sent == [["a", "canary"], ["canary"]]


async def test_with_no_other_channel_nobody_knows() -> None:
    broker = Broker()
    channel = await broker.confirming()
    broker.opens = False

    assert await channel.send([wire("stuck"), wire("a")]) == [UNKNOWN, UNKNOWN]


async def test_a_connection_that_is_lost_is_not_asked() -> None:
    broker = Broker()
    channel = await broker.confirming()
    broker.channels[0].fatal = frozenset("a")

    assert await channel.send([wire("a")]) == [UNKNOWN]
    assert broker.sent == [["a"]]


async def test_no_more_channels_are_left_behind_than_a_connection_has() -> None:
    broker = Broker()
    channel = await broker.confirming(timeout_s=0.0001)

    ends = [await channel.send([wire("stuck")]) for _ in range(HELD_UP_MAX + 1)]

    assert ends == [[GIVEN_UP]] * HELD_UP_MAX + [[UNKNOWN]]


async def test_after_a_silence_nobody_is_waited_for_so_long_again() -> None:
    broker = Broker()
    patience = Patience(0.5)
    patience.short_s = 0.01  # what is usual is too long for a test
    channel = await broker.confirming(patience=patience)
    began_s = time.monotonic()

    await channel.send([wire("silent")])
    assert time.monotonic() - began_s >= 0.5

    patience._timeout_s = 60.0  # nobody can take the one for the other
    async with asyncio.timeout(30):
        await channel.send([wire("silent")])


async def test_who_sends_beside_it_is_not_hurt() -> None:
    broker = Broker()
    channel = await broker.confirming()

    first, second = await asyncio.gather(channel.send([wire("stuck")]), channel.send([wire("a"), wire("b")]))

    assert first == [GIVEN_UP]
    assert UNKNOWN not in second


def test_after_a_silence_patience_is_short_for_a_minute() -> None:
    now_s = [1_000.0]
    patience, short = Patience(30.0, lambda: now_s[0]), Patience(0.5, lambda: now_s[0])
    assert (patience.timeout_s, short.timeout_s) == (30.0, 0.5)

    patience.lose()
    short.lose()
    assert (patience.timeout_s, short.timeout_s) == (9.0, 0.5)

    now_s[0] += IMPATIENT_S
    assert patience.timeout_s == 30.0

"""Publishing the commands of dead letters once more, so that it is known what became of each."""

import asyncio
import enum
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from typing import Final, cast

from aiormq.channel import Channel
from aiormq.connection import Connection
from aiormq.exceptions import ChannelClosed, ChannelPreconditionFailed

from worker.amqp.codec.age import AgeLimit
from worker.amqp.confirming import ConfirmingChannel
from worker.amqp.deadline import deadline, reason
from worker.amqp.letter import Letter
from worker.amqp.link import Link
from worker.amqp.messages import WireMessage
from worker.amqp.nameless import NamelessChannel
from worker.amqp.options import BrokerOptions
from worker.amqp.restored import restored, sent_at
from worker.amqp.topology import Topology
from worker.service.messages import Confirmation
from worker.service.ports import EpochOver

REASON_KNOWN_WITHIN_S: Final = 1.0


class Fate(enum.StrEnum):
    """What became of a letter."""

    REPLAYED = "replayed"
    DISCARDED = "discarded"
    REFUSED = "refused"  # or returned: the command queue is full, or nothing is bound
    TOO_OLD = "too_old"  # a worker would refuse it as expired, and nothing would be left of it
    UNREADABLE = "unreadable"  # its properties are lost: nobody knows what it asked for
    UNCONFIRMED = "unconfirmed"  # it may have been replayed, and stays


_FATES: Final = {
    Confirmation.CONFIRMED: Fate.REPLAYED,
    Confirmation.REFUSED: Fate.REFUSED,
    Confirmation.GIVEN_UP: Fate.REFUSED,
    Confirmation.UNKNOWN: Fate.UNCONFIRMED,
}


def foreseen(letter: Letter, age: AgeLimit) -> Fate | None:
    """Return why the letter can only stay; None where its command can go back. Pure but for the clock."""
    if not letter.readable:
        return Fate.UNREADABLE
    return Fate.TOO_OLD if age.objection(sent_at(letter)) else None


class ReplayRefused(Exception):
    """The broker does not let us publish commands like this. The text says why, and what to do."""


class Replayer:
    """Publishes to the command exchange, as `open_replayer` gives it. For one task."""

    def __init__(
        self, channel: Channel, *, options: BrokerOptions, names: Topology, with_reply_to: bool, user: str
    ) -> None:
        self._channel = channel
        self._confirming = ConfirmingChannel(
            channel, timeout_s=options.confirm_timeout_s, in_flight_max=options.in_flight_max
        )
        self._exchange = names.commands
        self._with_reply_to = with_reply_to
        self._user = user
        self._impersonates = False  # whether the broker has taken another's name from us
        self._unconfirmed: Letter | None = None

    async def replay(self, letters: Sequence[Letter]) -> list[Fate]:
        """Publish the commands of these letters, in order, and tell what became of each.

        What follows one that was not confirmed is not sent. `why` tells the reason.
        """
        fates: dict[int, Fate] = {}
        for run in self._runs(letters):
            confirmations = await self._confirming.send([message for _, message in run])
            fates |= {
                letter.number: _FATES[confirmation]
                for (letter, _), confirmation in zip(run, confirmations, strict=True)
            }
            if Confirmation.UNKNOWN in confirmations:
                self._unconfirmed = run[0][0]
                break
            self._impersonates |= any(self._is_anothers(letter) for letter, _ in run)
        return [fates.get(letter.number, Fate.UNCONFIRMED) for letter in letters]

    def _runs(self, letters: Sequence[Letter]) -> Iterator[list[tuple[Letter, WireMessage]]]:
        """Cut into what can be on its way at once: no `message_id` twice, which aiormq would mix up; and the first
        in another's name alone, for a broker that refuses it closes the channel over all that is on it.
        """
        run: list[tuple[Letter, WireMessage]] = []
        ids: set[str | None] = set()
        for letter in letters:
            message = restored(letter, exchange=self._exchange, with_reply_to=self._with_reply_to)
            if run and (message.properties.message_id in ids or self._goes_alone(letter, run[-1][0])):
                yield run
                run, ids = [], set()
            run.append((letter, message))
            ids.add(message.properties.message_id)
        if run:
            yield run

    def _goes_alone(self, letter: Letter, before: Letter) -> bool:
        return not self._impersonates and (self._is_anothers(letter) or self._is_anothers(before))

    def _is_anothers(self, letter: Letter) -> bool:
        return letter.sender not in {None, self._user}

    async def why(self) -> ReplayRefused | EpochOver:
        """Tell why a command was not confirmed."""
        await asyncio.wait({self._channel.closing}, timeout=REASON_KNOWN_WITHIN_S)
        closing = self._channel.closing
        error = closing.exception() if closing.done() and not closing.cancelled() else None
        if isinstance(error, ChannelPreconditionFailed) and "user_id" in reason(error):
            sender = self._unconfirmed.sender if self._unconfirmed else "another"
            return ReplayRefused(
                f"the broker user {self._user} may not send for {sender}: it has not the tag impersonator; "
                f"`rabbitmqctl set_user_tags {self._user} impersonator` gives it (name its other tags too: the "
                "command replaces them)"
            )
        if isinstance(error, ChannelClosed):
            return ReplayRefused(f"the broker does not take the command: {reason(error)}")
        return EpochOver(
            f"the broker confirms nothing: {reason(error)}" if error else "the broker confirms nothing"
        )


@asynccontextmanager
async def open_replayer(
    options: BrokerOptions, names: Topology, *, with_reply_to: bool
) -> AsyncIterator[Replayer]:
    """Connect, apart from the dead letters: a refusal closes the channel. Raises EpochOver."""
    link = await Link.open(options, purpose="replay", confirms=False)
    try:
        connection = cast("Connection", link.channel.connection)
        async with deadline("opening a channel", options.connect_timeout_s):
            channel = await NamelessChannel.opened(connection)
        user = connection.url.user or "guest"
        yield Replayer(channel, options=options, names=names, with_reply_to=with_reply_to, user=user)
    finally:
        await link.close()

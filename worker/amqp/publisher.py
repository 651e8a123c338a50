"""The way out: events, replies and dead letters, each over the connection that is meant for it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from typing_extensions import override

from worker.amqp.confirming import ConfirmingChannel
from worker.amqp.direct_replies import DirectReplies
from worker.amqp.messages import WireFormat, WireMessage
from worker.service.messages import Confirmation, DeadLetter, Outgoing
from worker.service.ports import Publisher

Send = Callable[[Sequence[WireMessage]], Awaitable[list[Confirmation]]]


class BrokerPublisher(Publisher):
    """Sends direct replies on their own connection and everything else on the publishing one."""

    def __init__(self, channel: ConfirmingChannel, direct_replies: DirectReplies, wire: WireFormat) -> None:
        self._channel = channel
        self._direct_replies = direct_replies
        self._wire = wire

    @override
    async def publish(self, messages: Sequence[Outgoing]) -> Sequence[Confirmation]:
        ends = [Confirmation.UNKNOWN] * len(messages)
        letters = [place for place, message in enumerate(messages) if isinstance(message, DeadLetter)]
        others = {
            place: self._wire.of(message)
            for place, message in enumerate(messages)
            if not isinstance(message, DeadLetter)
        }

        async def via(send: Send, *, direct: bool) -> None:
            places = [place for place, message in others.items() if message.is_direct_reply is direct]
            places.sort(key=lambda place: others[place].may_wait)  # an event can hold up what comes behind it
            for place, end in zip(places, await send([others[p] for p in places]), strict=True):
                ends[place] = end

        async def via_the_channel() -> None:
            await via(self._channel.send, direct=False)
            for place in letters:
                ends[place] = await self._bury(messages[place])
                if ends[place] is Confirmation.UNKNOWN:
                    return

        if any(message.is_direct_reply for message in others.values()):
            await asyncio.gather(via(self._direct_replies.send, direct=True), via_the_channel())
        else:
            await via_the_channel()
        return ends

    async def _bury(self, letter: Outgoing) -> Confirmation:
        """One at a time: no two mandatory messages with one message id may be in flight, for aiormq takes one's
        return for the other's, and dead letters keep the ids that strangers gave them. Made at
        its turn: one with many headers takes 20 ms, and a batch of them in one go would hold the event loop.
        """
        (end,) = await self._channel.send([self._wire.of(letter)])
        return end

"""The way out: events, replies and dead letters, each over the connection that is meant for it."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from typing_extensions import override

from worker.amqp.confirming import ConfirmingChannel
from worker.amqp.direct_replies import DirectReplies
from worker.amqp.messages import WireFormat, WireMessage
from worker.service.messages import Confirmation, Outgoing
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
        wired = [self._wire.of(message) for message in messages]
        ends = [Confirmation.UNKNOWN] * len(wired)

        async def via(send: Send, is_meant: Callable[[WireMessage], bool]) -> None:
            places = [place for place, message in enumerate(wired) if is_meant(message)]
            for place, end in zip(places, await send([wired[p] for p in places]), strict=True):
                ends[place] = end

        async def via_the_channel() -> None:
            await via(self._channel.send, lambda message: not message.is_direct_reply and not message.mandatory)
            await via(self._one_by_one, lambda message: message.mandatory)

        await asyncio.gather(via(self._direct_replies.send, lambda m: m.is_direct_reply), via_the_channel())
        return ends

    async def _one_by_one(self, messages: Sequence[WireMessage]) -> list[Confirmation]:
        """While a mandatory message is in flight, no other one with its message id may be: aiormq takes one's
        return for the other's. Dead letters keep the ids that strangers gave them.
        """
        ends: list[Confirmation] = []
        for message in messages:
            ends += await self._channel.send([message])
            if ends[-1] is Confirmation.UNKNOWN:
                break
        return ends + [Confirmation.UNKNOWN] * (len(messages) - len(ends))

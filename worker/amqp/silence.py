"""What it means that a broker says nothing of some messages: ADR 14."""

from collections.abc import Awaitable, Callable
from typing import Final

from aiormq.channel import Channel

from worker.amqp.burst import End, send_burst
from worker.amqp.doubt import Patience
from worker.amqp.messages import WireMessage

HELD_UP_MAX: Final = 200  # channels of an epoch that may be left behind


class Silence:
    """Asks, by a canary, whether the broker lives, and where.

    So a broker that is gone is told from one that says nothing of some messages, as of those to a quorum queue
    that has lost its majority. Such a queue may hold up a channel that sends to it for the first time, for minutes
    (RabbitMQ 3.10): then the broker answers on another channel only.
    """

    def __init__(
        self, canary: WireMessage, patience: Patience, renewed: Callable[[], Awaitable[Channel | None]]
    ) -> None:
        self._canary = canary
        self._patience = patience
        self._renewed = renewed
        self._held_up = 0

    async def living(self, silent: Channel) -> Channel | None:
        """Return the channel on which the broker answers: this one, else another, and None where it does not.

        In place of the other one, the one before is to be left open: held up, it would not answer, and neither we
        nor the broker forget it before its connection ends.
        """
        living = silent if await self._answers(silent) else await self._beside()
        if living is not None:
            self._patience.lose()
        return living

    async def _beside(self) -> Channel | None:
        if self._held_up == HELD_UP_MAX:
            return None
        renewed = await self._renewed()
        if renewed is None or not await self._answers(renewed):
            return None
        self._held_up += 1
        return renewed

    async def _answers(self, channel: Channel) -> bool:
        return await send_burst(channel, [self._canary], timeout_s=self._patience.short_s) == [End.CONFIRMED]

"""Feeds of one source, one after the other: when one is lost, the next one is made, for ever."""

import asyncio
import logging
from typing import Final

from stream_client.errors import StreamUnavailable
from stream_client.feed import Feed
from stream_client.pauses import growing_pauses
from stream_client.sources import Source

log: Final = logging.getLogger(__name__)

_CONNECT_S: Final = 10.0
_BRIEF_S: Final = 10.0
"""A feed that was lost sooner was perhaps ended by what it brought, as the next one would be."""


class Supply:
    """What a subscription has of the broker. `feed` is None before it is opened and after it is closed."""

    def __init__(self, url: str, source: Source) -> None:
        self.feed: Feed | None = None
        self._url = url
        self._source = source
        self._opened_at_s = 0.0
        self._pauses = growing_pauses()
        self._renewing: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Make the first feed.

        Raises StreamUnavailable where the broker cannot be reached, StreamMisconfigured where it refuses.
        """
        self.feed = await Feed.open(self._url, self._source, within_s=_CONNECT_S)
        self._opened_at_s = _now_s()

    async def renew(self) -> None:
        """Wait for a feed in the place of the one that was lost, or until this is closed.

        The next one is made in a task of its own: who waits only briefly, again and again, would otherwise begin
        anew each time, and never have one.
        """
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.create_task(self._renew(), name="stream-client renewal")
        renewing = self._renewing
        await asyncio.wait({renewing})
        if not renewing.cancelled():
            renewing.result()

    async def close(self) -> None:
        """End it. Idempotent."""
        feed, self.feed = self.feed, None  # first: who waits for a renewal would ask for another one
        renewing, self._renewing = self._renewing, None
        if renewing is not None:
            renewing.cancel()
            await asyncio.wait({renewing})
        if feed is not None:
            await feed.link.close()

    async def _renew(self) -> None:
        """Try for ever: what has worked once will work again, and nobody else would try."""
        log.warning("subscription.lost", extra={"queue": self._source.name})
        if self.feed is not None:
            await self.feed.link.close()
        if _now_s() - self._opened_at_s >= _BRIEF_S:
            self._pauses = growing_pauses()
        await asyncio.sleep(next(self._pauses))
        while True:
            try:
                await self.open()
            except StreamUnavailable as error:
                pause_s = next(self._pauses)
                log.warning("subscription.retry", extra={"reason": str(error), "pause_s": pause_s})
                await asyncio.sleep(pause_s)
            else:
                log.info("subscription.resumed", extra={"queue": self._source.name})
                return


def _now_s() -> float:
    return asyncio.get_running_loop().time()

"""Leaving a broker that takes nothing any more."""

import asyncio
import time
from pathlib import Path

import aio_pika
import pytest

from devtools.broker import PrivateBroker
from stream_client import StreamUnavailable
from stream_client.link import Link
from tests.support.frozen_tls import frozen_behind_tls
from tests.support.proxy import Proxy

LARGE = aio_pika.Message(b"x" * 60_000)
GOODBYE_S = 2.5  # so long it would be waited for


async def test_a_broker_that_takes_no_more_bytes_is_left_within_a_few_seconds(broker: PrivateBroker) -> None:
    """Then not even the goodbye can be written; the library would wait for it for minutes."""
    async with Proxy(broker.url) as proxy:
        link = await Link.open(proxy.url, name="tested", within_s=60)
        channel = await link.channel(confirms=True)
        proxy.freeze()
        publishing = [channel.default_exchange.publish(LARGE, "nobody", timeout=1) for _ in range(600)]
        ends = await asyncio.gather(*publishing, return_exceptions=True)
        assert all(isinstance(end, TimeoutError) for end in ends)

        began_s = time.monotonic()
        await link.close()

        assert time.monotonic() - began_s < 30
        proxy.thaw()


async def test_a_broker_that_is_well_hears_a_goodbye(broker: PrivateBroker) -> None:
    async with Proxy(broker.url, is_tapped=True) as proxy:
        link = await Link.open(proxy.url, name="tested", within_s=60)
        await link.channel()

        await link.close()
        await link.close()

        methods = [said.method for said in proxy.said]
    assert methods[-2:] == ["Connection.Close", "Connection.CloseOk"]


async def test_a_connection_that_does_not_get_ready_in_time_is_left_at_once(broker: PrivateBroker) -> None:
    """Others wait for who opens it."""
    async with Proxy(broker.url) as proxy:
        opened = asyncio.Event()

        async def open_slowly() -> None:
            async with Link.opening(proxy.url, name="tested", within_s=60) as link:
                proxy.freeze()
                opened.set()
                await link.channel()

        opening = asyncio.create_task(open_slowly())
        await opened.wait()
        began_s = time.monotonic()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening

        assert time.monotonic() - began_s < GOODBYE_S
        proxy.thaw()


async def test_a_connection_whose_opening_takes_too_long_is_left_at_once(broker: PrivateBroker) -> None:
    async with Proxy(broker.url) as proxy:
        frozen_at_s: list[float] = []

        async def open_slowly() -> None:
            async with Link.opening(proxy.url, name="tested", within_s=2) as link:
                proxy.freeze()
                frozen_at_s.append(time.monotonic())
                await link.channel()

        with pytest.raises(StreamUnavailable, match="lost while it was opened: no answer"):
            await open_slowly()

        assert time.monotonic() - frozen_at_s[0] < 2 + GOODBYE_S
        proxy.thaw()


async def test_a_broker_that_freezes_behind_its_tls_is_left_within_the_time_to_connect(tmp_path: Path) -> None:
    """The goodbye of TLS would be waited for half a minute, by everybody who waits for the connection."""
    async with frozen_behind_tls(tmp_path) as url:
        began_s = time.monotonic()
        with pytest.raises(StreamUnavailable, match=r"no answer within 1\.0 s"):
            await Link.open(url, name="tested", within_s=1.0)

        assert time.monotonic() - began_s < 20

"""One connection to a real broker: opened within its deadline or not at all, and never left behind."""

import time
from pathlib import Path

import pytest

from devtools.broker import PrivateBroker
from tests.support.broker_side import options
from tests.support.frozen_tls import frozen_behind_tls
from tests.support.proxy import Proxy
from worker.amqp.deadline import deadline
from worker.amqp.link import Link
from worker.service.ports import EpochOver


@pytest.mark.parametrize("unanswered", ["Connection.StartOk", "Connection.Open", "Channel.Open"])
async def test_a_broker_that_falls_silent_while_it_is_opened_is_left(
    broker: PrivateBroker, unanswered: str
) -> None:
    began_s = time.monotonic()
    async with Proxy(broker.url, is_tapped=True) as proxy:
        proxy.when(lambda said: said.method == unanswered, hold="this")
        with pytest.raises(EpochOver, match=r"connecting to the broker: no answer within 0\.5 s"):
            await Link.open(options(proxy.url, connect_timeout_s=0.5), purpose="tested", confirms=True)

    assert time.monotonic() - began_s < 30


async def test_a_broker_that_freezes_behind_its_tls_is_left_within_the_time_to_connect(tmp_path: Path) -> None:
    """The goodbye of TLS would be waited for half a minute, while nothing is consumed."""
    async with frozen_behind_tls(tmp_path) as url:
        began_s = time.monotonic()
        with pytest.raises(EpochOver, match=r"connecting to the broker: no answer within 1 s"):
            await Link.open(options(url, connect_timeout_s=1.0), purpose="tested", confirms=True)

        assert time.monotonic() - began_s < 20


async def test_on_a_closed_connection_there_is_no_channel(broker: PrivateBroker) -> None:
    link = await Link.open(options(broker.url), purpose="tested", confirms=True)
    await link.close()
    await link.close()

    with pytest.raises(EpochOver, match="the connection is closed"):
        async with deadline("looking", 60):
            await link.new_channel()


async def test_who_asks_hears_once_that_it_is_lost(broker: PrivateBroker) -> None:
    heard: list[EpochOver] = []
    async with Proxy(broker.url) as proxy:
        link = await Link.open(options(proxy.url), purpose="tested", confirms=False)
        link.when_lost(heard.append)

        await link.close()

    assert len(heard) == 1


async def test_of_a_channel_that_was_renewed_nobody_is_told_and_of_the_new_one_they_are(
    broker: PrivateBroker,
) -> None:
    link = await Link.open(options(broker.url), purpose="tested", confirms=True)
    told: list[EpochOver] = []
    link.when_lost(told.append)
    try:
        first = link.channel
        renewed = await link.renew(confirms=True)
        await first.close()
        assert link.channel is renewed
        assert told == []

        await renewed.close()

        assert len(told) == 1
    finally:
        await link.close()
    assert len(told) == 1

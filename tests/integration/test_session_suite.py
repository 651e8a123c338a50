"""A real broker passes the suite of all sessions."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from devtools.broker import PrivateBroker
from tests.support.broker_side import Stranger, sessions
from tests.support.session_suite import PREFETCH, Ports, SessionSuite
from worker.amqp.session import Sessions


class RealSide:
    """A RabbitMQ node, under a namespace of our own."""

    def __init__(self, opening: Sessions, stranger: Stranger) -> None:
        self._opening = opening
        self._stranger = stranger

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Ports]:
        async with self._opening.open() as session:
            yield Ports(inbox=session.consumer, publisher=session.publisher, settlement=session.settlement)

    async def send(self, *device_ids: str) -> None:
        await self._stranger.send(*(b'{"device_id": "%s"}' % device_id.encode() for device_id in device_ids))

    async def until_delivered(self) -> None:
        await self._stranger.until_ready("commands", 0)


class TestBrokerSession(SessionSuite):
    @pytest.fixture
    async def side(self, broker: PrivateBroker, namespace: str) -> AsyncIterator[RealSide]:
        opening = sessions(broker.url, namespace, prefetch=PREFETCH)
        async with opening.open():
            pass  # which declares what everybody publishes to
        async with Stranger(broker.url, namespace) as stranger:
            yield RealSide(opening, stranger)

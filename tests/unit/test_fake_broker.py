"""The fake broker keeps the promises of the real one."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.support.fake_broker import FakeBroker
from tests.support.making import create, received
from tests.support.session_suite import PREFETCH, Ports, SessionSuite


class FakeSide:
    """A broker in memory."""

    def __init__(self) -> None:
        self._broker = FakeBroker(prefetch=PREFETCH)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Ports]:
        session = self._broker.open()
        try:
            yield Ports(inbox=session, publisher=session, settlement=session)
        finally:
            session.end()

    async def send(self, *device_ids: str) -> None:
        self._broker.send(*(received(create(device_id)) for device_id in device_ids))

    async def until_delivered(self) -> None:
        """Nothing takes its time here."""


class TestFakeBroker(SessionSuite):
    @pytest.fixture
    def side(self) -> FakeSide:
        return FakeSide()

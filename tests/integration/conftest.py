"""What the tests of the client share."""

from collections.abc import AsyncIterator

import pytest

from devtools.broker import PrivateBroker
from stream_client import StreamsClient
from tests.support.fake_worker import WITHIN_S, FakeWorker
from tests.support.proxy import Proxy


@pytest.fixture
async def worker(broker: PrivateBroker, namespace: str) -> AsyncIterator[FakeWorker]:
    async with FakeWorker.working(broker.url, namespace) as worker:
        yield worker


@pytest.fixture
async def client(broker: PrivateBroker, worker: FakeWorker) -> AsyncIterator[StreamsClient]:
    async with StreamsClient(
        broker.url, namespace=worker.namespace, timeout_s=WITHIN_S, attempt_s=WITHIN_S
    ) as client:
        yield client


@pytest.fixture
async def proxy(broker: PrivateBroker) -> AsyncIterator[Proxy]:
    async with Proxy(broker.url) as proxy:
        yield proxy

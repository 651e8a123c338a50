"""`STREAMS_EVENT_LOG=on`: the worker has the broker keep a history, which whoever comes later can replay."""

import asyncio
from pathlib import Path

from devtools.broker import PrivateBroker
from schemas import Event
from stream_client import EventSubscriber, Gap, StreamsClient
from tests.support.command_line import stream_worker_meanwhile
from tests.support.wire import Party
from tests.support.worker_process import WorkerProcess, settings_of

DEVICES = 20
KINDS = ((1, "stream.created"), (2, "stream.stopped"))
WITHIN_S = 60.0
ARGUMENTS = {
    "x-queue-type": "stream",
    "x-max-length-bytes": 40_000_000,
    "x-max-age": "3600s",
    "x-stream-max-segment-size-bytes": 2_000_000,
}
ON = {
    "STREAMS_EVENT_LOG": "on",
    "STREAMS_EVENT_LOG_BYTES_MAX": "40000000",
    "STREAMS_EVENT_LOG_RETENTION_S": "3600",
}


async def take(events: EventSubscriber, count: int) -> list[Event]:
    async with asyncio.timeout(WITHIN_S):
        return [await anext(events) for _ in range(count)]


async def stream_once(client: StreamsClient, device_id: str) -> None:
    reply = await client.create(device_id)
    await client.stop(stream_id=reply.stream.id)


def history_of(events: list[Event]) -> set[tuple[str, int, str]]:
    return {(event.stream.device_id, event.number, event.type) for event in events}


async def test_a_subscriber_that_comes_late_sees_all_and_goes_on_after_a_restart_of_the_broker(
    broker: PrivateBroker, namespace: str, tmp_path: Path
) -> None:
    told: list[Gap] = []
    database_url = f"sqlite+aiosqlite:///{tmp_path / 'streams.db'}"
    devices = [f"cam-{number}" for number in range(DEVICES)]
    client = StreamsClient(broker.url, namespace=namespace, timeout_s=WITHIN_S, attempt_s=2)
    late = EventSubscriber(broker.url, namespace=namespace, on_gap=told.append, replay_from="first")
    async with WorkerProcess(settings_of(broker.url, namespace, database_url, **ON)), client:
        await asyncio.gather(*(stream_once(client, device) for device in devices))
        async with late as events:
            seen = await take(events, DEVICES)
            await asyncio.to_thread(broker.restart)
            seen += await take(events, DEVICES)
            await stream_once(client, "cam-0")
            seen += await take(events, 2)

    expected = {(device, number, kind) for device in devices for number, kind in KINDS}
    assert history_of(seen) == expected | {("cam-0", 3, "stream.created"), ("cam-0", 4, "stream.stopped")}
    assert len(seen) == 2 * DEVICES + 2
    assert told == []


async def test_the_log_is_part_of_the_topology_where_it_is_switched_on(
    broker: PrivateBroker, namespace: str
) -> None:
    settings = {"STREAMS_AMQP_URL": broker.url, "STREAMS_NAMESPACE": namespace}
    log = f"{namespace}.events.log"
    assert (await stream_worker_meanwhile("topology", "apply", **settings)).code == 0
    assert (await stream_worker_meanwhile("topology", "check", **settings)).code == 0

    missing = await stream_worker_meanwhile("topology", "check", **settings, **ON)
    assert (missing.code, missing.out) == (1, f"missing: queue {log}\n")
    assert (await stream_worker_meanwhile("topology", "apply", **settings, **ON)).code == 0
    assert (await stream_worker_meanwhile("topology", "check", **settings, **ON)).code == 0

    async with Party(broker.url, namespace) as stranger:  # a broker takes only the very same arguments
        await stranger.channel.declare_queue(log, durable=True, arguments=dict(ARGUMENTS))
    other = await stream_worker_meanwhile(
        "topology", "apply", **settings, **{**ON, "STREAMS_EVENT_LOG_RETENTION_S": "7200"}
    )
    assert other.code == 78
    assert "x-max-age" in other.err


async def test_a_worker_that_only_checks_does_not_start_without_the_log(
    broker: PrivateBroker, namespace: str, tmp_path: Path
) -> None:
    without = settings_of(broker.url, namespace, f"sqlite+aiosqlite:///{tmp_path / 'streams.db'}")
    assert (await stream_worker_meanwhile("topology", "apply", **without)).code == 0
    worker = WorkerProcess({**without, **ON, "STREAMS_TOPOLOGY": "check"})
    try:
        worker.start()

        assert await worker.exit_code() == 78
        assert f"Missing on the broker: queue {namespace}.events.log." in worker.log
    finally:
        await worker.discard()

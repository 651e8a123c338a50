"""The proxy in front of the broker: who is who, what is said, and stopped at just that word."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aio_pika.abc import AbstractQueue

from devtools.broker import PrivateBroker
from tests.faults.wire_log import Direction
from tests.support.broker_side import GOOD, Stranger, deliveries, event, sessions, take
from tests.support.proxy import Proxy
from tests.support.wire import Device, eventually
from tests.support.wire_points import (
    WirePoint,
    after_ack_write,
    after_first_publish_frame,
    after_half_confirms,
    after_write_before_confirm,
)
from tests.support.worker_process import WorkerProcess, settings_of
from worker.amqp.session import Session
from worker.service.messages import Confirmation

CONFIRMED, UNKNOWN = Confirmation.CONFIRMED, Confirmation.UNKNOWN
TEN = [event(number) for number in range(1, 11)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """A session through a proxy, and somebody who knows the broker itself."""

    proxy: Proxy
    session: Session
    stranger: Stranger
    events: AbstractQueue

    async def arrived(self, count: int) -> bool:
        """Tell whether just so many events have come to the broker, waiting for the last of them."""

        async def has_come() -> bool:
            return await self.count() >= count

        await eventually(has_come)
        return await self.count() == count

    async def count(self) -> int:
        declared = await self.stranger.channel.declare_queue(self.events.name, passive=True)
        return declared.declaration_result.message_count or 0


@pytest.fixture
async def scene(broker: PrivateBroker, namespace: str) -> AsyncIterator[Scene]:
    async with (
        Proxy(broker.url, is_tapped=True) as proxy,
        sessions(proxy.url, namespace).open() as session,
        Stranger(broker.url, namespace) as stranger,
    ):
        events = await stranger.channel.declare_queue(exclusive=True)
        await events.bind(f"{namespace}.events", "#")
        proxy.said.clear()
        yield Scene(proxy=proxy, session=session, stranger=stranger, events=events)


async def test_connections_are_known_by_their_names(scene: Scene) -> None:
    kinds = ["consume", "publish", "direct replies"]

    assert [name.removeprefix("tested ") for name in scene.proxy.names.values()] == kinds
    assert [list(scene.proxy.of(kind).names) for kind in kinds] == [[0], [1], [2]]


async def test_a_fault_can_be_for_one_kind_of_connection(scene: Scene) -> None:
    frozen = scene.proxy.of("consume").freeze()
    await scene.stranger.send(GOOD)
    assert await scene.session.publisher.publish(TEN) == [CONFIRMED] * 10
    assert await scene.session.consumer.take(1, within_s=0.05) == []

    frozen.remove()

    assert len(await take(scene.session, 1)) == 1


async def test_new_connections_of_one_kind_can_be_refused(broker: PrivateBroker, namespace: str) -> None:
    async with Proxy(broker.url, is_tapped=True) as proxy:
        refusing = proxy.of("direct replies").refuse()
        with pytest.raises(Exception, match="connecting to the broker"):
            async with sessions(proxy.url, namespace).open():
                pass
        assert {said.connection for said in proxy.said} >= {"tested consume", "tested publish"}

        refusing.remove()
        async with sessions(proxy.url, namespace).open():
            pass


async def test_the_log_has_the_order_of_the_wire_and_the_tags_of_both_sides(scene: Scene) -> None:
    await scene.stranger.send(GOOD, message_id="m-1")
    taken = await take(scene.session, 1)
    said = event()
    assert await scene.session.publisher.publish([said, event(2)]) == [CONFIRMED] * 2
    acked = scene.proxy.when(lambda said: said.is_ack)
    await scene.session.settlement.acknowledge(deliveries(taken))
    await acked

    log = scene.proxy.wire_log()
    words = [(seen.method, seen.direction, seen.delivery_tag, seen.message_id) for seen in log]
    assert words[0] == ("Basic.Deliver", Direction.TO_WORKER, 1, "m-1")
    assert words[1] == ("Basic.Publish", Direction.TO_BROKER, 3, str(said.id))
    assert words[-1] == ("Basic.Ack", Direction.TO_BROKER, 1, None)
    assert [seen.at_s for seen in log] == sorted(seen.at_s for seen in log)
    confirms = [seen for seen in log if seen.method == "Basic.Ack" and seen.direction == Direction.TO_WORKER]
    assert confirms[-1].delivery_tag == 4  # the session's two canaries were the first
    assert confirms[-1].connection == log[1].connection != log[0].connection == log[-1].connection


async def test_the_log_shows_an_acknowledgement_that_did_not_wait_for_its_confirm(scene: Scene) -> None:
    """However late it passes: what counts is what the worker knew when it said it."""
    await scene.stranger.send(GOOD)
    taken = await take(scene.session, 1)
    unheard = scene.proxy.of("publish").freeze("to_client")
    unsaid = scene.proxy.of("consume").freeze("to_server")
    publishing = asyncio.create_task(scene.session.publisher.publish([event()]))
    async with asyncio.timeout(60):
        await unheard.acted.wait()
        await scene.session.settlement.acknowledge(deliveries(taken))
        await unsaid.acted.wait()

    unheard.remove()
    await publishing

    assert [said.is_ack for said in scene.proxy.said if said.is_ack or said.is_confirm] == [True, False]


async def publish_until(scene: Scene, point: WirePoint, *, arrived: int) -> list[Confirmation]:
    """Publish, cut the lines at the point, as a killed worker would, and return what the worker knows.

    Before the cut the broker is asked what has arrived, which gives everything the time to pass that would.
    """
    publishing = asyncio.create_task(scene.session.publisher.publish(TEN))
    await point
    assert await scene.arrived(arrived)
    point.cut()
    return list(await publishing)


async def test_k7_one_publish_has_passed_and_nothing_after_it(scene: Scene) -> None:
    ends = await publish_until(scene, after_first_publish_frame(scene.proxy), arrived=1)

    assert await scene.arrived(1)
    assert ends[1:] == [UNKNOWN] * 9


async def test_k8_all_publishes_have_passed_and_no_confirm(scene: Scene) -> None:
    ends = await publish_until(scene, after_write_before_confirm(scene.proxy, publishes=10), arrived=10)

    assert await scene.arrived(10)
    assert ends == [UNKNOWN] * 10


async def test_k9_half_of_the_confirms_have_passed(scene: Scene) -> None:
    ends = await publish_until(scene, after_half_confirms(scene.proxy, publishes=10), arrived=10)

    assert await scene.arrived(10)
    assert ends == [CONFIRMED] * 5 + [UNKNOWN] * 5


async def test_k12_one_acknowledgement_has_passed_and_nothing_after_it(scene: Scene) -> None:
    await scene.session.consumer.widen()
    await scene.stranger.send(GOOD, GOOD, GOOD)
    taken = await take(scene.session, 3)
    point = after_ack_write(scene.proxy.of("consume"))

    for delivery in deliveries(taken):
        await scene.session.settlement.acknowledge([delivery])
    await point
    assert await scene.stranger.ready("commands") == 0
    point.cut()

    await scene.stranger.until_ready("commands", 2)


async def test_what_is_held_goes_on_when_it_is_released(scene: Scene) -> None:
    third = scene.proxy.of("publish").when(lambda said: said.is_publish, count=3, hold="this")
    publishing = asyncio.create_task(scene.session.publisher.publish(TEN))

    said = await third
    assert said.message_id == str(TEN[2].id)
    assert await scene.arrived(2)

    third.release()
    assert await publishing == [CONFIRMED] * 10
    assert await scene.arrived(10)


async def test_what_does_not_come_is_told(scene: Scene) -> None:
    with pytest.raises(TimeoutError, match="heard 0 of 2 in"):
        await scene.proxy.when(lambda said: said.method == "Basic.Recover", count=2, within_s=0.05)


@pytest.mark.parametrize("part", [0.0, 0.3, 0.6, 0.9])
async def test_cut_anywhere_in_a_batch_the_broker_has_its_beginning(scene: Scene, part: float) -> None:
    publish = scene.proxy.of("publish")
    before_bytes = publish.passed_bytes("to_server")
    assert await scene.session.publisher.publish(TEN) == [CONFIRMED] * 10
    batch_bytes = publish.passed_bytes("to_server") - before_bytes
    await scene.events.purge()

    # In the middle of a message: a heartbeat may be among the bytes.
    cutting = publish.cut_after(int((part + 0.05) * batch_bytes), "to_server", once=True)
    ends = await scene.session.publisher.publish(TEN)

    assert cutting.acted.is_set()
    assert await scene.arrived(int(part * 10))
    assert UNKNOWN in ends


@pytest.mark.parametrize("fault", ["slices", "latency"])
async def test_a_worker_runs_on_a_bad_line(
    broker: PrivateBroker, namespace: str, tmp_path: Path, fault: str
) -> None:
    async with Proxy(broker.url, is_tapped=True) as proxy:
        acting = proxy.slice(1) if fault == "slices" else proxy.delay(0.2, "to_client")
        settings = settings_of(proxy.url, namespace, f"sqlite+aiosqlite:///{tmp_path}/streams.db")
        async with WorkerProcess(settings), Device(broker.url, namespace) as device:
            assert (await device.command("create", device_id="cam-1"))["outcome"] == "created"

        assert acting.acted.is_set()
        assert [said.connection.partition(" ")[2] for said in proxy.said if said.is_ack] == ["consume"]

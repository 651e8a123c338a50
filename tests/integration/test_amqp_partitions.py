"""Partitions on a real broker: where commands go, who gets them, and in which order when workers come and go."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import aio_pika
import pytest

from devtools.broker import PrivateBroker
from tests.support.broker_side import GOOD, Stranger, bodies, deliveries, options, sessions, take
from tests.support.proxy import Proxy
from tests.support.wire import ANSWER_WITHIN_S, eventually
from tests.support.worker_process import WorkerProcess, settings_of
from worker.amqp.session import Session, apply_topology, missing_topology
from worker.amqp.topology import TopologyWrong, topology
from worker.service.ports import InboxClosed

PARTITIONS = 4
WATCHDOG_S = 0.1
NUMBERED = [b"%d" % number for number in range(100)]


@pytest.fixture
async def stranger(broker: PrivateBroker, namespace: str) -> AsyncIterator[Stranger]:
    await apply_topology(options(broker.url), topology(namespace, PARTITIONS))
    async with Stranger(broker.url, namespace) as stranger:
        yield stranger


async def waiting(stranger: Stranger) -> list[int]:
    """How many messages wait in each partition."""
    return [await stranger.ready(f"commands.{number}") for number in range(1, PARTITIONS + 1)]


async def all_wait(stranger: Stranger, count: int) -> list[int]:
    async def look() -> list[int] | None:
        found = await waiting(stranger)
        return found if sum(found) == count else None

    return await eventually(look) or []


async def adds_up(stranger: Stranger, queues: Sequence[str], count: int) -> bool:
    return sum([await stranger.ready(queue) for queue in queues]) == count


async def test_commands_of_one_device_all_go_to_one_partition(stranger: Stranger) -> None:
    await stranger.send(*NUMBERED, device="cam-7")

    assert sorted(await all_wait(stranger, 100)) == [0, 0, 0, 100]
    assert await stranger.ready("commands") == 0


async def test_devices_are_spread_over_all_partitions(stranger: Stranger) -> None:
    await asyncio.gather(*(stranger.send(GOOD, device=f"cam-{number}") for number in range(200)))

    assert min(await all_wait(stranger, 200)) > 10


async def test_applying_again_moves_no_device(broker: PrivateBroker, namespace: str, stranger: Stranger) -> None:
    for number in range(50):
        await stranger.send(GOOD, device=f"cam-{number}")
    first = await all_wait(stranger, 50)

    await apply_topology(options(broker.url), topology(namespace, PARTITIONS))
    for number in range(50):
        await stranger.send(GOOD, device=f"cam-{number}")

    assert await all_wait(stranger, 100) == [2 * waiting for waiting in first]


async def test_a_partition_is_like_the_command_queue_but_has_one_active_consumer(stranger: Stranger) -> None:
    queues = topology(stranger.namespace, PARTITIONS).queues
    (commands,) = [queue for queue in topology(stranger.namespace).queues if queue.name.endswith(".commands")]

    parts = [queue for queue in queues if queue.name.startswith(f"{commands.name}.")]
    assert [dict(queue.arguments) for queue in parts] == [
        {**commands.arguments, "x-single-active-consumer": True}
    ] * PARTITIONS


async def test_switched_on_what_waits_stays_and_nothing_new_comes_twice(
    broker: PrivateBroker, namespace: str
) -> None:
    await apply_topology(options(broker.url), topology(namespace))
    async with Stranger(broker.url, namespace) as stranger:
        await stranger.send(b"old")
        await apply_topology(options(broker.url), topology(namespace, PARTITIONS))
        await stranger.send(b"new")

        assert sorted(await all_wait(stranger, 1)) == [0, 0, 0, 1]
        async with sessions(broker.url, namespace, partitions=PARTITIONS).open() as session:
            taken = await take(session, 2)
            assert sorted(bodies(taken)) == [b"new", b"old"]
            await session.settlement.acknowledge(deliveries(taken))
            assert await session.consumer.take(10, within_s=0.3) == []


async def test_of_fewer_the_surplus_gets_nothing_more_and_is_named(
    broker: PrivateBroker, namespace: str, stranger: Stranger
) -> None:
    surplus = await apply_topology(options(broker.url), topology(namespace, 2))

    assert surplus == [f"{namespace}.commands.3", f"{namespace}.commands.4"]
    await asyncio.gather(*(stranger.send(GOOD, device=f"cam-{number}") for number in range(50)))
    assert (await all_wait(stranger, 50))[2:] == [0, 0]


async def test_switched_off_all_goes_to_the_one_queue_and_what_is_left_is_named(
    broker: PrivateBroker, namespace: str, stranger: Stranger
) -> None:
    surplus = await apply_topology(options(broker.url), topology(namespace))
    await stranger.send(GOOD)

    await stranger.until_ready("commands", 1)
    assert await waiting(stranger) == [0] * PARTITIONS
    assert surplus == [f"{namespace}.commands.{number}" for number in range(1, PARTITIONS + 1)]


async def test_of_fewer_one_that_is_lost_hides_none_that_would_go_on_getting_commands(
    broker: PrivateBroker, namespace: str, stranger: Stranger
) -> None:
    await stranger.channel.queue_delete(f"{namespace}.commands.3")

    await apply_topology(options(broker.url), topology(namespace, 2))

    await asyncio.gather(*(stranger.send(GOOD, device=f"cam-{number}") for number in range(50)))
    await eventually(partial(adds_up, stranger, ["commands.1", "commands.2"], 50))
    assert await stranger.ready("commands.4") == 0


@pytest.mark.parametrize(("fewer", "queues"), [(2, ["commands.1", "commands.2"]), (1, ["commands"])])
async def test_a_worker_that_declares_fewer_leads_nothing_where_nobody_consumes(
    broker: PrivateBroker, namespace: str, stranger: Stranger, fewer: int, queues: Sequence[str]
) -> None:
    async with sessions(broker.url, namespace, partitions=fewer).open():
        pass

    await asyncio.gather(*(stranger.send(GOOD, device=f"cam-{number}") for number in range(50)))
    await eventually(partial(adds_up, stranger, queues, 50))
    assert sum(await waiting(stranger)) + await stranger.ready("commands") == 50


async def test_a_worker_without_partitions_needs_no_rights_to_their_exchange(
    broker: PrivateBroker, namespace: str
) -> None:
    own = rf"^({namespace}\.(commands|events|dead))?$"
    broker.ctl("add_user", namespace, "secret")
    broker.ctl("set_permissions", namespace, own, f"{own}|^amq.default$", own)
    url = broker.url.replace("guest:guest", f"{namespace}:secret")

    async with sessions(url, namespace).open() as session:
        assert session.consumer.is_consuming


async def test_a_worker_that_only_checks_names_the_partitions_that_are_missing(
    broker: PrivateBroker, namespace: str
) -> None:
    await apply_topology(options(broker.url), topology(namespace))

    missing = await missing_topology(options(broker.url), topology(namespace, 2))
    with pytest.raises(TopologyWrong, match="topology apply"):
        async with sessions(broker.url, namespace, declares=False, partitions=2).open():
            pass

    assert missing == [
        f"exchange {namespace}.commands.hashed",
        f"queue {namespace}.commands.1",
        f"queue {namespace}.commands.2",
    ]


async def test_a_worker_that_only_checks_works_where_everything_is_there(
    broker: PrivateBroker, namespace: str, stranger: Stranger
) -> None:
    await stranger.send(GOOD)

    async with sessions(broker.url, namespace, declares=False, partitions=PARTITIONS).open() as session:
        assert session.consumer.is_consuming
        assert bodies(await take(session, 1)) == [GOOD]


async def test_a_broker_without_the_plugin_is_told_how_to_get_it(namespace: str, tmp_path: Path) -> None:
    with PrivateBroker(plugins=()) as plain:
        database_url = f"sqlite+aiosqlite:///{tmp_path}/streams.db"
        worker = WorkerProcess(settings_of(plain.url, namespace, database_url, STREAMS_PARTITIONS="2"))
        worker.start()
        assert await worker.exit_code() == 78
        await worker.discard()
        assert "rabbitmq-plugins enable rabbitmq_consistent_hash_exchange" in worker.log
        with pytest.raises(TopologyWrong, match="rabbitmq-plugins enable rabbitmq_consistent_hash_exchange"):
            async with sessions(plain.url, namespace, partitions=2).open():
                pass
        with pytest.raises(TopologyWrong, match="STREAMS_PARTITIONS=1"):
            await apply_topology(options(plain.url), topology(namespace, 2))


async def test_what_goes_straight_to_the_command_queue_is_taken_too(
    broker: PrivateBroker, namespace: str, stranger: Stranger
) -> None:
    await stranger.channel.default_exchange.publish(
        aio_pika.Message(GOOD, type="stream.create"), f"{namespace}.commands"
    )

    async with sessions(broker.url, namespace, partitions=PARTITIONS).open() as session:
        assert bodies(await take(session, 1)) == [GOOD]


async def test_all_that_is_in_hand_is_no_more_than_the_prefetch(
    broker: PrivateBroker, namespace: str, stranger: Stranger
) -> None:
    await asyncio.gather(*(stranger.send(GOOD, GOOD, device=f"cam-{number}") for number in range(100)))

    async with sessions(broker.url, namespace, partitions=PARTITIONS, prefetch=50).open() as session:
        taken = await take(session, 40)
        assert await session.consumer.take(100, within_s=0.3) == []
        assert session.consumer._hand.unsettled == 40  # a fifth of it is the command queue's
        await session.settlement.acknowledge(deliveries(taken))


async def test_another_worker_gets_nothing_of_a_partition_while_the_first_one_lives(
    broker: PrivateBroker, namespace: str, stranger: Stranger
) -> None:
    opening = sessions(broker.url, namespace, partitions=PARTITIONS, prefetch=50, watchdog_s=WATCHDOG_S)
    async with opening.open() as one, opening.open() as other:
        await stranger.send(*NUMBERED[:20])
        taken = await take(one, 10)

        assert await other.consumer.take(10, within_s=5 * WATCHDOG_S) == []  # and its watchdog is content
        assert other.consumer.is_consuming
        await one.settlement.acknowledge(deliveries(taken))
        assert bodies(taken + await take(one, 10)) == NUMBERED[:20]


async def test_paused_it_keeps_its_partitions_and_gets_no_more_than_the_prefetch(
    broker: PrivateBroker, namespace: str, stranger: Stranger
) -> None:
    opening = sessions(broker.url, namespace, partitions=PARTITIONS, prefetch=50, watchdog_s=WATCHDOG_S)
    async with opening.open() as one, opening.open() as other:
        assert await one.consumer.pause()
        await stranger.send(*NUMBERED)
        taken = await take(one, 10)

        assert await other.consumer.take(10, within_s=5 * WATCHDOG_S) == []
        await one.consumer.resume()
        await one.settlement.acknowledge(deliveries(taken))
        assert bodies(await take(one, 10)) == NUMBERED[10:20]


async def test_stopped_it_lets_go_only_when_it_is_done_and_the_next_one_goes_on_in_order(
    broker: PrivateBroker, namespace: str, stranger: Stranger
) -> None:
    opening = sessions(broker.url, namespace, partitions=PARTITIONS, prefetch=50)
    async with AsyncExitStack() as first, AsyncExitStack() as second:
        one = await first.enter_async_context(opening.open())
        other = await second.enter_async_context(opening.open())
        await stranger.send(*NUMBERED)
        taken = await take(one, 3)

        await one.consumer.close()
        taken += await take(one, 7)
        with pytest.raises(InboxClosed):
            await one.consumer.take(10)
        await one.settlement.acknowledge(deliveries(taken[:8]))  # which makes room for more
        assert await other.consumer.take(1, within_s=0.2) == []
        await one.settlement.acknowledge(deliveries(taken[8:]))
        await first.aclose()

        rest = await take(other, 10)
        assert bodies(taken + rest) == NUMBERED[:20]


async def test_lost_again_and_again_its_successors_get_everything_in_order(
    broker: PrivateBroker, namespace: str, stranger: Stranger
) -> None:
    opening = sessions(broker.url, namespace, partitions=PARTITIONS, prefetch=50)
    await stranger.send(*NUMBERED)
    for lost in range(5):  # each has ten in hand, and does one of those that it may take at first
        async with (
            Proxy(broker.url) as proxy,
            sessions(proxy.url, namespace, partitions=PARTITIONS, prefetch=50).open() as session,
        ):
            await all_wait(stranger, 90 - lost)
            taken = await session.consumer.take(10, within_s=ANSWER_WITHIN_S)
            await session.settlement.acknowledge([taken[len(taken) // 2].delivery])
            await all_wait(stranger, 89 - lost)
            proxy.cut()

    left: list[bytes] = []
    async with opening.open() as session:
        while len(left) < 95:
            taken = await take(session, 1)
            left += bodies(taken)
            await session.settlement.acknowledge(deliveries(taken))
    assert left == sorted(left, key=int)


async def test_one_that_came_back_too_often_goes_alone(
    broker: PrivateBroker, namespace: str, stranger: Stranger
) -> None:
    opening = sessions(broker.url, namespace, partitions=PARTITIONS, prefetch=50)
    await stranger.send(b"0")
    for _ in range(2):
        async with opening.open() as session:
            await take(session, 1)
    await stranger.send(b"1", b"2")
    async with opening.open() as session:
        await take(session, 3)

    async with opening.open() as session:
        alone = await session.consumer.take(10, within_s=ANSWER_WITHIN_S)
        assert bodies(alone) == [b"0"]
        assert await session.consumer.take(10, within_s=0.2) == []
        await session.settlement.acknowledge(deliveries(alone))
        assert bodies(await session.consumer.take(1, within_s=ANSWER_WITHIN_S)) == [b"1"]


async def test_a_worker_with_more_than_its_share_passes_partitions_on_and_nothing_is_overtaken(
    broker: PrivateBroker, namespace: str, stranger: Stranger
) -> None:
    """Two workers, four partitions; all are the first one's until it looks."""
    opening = sessions(broker.url, namespace, partitions=PARTITIONS, prefetch=25, watchdog_s=WATCHDOG_S)
    done: dict[int, list[bytes]] = {0: [], 1: []}
    order: list[bytes] = []

    async def work(number: int, session: Session) -> None:
        while True:
            batch = await session.consumer.take(10)
            order.extend(bodies(batch))  # what is saved
            done[number] += bodies(batch)
            await session.settlement.acknowledge(deliveries(batch))

    devices = [f"cam-{number}" for number in range(16)]
    async with opening.open() as one, opening.open() as other:
        working = [asyncio.create_task(work(number, session)) for number, session in enumerate([one, other])]
        sent = 0

        async def both_work() -> bool:
            nonlocal sent
            for device in devices:
                await stranger.send(
                    *(f"{device} {number}".encode() for number in range(sent, sent + 5)), device=device
                )
            sent += 5
            return len([s for s in other.consumer.sources if s.is_partition and s.is_ours]) == 2

        await eventually(both_work)

        async def is_all_done() -> bool:
            return len(order) == sent * len(devices)

        await eventually(is_all_done)
        for task in working:
            task.cancel()
        await asyncio.gather(*working, return_exceptions=True)

    for device in devices:
        mine = [body for body in order if body.startswith(f"{device} ".encode())]
        assert mine == [f"{device} {number}".encode() for number in range(sent)]
    assert all(done.values())

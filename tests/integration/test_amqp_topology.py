"""The broker objects: made, looked for, and refused where they are different. On a real broker."""

import asyncio

import pytest

from devtools.broker import PrivateBroker
from tests.support.broker_side import Stranger, options, sessions
from worker.amqp.session import apply_topology, missing_topology
from worker.amqp.topology import TopologyWrong, topology
from worker.service.ports import EpochOver


def all_of(namespace: str) -> list[str]:
    return [
        f"exchange {namespace}.commands",
        f"exchange {namespace}.events",
        f"exchange {namespace}.dead",
        f"queue {namespace}.dead",
        f"queue {namespace}.commands",
    ]


async def test_everything_is_missing_until_it_is_applied(broker: PrivateBroker, namespace: str) -> None:
    wanted = topology(namespace)

    assert await missing_topology(options(broker.url), wanted) == all_of(namespace)
    await apply_topology(options(broker.url), wanted)
    assert await missing_topology(options(broker.url), wanted) == []


async def test_applying_again_changes_nothing(broker: PrivateBroker, namespace: str) -> None:
    await apply_topology(options(broker.url), topology(namespace))
    async with Stranger(broker.url, namespace) as stranger:
        await stranger.send(b"kept")

        await apply_topology(options(broker.url), topology(namespace))

        assert await stranger.ready("commands") == 1


async def test_what_is_missing_is_named(broker: PrivateBroker, namespace: str) -> None:
    await apply_topology(options(broker.url), topology(namespace))
    async with Stranger(broker.url, namespace) as stranger:
        await stranger.channel.queue_delete(f"{namespace}.dead")
        await stranger.channel.exchange_delete(f"{namespace}.events")

    assert await missing_topology(options(broker.url), topology(namespace)) == [
        f"exchange {namespace}.events",
        f"queue {namespace}.dead",
    ]


async def test_a_worker_that_only_checks_says_what_is_missing_and_what_to_do(
    broker: PrivateBroker, namespace: str
) -> None:
    with pytest.raises(TopologyWrong) as wrong:
        async with sessions(broker.url, namespace, declares=False).open():
            pass

    for name in all_of(namespace):
        assert name in str(wrong.value)
    assert "stream-worker topology apply" in str(wrong.value)
    assert "STREAMS_TOPOLOGY=declare" in str(wrong.value)
    assert await missing_topology(options(broker.url), topology(namespace)) == all_of(namespace)


async def test_a_worker_that_only_checks_works_where_everything_is_there(
    broker: PrivateBroker, namespace: str
) -> None:
    await apply_topology(options(broker.url), topology(namespace))

    async with sessions(broker.url, namespace, declares=False).open() as session:
        assert session.consumer.is_consuming


@pytest.mark.parametrize("arguments", [{}, {"x-queue-type": "quorum"}])
async def test_a_queue_with_other_arguments_is_refused_with_the_brokers_reason(
    broker: PrivateBroker, namespace: str, arguments: dict[str, str]
) -> None:
    async with Stranger(broker.url, namespace) as stranger:
        await stranger.channel.declare_queue(f"{namespace}.commands", durable=True, arguments=arguments)

    with pytest.raises(TopologyWrong, match="inequivalent arg") as wrong:
        await apply_topology(options(broker.url), topology(namespace))

    assert f"{namespace}.commands" in str(wrong.value)
    assert "Delete or rename the object, choose another STREAMS_NAMESPACE" in str(wrong.value)


async def test_an_exchange_of_another_type_is_refused_too(broker: PrivateBroker, namespace: str) -> None:
    async with Stranger(broker.url, namespace) as stranger:
        await stranger.channel.declare_exchange(f"{namespace}.events", "fanout", durable=True)

    with pytest.raises(TopologyWrong, match="inequivalent arg 'type'"):
        async with sessions(broker.url, namespace).open():
            pass


async def test_a_user_without_the_right_to_configure_can_check_and_is_told_so_when_declaring(
    broker: PrivateBroker, namespace: str
) -> None:
    await apply_topology(options(broker.url), topology(namespace))
    broker.ctl("add_user", namespace, "pass")
    try:
        broker.ctl("set_permissions", namespace, "^$", ".*", ".*")
        url = broker.url.replace("guest:guest@", f"{namespace}:pass@")

        async with sessions(url, namespace, declares=False).open() as session:
            assert session.consumer.is_consuming
        with pytest.raises(TopologyWrong, match="ACCESS_REFUSED") as wrong:
            async with sessions(url, namespace).open():
                pass
        assert "STREAMS_TOPOLOGY=check" in str(wrong.value)
    finally:
        broker.ctl("delete_user", namespace)


async def test_what_the_broker_does_not_show_is_not_called_missing(broker: PrivateBroker, namespace: str) -> None:
    async with Stranger(broker.url, namespace) as stranger:
        await stranger.channel.declare_queue(f"{namespace}.dead", exclusive=True)

        with pytest.raises(TopologyWrong, match=f"does not show the queue {namespace}.dead: .*RESOURCE_LOCKED"):
            await missing_topology(options(broker.url), topology(namespace))


async def test_a_wrong_password_is_said_without_the_password(broker: PrivateBroker, namespace: str) -> None:
    url = broker.url.replace("guest:guest@", "guest:s3cr3t@")

    with pytest.raises(EpochOver, match="ACCESS_REFUSED") as over:
        await missing_topology(options(url), topology(namespace))

    assert "s3cr3t" not in str(over.value)
    assert "s3cr3t" not in repr(options(url))


async def test_a_virtual_host_that_is_not_there_is_said(broker: PrivateBroker, namespace: str) -> None:
    with pytest.raises(EpochOver, match="virtual host"):
        await missing_topology(options(f"{broker.url}nowhere"), topology(namespace))


async def test_nobody_listening_ends_the_attempt(namespace: str) -> None:
    with pytest.raises(EpochOver, match="connecting to the broker"):
        await missing_topology(options("amqp://guest:guest@127.0.0.1:1/"), topology(namespace))


@pytest.mark.parametrize("answer", [None, b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"AMQP\x00\x01\x00\x00"])
async def test_something_else_listening_ends_the_attempt_within_its_deadline(
    namespace: str, answer: bytes | None
) -> None:
    """It says nothing at all, hangs up at once, or speaks another protocol."""
    writers: list[asyncio.StreamWriter] = []

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        if answer is not None:
            writer.write(answer)
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(EpochOver, match="connecting to the broker"):
            async with asyncio.timeout(30):
                await missing_topology(
                    options(f"amqp://guest:guest@127.0.0.1:{port}/", connect_timeout_s=0.5), topology(namespace)
                )
        for writer in writers:
            writer.close()

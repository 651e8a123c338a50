"""The load balancer of the cluster's tests, before servers that mean nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from devtools.ports import free_port
from tests.support.echo_server import WITHIN_S, Caller, EchoServer
from tests.support.front import Front
from tests.support.wire import eventually

GREETING = b"AMQP\x00\x00\x09\x01"


@pytest.fixture
async def echoes() -> AsyncIterator[list[EchoServer]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(EchoServer.serving()) for _ in range(3)]


def urls_of(echoes: list[EchoServer]) -> list[str]:
    return [echo.url for echo in echoes]


def callers_of(echoes: list[EchoServer]) -> list[int]:
    return [len(echo.heard) for echo in echoes]


async def greet(stack: AsyncExitStack, front: Front) -> Caller:
    caller = await stack.enter_async_context(Caller.calling(front.url))
    assert await caller.ask(GREETING) == GREETING
    return caller


async def test_everybody_comes_to_the_first_node_and_is_passed_on(echoes: list[EchoServer]) -> None:
    async with Front(urls_of(echoes), first=1) as front, AsyncExitStack() as stack:
        for _ in range(3):
            caller = await greet(stack, front)
            assert await caller.ask(b"and more") == b"and more"
        assert callers_of(echoes) == [0, 3, 0]
        assert front.connections == {1: 3}


async def test_without_a_first_node_they_come_to_each_in_turn(echoes: list[EchoServer]) -> None:
    async with Front(urls_of(echoes)) as front, AsyncExitStack() as stack:
        for _ in range(6):
            await greet(stack, front)
        assert callers_of(echoes) == [2, 2, 2]


async def test_a_node_that_is_away_and_one_that_says_nothing_are_passed_over(echoes: list[EchoServer]) -> None:
    silent = await asyncio.start_server(lambda _reader, writer: writers.append(writer), "127.0.0.1", 0)
    writers: list[asyncio.StreamWriter] = []
    nowhere = f"tcp://127.0.0.1:{free_port()}/"
    frozen = f"tcp://127.0.0.1:{silent.sockets[0].getsockname()[1]}/"
    async with Front([nowhere, frozen, echoes[0].url], first=0) as front, AsyncExitStack() as stack:
        await greet(stack, front)
        assert front.connections == {2: 1}
    silent.close()
    for writer in writers:
        writer.transport.abort()
    assert len(writers) == 1


async def test_a_client_ends_with_its_node(echoes: list[EchoServer]) -> None:
    async with Front(urls_of(echoes), first=0) as front, AsyncExitStack() as stack:
        caller = await greet(stack, front)
        echoes[0].writers[0].transport.abort()
        assert await caller.hear_all() == b""

        async def is_gone() -> bool:
            return not front.connections

        await eventually(is_gone, within_s=WITHIN_S)


async def test_where_no_node_answers_a_client_is_sent_away() -> None:
    async with Front([f"tcp://127.0.0.1:{free_port()}/"], first=0) as front, Caller.calling(front.url) as caller:
        await caller.say(GREETING)
        with pytest.raises(ConnectionResetError):
            await caller.hear_all()


async def test_who_is_cut_off_may_come_again(echoes: list[EchoServer]) -> None:
    async with Front(urls_of(echoes), first=0) as front, AsyncExitStack() as stack:
        caller = await greet(stack, front)
        front.first = 2
        front.cut()
        with pytest.raises(ConnectionResetError):
            await caller.hear_all()
        await greet(stack, front)
        assert front.connections == {2: 1}

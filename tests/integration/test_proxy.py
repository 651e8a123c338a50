"""The proxy of the fault tests, with bytes that mean nothing: each fault acts, on whom it shall, and goes."""

import asyncio
import time
from collections.abc import AsyncIterator

import asyncpg
import pytest

from devtools.ports import free_port
from devtools.postgres import PrivatePostgres
from tests.support.echo_server import WITHIN_S, Caller, EchoServer
from tests.support.line_faults import Fault, Side
from tests.support.proxy import Proxy
from tests.support.wire import eventually

each_way = pytest.mark.parametrize("side", ["to_server", "to_client"])


@pytest.fixture
async def echo() -> AsyncIterator[EchoServer]:
    async with EchoServer.serving() as echo:
        yield echo


@pytest.fixture
async def proxy(echo: EchoServer) -> AsyncIterator[Proxy]:
    async with Proxy(echo.url) as proxy:
        yield proxy


@pytest.fixture
async def caller(proxy: Proxy) -> AsyncIterator[Caller]:
    async with Caller.calling(proxy.url) as caller:
        assert await caller.ask(b"hello") == b"hello"
        yield caller


@pytest.fixture
async def other(proxy: Proxy, caller: Caller) -> AsyncIterator[Caller]:
    """The second to call."""
    del caller
    async with Caller.calling(proxy.url) as other:
        assert await other.ask(b"hello") == b"hello"
        yield other


async def acted(fault: Fault) -> None:
    async with asyncio.timeout(WITHIN_S):
        await fault.acted.wait()


async def heard_by_the_server(echo: EchoServer, number: int, data: bytes) -> None:
    async def has_heard() -> bool:
        return echo.heard_on(number) == data

    await eventually(has_heard, within_s=WITHIN_S)


async def test_without_a_fault_everything_passes_both_ways(proxy: Proxy, caller: Caller) -> None:
    much = bytes(range(256)) * 8_192

    _, echoed = await asyncio.gather(caller.say(much), caller.hear(len(much)))

    assert echoed == much
    assert proxy.passed_bytes("to_server") == proxy.passed_bytes("to_client") == len(b"hello" + much)


async def test_the_end_passes_and_what_the_other_side_still_says(echo: EchoServer, caller: Caller) -> None:
    await caller.say(b"goodbye")
    caller.writer.write_eof()

    assert await caller.hear_all() == b"goodbye"
    assert await echo.end() == "end"


async def test_a_reset_passes(echo: EchoServer, proxy: Proxy, caller: Caller) -> None:
    async with Proxy(proxy.url) as farther, Caller.calling(farther.url) as far_caller:
        await far_caller.ask(b"hello")
        farther.cut("to_server")

        assert await echo.end() == "reset"
        assert await caller.ask(b"still") == b"still"


@each_way
async def test_latency_makes_each_byte_late_and_none_later(proxy: Proxy, caller: Caller, side: Side) -> None:
    proxy.delay(0.5, side)
    began_s = time.monotonic()
    hearing = asyncio.create_task(caller.hear(20))

    for _ in range(20):
        await caller.say(b"x")
        await asyncio.wait({hearing}, timeout=0.02)

    assert await hearing == b"x" * 20
    assert 0.5 <= time.monotonic() - began_s < 9, "one after the other they would take 10 s"


async def test_latency_that_is_removed_makes_nothing_late(proxy: Proxy, caller: Caller) -> None:
    proxy.delay(10 * WITHIN_S).remove()

    assert await caller.ask(b"x") == b"x"


async def test_what_is_under_way_when_latency_is_removed_comes_at_once(proxy: Proxy, caller: Caller) -> None:
    slow = proxy.delay(10 * WITHIN_S)
    await caller.say(b"x")
    await acted(slow)

    slow.remove()

    assert await caller.hear(1) == b"x"


@each_way
async def test_frozen_nothing_passes_and_thawed_everything_does(proxy: Proxy, caller: Caller, side: Side) -> None:
    frozen = proxy.freeze(side)
    await caller.say(b"one")
    await acted(frozen)
    await caller.say(b"two")
    assert await caller.hears_nothing()

    proxy.thaw()

    assert await caller.hear(6) == b"onetwo"


async def test_a_frozen_line_takes_no_more_than_a_limit(proxy: Proxy, caller: Caller) -> None:
    proxy.freeze()
    much = bytes(32 * 1024 * 1024)

    saying = asyncio.create_task(caller.say(much))
    assert await asyncio.wait({saying}, timeout=0.5) == (set(), {saying})

    proxy.thaw()
    await asyncio.gather(saying, caller.hear(len(much)))


@each_way
async def test_a_black_hole_takes_all_and_gives_nothing_back(
    echo: EchoServer, proxy: Proxy, caller: Caller, side: Side
) -> None:
    hole = proxy.swallow(side)
    await caller.say(b"lost")
    await acted(hole)

    hole.remove()
    await caller.say(b"lost too")

    assert await caller.hears_nothing()
    await heard_by_the_server(echo, 0, b"hello" if side == "to_server" else b"hellolostlost too")


async def test_a_black_hole_that_is_removed_has_not_harmed_others(proxy: Proxy, caller: Caller) -> None:
    proxy.swallow()

    proxy.heal()

    assert await caller.ask(b"nothing was lost") == b"nothing was lost"
    async with Caller.calling(proxy.url) as newcomer:
        assert await newcomer.ask(b"new") == b"new"


async def test_a_black_hole_swallows_the_end_too(echo: EchoServer, proxy: Proxy, caller: Caller) -> None:
    hole = proxy.swallow("to_server")

    caller.writer.transport.abort()

    await acted(hole)
    assert echo.ends.empty()
    assert len(proxy.names) == 1


async def test_a_cut_line_is_reset_at_both_ends(echo: EchoServer, proxy: Proxy, caller: Caller) -> None:
    proxy.cut()

    with pytest.raises(ConnectionResetError):
        await caller.hear_all()
    assert await echo.end() == "reset"
    async with Caller.calling(proxy.url) as newcomer:
        assert await newcomer.ask(b"new") == b"new"


async def test_half_of_a_line_can_be_cut(echo: EchoServer, proxy: Proxy, caller: Caller) -> None:
    proxy.cut("to_client")

    with pytest.raises(ConnectionResetError):
        await caller.hear_all()
    echo.writers[0].write(b"is anybody there?")
    assert echo.ends.empty()
    proxy.cut("to_server")
    assert await echo.end() == "reset"


async def test_a_frozen_line_can_be_cut(echo: EchoServer, proxy: Proxy, caller: Caller) -> None:
    frozen = proxy.freeze()
    await caller.say(b"lost")
    await acted(frozen)

    proxy.cut()

    with pytest.raises(ConnectionResetError):
        await caller.hear_all()
    assert await echo.end() == "reset"
    assert echo.heard_on(0) == b"hello"


async def test_hung_up_both_ends_hear_an_orderly_end(echo: EchoServer, proxy: Proxy, caller: Caller) -> None:
    proxy.hang_up()

    assert await caller.hear_all() == b""
    assert await echo.end() == "end"


@pytest.mark.parametrize("count_bytes", [0, 1, 5, 99])
async def test_a_line_is_cut_after_just_so_many_bytes_to_the_server(
    echo: EchoServer, proxy: Proxy, caller: Caller, count_bytes: int
) -> None:
    cutting = proxy.cut_after(count_bytes, "to_server")

    await caller.say(b"x" * 100)

    assert await echo.end() == "end"
    assert echo.heard_on(0) == b"hello" + b"x" * count_bytes
    assert cutting.acted.is_set()
    with pytest.raises(ConnectionResetError):
        await caller.hear_all()


@pytest.mark.parametrize("count_bytes", [0, 1, 5, 99])
async def test_a_line_is_cut_after_just_so_many_bytes_to_the_client(
    echo: EchoServer, proxy: Proxy, caller: Caller, count_bytes: int
) -> None:
    proxy.cut_after(count_bytes, "to_client")

    await caller.say(b"x" * 100)

    assert await caller.hear_all() == b"x" * count_bytes
    assert await echo.end() == "reset"


async def test_bytes_are_counted_for_each_line_by_itself(proxy: Proxy, caller: Caller, other: Caller) -> None:
    proxy.cut_after(7)
    assert [await each.ask(b"123456") for each in (caller, other)] == [b"123456"] * 2

    await caller.say(b"7")

    with pytest.raises(ConnectionResetError):
        await caller.hear_all()
    proxy.heal()
    assert await other.ask(b"12") == b"12"


async def test_cut_once_it_is_not_cut_again(proxy: Proxy, caller: Caller) -> None:
    cutting = proxy.cut_after(3, once=True)

    await caller.say(b"1234")

    await acted(cutting)
    async with Caller.calling(proxy.url) as newcomer:
        assert await newcomer.ask(b"12345") == b"12345"


async def test_in_slices_a_byte_comes_at_a_time(echo: EchoServer, proxy: Proxy, caller: Caller) -> None:
    slicing = proxy.slice(1, "to_server")
    assert await caller.ask(b"x" * 100) == b"x" * 100
    assert len(echo.heard[0]) > 50  # a reader that is late finds two at once

    slicing.remove()
    assert await caller.ask(b"y" * 100) == b"y" * 100
    assert echo.heard[0][-1] == b"y" * 100


async def test_refused_a_new_line_is_reset_and_an_old_one_is_not(proxy: Proxy, caller: Caller) -> None:
    refusing = proxy.refuse()
    with pytest.raises(ConnectionResetError):
        async with Caller.calling(proxy.url) as refused:
            await refused.hear_all()
    assert await caller.ask(b"old") == b"old"

    refusing.remove()

    async with Caller.calling(proxy.url) as newcomer:
        assert await newcomer.ask(b"new") == b"new"


async def test_where_there_is_no_server_a_line_is_reset() -> None:
    async with Proxy(f"tcp://127.0.0.1:{free_port()}/") as proxy:
        with pytest.raises(ConnectionResetError):
            async with Caller.calling(proxy.url) as caller:
                await caller.hear_all()


async def test_one_line_can_be_meant_by_its_number(proxy: Proxy, caller: Caller, other: Caller) -> None:
    frozen = proxy.number(1).freeze()
    await other.say(b"held")
    await acted(frozen)
    assert await caller.ask(b"passed") == b"passed"

    proxy.number(0).heal()
    assert await other.hears_nothing()
    proxy.number(1).heal()
    assert await other.hear(4) == b"held"


async def test_those_that_are_open_can_be_meant(proxy: Proxy, caller: Caller) -> None:
    frozen = proxy.present().freeze()
    await caller.say(b"held")
    await acted(frozen)

    async with Caller.calling(proxy.url) as newcomer:
        assert await newcomer.ask(b"new") == b"new"


async def test_who_does_not_read_along_knows_no_kinds(proxy: Proxy) -> None:
    with pytest.raises(ValueError, match="does not read along"):
        proxy.of("publish")
    with pytest.raises(ValueError, match="does not read along"):
        proxy.when(lambda _: True)


async def test_it_stands_in_front_of_postgresql_too(postgres: PrivatePostgres) -> None:
    async with Proxy(postgres.url("postgres").replace("+asyncpg", "")) as proxy:
        proxy.slice(1)
        connection = await asyncpg.connect(proxy.url, timeout=WITHIN_S)
        assert await connection.fetchval("SELECT 1", timeout=WITHIN_S) == 1
        proxy.cut_after(0, once=True)
        with pytest.raises((asyncpg.PostgresConnectionError, OSError)):
            await connection.fetchval("SELECT 1", timeout=WITHIN_S)

        connection = await asyncpg.connect(proxy.url, timeout=WITHIN_S)
        assert await connection.fetchval("SELECT 1", timeout=WITHIN_S) == 1
        await connection.close(timeout=WITHIN_S)

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import pytest

from worker.ops.health import Check, HealthServer, PortTaken


async def well() -> str | None:
    return None


async def away() -> str | None:
    return "the database is away"


async def broken() -> str | None:
    raise RuntimeError("amqp://worker:hunter2@broker.example")


async def hangs() -> str | None:
    await asyncio.Event().wait()
    return None


@asynccontextmanager
async def health(checks: Mapping[str, Check], **more: float) -> AsyncIterator[HealthServer]:
    server = HealthServer(host="127.0.0.1", port=0, checks=checks, **more)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


async def ask(server: HealthServer, path: str, method: str = "GET") -> tuple[int, Any]:
    timeout = aiohttp.ClientTimeout(total=60)
    url = f"http://127.0.0.1:{server.port}{path}"
    async with aiohttp.ClientSession(timeout=timeout) as http, http.request(method, url) as answer:
        return answer.status, await answer.json()


async def test_it_is_ready_when_every_check_is_well() -> None:
    async with health({"consuming": well, "database": well}) as server:
        status, body = await ask(server, "/readyz")
    assert status == 200
    assert body == {"status": "ok", "checks": {"consuming": {"ok": True}, "database": {"ok": True}}}


async def test_it_is_not_ready_when_one_check_is_not_well_and_says_which() -> None:
    async with health({"consuming": well, "database": away}) as server:
        status, body = await ask(server, "/readyz")
    assert status == 503
    assert body == {
        "status": "unavailable",
        "checks": {"consuming": {"ok": True}, "database": {"ok": False, "detail": "the database is away"}},
    }


async def test_a_check_that_hangs_costs_the_others_nothing() -> None:
    async with health({"hangs": hangs, "hangs too": hangs, "well": well}, check_timeout_s=0.2) as server:
        began_s = time.monotonic()
        status, body = await ask(server, "/readyz")
        took_s = time.monotonic() - began_s
    assert status == 503
    assert body["checks"]["hangs"] == {"ok": False, "detail": "no answer within 0.2 s"}
    assert body["checks"]["well"] == {"ok": True}
    assert 0.2 <= took_s < 30


async def test_checks_are_asked_at_the_same_time() -> None:
    meeting = asyncio.Barrier(2)

    async def meets() -> str | None:
        await meeting.wait()
        return None

    async with health({"one": meets, "other": meets}) as server:
        assert (await ask(server, "/readyz"))[0] == 200


async def test_a_check_that_fails_by_itself_is_not_well_and_tells_no_secret() -> None:
    async with health({"broken": broken, "well": well}) as server:
        status, body = await ask(server, "/readyz")
    assert status == 503
    assert body["checks"]["broken"] == {"ok": False, "detail": "the check itself failed: RuntimeError"}
    assert body["checks"]["well"] == {"ok": True}


async def test_a_reason_is_cleaned_of_secrets() -> None:
    async def leaks() -> str | None:
        return "cannot reach amqp://worker:hunter2@broker.example\n"

    async with health({"leaks": leaks}) as server:
        _, body = await ask(server, "/readyz")
    assert body["checks"]["leaks"]["detail"] == "cannot reach amqp://***@broker.example\\n"


async def test_an_empty_reason_is_still_a_reason() -> None:
    async def speechless() -> str | None:
        return ""

    async with health({"speechless": speechless}) as server:
        status, body = await ask(server, "/readyz")
    assert (status, body["checks"]["speechless"]) == (503, {"ok": False, "detail": "not well"})


async def test_it_is_alive_while_the_loop_turns_whatever_the_checks_say() -> None:
    async with health({"database": away}) as server:
        status, body = await ask(server, "/livez")
    assert status == 200
    assert body["status"] == "ok"


async def test_it_tells_how_many_tasks_there_are() -> None:
    async with health({}) as server:
        _, before = await ask(server, "/livez")
        idle = asyncio.create_task(asyncio.Event().wait())
        _, after = await ask(server, "/livez")
        idle.cancel()
    assert after["tasks"] >= before["tasks"] + 1


async def test_it_is_not_alive_when_the_heart_stopped_too_long_ago() -> None:
    async with health({}, beat_age_max_s=0) as server:
        status, body = await ask(server, "/livez")
    assert status == 503
    assert body["status"] == "unavailable"
    assert body["beat_age_s"] >= 0


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/metrics"), ("GET", "/readyz/x"), ("POST", "/readyz"), ("PUT", "/")],
)
async def test_anything_else_is_not_found(method: str, path: str) -> None:
    async with health({"database": well}) as server:
        assert await ask(server, path, method) == (404, {"status": "not_found"})


async def test_a_port_that_is_taken_is_told_in_one_line_with_what_to_do() -> None:
    async with health({}) as server:
        port = server.port
        second = HealthServer(host="127.0.0.1", port=port, checks={})
        with pytest.raises(PortTaken) as refused:
            await second.start()
    line = str(refused.value)
    assert line.startswith(f"Cannot listen on 127.0.0.1:{port} for health: ")
    assert "STREAMS_HTTP_PORT" in line
    assert line.isprintable()


async def test_a_host_that_is_not_of_this_machine_is_told_the_same_way() -> None:
    with pytest.raises(PortTaken, match=r"Cannot listen on 192\.0\.2\.1:0"):
        await HealthServer(host="192.0.2.1", port=0, checks={}).start()


async def test_stopping_needs_no_start_and_can_be_repeated() -> None:
    server = HealthServer(host="127.0.0.1", port=0, checks={})
    await server.stop()
    await server.start()
    await server.stop()
    await server.stop()
    assert server.port == 0

"""Whatever the broker does ends within a deadline, as an EpochOver, and a cancellation stays one."""

import asyncio

import pytest
from aiormq.exceptions import (
    AMQPConnectionError,
    ChannelInvalidStateError,
    ChannelPreconditionFailed,
    InvalidFrameError,
)

from worker.amqp.deadline import deadline, reason
from worker.service.ports import EpochOver


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (ChannelPreconditionFailed("PRECONDITION_FAILED - inequivalent arg"), "PRECONDITION_FAILED"),
        (ChannelInvalidStateError("closed"), "ChannelInvalidStateError closed"),
        (AMQPConnectionError(111, "Connect call failed"), "AMQPConnectionError 111 Connect call failed"),
        (ConnectionRefusedError(111, "Connection refused"), "111"),
        (asyncio.IncompleteReadError(b"", 7), "IncompleteReadError"),
        (StopAsyncIteration(), "StopAsyncIteration"),
        (Exception(), "the connection was closed"),
        (asyncio.CancelledError(), "the connection was given up"),
    ],
)
async def test_a_connection_that_is_gone_ends_the_epoch(error: BaseException, said: str) -> None:
    with pytest.raises(EpochOver, match=said) as over:
        async with deadline("consuming", 5):
            raise error

    assert str(over.value).startswith("consuming: ")


async def test_a_defect_is_none_of_them() -> None:
    with pytest.raises(KeyError):
        async with deadline("consuming", 5):
            raise KeyError("a defect")


async def test_a_broker_that_says_nothing_ends_the_epoch() -> None:
    with pytest.raises(EpochOver, match=r"^consuming: no answer within 0\.01 s$"):
        async with deadline("consuming", 0.01):
            await asyncio.Event().wait()


async def test_a_task_that_is_cancelled_is_cancelled() -> None:
    async def work() -> None:
        async with deadline("consuming", 5):
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    await asyncio.sleep(0)
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task


async def test_the_end_of_an_epoch_passes_through() -> None:
    with pytest.raises(EpochOver, match=r"^as it was$"):
        async with deadline("consuming", 5):
            raise EpochOver("as it was")


async def test_a_defect_of_ours_is_not_hidden() -> None:
    with pytest.raises(ZeroDivisionError):
        async with deadline("consuming", 5):
            raise ZeroDivisionError


def test_a_reason_has_no_address_of_an_object() -> None:
    error = InvalidFrameError("Expected one of [x], got <Connection.Close object at 0x7f0a1b2c3d4e>")

    assert reason(error) == "InvalidFrameError Expected one of [x], got <Connection.Close>"

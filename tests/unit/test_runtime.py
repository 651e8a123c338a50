"""The life of the process: epochs one after another, for ever; then stop and drain."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from worker.runtime import Established, Lifecycle, run_until_stopped
from worker.service.ports import EpochOver

QUICK = Lifecycle(drain_timeout_s=30, reconnect_min_s=0.0001, reconnect_max_s=0.0004, steady_s=60)
DEADLINE_S = 30


class WrongSetting(EpochOver):
    """What nobody can do anything about but a person."""


class Epochs:
    """Epochs that do one thing each, in turn; after the last, the process is asked to stop."""

    def __init__(self, *turns: Callable[[Established], Awaitable[None]]) -> None:
        self.stopping = asyncio.Event()
        self.number = 0
        self._turns = turns

    async def run(self, established: Established) -> None:
        self.number += 1
        if self.number > len(self._turns):
            self.stopping.set()
            return
        await self._turns[self.number - 1](established)

    async def live(self, lifecycle: Lifecycle = QUICK) -> None:
        async with asyncio.timeout(DEADLINE_S):
            await run_until_stopped(self.run, self.stopping, lifecycle, fatal_at_start=(WrongSetting,))


async def over(_: Established) -> None:
    raise EpochOver("the broker went away")


async def over_later(established: Established) -> None:
    established()
    raise EpochOver("the broker went away")


async def wrong(_: Established) -> None:
    raise WrongSetting("an exchange is missing")


async def wrong_later(established: Established) -> None:
    established()
    raise WrongSetting("an exchange is missing")


async def defect(_: Established) -> None:
    raise ZeroDivisionError("a defect")


def pauses_s(caplog: pytest.LogCaptureFixture) -> list[float]:
    return [vars(record)["next_in_s"] for record in caplog.records if record.message == "epoch.over"]


async def test_epochs_follow_each_other_until_the_worker_is_stopped(caplog: pytest.LogCaptureFixture) -> None:
    epochs = Epochs(over, over_later, over)

    await epochs.live()

    assert epochs.number == 4
    told = [(vars(r)["epoch"], vars(r)["reason"]) for r in caplog.records if r.message == "epoch.over"]
    assert told == [(number, "the broker went away") for number in (1, 2, 3)]


async def test_the_pauses_between_epochs_grow(caplog: pytest.LogCaptureFixture) -> None:
    lifecycle = Lifecycle(reconnect_min_s=0.02, reconnect_max_s=0.08, steady_s=60)

    await Epochs(over, over, over, over).live(lifecycle)

    for step_s, pause_s in zip([0.02, 0.04, 0.08, 0.08], pauses_s(caplog), strict=True):
        assert step_s / 2 <= pause_s <= step_s


async def test_after_an_epoch_that_lasted_the_pause_is_short_again(caplog: pytest.LogCaptureFixture) -> None:
    lifecycle = Lifecycle(reconnect_min_s=0.02, reconnect_max_s=10, steady_s=0)

    await Epochs(over, over, over, over).live(lifecycle)

    assert all(0.01 <= pause_s <= 0.02 for pause_s in pauses_s(caplog))
    assert len(pauses_s(caplog)) == 4


async def test_the_worker_can_be_stopped_between_two_epochs() -> None:
    async def over_and_stop(_: Established) -> None:
        asyncio.get_running_loop().call_soon(epochs.stopping.set)
        raise EpochOver("the broker went away")

    epochs = Epochs(over_and_stop, over)
    await epochs.live(Lifecycle(reconnect_min_s=60, reconnect_max_s=60))

    assert epochs.number == 1


async def test_what_only_a_person_can_mend_ends_the_process_at_the_start() -> None:
    epochs = Epochs(over, wrong, over)

    with pytest.raises(WrongSetting):
        await epochs.live()

    assert epochs.number == 2


async def test_later_the_same_is_tried_for_ever() -> None:
    epochs = Epochs(over_later, wrong, wrong_later)

    await epochs.live()

    assert epochs.number == 4


async def test_a_defect_ends_the_process() -> None:
    epochs = Epochs(over_later, defect, over)

    with pytest.raises(ZeroDivisionError, match="a defect"):
        await epochs.live()

    assert epochs.number == 2


async def test_stopping_lets_the_epoch_finish() -> None:
    finished: list[bool] = []

    async def drain(established: Established) -> None:
        established()
        epochs.stopping.set()
        await asyncio.sleep(0.01)
        finished.append(True)

    epochs = Epochs(drain)
    await epochs.live()

    assert finished == [True]
    assert epochs.number == 1


async def test_an_epoch_that_does_not_finish_in_time_is_cut_short(caplog: pytest.LogCaptureFixture) -> None:
    cancelled: list[bool] = []

    async def hang(_: Established) -> None:
        epochs.stopping.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(True)
            raise

    epochs = Epochs(hang)
    await epochs.live(Lifecycle(drain_timeout_s=0.01))

    assert cancelled == [True]
    assert [vars(r)["timeout_s"] for r in caplog.records if r.message == "drain.unfinished"] == [0.01]


async def test_a_defect_while_draining_is_not_hidden() -> None:
    async def fail(established: Established) -> None:
        established()
        epochs.stopping.set()
        await asyncio.sleep(0)
        raise ZeroDivisionError("a defect")

    epochs = Epochs(fail)
    with pytest.raises(ZeroDivisionError, match="a defect"):
        await epochs.live()


async def test_a_lost_connection_while_draining_is_the_end_too() -> None:
    async def lose(established: Established) -> None:
        established()
        epochs.stopping.set()
        await asyncio.sleep(0)
        raise EpochOver("the broker went away")

    epochs = Epochs(lose, over)
    await epochs.live(Lifecycle(reconnect_min_s=60, reconnect_max_s=60))

    assert epochs.number == 1


async def test_cancelling_the_whole_cancels_the_epoch() -> None:
    started = asyncio.Event()

    async def hang(_: Established) -> None:
        started.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(Epochs(hang).live())
    await started.wait()
    task.cancel()

    with pytest.raises(asyncio.CancelledError):
        await task

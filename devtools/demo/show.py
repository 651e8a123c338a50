"""The demo as it runs, from the broker's start to the last thing that was waited for."""

import asyncio
from contextlib import aclosing, suppress
from typing import Final

from devtools.demo.acts import Throw
from devtools.demo.board import Mood
from devtools.demo.books import Books, books
from devtools.demo.client import fact_of
from devtools.demo.keeper import keep_worker, start_worker, watch
from devtools.demo.player import Player
from devtools.demo.scene import Scene
from devtools.demo.stones import dead_letters
from stream_client import EventSubscriber

_LOOK_S: Final = 0.05
_UNDER_WAY_WITHIN_S: Final = 5.0
_AN_END_SHOWS_WITHIN_S: Final = 1.0


async def show(scene: Scene) -> Books:
    """Play all of it and return the books, those so far where somebody wants the end.

    Raises ServerFailure where there is no broker to be had, or it or the worker ends by itself.
    """
    scene.board.tell("broker", "a private RabbitMQ starts", Mood.NEWS)
    await asyncio.to_thread(scene.house.start_broker, cancelled=scene.ending.wanted.is_set)
    scene.board.tell("worker", "starts, on an empty SQLite file", Mood.NEWS)
    await start_worker(scene)
    if scene.ending.wanted.is_set():
        return books(scene.board.ledger, is_over=False)
    playing = asyncio.create_task(_play(scene))
    try:
        await _until_over(playing, scene)
    finally:
        playing.cancel()
        await asyncio.wait({playing})
    if not playing.cancelled() and (error := playing.exception()) is not None:
        await _look_for_its_reason(scene)
        raise _first(error)
    return books(scene.board.ledger, is_over=not scene.ending.wanted.is_set())


async def _look_for_its_reason(scene: Scene) -> None:
    """Raise StartFailed where a server has ended: what fails by that may fail a little before the end shows."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_AN_END_SHOWS_WITHIN_S):
            await watch(scene)


def _first(error: BaseException) -> BaseException:
    """Return what a group of errors began with."""
    return _first(error.exceptions[0]) if isinstance(error, BaseExceptionGroup) else error


async def _until_over(playing: asyncio.Task[None], scene: Scene) -> None:
    """Wait for it, and where somebody wants the end, for what is under way."""
    wanted = asyncio.create_task(scene.ending.wanted.wait())
    at_once = asyncio.create_task(scene.ending.at_once.wait())
    try:
        await asyncio.wait({playing, wanted}, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait({playing, at_once}, timeout=_UNDER_WAY_WITHIN_S, return_when=asyncio.FIRST_COMPLETED)
    finally:
        wanted.cancel()
        at_once.cancel()


async def _play(scene: Scene) -> None:
    """Play until every part is over and what came of it was heard."""
    url = scene.house.url
    # Gaps are for the books to find: they know what has to be there.
    async with EventSubscriber(url, on_gap=None) as events, asyncio.TaskGroup() as group:
        scene.board.begin()
        endless = [
            group.create_task(_hear(events, scene)),
            group.create_task(_bury(scene)),
            group.create_task(watch(scene)),
        ]
        async with asyncio.TaskGroup() as players:
            players.create_task(keep_worker(scene))
            for part in scene.board.parts:
                players.create_task(Player(part, scene).play())
        # What should not come has the rest of the time to come.
        await scene.reaches(1)
        await _settle(scene)
        for task in endless:
            task.cancel()


async def _settle(scene: Scene) -> None:
    """Wait until nothing is under way any more, or so long that it will not come."""
    with suppress(TimeoutError):
        async with asyncio.timeout(scene.patience_s):
            while books(scene.board.ledger, is_over=False).under_way:  # noqa: ASYNC110 - it comes in many ways
                await asyncio.sleep(_LOOK_S)


async def _hear(events: EventSubscriber, scene: Scene) -> None:
    board = scene.board
    async for event in events:
        fact = fact_of(event)
        board.ledger.facts.append(fact)
        if board.note(fact):
            board.tell(fact.device_id, f"{fact.kind}  {fact.code}  #{fact.sequence}", Mood.EVENT)


async def _bury(scene: Scene) -> None:
    board = scene.board
    throws = {
        act.body: (part.device_id, act.spoilt.value)
        for part in board.parts
        for act in part.acts
        if isinstance(act, Throw)
    }
    async with aclosing(dead_letters(scene.house.url)) as letters:
        async for letter in letters:
            board.ledger.letters.append(letter)
            who, what = throws.get(letter.body, ("worker", "a command of somebody else"))
            board.tell(who, f"{what}: dead letter, {letter.reason}", Mood.HOSTILE)

"""A device as it plays its part."""

import asyncio
from dataclasses import replace
from typing import Final

from devtools.demo.acts import Act, Ask, Part, Throw, Vanish
from devtools.demo.board import Mood
from devtools.demo.client import Phone
from devtools.demo.ledger import Answer, Asked
from devtools.demo.scene import Scene
from devtools.demo.stones import throw
from devtools.demo.telling import remark

_BREATH_S: Final = 0.3


class Player:
    """Does one thing after the other, and waits for each answer, however long it takes.

    Nothing is skipped where the machine is slow: it all takes longer then.
    """

    def __init__(self, part: Part, scene: Scene) -> None:
        self._part = part
        self._scene = scene
        self._phone = Phone(scene.house.url, patience_s=scene.patience_s)

    async def play(self) -> None:
        """Play it to its end, or until somebody wants the end."""
        try:
            for act in self._part.acts:
                if not await self._scene.reaches(act.at):
                    return
                await self._do(act)
        finally:
            await self._phone.hang_up()

    async def _do(self, act: Act) -> None:
        match act:
            case Ask():
                await self._ask(act)
            case Vanish():
                await self._vanish(act.ask)
            case Throw():
                self._scene.board.ledger.thrown[act.body] = act.expects
                await throw(self._scene.house.url, act)

    async def _ask(self, ask: Ask) -> None:
        before = self._known_answer(ask)
        numbers = [self._sent(ask) for _ in range(ask.times)]
        answers = await asyncio.gather(*(self._heard(number, ask) for number in numbers))
        told = remark(ask, [answer for answer in answers if answer is not None], before=before)
        if told is not None:
            self._scene.board.tell(self._part.device_id, *told)

    async def _vanish(self, ask: Ask) -> None:
        """Ask while the worker is away, lose the connection, and ask the same when the worker is back."""
        scene, me = self._scene, self._part.device_id
        if not await scene.ending.see(scene.worker_is_gone):
            return
        number = self._sent(ask)
        asking = asyncio.create_task(self._heard(number, ask))
        await asyncio.wait({asking}, timeout=_BREATH_S)
        if not asking.done():
            asking.cancel()
            scene.board.ledger.abandoned.add(number)
            scene.board.tell(me, "dies before it has an answer", Mood.ODD)
        await asyncio.wait({asking})
        await self._phone.hang_up()
        self._phone = Phone(scene.house.url, patience_s=scene.patience_s)
        if await scene.ending.see(scene.worker_is_back):
            await self._ask(replace(ask, telling="lives again, asks the same"))

    def _sent(self, ask: Ask) -> int:
        """Write down that it is sent now."""
        return self._scene.board.ledger.ask(
            Asked(
                device_id=self._part.device_id,
                command=ask.command,
                body=ask.body,
                message_id=ask.message_id,
                expects=ask.expects,
            )
        )

    async def _heard(self, number: int, ask: Ask) -> Answer | None:
        """Send it, and write its answer down."""
        answer = await self._phone.ask(ask.command, ask.body, ask.message_id)
        if answer is not None:
            self._scene.board.ledger.answers[number] = answer
        return answer

    def _known_answer(self, ask: Ask) -> Answer | None:
        """Return what the same command was told before."""
        ledger = self._scene.board.ledger
        for number, answer in ledger.answers.items():
            asked = ledger.asked[number]
            if (asked.message_id, asked.command, asked.body) == (ask.message_id, ask.command, ask.body):
                return answer
        return None

"""Writes a device's part, and knows what each of its commands is owed."""

import json
from typing import Final

from devtools.demo.acts import Act, Ask, Vanish
from schemas import CommandName, Outcome, ProblemCode

_TWICE_AT_ONCE: Final = "says it twice"
_SAME_AGAIN: Final = "says it again"


class Pen:
    """A device asks for itself only, and waits for each answer before it goes on: so each is known before."""

    def __init__(self, device_id: str) -> None:
        """Begin an empty part."""
        self.acts: list[Act] = []
        self.is_active = False
        self._device_id = device_id
        self._has_been = False
        self._count = 0

    def create(self, at: float, *, times: int = 1, telling: str = "") -> None:
        """Begin a stream."""
        expects = Outcome.REUSED if self.is_active else Outcome.CREATED
        self.is_active = self._has_been = True
        self._write(at, CommandName.CREATE, expects, times=times, telling=telling)

    def stop(self, at: float, *, times: int = 1, telling: str = "") -> None:
        """End it."""
        expects = Outcome.STOPPED if self.is_active else self._over(Outcome.ALREADY_STOPPED)
        self.is_active = False
        self._write(at, CommandName.STOP, expects, times=times, telling=telling)

    def get(self, at: float, *, times: int = 1) -> None:
        """Look at it."""
        self._write(at, CommandName.GET, self._over(Outcome.FOUND), times=times)

    def same_again(self, at: float) -> None:
        """Send the last command once more, as it was."""
        last = self._last
        self._add(at, last.command, last.body, last.message_id, last.expects, telling=_SAME_AGAIN)

    def same_name(self, at: float) -> None:
        """Use the last command's message id for another command."""
        last, telling = self._last, "reuses a message_id"
        self._add(at, CommandName.GET, last.body, last.message_id, ProblemCode.MESSAGE_ID_REUSED, telling=telling)

    def vanish(self, at: float) -> None:
        """Begin a stream, and be gone before the answer."""
        self.create(at)
        ask = self._last
        self.acts[-1] = Vanish(ask=ask)

    def odd(self, at: float, command: str, body: object, expects: str, *, telling: str) -> None:
        """Send what nobody should."""
        self._add(at, command, json.dumps(body), self._new_name(), expects, telling=telling)

    @property
    def _last(self) -> Ask:
        return next(act for act in reversed(self.acts) if isinstance(act, Ask))

    def _over(self, outcome: str) -> str:
        return outcome if self._has_been else ProblemCode.NOT_FOUND

    def _write(self, at: float, command: str, expects: str, *, times: int = 1, telling: str = "") -> None:
        body = json.dumps({"device_id": self._device_id})
        telling = telling or (_TWICE_AT_ONCE if times > 1 else "")
        self._add(at, command, body, self._new_name(), expects, times=times, telling=telling)

    def _add(
        self,
        at: float,
        command: str,
        body: str,
        message_id: str,
        expects: str,
        *,
        times: int = 1,
        telling: str = "",
    ) -> None:
        self.acts.append(
            Ask(
                at=at,
                command=command,
                body=body,
                message_id=message_id,
                expects=expects,
                times=times,
                telling=telling,
            )
        )

    def _new_name(self) -> str:
        self._count += 1
        return f"{self._device_id}/{self._count}"

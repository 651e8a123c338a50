"""What is asked: commands of all kinds, by a seed, with the habits of devices that mean well and are confused."""

import json
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random
from typing import Final

REMEMBERED_MAX: Final = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Mix:
    """Shares, from 0 to 1. What is neither create nor stop is get.

    `by_stream`: of stops and gets, by a stream's id or code in place of its device, once one is known.
    `repeat`: an earlier command again; `at_once`: a command twice at the same moment; `misuse`: an earlier message
    id for another command. `direct`: to be answered by direct reply-to. `nameless`: without a message id.
    """

    create: float = 0.5
    stop: float = 0.3
    by_stream: float = 0.4
    repeat: float = 0.06
    at_once: float = 0.05
    misuse: float = 0.03
    direct: float = 0.4
    nameless: float = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """What somebody wants to ask, and how it wants to hear the answer."""

    kind: str
    body: bytes
    message_id: str | None
    is_direct: bool


class KnownStreams:
    """The streams that answers have spoken of: ids and codes get around."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def learn(self, answer: bytes) -> None:
        """Remember the stream of an answer, if it has one."""
        stream = json.loads(answer).get("stream")
        if stream:
            self._names[stream["id"]] = stream["code"]

    def choose(self, rng: Random) -> dict[str, str] | None:
        """Return one by its id or by its code, as the body of a command; None where none is known."""
        if not self._names:
            return None
        stream_id, code = rng.choice(list(self._names.items())[-REMEMBERED_MAX:])
        return rng.choice([{"stream_id": stream_id}, {"code": code}])


class Load:
    """The commands of one party, one after another. What is known of streams is all that is not by the seed."""

    def __init__(self, *, seed: str, devices: Sequence[str], known: KnownStreams, mix: Mix) -> None:
        self._rng = Random(seed)
        self._devices = devices
        self.known = known
        self._mix = mix
        self._earlier: deque[Command] = deque(maxlen=REMEMBERED_MAX)

    def next(self) -> Sequence[Command]:
        """Return what is asked at the next moment: one command as a rule, a command and its repeat at times."""
        chance = self._rng.random()
        for share, salvo in (
            (self._mix.repeat, self._repeat),
            (self._mix.misuse, self._misuse),
            (self._mix.at_once, self._at_once),
        ):
            if chance < share:
                return salvo()
            chance -= share
        return [self._new(is_nameless=self._rng.random() < self._mix.nameless)]

    def _repeat(self) -> Sequence[Command]:
        if not self._earlier:
            return [self._new()]
        return [replace(self._rng.choice(self._earlier), is_direct=self._is_direct())]

    def _misuse(self) -> Sequence[Command]:
        """Ask for a device that no load speaks of otherwise: the body is other than any before."""
        if not self._earlier:
            return [self._new()]
        body = json.dumps({"device_id": f"nobody-{self._rng.getrandbits(64):x}"}).encode()
        return [replace(self._rng.choice(self._earlier), body=body, is_direct=self._is_direct())]

    def _at_once(self) -> Sequence[Command]:
        new = self._new()
        return [new, replace(new, is_direct=not new.is_direct)]

    def _new(self, *, is_nameless: bool = False) -> Command:
        kind = self._kind()
        message_id = None if is_nameless else f"{self._rng.getrandbits(128):032x}"
        command = Command(
            kind=f"stream.{kind}", body=self._body(kind), message_id=message_id, is_direct=self._is_direct()
        )
        if message_id:
            self._earlier.append(command)
        return command

    def _kind(self) -> str:
        mix = self._mix
        shares = [mix.create, mix.stop, 1 - mix.create - mix.stop]
        return self._rng.choices(["create", "stop", "get"], shares)[0]

    def _body(self, kind: str) -> bytes:
        named = {"device_id": self._rng.choice(self._devices)}
        if kind != "create" and self._rng.random() < self._mix.by_stream:
            named = self.known.choose(self._rng) or named
        return json.dumps(named).encode()

    def _is_direct(self) -> bool:
        return self._rng.random() < self._mix.direct

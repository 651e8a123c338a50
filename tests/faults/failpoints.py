"""Named instants in the life of a batch, at which a worker of the tests can be killed, stopped, failed or delayed.

They stand between the pipeline and its ports, let in through the composition root: the worker itself has no code
for them. `python -m tests.faults.worker` runs one, told by `FAILPOINT=name:action:nth`.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

DELAY_S = 3.0
HIT = "failpoint"  # how the line begins by which it tells on standard error that it was reached


class Point(StrEnum):
    """The instants, in the order in which a batch passes them."""

    AFTER_RECEIVE = "after_receive"  # K1: deliveries are in hand
    AFTER_PARSE = "after_parse"  # K2: they are read, and their transaction has done nothing yet
    TX_BEGUN = "tx_begun"  # K3: it has loaded what they are about, and locked it but for one alone
    BEFORE_COMMIT = "before_commit"  # K4: everything is written, or about to be in one; nothing committed
    IN_COMMIT = "in_commit"  # K5: COMMIT is on its way, or what commits itself
    AFTER_COMMIT = "after_commit"  # K6: committed, nothing said
    AFTER_FIRST_PUBLISH = "after_first_publish"  # K7: one message of several is out
    BEFORE_CONFIRM = "before_confirm"  # K8: all are written, no confirm was heard
    AFTER_HALF_CONFIRMS = "after_half_confirms"  # K9: half is confirmed, the rest written
    AFTER_CONFIRMS = "after_confirms"  # K10: all are confirmed, nothing acknowledged
    AFTER_MARK = "after_mark"  # K11: the events are marked as published
    AFTER_ACK = "after_ack"  # K12: the acknowledgement is written
    RELAY_CLAIMED = "relay_claimed"  # K13: the relay has taken events over, and not published them
    RELAY_PUBLISHED = "relay_published"  # K14: it has published them, and not marked them
    IN_DRAIN = "in_drain"  # K15: asked to stop, and finishing
    IN_RECONNECT = "in_reconnect"  # K16: a new epoch begins


class Action(StrEnum):
    """What happens there."""

    KILL = "kill"
    STOP = "stop"  # SIGSTOP: somebody has to send SIGCONT
    RAISE = "raise"
    DELAY = "delay"


# No code of ours runs at these: nobody could raise or wait there.
FOR_ENDS_ONLY = {Point.IN_COMMIT, Point.AFTER_FIRST_PUBLISH, Point.BEFORE_CONFIRM, Point.AFTER_HALF_CONFIRMS}
ENDS = {Action.KILL, Action.STOP}


class FailpointHit(Exception):
    """What `raise` raises: nobody knows it, so it is a defect to everybody."""


def _act(action: Action) -> None:
    os.kill(os.getpid(), signal.SIGKILL if action is Action.KILL else signal.SIGSTOP)


@dataclass(slots=True, kw_only=True)
class Failpoint:
    """One instant at which something happens, once: at its n-th passing."""

    point: Point
    action: Action
    nth: int
    passed: int = 0
    act: Callable[[Action], None] = field(default=_act)

    @classmethod
    def parse(cls, written: str) -> "Failpoint":
        """Read `name:action:nth`. Raises ValueError, also for an action that cannot happen at that instant."""
        name, what, nth = written.split(":")
        point, action = Point(name), Action(what)
        if point in FOR_ENDS_ONLY and action not in ENDS:
            raise ValueError(f"at {point} a worker can only be ended or frozen, not {action}")
        return cls(point=point, action=action, nth=int(nth))

    def is_now(self, point: Point) -> bool:
        """Count a passing; whether this is the one."""
        if point is not self.point:
            return False
        self.passed += 1
        return self.passed == self.nth

    async def passes(self, point: Point) -> None:
        """Pass an instant. Raises FailpointHit."""
        if not self.is_now(point):
            return
        match self.action:
            case Action.RAISE:
                self._say()
                raise FailpointHit(point)
            case Action.DELAY:
                self._say()
                await asyncio.sleep(DELAY_S)
            case _:
                self.end()

    def end(self) -> None:
        """End or freeze the process: what is done at an instant that only these two can stand at."""
        self._say()
        self.act(self.action)

    def _say(self) -> None:
        sys.stderr.write(f"{HIT} {self.point} {self.action}\n")
        sys.stderr.flush()

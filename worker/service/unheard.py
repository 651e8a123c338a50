"""Replies that the broker refused, which are said again beside the batches that follow."""

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final

from worker.service.messages import Reply, Said

PAUSES_S: Final = (1.5, 3.0, 4.5)
"""A quorum queue has had another leader long before the last one, and the broker knows of it."""
HELD_EACH_MAX: Final = 16  # of one address, and half of the places: else one full queue would take them all
REMEMBERED_S: Final = 60.0
REMEMBERED_MAX: Final = 1_000  # addresses


@dataclass(frozen=True, slots=True, kw_only=True)
class _Held:
    reply: Reply
    tries: int
    due_s: float


class Unheard:
    """Holds refused replies until their next try, and their deliveries until the last one.

    A broker refuses a reply alike where its queue is full, for days maybe, and where its queue is between two
    leaders, for a second or two. So it is said again after each of `pauses_s`. An address that has refused even
    that has no more patience for `REMEMBERED_S`. What is held when the epoch ends comes again with its command,
    and gets the stored answer.
    """

    def __init__(
        self, *, pauses_s: Sequence[float], held_max: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._pauses_s = pauses_s
        self._held_max = held_max
        self._held_each_max = min(HELD_EACH_MAX, max(1, held_max // 2))
        self._clock = clock
        self._held: deque[_Held] = deque()
        self._tries: dict[int, int] = {}  # of what is being said again, by its delivery
        self._given_up_until_s: dict[str, float] = {}

    @property
    def next_in_s(self) -> float | None:
        """How long until something is to be said again; None where nothing is held."""
        if not self._held:
            return None
        return max(min(held.due_s for held in self._held) - self._clock(), 0.0)

    def with_what_is_due(self, said: Said) -> Said:
        """Return what is to be said, with the replies that are to be said again, and their deliveries."""
        now_s = self._clock()
        due = [held for held in self._held if held.due_s <= now_s]
        self._held = deque(held for held in self._held if held.due_s > now_s)
        self._tries = {held.reply.delivery.tag: held.tries for held in due}
        again = [held.reply for held in due]
        return replace(
            said,
            replies=[*again, *said.replies],
            deliveries=[*(reply.delivery for reply in again), *said.deliveries],
        )

    def takes(self, reply: Reply) -> bool:
        """Take a refused reply and its delivery until the next try; False where it has none."""
        tries = self._tries.get(reply.delivery.tag, 0)
        if tries == len(self._pauses_s):
            self._give_up(reply.to.address)
        if self._is_given_up(reply.to.address) or not self._has_room_for(reply.to.address):
            return False
        self._held.append(_Held(reply=reply, tries=tries + 1, due_s=self._clock() + self._pauses_s[tries]))
        return True

    def _has_room_for(self, address: str) -> bool:
        of_address = sum(held.reply.to.address == address for held in self._held)
        return len(self._held) < self._held_max and of_address < self._held_each_max

    def _give_up(self, address: str) -> None:
        self._given_up_until_s.pop(address, None)
        if len(self._given_up_until_s) == REMEMBERED_MAX:
            del self._given_up_until_s[next(iter(self._given_up_until_s))]
        self._given_up_until_s[address] = self._clock() + REMEMBERED_S

    def _is_given_up(self, address: str) -> bool:
        return self._given_up_until_s.get(address, 0.0) > self._clock()

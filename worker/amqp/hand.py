"""What an epoch has in hand."""

import asyncio
from collections.abc import Iterable


class Pile:
    """Counts the deliveries from one queue: those that arrived and those that are settled."""

    def __init__(self) -> None:
        self.arrived = 0
        self.settled = 0

    @property
    def unsettled(self) -> int:
        """How many have arrived and are not settled: taken or not, nobody else gets them."""
        return self.arrived - self.settled


class Hand(Pile):
    """Counts an epoch's deliveries: the consumer those that arrive, the settlement those that are settled.

    `moved` is set whenever one of both happens; who waits for it clears it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.moved = asyncio.Event()
        self._kept_back: set[int] = set()
        self._piles: dict[int, Pile] = {}

    def arrive(self, tag: int, pile: Pile) -> None:
        """Count a delivery in, all in all and on the pile of its queue."""
        self._piles[tag] = pile
        pile.arrived += 1
        self.arrived += 1
        self.moved.set()

    def pile_of(self, tag: int) -> Pile | None:
        """Return the pile that a delivery lies on until it is settled."""
        return self._piles.get(tag)

    @property
    def undone(self) -> int:
        """How many are unsettled, and not because their acknowledgement is kept back."""
        return self.unsettled - len(self._kept_back)

    def keep_back(self, tag: int) -> None:
        """A delivery is done, and its acknowledgement is kept back for now."""
        self._kept_back.add(tag)
        self.moved.set()

    def settle(self, tags: Iterable[int]) -> None:
        """Count deliveries out."""
        for tag in tags:
            self.settled += 1
            self._kept_back.discard(tag)
            if (pile := self._piles.pop(tag, None)) is not None:
                pile.settled += 1
        self.moved.set()

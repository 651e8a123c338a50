"""The deliveries that have arrived and were not taken yet."""

import random
from collections import deque
from collections.abc import Sequence

from worker.amqp.delivery import AmqpDelivery
from worker.amqp.hand import Hand
from worker.service.caution import RETURNS_MAX


class Line:
    """Hands deliveries out in the order of their arrival; from partitions, each device's.

    A partition's prefetch is never narrow, so what ends the process costs all that is in hand a delivery count,
    again and again. Therefore a delivery that came back more than `RETURNS_MAX` times is put aside, and what came
    back of its device after it; what else came back goes first, and nothing new goes, its device's neither, for
    that might have no end. Then they go one by one, each when all before is done, the devices in an order that is
    another one each time: the guilty one has its turn early or late, and every other one before it some time.
    """

    def __init__(self, hand: Hand, *, puts_aside: bool) -> None:
        self._hand = hand
        self._puts_aside = puts_aside
        self._waiting: deque[AmqpDelivery] = deque()
        self._aside: dict[str, deque[AmqpDelivery]] = {}

    def __bool__(self) -> bool:
        return bool(self._waiting or self._aside)

    @property
    def is_careful(self) -> bool:
        """Whether something is put aside."""
        return bool(self._aside)

    def add(self, delivery: AmqpDelivery) -> None:
        """Put a delivery to the end of the line."""
        self._waiting.append(delivery)

    def next(self, limit: int) -> Sequence[AmqpDelivery]:
        """Take out what may go now, `limit` at most; nothing where all has to wait for what was taken before."""
        batch: list[AmqpDelivery] = []
        new: deque[AmqpDelivery] = deque()
        while self._waiting and len(batch) < limit:
            delivery = self._waiting.popleft()
            if self._puts_aside and self._is_put_aside(delivery):
                continue
            (new if self._aside and not delivery.redelivered else batch).append(delivery)
        self._waiting.extendleft(reversed(new))
        return batch or self._one_of_those_aside()

    def _is_put_aside(self, delivery: AmqpDelivery) -> bool:
        is_behind = delivery.redelivered and delivery.routing_key in self._aside
        if not is_behind and delivery.delivery_count <= RETURNS_MAX:
            return False
        self._aside.setdefault(delivery.routing_key, deque()).append(delivery)
        return True

    def _one_of_those_aside(self) -> Sequence[AmqpDelivery]:
        left = len(self._waiting) + sum(map(len, self._aside.values()))
        if not self._aside or self._hand.undone > left:
            return []
        device = random.choice(list(self._aside))  # noqa: S311 - nothing secret
        delivery = self._aside[device].popleft()
        if not self._aside[device]:
            del self._aside[device]
        return [delivery]

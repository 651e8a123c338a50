"""When a consumer may go wide: not while what it takes may be what ended the last process."""

from collections.abc import Sequence
from typing import Final

from worker.service.messages import Delivery

RETURNS_MAX: Final = 2
"""A delivery that came back more often may be what ends the epochs."""


class Caution:
    """What a process knows of the danger in its queue; it outlives the epochs, and the process forgets it."""

    def __init__(self) -> None:
        self._is_past_the_old = False

    def lets_widen(self, deliveries: Sequence[Delivery]) -> bool:
        """Whether a batch that has gone all the way shows that more may be in hand than one.

        In a new process only one without a redelivered message does: what stands in front of the queue then may
        have ended the process before. Once past that, any batch does, for a lost connection is nobody's fault, as
        long as nothing in it came back more than `RETURNS_MAX` times.
        """
        if deliveries and not any(delivery.redelivered for delivery in deliveries):
            self._is_past_the_old = True
        return (
            bool(deliveries)
            and self._is_past_the_old
            and all(delivery.delivery_count <= RETURNS_MAX for delivery in deliveries)
        )

"""What an epoch has in hand."""


class Hand:
    """Counts an epoch's deliveries: the consumer those that arrive, the settlement those that are settled."""

    def __init__(self) -> None:
        self.arrived = 0
        self.settled = 0

    @property
    def unsettled(self) -> int:
        """How many have arrived and are not settled: taken or not, nobody else gets them."""
        return self.arrived - self.settled

"""Whether a well-formed command is let in: authorisation, then rate, then age."""

from schemas import Problem, ProblemCode
from worker.amqp.codec.age import AgeLimit
from worker.amqp.codec.authority import Authority
from worker.amqp.codec.rates import SenderRates
from worker.amqp.delivery import AmqpDelivery
from worker.domain.commands import Command


class Admission:
    """Asked once a delivery. What it refuses is never remembered: the answer is made of the message, the clock
    and the sender's rate.
    """

    def __init__(self, *, authority: Authority, rates: SenderRates | None, age: AgeLimit) -> None:
        """Without `rates` everybody may ask as fast as they like."""
        self._authority = authority
        self._rates = rates
        self._age = age

    def objection(self, delivery: AmqpDelivery, command: Command) -> Problem | None:
        """Return the problem that the command earns; None where it is let in. The first that applies decides."""
        return self._forbidden(delivery, command) or self._too_many_requests(delivery) or self._expired(delivery)

    def only_for(self, delivery: AmqpDelivery, command: Command) -> str | None:
        """Return the only device whose streams the command may mean by id, or stop by code; None for any."""
        return self._authority.only_for(delivery.properties.user_id or "", command)

    def _forbidden(self, delivery: AmqpDelivery, command: Command) -> Problem | None:
        detail = self._authority.objection(delivery.properties, command)
        return Problem.make(ProblemCode.FORBIDDEN, detail) if detail else None

    def _too_many_requests(self, delivery: AmqpDelivery) -> Problem | None:
        """What is delivered again is not charged again: it may be carried out already, and its sender waits for
        an answer that is stored.
        """
        if self._rates is None or delivery.redelivered:
            return None
        wait_s = self._rates.wait_s(delivery.properties.user_id or "")
        if wait_s is None:
            return None
        detail = f"This sender asks faster than it may. Ask again in {wait_s} seconds."
        return Problem.make(ProblemCode.TOO_MANY_REQUESTS, detail, retry_after_s=wait_s)

    def _expired(self, delivery: AmqpDelivery) -> Problem | None:
        detail = self._age.objection(delivery.properties.timestamp)
        return Problem.make(ProblemCode.EXPIRED, detail) if detail else None

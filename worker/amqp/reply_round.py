"""One round of direct replies: whose turn it is, and how each ended."""

import logging
from collections import Counter
from collections.abc import Sequence
from typing import Final

from worker.amqp.messages import WireMessage
from worker.amqp.reputation import Reputation, kin_of
from worker.service.messages import Confirmation

log = logging.getLogger(__name__)

TURN_MAX: Final = 16  # once the connection has ended: what is behind the next one to end it is sent for nothing


class ReplyRound:
    """The replies of one batch, by their places in it. Those to one address keep their order.

    RabbitMQ handles what one channel publishes in order, and has confirmed all before the one at which it ends the
    connection. So the first that is unknown is the suspect: the others go on together without it, and it goes once
    more, alone, at the end.
    """

    def __init__(self, messages: Sequence[WireMessage], reputation: Reputation) -> None:
        self.ends = [Confirmation.UNKNOWN] * len(messages)
        self._has_ended = False
        self._struck: set[str] = set()  # by its kin
        self._messages = messages
        self._kin = [kin_of(message.routing_key) for message in messages]
        self._kin_sizes = Counter(self._kin)
        self._reputation = reputation
        for place in self._left():
            if reputation.is_bad(self._address(place)):
                self.ends[place] = Confirmation.GIVEN_UP

    def next_turn(self) -> list[int]:
        """Return the places that go out next, together; nothing where every end is known.

        Those whose kin have proved good come first: whatever ends the connection, they are out by then. Of the
        unknown the largest kin comes first, as the askers of a node are kin, and what is forged at random is not;
        and last the kin of what ended the connection.
        """
        left = self._left()
        if together := [place for place in left if not self._reputation.is_suspect(self._address(place))]:
            turn = sorted(together, key=self._rank)
            return turn[:TURN_MAX] if self._has_ended else turn
        return [place for place in left if self._address(place) == self._address(left[0])]

    def messages_of(self, turn: Sequence[int]) -> list[WireMessage]:
        """Return the messages at these places."""
        return [self._messages[place] for place in turn]

    def note(self, turn: Sequence[int], confirmations: Sequence[Confirmation], *, condemned: bool) -> None:
        """Note how a turn went, and whether the broker ended the connection for it."""
        for place, confirmation in zip(turn, confirmations, strict=True):
            self.ends[place] = confirmation
            if confirmation is Confirmation.CONFIRMED:
                self._reputation.confirmed(self._address(place))
        unknown = [place for place in turn if self.ends[place] is Confirmation.UNKNOWN]
        self._has_ended = self._has_ended or condemned
        if condemned and unknown:
            self._strike(self._address(unknown[0]))

    def is_unknown(self, turn: Sequence[int]) -> bool:
        """Whether the end of any of these is."""
        return any(self.ends[place] is Confirmation.UNKNOWN for place in turn)

    def give_up(self) -> int:
        """Refuse all whose end is not known; return how many."""
        left = self._left()
        for place in left:
            self.ends[place] = Confirmation.GIVEN_UP
        return len(left)

    def _rank(self, place: int) -> tuple[bool, bool, int]:
        kin = self._kin[place]
        return not self._reputation.is_good(self._address(place)), kin in self._struck, -self._kin_sizes[kin]

    def _strike(self, address: str) -> None:
        self._reputation.struck(address)
        self._struck.add(kin_of(address))
        if self._reputation.is_bad(address):
            log.warning("direct_reply.ended_the_connection", extra={"reply_to": address})
            for place in self._left():
                if self._address(place) == address:
                    self.ends[place] = Confirmation.GIVEN_UP

    def _left(self) -> list[int]:
        return [place for place, end in enumerate(self.ends) if end is Confirmation.UNKNOWN]

    def _address(self, place: int) -> str:
        return self._messages[place].routing_key

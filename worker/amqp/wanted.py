"""Which dead letters are meant."""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from worker.amqp.letter import Letter


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """All that is given must apply; of several reasons, types, ids or keys one is enough. Nothing given: every
    letter. A letter of unknown age is neither older nor newer than anything.
    """

    reasons: AbstractSet[str] = frozenset()
    types: AbstractSet[str] = frozenset()
    message_ids: AbstractSet[str] = frozenset()
    routing_keys: AbstractSet[str] = frozenset()
    number: int | None = None
    older_than_s: float | None = None
    newer_than_s: float | None = None

    def matches(self, letter: Letter, now: datetime) -> bool:
        """Tell whether the letter is meant. Pure."""
        return self._names(letter) and self._is_of_age(letter.age_s(now))

    def _names(self, letter: Letter) -> bool:
        given = (
            (self.reasons, letter.reason),
            (self.types, letter.type),
            (self.message_ids, letter.message_id),
            (self.routing_keys, letter.routing_key),
        )
        return self.number in {None, letter.number} and all(not some or found in some for some, found in given)

    def _is_of_age(self, age_s: float | None) -> bool:
        if self.older_than_s is None and self.newer_than_s is None:
            return True
        if age_s is None:
            return False
        return (self.older_than_s is None or age_s >= self.older_than_s) and (
            self.newer_than_s is None or age_s < self.newer_than_s
        )

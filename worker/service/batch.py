"""A batch's first half: loaded, decided and saved. What it returns is what is left to say."""

from collections.abc import Callable, Sequence

from worker.service.answering import said_of
from worker.service.decided import Decided, decide_batch, wanted_by
from worker.service.handlers import Mint
from worker.service.messages import Incoming, Received, Said
from worker.service.outstanding import Outstanding
from worker.service.persisting import CONFLICTS_AT_ONCE_MAX, Persistence
from worker.service.ports import Attempt, Renderer


class Batches:
    """Carries batches out, one at a time, each saved whole or not at all. Belongs to one task of one epoch."""

    def __init__(
        self,
        *,
        persistence: Persistence,
        renderer: Renderer,
        mint: Callable[[], Mint],
        outstanding: Outstanding,
    ) -> None:
        self._persistence = persistence
        self._renderer = renderer
        self._mint = mint
        self._outstanding = outstanding

    async def carry_out(self, incoming: Sequence[Incoming]) -> Said:
        """Load, decide and save; return what the batch has to say, in the order in which it came.

        A database that is away holds the batch until it is back: nobody is answered with an error for that.
        Raises EpochOver where that takes too long. Whatever else it raises is the fault of something in the batch.
        """
        commands = [message for message in incoming if isinstance(message, Received)]
        if not commands:
            return said_of(incoming, answers=[], events=[], renderer=self._renderer)
        persist = self._persistence.persist_one if len(commands) == 1 else self._persistence.persist
        decided = await persist(
            lambda attempt: self._decide(attempt, commands),
            # Then the reason is no other worker, but a command that can never be saved. Until it is found nobody
            # knows which it is, and through longer patience all the others would wait with it.
            conflicts_max=CONFLICTS_AT_ONCE_MAX,
        )
        self._persistence.has_saved_a_batch()
        events = self._outstanding.claim(decided.due, cut=decided.cut)
        # Only now: until it is claimed, an event that was just marked would look like one nobody has published.
        self._outstanding.marked(decided.changes.published)
        return said_of(incoming, answers=decided.answers, events=events, renderer=self._renderer)

    async def _decide(self, attempt: Attempt, commands: Sequence[Received]) -> Decided:
        loaded = await attempt.load(wanted_by(commands))
        published = self._outstanding.confirmed
        decided = decide_batch(commands, loaded, mint=self._mint(), renderer=self._renderer, published=published)
        await attempt.save(decided.changes)
        return decided

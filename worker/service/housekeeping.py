"""What the task that carries out batches does beside them."""

from collections.abc import Sequence

from worker.service.messages import Said
from worker.service.outbox import Outbox
from worker.service.pruning import Pruner
from worker.service.relay import Relay


class Housekeeping:
    """Sweeps, prunes and marks, each when it is time. Whatever it does ends within one small transaction."""

    def __init__(self, *, outbox: Outbox, relay: Relay, pruner: Pruner) -> None:
        self._outbox = outbox
        self._relay = relay
        self._pruner = pruner

    async def begin(self) -> Said:
        """Return what the epochs before left unpublished. Raises EpochOver."""
        return await self._relay.sweep()

    async def do_what_is_due(self) -> Sequence[Said]:
        """Do what cannot wait for idle times; return what there is to say. Raises EpochOver."""
        saids = [await self._relay.sweep()] if self._relay.due else []
        if self._pruner.due:
            await self._pruner.step()
        return saids

    async def idle(self) -> None:
        """Write down what was published, so that nobody says it again. Raises EpochOver."""
        await self._outbox.mark()

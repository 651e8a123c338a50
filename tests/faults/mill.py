"""Hostile messages through the decoder, and what is left of them through a worker and its database."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from tests.faults.decoder_path import DecoderPath
from tests.faults.hostile import HostileMessage
from tests.support.making import SteadyMint
from tests.support.worker_in_memory import WorkerInMemory
from worker.service.messages import Incoming, Received, Reply
from worker.service.ports import Store


class Tripped(Exception):
    """Something that must hold did not. `message` is the one to blame, where it is known."""

    def __init__(self, why: str, message: HostileMessage | None = None) -> None:
        super().__init__(why)
        self.message = message


@dataclass(slots=True, kw_only=True)
class Mill:
    """Reads and checks messages one by one, and has a worker carry out together those that are commands.

    The worker is the real service over the given store: a value that the database does not take ends it here as it
    would end it in production.
    """

    store: Store
    path: DecoderPath = field(default_factory=DecoderPath)
    kinds: dict[str, int] = field(default_factory=dict)  # how many of each kind there were
    _mint: SteadyMint = field(default_factory=SteadyMint)

    async def grind(self, messages: Iterable[HostileMessage]) -> None:
        """Take a portion. Raises Tripped."""
        commands = [incoming for incoming in map(self._read, messages) if isinstance(incoming, Received)]
        worker = WorkerInMemory(store=self.store, mint=self._mint)
        worker.broker.send(*commands)
        try:
            await worker.work_off()
        except Exception as error:
            raise Tripped(f"the worker ended with {error!r}") from error
        asked = sum(command.reply_to is not None for command in commands)
        ended = len(worker.broker.acknowledged), len(worker.broker.arrived(Reply))
        if ended != (len(commands), asked):
            raise Tripped(
                f"{len(commands)} commands, {asked} replies asked for; acknowledged and replied: {ended}"
            )

    def _read(self, message: HostileMessage) -> Incoming:
        try:
            read = self.path.read(message, redelivered=len(message.body) % 2 == 1)
            self.path.check(read)
        except Exception as error:
            raise Tripped(f"{type(error).__name__}: {error}", message) from error
        kind = type(read.incoming).__name__
        self.kinds[kind] = self.kinds.get(kind, 0) + 1
        return read.incoming

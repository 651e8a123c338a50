"""A worker that a certain message kills: whatever is for the device that `KILLER` names.

What it has in hand it says on standard error, a line a delivery: the device, and how often it had been delivered.
`KILLER=device python -m tests.faults.killer` runs one; with `KILLER_WHEN=committed` it dies only when what the
message asks for is committed.
"""

import os
import signal
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from typing_extensions import override

from tests.faults.passing import PassingInbox
from worker import bootstrap
from worker.amqp.delivery import AmqpDelivery
from worker.bootstrap.pipelines import Ports
from worker.config import load_settings
from worker.domain.commands import CreateStream
from worker.service.messages import Incoming, Received
from worker.service.ports import Attempt, Inbox, Store, Transaction

T = TypeVar("T")


class KillingInbox(PassingInbox):
    """Calls `die` at each delivery of the killer, in the moment in which it is taken."""

    def __init__(self, inbox: Inbox, *, killer: str, die: Callable[[], object]) -> None:
        super().__init__(inbox)
        self._killer = killer
        self._die = die

    @override
    async def take(self, limit: int, *, within_s: float | None = None) -> Sequence[Incoming]:
        incoming = await self._inbox.take(limit, within_s=within_s)
        for message in incoming:
            if isinstance(message, Received) and isinstance(message.command, CreateStream):
                sys.stderr.write(f"taken {message.command.device_id} {_count(message)}\n")
                sys.stderr.flush()
                if message.command.device_id == self._killer:
                    self._die()
        return incoming


def _count(message: Received) -> int:
    delivery = message.delivery
    assert isinstance(delivery, AmqpDelivery)
    return int(str((delivery.properties.headers or {}).get("x-delivery-count", 0)))


class KillingStore(Store):
    """Dies after the first commit for which it is `armed`."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._is_armed = False

    def arm(self) -> None:
        self._is_armed = True

    @override
    async def transact(self, work: Callable[[Transaction], Awaitable[T]]) -> T:
        return await self._and_die(self._store.transact(work))

    @override
    async def attempt(self, work: Callable[[Attempt], Awaitable[T]]) -> T:
        return await self._and_die(self._store.attempt(work))

    async def _and_die(self, run: Awaitable[T]) -> T:
        result = await run
        if self._is_armed:
            _die()
        return result


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def around(ports: Ports) -> Ports:
    killer = os.environ["KILLER"]
    store = KillingStore(ports.store)
    die = store.arm if os.environ.get("KILLER_WHEN") == "committed" else _die
    return replace(ports, store=store, inbox=KillingInbox(ports.inbox, killer=killer, die=die))


if __name__ == "__main__":
    raise SystemExit(bootstrap.run(load_settings(), around))

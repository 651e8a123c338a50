"""A worker, or several, and a crowd before a cluster of brokers that loses its nodes, one at a time."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devtools.broker_cluster import NODES, TICK_TIME_S, ClusterNode, PrivateBrokerCluster
from tests.faults.crowd import Crowd, Plan
from tests.faults.history import History
from tests.faults.journal import now_s
from tests.faults.silences import with_silences
from tests.faults.wire_log import Seen
from tests.support.bad_day import QUICK
from tests.support.front import Front
from tests.support.proxy import Proxy
from tests.support.said import wire_log_of
from tests.support.wire import eventually
from tests.support.worker_process import WorkerProcess, settings_of

CONNECTIONS: Final = 3  # of one worker
FROZEN_S: Final = 2.0 * TICK_TIME_S  # also beyond the three heartbeats after which its clients give it up
OLD_ENOUGH_S: Final = 1.5  # of a quorum queue, to be there after its leader is killed
SETTINGS: Final = QUICK | {"STREAMS_PARK_AFTER": "1000"}
"""Of the workers: at the pace of a bad day an event would be parked before its queue has another leader."""

_HEARTBEAT_S: Final = 2
_RECOVERED_WITHIN_S: Final = 60.0
_MOVED_WITHIN_S: Final = 60.0
_PAUSE_S: Final = 0.05


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """A node that was lost. `devices` is how many connections of the crowd went with it, and `recovery_s` how long
    it took until something that was asked afterwards had its answer.
    """

    what: str
    node: int
    devices: int
    recovery_s: float


class ClusterDay:
    """What can happen to a cluster under load. Each loss ends with the node brought back."""

    def __init__(
        self,
        cluster: PrivateBrokerCluster,
        namespace: str,
        *,
        workers: Sequence[WorkerProcess],
        inside: Front,
        outside: Front,
        proxy: Proxy,
        crowd: Crowd,
    ) -> None:
        self._cluster = cluster
        self._queue = f"{namespace}.commands"
        self._canary = f"{namespace}.canary"
        self._inside = inside
        self._outside = outside
        self._proxy = proxy
        self.workers = workers
        self.crowd = crowd

    async def lose_the_leader(self) -> Loss:
        """Kill the node that leads the command queue."""
        return await self._lose("leader killed", await self.leader(), ClusterNode.kill, ClusterNode.start)

    async def lose_the_workers_node(self) -> Loss:
        """Kill the node that all workers are connected to, and that does not lead the command queue."""
        node = (await self.leader() + 1) % NODES
        await self._move_the_workers(node)
        return await self._lose("worker's node killed", node, ClusterNode.kill, ClusterNode.start)

    async def lose_sight_of_the_leader(self) -> Loss:
        """Freeze the node that leads the command queue and that all workers are connected to."""
        node = await self.leader()
        await self._move_the_workers(node)
        return await self._lose("leader frozen", node, ClusterNode.pause, _thaw, for_s=FROZEN_S)

    async def leader(self) -> int:
        return await asyncio.to_thread(self._cluster.leader_of, self._queue)

    def seen(self) -> list[Seen]:
        """Return what all workers said and were told, and what the broker said by its silence: it has some for a
        queue between two leaders. Without the commands whose reply was refused: a broker says so of the address of
        a device whose node has died by closing the connection, twice for certainty.
        """
        refused = {address for worker in self.workers for address in _refused_addresses(worker.log)}
        said = with_silences(self._proxy.said, canary=self._canary)
        return wire_log_of(one for one in said if one.method != "Basic.Deliver" or one.reply_to not in refused)

    def keep(self, folder: Path) -> None:
        """Write what was said, and the workers' logs, for whoever wants to know why a trial was lost."""
        (folder / "said.txt").write_text("".join(f"{one}\n" for one in self._proxy.said), "utf-8")
        for number, worker in enumerate(self.workers):
            (folder / f"worker-{number}.log").write_text(worker.log, "utf-8")

    async def _lose(
        self,
        what: str,
        index: int,
        harm: Callable[[ClusterNode], None],
        mend: Callable[[ClusterNode], None],
        *,
        for_s: float = 0.0,
    ) -> Loss:
        await self._spread_the_devices(index)
        node, devices, lost_at_s = self._cluster.nodes[index], self._outside.connections[index], now_s()
        await asyncio.to_thread(harm, node)
        try:
            answered_at_s = await self._first_answer_s(since_s=lost_at_s)
            await asyncio.sleep(lost_at_s + for_s - now_s())
        finally:
            await asyncio.to_thread(mend, node)
        return Loss(what=what, node=index, devices=devices, recovery_s=answered_at_s - lost_at_s)

    async def _move_the_workers(self, node: int) -> None:
        if self._inside.connections == {node: CONNECTIONS * len(self.workers)}:
            return
        self._inside.first = node
        self._inside.cut()

        async def have_moved() -> bool:
            return self._inside.connections == {node: CONNECTIONS * len(self.workers)}

        await eventually(have_moved, within_s=_MOVED_WITHIN_S)
        for worker in self.workers:
            await worker.ready()

    async def _spread_the_devices(self, node: int) -> None:
        """After a node was away, they are all at the others."""
        self._outside.cut()

        async def are_there() -> bool:
            return self._outside.connections[node] > 0

        await eventually(are_there, within_s=_MOVED_WITHIN_S)

    async def _first_answer_s(self, *, since_s: float) -> float:
        """Wait for an answer to something that was asked since, and return its time."""
        journal = self.crowd.journal
        async with asyncio.timeout(_RECOVERED_WITHIN_S):
            seen = -1
            while True:
                if journal.answers != seen:
                    seen = journal.answers
                    if (found := _first_answer_s(journal.history(), since_s)) is not None:
                        return found
                await asyncio.sleep(_PAUSE_S)


def _refused_addresses(log: str) -> Iterator[str]:
    """Return the direct reply addresses that have ended a worker's connection as often as they may."""
    for line in log.splitlines():
        if '"direct_reply.ended_the_connection"' in line:
            yield json.loads(line)["reply_to"]


def _thaw(node: ClusterNode) -> None:
    """Others have gone on without it, and it does not see by itself that it is to join them again."""
    node.resume()
    node.restart()


def _first_answer_s(history: History, since_s: float) -> float | None:
    asked = {request.correlation_id for request in history.requests if request.at_s >= since_s}
    return next((answer.at_s for answer in history.answers if answer.correlation_id in asked), None)


Step = Callable[[ClusterDay], Awaitable[Loss]]


@asynccontextmanager
async def cluster_day(
    cluster: PrivateBrokerCluster, namespace: str, database_url: str, plan: Plan, *, workers: int = 1
) -> AsyncIterator[ClusterDay]:
    """Start so many workers, which all go to one node of the cluster, and a crowd, which goes to all of them."""
    async with AsyncExitStack() as stack:
        inside = await stack.enter_async_context(Front(cluster.urls, first=0))
        outside = await stack.enter_async_context(Front(cluster.urls))
        proxy = await stack.enter_async_context(Proxy(inside.url, is_tapped=True))
        settings = settings_of(proxy.url, namespace, database_url, **SETTINGS)
        running = [await stack.enter_async_context(WorkerProcess(settings)) for _ in range(workers)]
        url = f"{outside.url}?heartbeat={_HEARTBEAT_S}"
        crowd = await stack.enter_async_context(Crowd(url, namespace, plan))
        await asyncio.sleep(OLD_ENOUGH_S)
        yield ClusterDay(
            cluster, namespace, workers=running, inside=inside, outside=outside, proxy=proxy, crowd=crowd
        )

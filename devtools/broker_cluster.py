"""Three private RabbitMQ nodes that are one cluster."""

import atexit
import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Final, Self

from typing_extensions import override

from devtools.broker import PrivateBroker, launch_epmd
from devtools.failures import CommandFailed, StartFailed
from devtools.folder import ServerFolder
from devtools.node import Node
from devtools.ports import free_port
from devtools.process import Child
from devtools.rabbitmq import rabbitmq
from devtools.waiting import seen

NODES: Final = 3
TICK_TIME_S: Final = 10
"""How long, give or take a quarter, nodes put up with one that is frozen. RabbitMQ's own is 60: until then the
queues that it led serve nobody, and nothing can be declared.
"""

_UNITED_WITHIN_S: Final = 60.0

# The queue's process on the node that is asked knows it; a list of queues would wait for nodes that are frozen.
_LEADER: Final = (
    '{{ok, Q}} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"{queue}">>)), '
    "{{Name, _}} = amqqueue:get_pid(Q), {{ok, _, {{_, Node}}}} = ra:members({{Name, node()}}, 5000), Node."
)


class ClusterNode(PrivateBroker):
    """One node of a cluster. Started again after a kill it has its address, and joins the others."""

    def __init__(self, node: Node, folder: Path, *, home: Path, settings: Mapping[str, str]) -> None:
        """Prepare `node` in `folder`; in `home` lies the cookie that all share."""
        super().__init__(folder, settings=settings)
        self._node = node
        self._home = home

    @property
    def name(self) -> str:
        """What the other nodes know it by."""
        return self._node.name

    @override
    def _launch_beside(self, children: list[Child]) -> None:
        """Nothing: the cluster has one epmd for all."""

    @override
    def _move(self) -> None:
        self._node = replace(Node.new(), name=self._node.name, epmd_port=self._node.epmd_port)

    @override
    def _environment(self) -> dict[str, str]:
        env = super()._environment()
        arguments = f"{env['RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS']} -kernel net_ticktime {TICK_TIME_S}"
        return env | {"HOME": str(self._home), "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": arguments}


class PrivateBrokerCluster:
    """A RabbitMQ cluster of three nodes on 127.0.0.1, with one user, `guest`; for one thread at a time.

    As a context manager it is started at once, and nothing is left of it at the end. Each of its `nodes` can be
    killed, paused and started again; while two of three run, quorum queues serve, some `TICK_TIME_S` after one was
    paused at the latest. A node that was paused for longer has to be restarted. A quorum queue that was declared
    less than a second before a `kill` may be lost by it: wait that long first.
    """

    def __init__(self, *, settings: Mapping[str, str] | None = None) -> None:
        """Prepare the nodes in a temporary folder. `settings` are lines of each one's rabbitmq.conf.

        Raises MissingPrograms if there is no RabbitMQ to be had.
        """
        self._programs = rabbitmq()
        self._folder = ServerFolder()
        self._epmd_port = free_port()
        self._epmd: Child | None = None
        _write_cookie(self._folder.path)
        names = [f"streams-{number}@localhost" for number in range(1, NODES + 1)]
        told = {**_formation(names), **(settings or {})}
        self.nodes: Sequence[ClusterNode] = [self._node(name, told) for name in names]

    def __enter__(self) -> Self:
        """Start it; raises StartFailed."""
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""
        self.close()

    @property
    def urls(self) -> list[str]:
        """Where each node listens, in their order; the same for good once they have been up."""
        return [node.url for node in self.nodes]

    @property
    def pids(self) -> list[int]:
        """The processes we started for it; each may have others below it."""
        return [*(pid for node in self.nodes for pid in node.pids), *([self._epmd.pid] if self._epmd else [])]

    def start(self) -> None:
        """Start the nodes that do not run, all at once, and wait until they are one cluster.

        Raises StartFailed.
        """
        atexit.register(self.close)
        if self._epmd is None:
            self._epmd = launch_epmd(self._programs, self._epmd_port, folder=self._folder.path)
        self._of_each(ClusterNode.start)
        if not seen(self._is_united, within_s=_UNITED_WITHIN_S):
            raise StartFailed("the nodes run and did not become one cluster")

    def close(self) -> None:
        """Kill the nodes and remove their folders; they cannot be started again. May be called again."""
        # Asked to stop one after another, the last ones would wait for those that are gone.
        self._of_each(ClusterNode.kill)
        self._of_each(ClusterNode.close)
        epmd, self._epmd = self._epmd, None
        if epmd is not None:
            epmd.kill()
        self._folder.close()
        atexit.unregister(self.close)

    def ctl(self, *arguments: str, node: int = 0) -> str:
        """Run rabbitmqctl against a node and return what that prints. Raises CommandFailed."""
        return self.nodes[node].ctl(*arguments)

    def leader_of(self, queue: str) -> int:
        """Return which node leads a quorum queue now, as a node that runs knows it.

        Raises CommandFailed where there is no such queue, or nobody leads it within some seconds.
        """
        asked = next(index for index, node in enumerate(self.nodes) if node.is_running)
        name = self.ctl("eval", _LEADER.format(queue=queue), node=asked).strip().strip("'")
        return [node.name for node in self.nodes].index(name)

    def _node(self, name: str, settings: Mapping[str, str]) -> ClusterNode:
        node = replace(Node.new(), name=name, epmd_port=self._epmd_port)
        folder = self._folder.path / name.partition("@")[0]
        return ClusterNode(node, folder, home=self._folder.path, settings=settings)

    def _is_united(self) -> bool:
        try:
            status = json.loads(self.ctl("cluster_status", "--formatter", "json"))
        except CommandFailed:
            return False
        return len(status["running_nodes"]) == NODES

    def _of_each(self, act: Callable[[ClusterNode], None]) -> None:
        with ThreadPoolExecutor(NODES) as threads:
            for done in [threads.submit(act, node) for node in self.nodes]:
                done.result()


def _formation(names: Sequence[str]) -> dict[str, str]:
    """Return the lines of rabbitmq.conf by which nodes of these names find each other."""
    return {
        "cluster_formation.peer_discovery_backend": "classic_config",
        **{f"cluster_formation.classic_config.nodes.{n}": name for n, name in enumerate(names, 1)},
        # A node that was out of touch for long would else go on by itself: a cluster in two halves.
        "cluster_partition_handling": "pause_minority",
    }


def _write_cookie(home: Path) -> None:
    """Write the secret that lets nodes and tools speak to each other; they would each make their own."""
    cookie = home / ".erlang.cookie"
    cookie.touch(mode=0o600)
    cookie.write_text(secrets.token_hex(16))
    cookie.chmod(0o400)

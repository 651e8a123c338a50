"""One RabbitMQ node on paper: its name, its ports, its files and its environment."""

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

from devtools.ports import free_port, is_free
from devtools.rabbitmq import RabbitmqPrograms

# Erlang's tools listen on a port between MIN and MAX while they talk to the node.
_CTL_PORTS = 10
_IDENTITY_FILE = "node.json"

SETTINGS: Mapping[str, str] = {
    "log.console": "false",
    "log.file": "broker.log",
    "disk_free_limit.absolute": "50MB",
    # Twice what a command may be, as in production: deploy/rabbitmq.conf has the reason.
    "max_message_size": "131072",
}
"""What every node is told; who makes one may say otherwise."""

PLUGINS = ("rabbitmq_consistent_hash_exchange",)
"""What every node has beside its core: what partitions need. It starts no slower with that."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Node:
    """Who a node is: what it has stored belongs to its name, what clients know is its AMQP port."""

    name: str
    amqp_port: int
    distribution_port: int
    epmd_port: int
    ctl_port: int
    tls_port: int = field(default_factory=free_port)  # a node that was stored without one keeps all its others

    @classmethod
    def new(cls) -> Self:
        """Make a node on ports that are free now. Its epmd is its own, so its name need not be unique."""
        return cls(
            name="streams@localhost",
            amqp_port=free_port(),
            distribution_port=free_port(),
            epmd_port=free_port(),
            ctl_port=free_port(),
        )

    @classmethod
    def stored(cls, folder: Path) -> Self | None:
        """Return the node that last lived in `folder`, if its ports are free, so that its URL stays."""
        try:
            node = cls(**json.loads((folder / _IDENTITY_FILE).read_text()))
        except (OSError, ValueError, TypeError):
            return None
        ports = (node.amqp_port, node.distribution_port, node.epmd_port, node.tls_port)
        return node if all(is_free(port) for port in ports) else None

    def write(self, folder: Path, settings: Mapping[str, str], plugins: Collection[str] = PLUGINS) -> None:
        """Write what the node is told into `folder`; what it has stored there stays.

        `settings` are lines of rabbitmq.conf, which go before those of `SETTINGS`.
        """
        lines = {"listeners.tcp.1": f"127.0.0.1:{self.amqp_port}", **SETTINGS, **settings}
        text = "".join(f"{name} = {value}\n" for name, value in lines.items())
        (folder / "rabbitmq.conf").write_text(text)
        # Both exist so that the machine's own in /etc/rabbitmq are not read.
        (folder / "env.conf").write_text("")
        (folder / "enabled_plugins").write_text(f"[{','.join(plugins)}].\n")
        (folder / _IDENTITY_FILE).write_text(json.dumps(asdict(self)))

    def environment(self, programs: RabbitmqPrograms, folder: Path) -> dict[str, str]:
        """Return the whole environment for the server, its epmd and its tools; nothing of ours gets through."""
        return {
            "PATH": programs.path,
            "LANG": "C.UTF-8",
            "HOME": str(folder),  # the cookie lies there
            "RABBITMQ_NODENAME": self.name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.amqp_port),
            "RABBITMQ_DIST_PORT": str(self.distribution_port),
            "RABBITMQ_CTL_DIST_PORT_MIN": str(self.ctl_port),
            "RABBITMQ_CTL_DIST_PORT_MAX": str(self.ctl_port + _CTL_PORTS),
            "RABBITMQ_MNESIA_BASE": str(folder / "data"),
            "RABBITMQ_LOG_BASE": str(folder / "log"),
            "RABBITMQ_PID_FILE": str(folder / "pid"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(folder / "generated"),
            "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
            "RABBITMQ_CONF_ENV_FILE": str(folder / "env.conf"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            **({"LD_LIBRARY_PATH": programs.libraries} if programs.libraries else {}),
        }

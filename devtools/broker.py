"""A private RabbitMQ node."""

import signal
import socket
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import ClassVar

from typing_extensions import override

from devtools.folder import ServerFolder
from devtools.node import PLUGINS, Node
from devtools.process import Child
from devtools.rabbitmq import RabbitmqPrograms, rabbitmq
from devtools.server import PrivateServer
from devtools.tls import TlsListener
from devtools.tool import run_tool

_CTL_DEADLINE_S = 60.0
_CONNECT_DEADLINE_S = 1.0
_START_IS_OVER = "completed with"  # "… 0 plugins.", the last words of every version's banner
_HANDSHAKE = b"AMQP\x00\x00\x09\x01"


class PrivateBroker(PrivateServer):
    """A RabbitMQ node with one user, `guest`.

    A quorum queue that was declared less than a second before `kill` may come back as a name that answers nothing:
    wait that long first.
    """

    title: ClassVar[str] = "RabbitMQ"
    log_name: ClassVar[str] = "console.log"
    stop_signal: ClassVar[signal.Signals] = signal.SIGTERM
    kill_signal: ClassVar[signal.Signals] = signal.SIGKILL

    def __init__(
        self,
        folder: Path | None = None,
        *,
        settings: Mapping[str, str] | None = None,
        tls: TlsListener | None = None,
        plugins: Collection[str] = PLUGINS,
    ) -> None:
        """Prepare a node in `folder`, which stays (as does the node's URL, if it can), or in a temporary one.

        `settings` are lines of rabbitmq.conf (`{"consumer_timeout": "60000"}`), which go before our own. With
        `tls` it listens on a second port too, and speaks TLS there. `plugins` are all that it has.
        Raises MissingPrograms if there is no RabbitMQ to be had, StartFailed if the folder is in use.
        """
        self._programs = rabbitmq()
        self._settings = dict(settings or {})
        self._tls = tls
        self._plugins = plugins
        super().__init__(ServerFolder(folder))
        self._node = Node.stored(self._folder.path) or Node.new()

    @property
    def url(self) -> str:
        """Where it listens; the same for good once it has been up."""
        return f"amqp://guest:guest@127.0.0.1:{self._node.amqp_port}/"

    @property
    def tls_url(self) -> str:
        """Where it listens with TLS; the address names no authority to trust."""
        if self._tls is None:
            raise ValueError("this node was made without TLS")
        return f"amqps://guest:guest@127.0.0.1:{self._node.tls_port}/"

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl against it and return what that prints. Raises CommandFailed."""
        command = [str(self._programs.ctl), "-n", self._node.name, *arguments]
        return run_tool(command, env=self._environment(), cwd=self._folder.path, deadline_s=_CTL_DEADLINE_S)

    def run_out_of_memory(self) -> None:
        """Have it take no more publishes from anybody: its memory alarm."""
        self.ctl("set_vm_memory_high_watermark", "0.000001")

    def have_memory_again(self) -> None:
        """End the memory alarm: RabbitMQ's default limit, 0.4 of the machine's memory."""
        self.ctl("set_vm_memory_high_watermark", "0.4")

    @override
    def _launch(self, children: list[Child]) -> None:
        folder, env = self._folder.path, self._environment()
        self._node.write(folder, self._settings | self._tls_settings(), self._plugins)
        (folder / self.log_name).unlink(missing_ok=True)
        self._launch_beside(children)
        server = [str(self._programs.server)]
        children.insert(0, Child(server, env=env, cwd=folder, log=folder / self.log_name))

    @override
    def _answers(self) -> bool:
        # It speaks AMQP a little before its start is over, and asked to stop in between it may hang for ever.
        is_over = _START_IS_OVER in (self._folder.path / self.log_name).read_text(errors="replace")
        return is_over and speaks_amqp(self._node.amqp_port)

    @override
    def _move(self) -> None:
        self._node = Node.new()

    def _launch_beside(self, children: list[Child]) -> None:
        """Start what the node needs beside it."""
        children.append(launch_epmd(self._programs, self._node.epmd_port, folder=self._folder.path))

    def _tls_settings(self) -> dict[str, str]:
        return {} if self._tls is None else self._tls.settings(self._node.tls_port)

    def _environment(self) -> dict[str, str]:
        return self._node.environment(self._programs, self._folder.path)


def launch_epmd(programs: RabbitmqPrograms, port: int, *, folder: Path) -> Child:
    """Start what knows nodes by their names. Ours from the start: one that a node starts is a daemon and stays."""
    command = [str(programs.epmd), "-address", "127.0.0.1", "-port", str(port)]
    env = {"PATH": programs.path, **({"LD_LIBRARY_PATH": programs.libraries} if programs.libraries else {})}
    return Child(command, env=env, cwd=folder, log=folder / "epmd.log")


def speaks_amqp(port: int) -> bool:
    """Tell whether something at 127.0.0.1:`port` answers an AMQP 0-9-1 greeting."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_DEADLINE_S) as connection:
            connection.sendall(_HANDSHAKE)
            return connection.recv(1) == b"\x01"
    except OSError:
        return False

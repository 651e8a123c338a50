"""A private RabbitMQ node."""

import atexit
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Self

from devtools.failures import CommandFailed, StartFailed
from devtools.folder import ServerFolder
from devtools.node import Node
from devtools.process import Child
from devtools.rabbitmq import rabbitmq
from devtools.waiting import seen

_START_DEADLINE_S = 60.0
_STOP_DEADLINE_S = 30.0
_CTL_DEADLINE_S = 60.0
_CONNECT_DEADLINE_S = 1.0
_TRIES_MAX = 3
_HANDSHAKE = b"AMQP\x00\x00\x09\x01"


class PrivateBroker:
    """A RabbitMQ node of our own, with one user `guest` on 127.0.0.1; for one thread at a time.

    As a context manager it is started at once, and nothing is left of it at the end. Once it has been up, every later
    start is on the same ports, with what it has stored. It never outlives this process.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Prepare a node in `folder`, which stays (also the node's URL, if it can), or in a temporary one.

        Raises MissingPrograms if there is no RabbitMQ to be had, StartFailed if the folder is in use.
        """
        self._programs = rabbitmq()
        self._folder = ServerFolder(folder)
        self._node = Node.stored(self._folder.path) or Node.new()
        self._has_been_up = False
        self._epmd: Child | None = None
        self._server: Child | None = None

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
    def url(self) -> str:
        """Where it listens; the same for good once it has been up."""
        return f"amqp://guest:guest@127.0.0.1:{self._node.amqp_port}/"

    @property
    def pids(self) -> list[int]:
        """The processes we started for it: the server's script, then epmd."""
        return [child.pid for child in (self._server, self._epmd) if child is not None]

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended, by us or by itself."""
        return self._server is not None and self._server.is_running

    def start(self, *, cancelled: Callable[[], bool] = lambda: False) -> None:
        """Start it and wait until it speaks AMQP; nothing happens if it runs.

        Raises StartFailed, also if `cancelled` says so meanwhile.
        """
        if self.is_running:
            return
        atexit.register(self.close)
        for _ in range(_TRIES_MAX):
            self._launch()
            if seen(lambda: cancelled() or self._is_up_or_ended(), within_s=_START_DEADLINE_S) and self.is_running:
                break
            self.kill()
            if not self._has_been_up:
                self._node = Node.new()  # somebody took a port between our look and its start
        else:
            raise StartFailed(f"RabbitMQ did not start. Its last words:\n{self._last_words()}")
        if cancelled():
            raise StartFailed("RabbitMQ was told to end while it started")
        self._has_been_up = True

    def stop(self) -> None:
        """Stop it as an operator would; what has not ended after 30 s is killed. May be called again."""
        self.resume()
        if self._server is not None:
            self._server.stop(signal.SIGTERM, deadline_s=_STOP_DEADLINE_S)
        self.kill()

    def kill(self) -> None:
        """Take its power away: SIGKILL for all of it, with no goodbye. May be called again."""
        for child in (self._server, self._epmd):
            if child is not None:
                child.kill()
        self._server = self._epmd = None

    def restart(self) -> None:
        """Stop it and start it again. Raises StartFailed."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open and nobody answers."""
        if self._server is not None:
            self._server.send_group(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        if self._server is not None:
            self._server.send_group(signal.SIGCONT)

    def ctl(self, *arguments: str) -> str:
        """Run rabbitmqctl against it and return what that prints. Raises CommandFailed."""
        command = [str(self._programs.ctl), "-n", self._node.name, *arguments]
        environment = self._node.environment(self._programs, self._folder.path)
        done = subprocess.run(
            command, env=environment, cwd=self._folder.path, stdin=subprocess.DEVNULL, capture_output=True, text=True,
            check=False, timeout=_CTL_DEADLINE_S,
        )  # fmt: skip
        if done.returncode != 0:
            raise CommandFailed(f"rabbitmqctl {' '.join(arguments)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def close(self) -> None:
        """Stop it and remove its temporary folder; it cannot be started again."""
        self.stop()
        self._folder.close()
        atexit.unregister(self.close)

    def _launch(self) -> None:
        folder = self._folder.path
        self._node.write(folder)
        environment = self._node.environment(self._programs, folder)
        # Ours from the start: one that the server starts by itself becomes a daemon and stays.
        epmd = [str(self._programs.epmd), "-address", "127.0.0.1", "-port", str(self._node.epmd_port)]
        self._epmd = Child(epmd, env=environment, cwd=folder, log=folder / "epmd.log")
        self._server = Child([str(self._programs.server)], env=environment, cwd=folder, log=folder / "console.log")

    def _is_up_or_ended(self) -> bool:
        return not self.is_running or speaks_amqp(self._node.amqp_port)

    def _last_words(self) -> str:
        words = (self._folder.path / "console.log").read_text(errors="replace").strip()
        return "\n".join(f"  {line}" for line in words.splitlines()[-20:])


def speaks_amqp(port: int) -> bool:
    """Tell whether something at 127.0.0.1:`port` answers an AMQP 0-9-1 greeting."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=_CONNECT_DEADLINE_S) as connection:
            connection.sendall(_HANDSHAKE)
            return connection.recv(1) == b"\x01"
    except OSError:
        return False

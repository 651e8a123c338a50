"""A private PostgreSQL server."""

import atexit
import os
import secrets
import signal
import subprocess
from collections.abc import Mapping
from contextlib import suppress
from typing import Self

from devtools.cluster import SUPERUSER, make_cluster, readable, server_user
from devtools.failures import CommandFailed, StartFailed
from devtools.folder import ServerFolder
from devtools.ports import free_port
from devtools.postgresql import PostgresqlPrograms, postgresql
from devtools.process import Child
from devtools.tree import descendants
from devtools.waiting import seen

_START_DEADLINE_S = 60.0
_STOP_DEADLINE_S = 20.0
_TOOL_DEADLINE_S = 30.0
_TRIES_MAX = 3


class PrivatePostgres:
    """A PostgreSQL server of our own, on TCP at 127.0.0.1 only, with a password; for one thread at a time.

    As a context manager it is started at once, and nothing is left of it at the end. Once it has been up, every later
    start is on the same port, with what it has stored. It never outlives this process.
    """

    def __init__(
        self, *, settings: Mapping[str, str] | None = None, programs: PostgresqlPrograms | None = None
    ) -> None:
        """Prepare a server with these `settings` (as in postgresql.conf) and `programs` (else the ones found).

        Raises MissingPrograms if there is no PostgreSQL to be had.
        """
        found = programs or postgresql()
        self._folder = ServerFolder(public=server_user() is not None)
        self._programs = readable(found, self._folder.path)
        self._settings = dict(settings or {})
        self._password = secrets.token_hex(16)
        self._port = free_port()
        self._has_been_up = False
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
    def pids(self) -> list[int]:
        """The process we started for it: the postmaster."""
        return [] if self._server is None else [self._server.pid]

    @property
    def is_running(self) -> bool:
        """Whether it has been started and has not ended, by us or by itself."""
        return self._server is not None and self._server.is_running

    def url(self, database: str) -> str:
        """Where `database` is, as SQLAlchemy wants it for asyncpg; with the password of this server."""
        return f"postgresql+asyncpg://{SUPERUSER}:{self._password}@127.0.0.1:{self._port}/{database}"

    def create_database(self, name: str) -> None:
        """Make an empty database. Raises CommandFailed if there is one of that name."""
        self._tool("createdb", "--template=template0", name)

    def drop_database(self, name: str) -> None:
        """Drop a database, ending the connections to it; nothing happens if there is none. Raises CommandFailed."""
        self._tool("dropdb", "--force", "--if-exists", name)

    def start(self) -> None:
        """Start it and wait until it takes connections; nothing happens if it runs. Raises StartFailed."""
        if self.is_running:
            return
        atexit.register(self.close)
        for tries in range(1, _TRIES_MAX + 1):
            self._launch()
            if seen(self._is_up_or_ended, within_s=_START_DEADLINE_S) and self.is_running:
                self._has_been_up = True
                return
            self.kill()
            if tries < _TRIES_MAX and not self._has_been_up:
                self._port = free_port()  # somebody took it between our look and its start
        raise StartFailed(f"PostgreSQL did not start. Its last words:\n{self._last_words()}")

    def stop(self) -> None:
        """Stop it, ending its connections; what has not ended after 20 s is killed. May be called again."""
        self._end(signal.SIGINT)

    def kill(self) -> None:
        """Make it drop everything at once: no checkpoint, so that it must recover. May be called again."""
        self._end(signal.SIGQUIT)

    def restart(self) -> None:
        """Stop it and start it again. Raises StartFailed."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """Freeze it: connections stay open and nobody answers."""
        self._send_all(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on after `pause`."""
        self._send_all(signal.SIGCONT)

    def close(self) -> None:
        """Stop it and remove its folder; it cannot be started again."""
        self.stop()
        self._folder.close()
        atexit.unregister(self.close)

    def _launch(self) -> None:
        folder = self._folder.path
        environment = self._environment()
        if not (folder / "data").exists():
            make_cluster(self._programs, folder, password=self._password, environment=environment)
        settings = {"listen_addresses": "127.0.0.1", "port": str(self._port), "unix_socket_directories": ""}
        options = [f"--{name}={value}" for name, value in {**settings, **self._settings}.items()]
        self._server = Child(
            [self._programs.program("postgres"), "-D", str(folder / "data"), *options],
            env=environment, cwd=folder, log=folder / "postgres.log", user=server_user(),
        )  # fmt: skip

    def _end(self, signum: signal.Signals) -> None:
        if self._server is not None:
            self.resume()
            self._server.stop(signum, deadline_s=_STOP_DEADLINE_S)
            self._server = None

    def _send_all(self, signum: signal.Signals) -> None:
        """Signal every process of it: each of its backends is in a session of its own."""
        if self._server is not None:
            self._server.send(signum)
            for pid in descendants(self._server.pid):
                with suppress(ProcessLookupError):
                    os.kill(pid, signum)

    def _is_up_or_ended(self) -> bool:
        if not self.is_running:
            return True
        return self._run("pg_isready", "--dbname=postgres").returncode == 0

    def _tool(self, program: str, *arguments: str) -> None:
        done = self._run(program, *arguments)
        if done.returncode != 0:
            raise CommandFailed(f"{program} {' '.join(arguments)}: {done.stderr.strip()}")

    def _run(self, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        where = ["--host=127.0.0.1", f"--port={self._port}", f"--username={SUPERUSER}"]
        return subprocess.run(
            [self._programs.program(program), *where, *arguments],
            env={**self._environment(), "PGPASSWORD": self._password}, cwd=self._folder.path,
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=_TOOL_DEADLINE_S,
        )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": str(self._folder.path)}

    def _last_words(self) -> str:
        words = (self._folder.path / "postgres.log").read_text(errors="replace").strip()
        return "\n".join(f"  {line}" for line in words.splitlines()[-20:])

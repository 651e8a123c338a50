"""A private PostgreSQL server."""

import secrets
import signal
from collections.abc import Mapping
from typing import ClassVar

from typing_extensions import override

from devtools.cluster import SUPERUSER, make_cluster, readable, server_user
from devtools.failures import CommandFailed
from devtools.folder import ServerFolder
from devtools.ports import free_port
from devtools.postgresql import PostgresqlPrograms, postgresql
from devtools.process import Child
from devtools.server import PrivateServer
from devtools.tool import run_tool

_TOOL_DEADLINE_S = 30.0


class PrivatePostgres(PrivateServer):
    """A PostgreSQL server in a temporary folder, on TCP only, with a password."""

    title: ClassVar[str] = "PostgreSQL"
    log_name: ClassVar[str] = "postgres.log"
    stop_signal: ClassVar[signal.Signals] = signal.SIGINT  # "fast": it ends the connections by itself
    kill_signal: ClassVar[signal.Signals] = signal.SIGQUIT  # "immediate": no checkpoint, it must recover

    def __init__(
        self, *, settings: Mapping[str, str] | None = None, programs: PostgresqlPrograms | None = None
    ) -> None:
        """Prepare a server with these `settings` (as in postgresql.conf) and `programs` (else the ones found).

        Raises MissingPrograms if there is no PostgreSQL to be had.
        """
        found = programs or postgresql()
        super().__init__(ServerFolder(public=server_user() is not None))
        self._programs = readable(found, self._folder.path)
        self._settings = dict(settings or {})
        self._password = secrets.token_hex(16)
        self._port = free_port()

    def url(self, database: str) -> str:
        """Where `database` is, as SQLAlchemy wants it for asyncpg; with the password of this server."""
        return f"postgresql+asyncpg://{SUPERUSER}:{self._password}@127.0.0.1:{self._port}/{database}"

    def create_database(self, name: str) -> None:
        """Make an empty database. Raises CommandFailed if there is one of that name."""
        self._run("createdb", "--template=template0", name)

    def drop_database(self, name: str) -> None:
        """Drop a database and end the connections to it, if there is one. Raises CommandFailed."""
        self._run("dropdb", "--force", "--if-exists", name)

    @override
    def _launch(self, children: list[Child]) -> None:
        folder, env = self._folder.path, self._environment()
        if not (folder / "data").exists():
            make_cluster(self._programs, folder, password=self._password, env=env)
        settings = {"listen_addresses": "127.0.0.1", "port": str(self._port), "unix_socket_directories": ""}
        options = [f"--{name}={value}" for name, value in {**settings, **self._settings}.items()]
        server = [self._programs.program("postgres"), "-D", str(folder / "data"), *options]
        children.append(Child(server, env=env, cwd=folder, log=folder / self.log_name, user=server_user()))

    @override
    def _answers(self) -> bool:
        try:
            self._run("pg_isready", "--dbname=postgres")
        except CommandFailed:
            return False
        return True

    @override
    def _move(self) -> None:
        self._port = free_port()

    def _run(self, program: str, *arguments: str) -> str:
        where = ["--host=127.0.0.1", f"--port={self._port}", f"--username={SUPERUSER}"]
        env = {**self._environment(), "PGPASSWORD": self._password}
        command = [self._programs.program(program), *where, *arguments]
        return run_tool(command, env=env, cwd=self._folder.path, deadline_s=_TOOL_DEADLINE_S)

    def _environment(self) -> dict[str, str]:
        return {"PATH": "/usr/local/bin:/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC", "HOME": str(self._folder.path)}

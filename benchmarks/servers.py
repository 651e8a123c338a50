"""The servers of a run: private ones of its own, and a fresh database for each trial."""

import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, Self

import asyncpg

from benchmarks.systems import DATABASES, POSTGRESQL, SQLITE
from devtools.broker import PrivateBroker
from devtools.postgres import PrivatePostgres
from devtools.project import ROOT

_MIGRATE: Final = (str(Path(sys.executable).parent / "stream-worker"), "db", "upgrade")
_EMPTY: Final = "empty"
_MIGRATED: Final = "migrated"


class Servers:
    """RabbitMQ and PostgreSQL with their own defaults, and a folder for SQLite on a real disk."""

    def __init__(self) -> None:
        self._broker = PrivateBroker()
        self._postgres = PrivatePostgres()
        self._folder = Path(tempfile.mkdtemp(prefix="bench-"))
        self._made = 0

    @property
    def amqp_url(self) -> str:
        """Where the broker is."""
        return self._broker.url

    def __enter__(self) -> Self:
        """Start them, and make what fresh databases are copies of. Raises StartFailed."""
        try:
            self._broker.start()
            self._postgres.start()
            for name in (_EMPTY, _MIGRATED):
                self._postgres.create_database(name)
                self._file(name).touch()
            for kind in DATABASES:
                _migrate(self._url(kind, _MIGRATED))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Leave nothing behind."""
        self._broker.close()
        self._postgres.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    @asynccontextmanager
    async def database(self, kind: str | None, *, migrated: bool) -> AsyncIterator[str]:
        """Make an empty database, or one with the worker's tables, for the length of a block; yield its URL.

        Without a `kind` there is none, and no URL.
        """
        if kind is None:
            yield ""
            return
        self._made += 1
        name, original = f"bench_{self._made}", _MIGRATED if migrated else _EMPTY
        if kind == SQLITE:
            shutil.copy(self._file(original), self._file(name))
        else:
            await self._execute(f"CREATE DATABASE {name} TEMPLATE {original}")
        try:
            yield self._url(kind, name)
        finally:
            await self._drop(kind, name)

    async def _drop(self, kind: str, name: str) -> None:
        if kind == SQLITE:
            for file in self._folder.glob(f"{name}.db*"):
                file.unlink()
        else:
            await self._execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _file(self, name: str) -> Path:
        return self._folder / f"{name}.db"

    def _url(self, kind: str, name: str) -> str:
        return self._postgres.url(name) if kind == POSTGRESQL else f"sqlite+aiosqlite:///{self._file(name)}"

    async def _execute(self, statement: str) -> None:
        connection = await asyncpg.connect(self._postgres.url("postgres").replace("+asyncpg", ""))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()


def _migrate(url: str) -> None:
    """Give a database the worker's tables, as its users do."""
    environ = {"STREAMS_DATABASE_URL": url, "PATH": "/usr/bin:/bin"}
    subprocess.run(_MIGRATE, env=environ, cwd=ROOT, check=True, capture_output=True)  # noqa: S603 - our own program

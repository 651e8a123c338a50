"""Where SQLite and PostgreSQL differ. Everything else in this package is the same for both, but for what each says
in words of its own (`idiom`), and how a time (`tables`) and a list (`among`) are written.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, event, make_url
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from worker.sql.idiom import POSTGRESQL, SQLITE, Idiom
from worker.sql.parked import ParkedDevices
from worker.sql.store import SqlStore


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreOptions:
    """How patient the store is. The defaults suit a batch of some hundred commands, which takes milliseconds.

    None of them is the service's patience with a database that is away: it tries again, for ever.
    """

    application_name: str = "stream-worker"
    connect_timeout_s: float = 5
    busy_timeout_s: float = 0.25  # SQLite only. Short, so that stopping never waits for somebody else's lock
    lock_timeout_s: float = 5
    statement_timeout_s: float = 10
    # A worker that died or hangs in a transaction holds its devices this long.
    idle_in_transaction_timeout_s: float = 15
    keepalive_idle_s: int = 10  # a silent peer is given up after idle + 3 * interval
    keepalive_interval_s: int = 5
    transaction_timeout_s: float = 60  # the last resort, and so is the next: above what the database allows
    commit_timeout_s: float = 15
    ping_timeout_s: float = 3


_DEFAULTS: Final = StoreOptions()
_KEEPALIVES_MAX: Final = 3
_SQLITE_CACHE_KIB: Final = 16 * 1024  # a batch over a million rows does not fit into the default of 2 MiB
_SQLITE_LOG_PAGES: Final = 10_000  # ... and has as many as the default, after which the log goes into the file
_DRIVER_GRACE_S: Final = 2.0  # the database's own timeout comes first: after it, the session can still be used


@dataclass(frozen=True, slots=True, kw_only=True)
class _Engines:
    """One connection that writes, one that looks (None: there is only the one), and how the database is told.

    `autocommit` is the connection that writes, with every statement a transaction of its own; None where that
    saves nothing.
    """

    pipeline: AsyncEngine
    autocommit: AsyncEngine | None
    reader: AsyncEngine | None
    idiom: Idiom


def make_store(url: str, *, options: StoreOptions = _DEFAULTS) -> SqlStore:
    """Make the store of a `sqlite://…` or `postgresql://…` URL. Nothing is connected yet, and nothing migrated.

    Raises ValueError for any other URL, without showing it: it may hold a password.
    """
    engines = _engines(url, options)
    return SqlStore(
        engines.pipeline,
        autocommit=engines.autocommit,
        reader=engines.reader,
        idiom=engines.idiom,
        transaction_timeout_s=options.transaction_timeout_s,
        commit_timeout_s=options.commit_timeout_s,
        ping_timeout_s=options.ping_timeout_s,
    )


def make_parked_devices(url: str, *, options: StoreOptions = _DEFAULTS) -> ParkedDevices:
    """Make what shows and frees parked devices, as `make_store` makes a store. Raises ValueError as it does."""
    engines = _engines(url, options)
    return ParkedDevices(
        engines.pipeline, reader=engines.reader or engines.pipeline, timeout_s=options.transaction_timeout_s
    )


def _engines(url: str, options: StoreOptions) -> _Engines:
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise ValueError("the database's URL cannot be read") from None
    match parsed.get_backend_name():
        case "sqlite":
            return _sqlite(parsed.set(drivername="sqlite+aiosqlite"), options)
        case "postgresql":
            return _postgresql(parsed.set(drivername="postgresql+asyncpg"), options)
        case other:
            raise ValueError(f"the database must be sqlite or postgresql, not {other}")


def _sqlite(url: URL, options: StoreOptions) -> _Engines:
    in_memory = url.database in {None, "", ":memory:"}
    pipeline = _engine(url, in_memory=in_memory)
    # IMMEDIATE: a transaction that reads first and wants to write later is refused when another wrote meanwhile.
    # WAL lets others read while we write; FULL, for NORMAL can lose an acknowledged commit when the power fails.
    _prepare_sqlite(
        pipeline,
        begin="BEGIN IMMEDIATE",
        pragmas={
            "busy_timeout": _ms(options.busy_timeout_s),
            "journal_mode": "WAL",
            "synchronous": "FULL",
            "foreign_keys": "ON",
            "cache_size": f"-{_SQLITE_CACHE_KIB}",
            "wal_autocheckpoint": str(_SQLITE_LOG_PAGES),
        },
    )
    reader = None if in_memory else _engine(url)
    if reader is not None:
        pragmas = {"busy_timeout": _ms(options.busy_timeout_s), "query_only": "ON"}
        _prepare_sqlite(reader, begin="BEGIN", pragmas=pragmas)
    return _Engines(pipeline=pipeline, autocommit=None, reader=reader, idiom=SQLITE)


def _prepare_sqlite(engine: AsyncEngine, *, begin: str, pragmas: dict[str, str]) -> None:
    """Make every new connection ours, and have SQLAlchemy send BEGIN itself: the driver sends its own too late.

    The recipe: https://docs.sqlalchemy.org/en/21/dialects/sqlite.html#pysqlite-serializable
    """
    sync: Engine = engine.sync_engine
    folder = Path(sync.url.database or "").parent

    @event.listens_for(sync, "do_connect")
    def make_folder(*_: Any) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    @event.listens_for(sync, "connect")
    def set_up(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for name, value in pragmas.items():
            cursor.execute(f"PRAGMA {name} = {value}")
        cursor.close()

    @event.listens_for(sync, "begin")
    def send_begin(connection: Connection) -> None:
        connection.exec_driver_sql(begin)


def _postgresql(url: URL, options: StoreOptions) -> _Engines:
    connect_args = {
        "timeout": options.connect_timeout_s,
        "command_timeout": options.statement_timeout_s + _DRIVER_GRACE_S,
        "server_settings": {
            "application_name": options.application_name,
            "default_transaction_isolation": "read committed",
            "statement_timeout": _ms(options.statement_timeout_s),
            "lock_timeout": _ms(options.lock_timeout_s),
            "idle_in_transaction_session_timeout": _ms(options.idle_in_transaction_timeout_s),
            "tcp_keepalives_idle": str(options.keepalive_idle_s),
            "tcp_keepalives_interval": str(options.keepalive_interval_s),
            "tcp_keepalives_count": str(_KEEPALIVES_MAX),
        },
    }
    # Each statement must see what was committed while it waited for a lock: not so at any higher level.
    # And what a standby shows may be long past: whoever locks nothing would not notice.
    primary = connect_args | {"target_session_attrs": "primary"}
    pipeline = _engine(url, connect_args=primary, isolation_level="READ COMMITTED")
    reader = _engine(url, connect_args=connect_args)
    autocommit = pipeline.execution_options(isolation_level="AUTOCOMMIT")
    return _Engines(pipeline=pipeline, autocommit=autocommit, reader=reader, idiom=POSTGRESQL)


def _engine(url: URL, *, in_memory: bool = False, **options: Any) -> AsyncEngine:
    """One connection and no more. Errors quote no values. A database in memory has a pool of one by itself."""
    if not in_memory:
        options |= {"pool_size": 1, "max_overflow": 0}
    # Nothing is reset when a connection goes back: the store ends every transaction itself.
    return create_async_engine(url, hide_parameters=True, pool_reset_on_return=None, **options)


def _ms(seconds: float) -> str:
    return str(round(seconds * 1000))

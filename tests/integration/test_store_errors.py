"""What each of a database's errors means, by its code, wherever in a transaction it comes up."""

import sqlite3

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from tests.support.stores import memory_store
from worker.service.ports import CommitUnknown, ServiceError, StoreConflict, StoreUnavailable
from worker.sql.engine import make_store
from worker.sql.errors import Phase, translated

CONFLICTS = ["23505", "23503", "40001", "40P01"]
SAID_NO = ["25006", "53100", "53200", "53300", "55P03", "58030", "XX001"]
NOT_THERE = ["26000", "3F000", "42501", "42703", "42704", "42883", "42P01", "42P05", "42P10"]
NO_ANSWER = ["08006", "25P03", "40003", "57014", "57P01", "57P03"]
DEFECTS = ["22003", "22021", "22P02", "23502", "23514", "42601", "42804", "XX000", None]


class PgError(Exception):
    def __init__(self, sqlstate: str | None) -> None:
        super().__init__("told in one line\nDETAIL: Key (code)=(secret)")
        self.sqlstate = sqlstate


def _pg(sqlstate: str | None) -> DBAPIError:
    return DBAPIError("SELECT 1", {}, PgError(sqlstate))


def _sqlite(code: int | None) -> DBAPIError:
    error = sqlite3.OperationalError("told in one line")
    if code is not None:
        error.sqlite_errorcode = code
    return DBAPIError("SELECT 1", {}, error)


def _raised(error: Exception, phase: Phase) -> Exception:
    with pytest.raises((ServiceError, type(error))) as raised, translated(phase):
        raise error
    return raised.value


@pytest.mark.parametrize("phase", [Phase.WORK, Phase.COMMIT])
@pytest.mark.parametrize("sqlstate", CONFLICTS)
def test_a_lost_race_is_a_conflict(sqlstate: str, phase: Phase) -> None:
    assert type(_raised(_pg(sqlstate), phase)) is StoreConflict


@pytest.mark.parametrize("phase", [Phase.WORK, Phase.COMMIT])
@pytest.mark.parametrize("sqlstate", [*SAID_NO, *NOT_THERE])
def test_a_database_that_says_no_is_unavailable_at_commit_too(sqlstate: str, phase: Phase) -> None:
    assert type(_raised(_pg(sqlstate), phase)) is StoreUnavailable


@pytest.mark.parametrize(("phase", "expected"), [(Phase.WORK, StoreUnavailable), (Phase.COMMIT, CommitUnknown)])
@pytest.mark.parametrize(
    "error",
    [
        *map(_pg, NO_ANSWER),
        _sqlite(sqlite3.SQLITE_IOERR_FSYNC),
        DBAPIError("SELECT 1", {}, PgError(None), connection_invalidated=True),
        ConnectionResetError(104, "Connection reset by peer"),
        TimeoutError(),
    ],
)
def test_no_answer_is_unavailable_and_at_commit_unknown(
    error: Exception, phase: Phase, expected: type[ServiceError]
) -> None:
    assert type(_raised(error, phase)) is expected


@pytest.mark.parametrize("phase", [Phase.WORK, Phase.COMMIT])
@pytest.mark.parametrize(
    "code",
    [
        sqlite3.SQLITE_BUSY_SNAPSHOT,
        sqlite3.SQLITE_LOCKED,
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_READONLY_DIRECTORY,
        sqlite3.SQLITE_CANTOPEN_ISDIR,
        sqlite3.SQLITE_NOMEM,
        sqlite3.SQLITE_CORRUPT,
    ],
)
def test_a_file_that_cannot_be_used_is_unavailable(code: int, phase: Phase) -> None:
    assert type(_raised(_sqlite(code), phase)) is StoreUnavailable


@pytest.mark.parametrize("code", [sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY])
def test_a_broken_uniqueness_in_a_file_is_a_conflict(code: int) -> None:
    assert type(_raised(_sqlite(code), Phase.WORK)) is StoreConflict


@pytest.mark.parametrize("phase", [Phase.WORK, Phase.COMMIT])
@pytest.mark.parametrize(
    "error",
    [
        *map(_pg, DEFECTS),
        _sqlite(sqlite3.SQLITE_CONSTRAINT_CHECK),
        _sqlite(sqlite3.SQLITE_ERROR),
        _sqlite(None),
        LookupError("mine"),
    ],
)
def test_a_defect_passes_through_as_it_is(error: Exception, phase: Phase) -> None:
    assert _raised(error, phase) is error


@pytest.mark.parametrize(
    "error", [_pg("28P01"), _pg("3D000"), _pg(None), PoolTimeout("full"), OSError("no route")]
)
def test_whatever_keeps_us_from_connecting_is_unavailable(error: Exception) -> None:
    assert type(_raised(error, Phase.CONNECT)) is StoreUnavailable


def test_the_text_is_the_first_line_and_the_cause_is_kept() -> None:
    original = _pg("23505")
    error = _raised(original, Phase.WORK)
    assert str(error) == "told in one line"
    assert error.__cause__ is original


@pytest.mark.parametrize(
    "url", ["nonsense", "postgresql://worker@host:hunter2/db", "mysql://worker:hunter2@host/db"]
)
def test_a_url_that_cannot_be_used_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(ValueError, match="database") as raised:
        make_store(url)
    assert "hunter2" not in str(raised.value)
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT * FROM nowhere",
        "SELECT missing FROM devices",
        "INSERT INTO devices (missing) VALUES (1)",
        "SELECT nonsense(1)",
    ],
)
async def test_a_file_of_another_revision_is_unavailable(statement: str) -> None:
    async with memory_store() as store, store._engine.connect() as connection:
        with pytest.raises(StoreUnavailable, match=r"no such|has no column"), translated(Phase.WORK):
            await connection.execute(text(statement))


async def test_a_statement_that_is_wrong_is_a_defect() -> None:
    async with memory_store() as store, store._engine.connect() as connection:
        with pytest.raises(OperationalError, match="syntax error"), translated(Phase.WORK):
            await connection.execute(text("SELECT FROM WHERE"))

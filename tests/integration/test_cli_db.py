"""`stream-worker db` on real databases of both kinds."""

import json
from pathlib import Path

import pytest

from devtools.postgres import PrivatePostgres
from tests.support.command_line import Ended, stream_worker, stream_worker_program


def db(database_url: str, *arguments: str) -> Ended:
    return stream_worker("db", *arguments, STREAMS_DATABASE_URL=database_url)


def test_an_empty_database_has_no_revision(database_url: str) -> None:
    assert db(database_url, "current").out == "none\n"
    ended = db(database_url, "check")
    assert ended.code == 1
    assert "is at nothing, not at" in ended.out
    assert ended.err == "Run `stream-worker db upgrade`.\n"


def test_a_database_that_is_not_migrated_is_1_for_whoever_started_the_program(tmp_path: Path) -> None:
    ended = stream_worker_program("db", "check", STREAMS_DATABASE_URL=f"sqlite:///{tmp_path}/streams.db")
    assert (ended.code, ended.err) == (1, "Run `stream-worker db upgrade`.\n")


def test_an_upgraded_database_is_as_it_should_be(database_url: str) -> None:
    first, second = db(database_url, "upgrade"), db(database_url, "upgrade")
    assert (first.code, first.err) == (0, "")
    assert "went from nothing to" in first.out
    assert (second.code, second.err) == (0, "")
    assert second.out.endswith(" already\n")

    ended = db(database_url, "check", "--json")
    checked = json.loads(ended.out)
    assert (ended.code, checked["ok"]) == (0, True)
    assert checked["revision"] == checked["needed"]
    assert json.loads(db(database_url, "current", "--json").out) == {"revision": checked["needed"]}


@pytest.mark.parametrize("command", ["current", "upgrade"])
def test_a_login_that_is_refused_shows_no_password(postgres: PrivatePostgres, command: str) -> None:
    login, _, place = postgres.url("postgres").rpartition("@")
    user = login.rpartition(":")[0]
    ended = db(f"{user}:hunter2@{place}", command)
    assert (ended.code, ended.out) == (69, "")
    assert len(ended.err.splitlines()) == 1
    assert "hunter2" not in ended.err


@pytest.mark.parametrize("command", ["current", "check"])
def test_looking_makes_no_file(command: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    file = tmp_path_factory.mktemp("empty") / "folder" / "streams.db"
    db(f"sqlite:///{file}", command)
    assert not file.parent.exists()

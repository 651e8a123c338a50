"""What the database is asked about another's stream: word for word what it is asked about none."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event

from tests.support.making import by_code, content_of, create, get, received, stop
from tests.support.stores import made_store
from tests.support.worker_in_memory import WorkerInMemory
from worker.domain.commands import Command
from worker.service.messages import Received, Said
from worker.sql.store import SqlStore

ABSENT_ID = UUID(int=2**122 + 1)
ABSENT_CODE = "ZZZZZZZZ"


@contextmanager
def texts_sent(store: SqlStore) -> Iterator[list[tuple[str, int]]]:
    """Collect the text of every statement, and how many rows it found, as far as the driver says so."""
    texts: list[tuple[str, int]] = []

    def note(_connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        texts.append((statement, cursor.rowcount))

    event.listen(store._engine.sync_engine, "after_cursor_execute", note)
    try:
        yield texts
    finally:
        event.remove(store._engine.sync_engine, "after_cursor_execute", note)


def asked_by_mine(command: Command, message_id: str | None) -> Received:
    return received(command, message_id=message_id, sender="mine", only_for="mine")


def detail(said: Said) -> str:
    (reply,) = said.replies
    content = content_of(reply.answer)
    assert content["code"] == "not_found"
    assert list(said.events) == []
    return str(content["detail"])


@pytest.mark.parametrize("message_id", [None, "m"])
@pytest.mark.parametrize("kind", ["get by id", "stop by id", "stop by code"])
async def test_another_stream_and_none_cost_the_same_statements_and_earn_the_same_words(
    database_url: str, kind: str, message_id: str | None
) -> None:
    async with made_store(database_url) as store:
        batches = WorkerInMemory(store=store).batches()
        begun = [received(create("theirs")), received(create("mine")), received(stop("theirs"))]
        made, *_ = (await batches.carry_out(begun)).replies
        theirs = content_of(made.answer)["stream"]
        commands: dict[str, tuple[Command, Command]] = {
            "get by id": (get(UUID(theirs["id"])), get(ABSENT_ID)),
            "stop by id": (stop(UUID(theirs["id"])), stop(ABSENT_ID)),
            "stop by code": (stop(by_code(theirs["code"])), stop(by_code(ABSENT_CODE))),
        }
        hidden, absent = commands[kind]

        with texts_sent(store) as texts_of_hidden:
            said_of_hidden = await batches.carry_out([asked_by_mine(hidden, message_id and "m-1")])
        with texts_sent(store) as texts_of_absent:
            said_of_absent = await batches.carry_out([asked_by_mine(absent, message_id and "m-2")])

        assert texts_of_hidden == texts_of_absent
        assert any("FROM streams" in text or "JOIN streams" in text for text, _ in texts_of_hidden)
        locks = [text for text, _ in texts_of_hidden if "FROM devices" in text or "FOR UPDATE" in text]
        assert not locks, "a stranger locks nobody's device"
        words = detail(said_of_hidden).replace(theirs["id"], str(ABSENT_ID)).replace(theirs["code"], ABSENT_CODE)
        assert words == detail(said_of_absent)


async def test_the_owner_finds_in_the_same_batch_what_is_hidden_from_another(database_url: str) -> None:
    async with made_store(database_url) as store:
        batches = WorkerInMemory(store=store).batches()
        said = await batches.carry_out([received(create("theirs"))])
        stream_id = UUID(content_of(said.replies[0].answer)["stream"]["id"])

        said = await batches.carry_out(
            [
                received(stop(stream_id), message_id="m-1", sender="mine", only_for="mine"),
                received(stop(stream_id), message_id="m-1", sender="theirs", only_for="theirs"),
                received(get(stream_id), message_id="m-2", sender="mine", only_for="mine"),
            ]
        )

        answers = [content_of(reply.answer) for reply in said.replies]
        assert [answer.get("outcome", answer.get("code")) for answer in answers] == [
            "not_found",
            "stopped",
            "not_found",
        ]

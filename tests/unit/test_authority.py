"""Who may do what."""

import uuid
from typing import Any

import pytest
from pamqp.commands import Basic

from tests.support.making import by_code, create, get, stop
from worker.amqp.codec.authority import Authority
from worker.domain.commands import Command

STREAM = uuid.UUID(int=7)
CODE = by_code("7K3M9QXA")

OPEN = Authority(per_device=False, operators=["boss"])
PER_DEVICE = Authority(per_device=True, operators=["boss", "deputy"])

BY_DEVICE: list[Command] = [create("cam-1"), stop("cam-1"), get("cam-1")]
BY_STREAM: list[Command] = [stop(STREAM), stop(CODE), get(STREAM)]
EVERY: list[Command] = [*BY_DEVICE, *BY_STREAM, get(CODE)]


def objection(authority: Authority, command: Command, **properties: Any) -> str | None:
    return authority.objection(Basic.Properties(**properties), command)


@pytest.mark.parametrize("command", EVERY)
@pytest.mark.parametrize("properties", [{}, {"user_id": "cam-2"}, {"user_id": "cam-1", "headers": {"CC": ["x"]}}])
def test_where_it_is_open_everybody_may_do_everything(command: Command, properties: dict[str, Any]) -> None:
    assert objection(OPEN, command, **properties) is None
    assert OPEN.only_for(properties.get("user_id", ""), command) is None


@pytest.mark.parametrize("command", EVERY)
@pytest.mark.parametrize("user_id", [None, ""])
def test_a_sender_is_required(command: Command, user_id: str | None) -> None:
    reason = objection(PER_DEVICE, command, user_id=user_id)

    assert reason is not None
    assert "user_id" in reason


@pytest.mark.parametrize("command", BY_DEVICE)
def test_a_device_may_act_for_itself(command: Command) -> None:
    assert objection(PER_DEVICE, command, user_id="cam-1") is None


@pytest.mark.parametrize("command", BY_DEVICE)
@pytest.mark.parametrize("user_id", ["cam-2", "CAM-1", "cam-1 ", "cam", "guest"])
def test_a_device_may_not_act_for_another(command: Command, user_id: str) -> None:
    reason = objection(PER_DEVICE, command, user_id=user_id)

    assert reason == "This sender may not act for the device cam-1."


@pytest.mark.parametrize("command", EVERY)
@pytest.mark.parametrize("user_id", ["boss", "deputy"])
def test_an_operator_may_act_for_every_device_and_see_every_stream(command: Command, user_id: str) -> None:
    assert objection(PER_DEVICE, command, user_id=user_id) is None
    assert PER_DEVICE.only_for(user_id, command) is None


@pytest.mark.parametrize("command", BY_STREAM)
def test_a_stream_that_is_named_is_looked_for_among_the_senders_own(command: Command) -> None:
    assert objection(PER_DEVICE, command, user_id="cam-2") is None
    assert PER_DEVICE.only_for("cam-2", command) == "cam-2"


def test_a_code_shows_its_stream_to_whoever_has_it_and_stops_it_for_the_owner_only() -> None:
    assert PER_DEVICE.only_for("cam-2", get(CODE)) is None
    assert PER_DEVICE.only_for("cam-2", stop(CODE)) == "cam-2"


@pytest.mark.parametrize("command", EVERY)
@pytest.mark.parametrize("name", ["CC", "BCC"])
@pytest.mark.parametrize("user_id", ["cam-1", "boss"])
def test_a_command_that_goes_more_than_one_way_is_refused(command: Command, name: str, user_id: str) -> None:
    for value in (["cam-2"], [], None, "cam-2"):
        reason = objection(PER_DEVICE, command, user_id=user_id, headers={name: value, "traceparent": "00"})

        assert reason is not None
        assert "CC" in reason


def test_other_headers_are_nobodys_business() -> None:
    headers = {"traceparent": "00", "cc": ["x"], "X-CC": "x"}

    assert objection(PER_DEVICE, create("cam-1"), user_id="cam-1", headers=headers) is None


def test_no_reason_names_the_sender() -> None:
    for command in EVERY:
        assert "cam-2" not in (objection(PER_DEVICE, command, user_id="cam-2") or "")

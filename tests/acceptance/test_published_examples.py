"""Whoever copies a command from the contract's document gets what they came for."""

import json
import re
from typing import Any

import pytest

from schemas import CommandName, ProblemCode, ReplyName
from tests.support.contract_document import committed_document
from tests.support.wire import Device

EXAMPLES = {
    example["name"]: example
    for name in CommandName
    for example in committed_document()["components"]["messages"][name]["examples"]
}


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
async def test_an_example_can_be_sent_as_it_is(device: Device, example: Any) -> None:
    properties = {
        re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", name): value
        for name, value in example["headers"].items()
    }

    reply = await device.ask(json.dumps(example["payload"]).encode(), **properties)

    is_there = reply.type == ReplyName.REPLY
    assert is_there or json.loads(reply.body)["code"] == ProblemCode.NOT_FOUND  # which is an answer, too

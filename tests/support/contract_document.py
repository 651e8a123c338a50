"""The committed AsyncAPI document, and what a message has in its words."""

from collections.abc import Iterator
from functools import cache
from typing import Any

from jsonschema import Draft202012Validator, FormatChecker
from pamqp.commands import Basic
from ruamel.yaml import YAML

from devtools.contract.files import SCHEMAS
from devtools.contract.properties import Property


@cache
def committed_document() -> Any:
    """The document as anybody's YAML reader sees it."""
    return YAML(typ="safe", pure=True).load((SCHEMAS / "asyncapi.yaml").read_text("utf-8"))


def validator(schema: Any) -> Draft202012Validator:
    """A schema of the document, with whatever it refers to in there."""
    return Draft202012Validator(
        {**schema, "components": committed_document()["components"]}, format_checker=FormatChecker()
    )


def headers_of(properties: Basic.Properties) -> dict[str, Any]:
    """What the document calls the headers of a message: the basic properties that are set, and its own table."""
    set_ones = {name: value for name, value in properties if value is not None and name != "headers"}
    named = {_key(name): value for name, value in set_ones.items() if value != ""}
    if "timestamp" in named:
        named["timestamp"] = int(named["timestamp"].timestamp())
    return {**named, **(properties.headers or {})}


def _key(name: str) -> str:
    """Pamqp calls AMQP's `type` `message_type`."""
    return Property(name={"message_type": "type"}.get(name, name), schema={}, text="").key


def members(schema: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every member of an object in a schema, with where it stands."""
    if isinstance(schema, dict):
        for name, member in schema.get("properties", {}).items():
            yield f"{path}/{name}", member
        for key, value in schema.items():
            yield from members(value, f"{path}/{key}")

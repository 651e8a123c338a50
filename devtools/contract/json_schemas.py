"""The bodies as JSON Schema 2020-12, out of the pydantic models."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from pydantic import TypeAdapter
from pydantic.json_schema import GenerateJsonSchema, JsonSchemaMode, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema
from typing_extensions import override

from devtools.contract.bodies import BODIES, Body
from devtools.contract.shape import OPEN_LIST
from schemas import Outcome, ProblemCode
from schemas.version import schema_urn

_OPEN: Final = frozenset({ProblemCode, Outcome})
"""Lists that grow within a version. Whatever reads the schema, a generator of code too, has to let others in."""


class _Generator(GenerateJsonSchema):
    """Writes what a reader wants to see: members in the models' order, no titles that only repeat their names, and
    everything required that we always write.
    """

    @override
    def sort(self, value: JsonSchemaValue, parent_key: str | None = None) -> JsonSchemaValue:
        return value

    @override
    def field_title_should_be_set(self, schema: Any) -> bool:
        return False

    @override
    def enum_schema(self, schema: core_schema.EnumSchema) -> JsonSchemaValue:
        written = super().enum_schema(schema)
        if schema["cls"] in _OPEN:
            written[OPEN_LIST] = written.pop("enum")
        return written

    @override
    def field_is_required(
        self,
        field: core_schema.ModelField | core_schema.DataclassField | core_schema.TypedDictField,
        total: bool,
    ) -> bool:
        if self.mode == "serialization":
            return "serialization_exclude_if" not in field
        return super().field_is_required(field, total)


def mode_of(body: Body) -> JsonSchemaMode:
    """What we read is described as it may be; what we write, as it always is."""
    return "validation" if body.is_read else "serialization"


def json_schemas() -> Iterator[tuple[str, str]]:
    """Return name and text of each schema; it stands for itself, without a reference to another file."""
    for body in BODIES:
        schema = TypeAdapter(body.model).json_schema(mode=mode_of(body), schema_generator=_Generator)
        named = {"$schema": GenerateJsonSchema.schema_dialect, "$id": schema_urn(body.name), **_in_order(schema)}
        yield body.name, json.dumps(named, indent=2, ensure_ascii=False) + "\n"


def component_schemas() -> dict[str, Any]:
    """Return all schemas by the names of their models, with references as AsyncAPI has them."""
    _, found = models_json_schema(
        [(body.model, mode_of(body)) for body in BODIES],
        schema_generator=_Generator,
        ref_template="#/components/schemas/{model}",
    )
    return {name: _with_words_beside(_in_order(schema)) for name, schema in sorted(found["$defs"].items())}


def _with_words_beside(value: Any) -> Any:
    """In AsyncAPI's own schemas, which are of an older draft, what stands beside a reference is not read."""
    match value:
        case {"$ref": reference, **words} if words:
            return {**words, "allOf": [{"$ref": reference}]}
        case dict(members):
            return {name: _with_words_beside(member) for name, member in members.items()}
        case list(items):
            return [_with_words_beside(item) for item in items]
        case _:
            return value


_FIRST: Final = ("$ref", "title", "description", "type", "format", "const", "enum", OPEN_LIST)
_LAST: Final = ("examples", "$defs")


def _in_order(schema: Mapping[str, Any]) -> dict[str, Any]:
    """Put what says most first, in a schema and in all that are in it."""
    keys = [
        *(key for key in _FIRST if key in schema),
        *(key for key in schema if key not in _FIRST + _LAST),
        *(key for key in _LAST if key in schema),
    ]
    return {key: _within(key, schema[key]) for key in keys}


def _within(key: str, value: Any) -> Any:
    match key, value:
        case (("properties" | "$defs"), dict(members)):
            return {name: _in_order(member) for name, member in members.items()}
        case (("anyOf" | "oneOf"), list(choices)):
            return [_in_order(choice) for choice in choices]
        case "items", dict(item):
            return _in_order(item)
        case "description", str(docstring):
            return "\n\n".join(" ".join(paragraph.split()) for paragraph in docstring.split("\n\n"))
        case _:
            return value

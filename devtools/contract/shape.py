"""What a JSON Schema admits, in the few terms in which two of them can be compared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

AT_MOST: Final = ("maxLength", "maximum", "maxItems")
AT_LEAST: Final = ("minLength", "minimum", "minItems")
AS_IT_IS: Final = ("pattern", "format", "oneOf", "additionalProperties")

_KINDS: Final = ("string", "integer", "number", "boolean", "null", "array", "object")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One value: of which types, which values where they are listed (`is_open`: in a list that may grow), within
    which limits, with which members or items.
    """

    types: frozenset[str]
    values: frozenset[str] | None = None
    is_open: bool = False
    limits: Mapping[str, Any] = field(default_factory=dict)
    members: Mapping[str, "Shape"] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    items: "Shape | None" = None


def shape_of(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Shape:
    """Read a schema of an AsyncAPI document. Raises KeyError for a reference that leads nowhere."""
    whole = _resolved(schema, document)
    values = whole.get("enum", [whole["const"]] if "const" in whole else None)
    return Shape(
        types=frozenset(_types(whole)),
        values=None if values is None else frozenset(map(str, values)),
        is_open="enum" in whole,
        limits={name: whole[name] for name in (*AT_MOST, *AT_LEAST, *AS_IT_IS) if name in whole},
        members={name: shape_of(member, document) for name, member in whole.get("properties", {}).items()},
        required=frozenset(whole.get("required", ())),
        items=shape_of(whole["items"], document) if "items" in whole else None,
    )


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Follow references, and take `allOf` and the choice between something and null together."""
    whole: dict[str, Any] = {}
    if "$ref" in schema:
        target: Any = document
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        whole |= _resolved(target, document)
    for part in schema.get("allOf", ()):
        whole |= _resolved(part, document)
    some = [_resolved(one, document) for one in schema.get("anyOf", ()) if one != {"type": "null"}]
    if len(some) == 1:
        whole |= some[0] | {"type": [*_types(some[0]), "null"]}
    return whole | {name: value for name, value in schema.items() if name not in ("$ref", "allOf", "anyOf")}


def _types(schema: Mapping[str, Any]) -> Iterator[str]:
    """Name the types; a schema that names none admits all."""
    match schema.get("type", list(_KINDS)):
        case str(one):
            yield one
        case several:
            yield from several

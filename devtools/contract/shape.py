"""What a JSON Schema admits, in the few terms in which two of them can be compared."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

AT_MOST: Final = ("maxLength", "maximum", "exclusiveMaximum", "maxItems", "maxProperties")
AT_LEAST: Final = ("minLength", "minimum", "exclusiveMinimum", "minItems", "minProperties")
CHOICES: Final = ("oneOf", "anyOf")
OPEN_LIST: Final = "x-extensible-enum"

_KINDS: Final = ("string", "integer", "number", "boolean", "null", "array", "object")
_IN_THE_SHAPE: Final = frozenset({"type", "enum", "const", "properties", "required", "items"})
_WORDS: Final = frozenset(
    {"title", "description", "examples", "default", "deprecated", "externalDocs", "$comment"}
)
_NAMING: Final = ("properties", "patternProperties", "dependentSchemas")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One value: of which types, which values where they are listed (`known`: in a list that may grow), with which
    members or items. `limits` has every other word that narrows it, those too that nobody here has heard of.
    """

    types: frozenset[str]
    values: frozenset[str] | None = None
    known: frozenset[str] | None = None
    limits: Mapping[str, Any] = field(default_factory=dict)
    members: Mapping[str, "Shape"] = field(default_factory=dict)
    required: frozenset[str] = frozenset()
    items: "Shape | None" = None


def shape_of(schema: Mapping[str, Any], document: Mapping[str, Any]) -> Shape:
    """Read a schema of an AsyncAPI document.

    Raises KeyError for a reference that leads nowhere, ValueError where a schema and what it refers to say two
    things of one word.
    """
    whole = _resolved(schema, document)
    values = whole.get("enum", [whole["const"]] if "const" in whole else None)
    return Shape(
        types=frozenset(_types(whole)),
        values=None if values is None else frozenset(map(str, values)),
        known=frozenset(whole[OPEN_LIST]) if OPEN_LIST in whole else None,
        limits={
            name: _plain(value, document)
            for name, value in whole.items()
            if _narrows(name) and name not in _IN_THE_SHAPE
        },
        members={name: shape_of(member, document) for name, member in whole.get("properties", {}).items()},
        required=frozenset(whole.get("required", ())),
        items=shape_of(whole["items"], document) if "items" in whole else None,
    )


def _narrows(word: str) -> bool:
    return word not in _WORDS and not word.startswith("x-")


def _resolved(schema: Mapping[str, Any], document: Mapping[str, Any]) -> dict[str, Any]:
    """Follow references, and take `allOf` of one and the choice between something and null together."""
    whole = dict(schema)
    parts = [_target(whole.pop("$ref"), document)] if "$ref" in whole else []
    if len(whole.get("allOf", ())) == 1:
        parts += whole.pop("allOf")
    some = [one for one in whole.get("anyOf", ()) if one != {"type": "null"}]
    if len(some) == 1:
        del whole["anyOf"]
        choice = _resolved(some[0], document)
        parts.append(choice | {"type": [*_types(choice), "null"]})
    for part in parts:
        whole = _both(_resolved(part, document), whole)
    return whole


def _target(reference: str, document: Mapping[str, Any]) -> Any:
    target: Any = document
    for step in reference.removeprefix("#/").split("/"):
        target = target[step]
    return target


def _both(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Join what two schemas say of one value; the words are the second's."""
    joined = {
        "required": [*one.get("required", ()), *other.get("required", ())],
        "properties": {**one.get("properties", {}), **other.get("properties", {})},
    }
    for name in one.keys() & other.keys() - joined.keys():
        if _narrows(name) and one[name] != other[name]:
            raise ValueError(f"{name} is {one[name]} and {other[name]}")
    return {**one, **other, **{name: value for name, value in joined.items() if value}}


def _plain(value: Any, document: Mapping[str, Any]) -> Any:
    """Return schemas within a word as they can be compared: without references, and without words for people."""
    match value:
        case dict():
            whole = _resolved(value, document)
            return {
                name: {key: _plain(one, document) for key, one in part.items()}
                if name in _NAMING
                else _plain(part, document)
                for name, part in whole.items()
                if _narrows(name)
            }
        case list():
            return [_plain(one, document) for one in value]
        case _:
            return value


def _types(schema: Mapping[str, Any]) -> Iterator[str]:
    """Name the types; a schema that names none admits all."""
    match schema.get("type", list(_KINDS)):
        case str(one):
            yield one
        case several:
            yield from several

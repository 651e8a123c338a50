"""What all our wire models have in common."""

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict


class Wire(BaseModel):
    """A value on the wire: frozen; unknown members are ignored, and nothing is coerced into the right type.

    Its errors never show what was sent.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True, hide_input_in_errors=True)


def is_none(value: object) -> bool:
    """Whether a member that may be absent is: for `exclude_if`."""
    return value is None


def absent_not_null(schema: JsonDict) -> None:
    """Say in a member's JSON Schema that it may be absent but is never null: for `json_schema_extra`."""
    schema.pop("default", None)
    kinds = schema.pop("anyOf", None)
    if isinstance(kinds, list) and isinstance(kinds[0], dict):
        schema.update({**kinds[0], **schema})

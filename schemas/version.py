"""Which version of the contract this is, and how its schemas are called."""

from typing import Final

VERSION: Final = 1
"""Of the whole contract. Within it, what is out there goes on working; what would not be, needs the next."""


def schema_urn(name: str) -> str:
    """Return the name of a schema: the `$id` of the file `schemas/json/<name>.json`."""
    return f"urn:streams:schema:{name}:{VERSION}"

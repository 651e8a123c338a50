"""Every file that is written from the models, with its text."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from devtools.contract.document import document
from devtools.contract.json_schemas import json_schemas
from devtools.contract.tables import with_parts
from devtools.contract.yaml_text import yaml_text
from devtools.project import ROOT

SCHEMAS: Final = ROOT / "schemas"
PROTOCOL: Final = ROOT / "docs/protocol.md"

_WRITTEN: Final = (
    "# Written by `make schemas` from the models in schemas/ and worker/amqp/topology.py. Do not edit.\n"
)


def generated_files() -> Mapping[Path, str]:
    """Return what each of the committed files should be; what people wrote around the tables stays."""
    return {
        SCHEMAS / "asyncapi.yaml": _WRITTEN + yaml_text(document()),
        PROTOCOL: with_parts(PROTOCOL.read_text("utf-8")),
        **{SCHEMAS / "json" / f"{name}.json": text for name, text in json_schemas()},
    }


def stale_files() -> Mapping[Path, str]:
    """Return those that are not, and what they should be; one that should not be there has no text."""
    wanted = generated_files()
    stale = {path: text for path, text in wanted.items() if not path.is_file() or path.read_text("utf-8") != text}
    left_over = {path: "" for path in (SCHEMAS / "json").glob("*") if path not in wanted}
    return stale | left_over

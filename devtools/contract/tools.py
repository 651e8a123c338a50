"""What Node is needed for: the parser of AsyncAPI documents, which says what is wrong with one."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from devtools.nodejs import nodejs, packages
from devtools.project import ROOT
from devtools.tool import run_tool

PACKAGES: Final = Path(__file__).with_name("node")

_DEADLINE_S: Final = 90.0


def diagnose(*documents: Path) -> Sequence[Sequence[dict[str, Any]]]:
    """Return what the parser has to say of each document: its errors, warnings and hints, in one run of Node.

    Raises MissingPrograms where Node or the parser cannot be had, CommandFailed where the parser breaks.
    """
    programs = nodejs()
    modules = packages(PACKAGES)
    command = [str(programs.node), str(PACKAGES / "diagnose.mjs"), str(modules), *map(str, documents)]
    said: list[list[dict[str, Any]]] = json.loads(
        run_tool(command, env=programs.env, cwd=ROOT, deadline_s=_DEADLINE_S)
    )
    return said

"""The page to read the contract on: one file with everything in it, that needs no network."""

import html
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Any, Final

from devtools.contract.document import document
from devtools.contract.tools import PACKAGES
from devtools.failures import MissingPrograms
from devtools.nodejs import packages
from devtools.project import ROOT, say

PAGE: Final = ROOT / "docs/site/index.html"

_TEMPLATE: Final = Path(__file__).with_name("page.html")
_COMPONENT: Final = "@asyncapi/react-component"


def page(contract: Mapping[str, Any], modules: Path) -> str:
    """Return the page of a document, with the program and the styles of AsyncAPI's own component in `modules`."""
    component = modules / _COMPONENT
    return Template(_TEMPLATE.read_text("utf-8")).substitute(
        title=html.escape(contract["info"]["title"]),
        css=(component / "styles/default.min.css").read_text("utf-8"),
        program=_inline((component / "browser/standalone/index.js").read_text("utf-8")),
        document=_inline(json.dumps(json.dumps(contract))),
    )


def _inline(script: str) -> str:
    """A page takes these for the end of its script, or for a comment, wherever they stand. In a text and in a
    pattern, the only places where they can stand in a program, the sign may be written by its number.
    """
    return script.replace("</script", "\\x3c/script").replace("<!--", "\\x3c!--")


def main() -> int:
    """Write the page; return the exit code."""
    try:
        text = page(document(), packages(PACKAGES))
    except MissingPrograms as failure:
        say(str(failure))
        return 1
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(text, "utf-8")
    say(f"wrote {PAGE.relative_to(ROOT)}: open it in a browser")
    return 0


if __name__ == "__main__":
    sys.exit(main())

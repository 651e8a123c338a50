"""The page of the contract as text; how a browser draws it is seen in tests/integration/test_contract_page.py."""

import json
import re
from pathlib import Path

import pytest

from devtools.contract.page import page

CRUEL = "</script><script>alert(1)</script><!-- <script> -->"


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """The least that AsyncAPI's component can be."""
    component = tmp_path / "@asyncapi/react-component"
    parts = {"styles/default.min.css": "p {}", "browser/standalone/index.js": "let a = '</script>';"}
    for name, text in parts.items():
        (component / name).parent.mkdir(parents=True)
        (component / name).write_text(text, "utf-8")
    return tmp_path


def test_no_text_ends_the_script_that_it_stands_in(modules: Path) -> None:
    contract = {"info": {"title": "<Streams>", "description": CRUEL}}

    text = page(contract, modules)

    assert text.count("</script>") == len(("the component", "the call of it"))
    assert text.count("<!--") == text.count("-->") - 1  # a comment's end without its beginning is only text
    assert "<title>&lt;Streams&gt;</title>" in text
    (literal,) = re.findall(r'schema: ("(?:[^"\\]|\\.)*")', text)
    assert json.loads(json.loads(literal.replace("\\x3c", "<"))) == contract


def test_the_page_names_no_place_to_fetch_from(modules: Path) -> None:
    text = page({"info": {"title": "Streams"}}, modules)

    assert "default-src 'none'" in text
    assert re.findall(r"""(?:src|href)=["']?(?:https?:)?//""", text) == []

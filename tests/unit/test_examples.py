"""The examples in docstrings are true."""

import doctest
import importlib
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("worker", "schemas", "stream_client")


def with_examples() -> list[str]:
    """The names of the modules that hold an example."""
    files = [file for package in PACKAGES for file in sorted((ROOT / package).rglob("*.py"))]
    return [
        ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
        for file in files
        if ">>> " in file.read_text("utf-8")
    ]


@pytest.mark.parametrize("module", with_examples())
def test_the_examples_of_a_module_are_true(module: str) -> None:
    tried = doctest.testmod(importlib.import_module(module), raise_on_error=False)

    assert tried.attempted, "an example that no docstring holds is not run"
    assert not tried.failed


def test_there_are_examples() -> None:
    assert "worker.config.urls" in with_examples()

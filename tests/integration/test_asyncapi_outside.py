"""The contract outside of this repository: what the parser of AsyncAPI says of it, and where a user finds it."""

import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from devtools.contract.document import document
from devtools.contract.files import SCHEMAS
from devtools.contract.tools import diagnose
from devtools.contract.yaml_text import yaml_text
from devtools.project import ROOT
from tests.support.command_line import stream_worker

WARNING = 1

Document = dict[str, Any]
Damage = Callable[[Document], object]


def a_wrong_type(whole: Document) -> object:
    return whole["components"]["schemas"]["Problem"].update(type="objekt")


def a_reference_to_nothing(whole: Document) -> object:
    return whole["operations"]["createStream"]["channel"].update({"$ref": "#/channels/comands"})


def a_reply_to_nowhere(whole: Document) -> object:
    return whole["operations"]["getStream"]["reply"]["address"].update(location="replyTo")


def a_binding_of_no_queue(whole: Document) -> object:
    return whole["channels"]["commandQueue"]["bindings"]["amqp"].pop("queue")


DAMAGES = (
    a_wrong_type,
    a_reference_to_nothing,
    a_reply_to_nowhere,
    a_binding_of_no_queue,
)


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[str]]:
    """What the parser complains about: in the committed document, and in each damaged one; Node starts once."""
    folder = tmp_path_factory.mktemp("documents")
    paths = {"committed": SCHEMAS / "asyncapi.yaml"}
    for damage in DAMAGES:
        whole = document()
        damage(whole)
        paths[damage.__name__] = folder / f"{damage.__name__}.yaml"
        paths[damage.__name__].write_text(yaml_text(whole), "utf-8")
    return {
        name: [f"{one['code']} at {one['path']}: {one['message']}" for one in found if one["severity"] <= WARNING]
        for name, found in zip(paths, diagnose(*paths.values()), strict=True)
    }


def test_the_parser_has_no_complaint(said: Mapping[str, list[str]]) -> None:
    assert said["committed"] == []


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_the_parser_finds(damage: Damage, said: Mapping[str, list[str]]) -> None:
    assert said[damage.__name__]


def test_the_program_prints_the_contract() -> None:
    ended = stream_worker("asyncapi")

    assert (ended.code, ended.err) == (0, "")
    assert ended.out == (SCHEMAS / "asyncapi.yaml").read_text("utf-8")


def test_the_contract_is_in_the_wheel(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True, timeout=60)  # noqa: S603 - our own build

    (wheel,) = tmp_path.glob("*.whl")
    with ZipFile(wheel) as archive:
        packaged = {name: archive.read(name) for name in archive.namelist() if name.startswith("schemas/")}
    for file in (SCHEMAS / "asyncapi.yaml", *(SCHEMAS / "json").iterdir()):
        assert packaged[str(file.relative_to(ROOT))] == file.read_bytes()

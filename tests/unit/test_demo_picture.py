"""The demo's picture: it fits, tells what is so without colours too, and asks for nothing from anywhere."""

import io
import re
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from devtools.demo.board import Board, Line, Mood, WorkerState
from devtools.demo.books import books
from devtools.demo.cast import cast
from devtools.demo.frame import COLUMNS_MIN, ROWS_MIN, closing, frame
from devtools.demo.ledger import Asked, Fact
from devtools.demo.picture import draw
from devtools.demo.selection import what_is_new, what_mattered
from devtools.project import ROOT

COLOUR = re.compile(r"\x1b\[[0-9;]*(?:3[0-7]|9[0-7]|[34]8;)")


@pytest.fixture
def board() -> Board:
    """One in the middle of the demo, with as much on it as there can be."""
    board = Board(parts=cast(7), seconds=20)
    board.begin()
    board.gone_at_s, board.gone_with, board.worker = 0.0, 12, WorkerState.KILLED
    for number, part in enumerate(board.parts):
        name = part.device_id
        command, expects = ("stream.stop", "stopped") if number % 2 else ("stream.create", "created")
        board.ledger.ask(Asked(device_id=name, command=command, body="", message_id=name, expects=expects))
        fact = Fact(
            event_id=name,
            kind=f"stream.{expects}",
            device_id=name,
            stream_id=name,
            code="7K3M9QXA",
            sequence=1,
            cause=name,
        )
        board.ledger.facts.append(fact)
        board.note(fact)
        board.tell(name, "says something that is far too long for any line, and then goes on and on", Mood.ODD)
    return board


def drawn(board: Board, *, width: int, height: int) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None, legacy_windows=False)
    with console.capture() as capture:
        console.print(frame(board, width=width, height=height))
    return capture.get().splitlines()


@pytest.mark.parametrize(("width", "height"), [(COLUMNS_MIN, ROWS_MIN), (80, 24), (100, 30), (200, 60)])
def test_the_picture_fits_and_has_everything(board: Board, width: int, height: int) -> None:
    lines = drawn(board, width=width, height=height)
    assert len(lines) <= height
    assert max(map(len, lines)) <= width
    assert "worker is killed" in lines[0]
    assert "48 waiting" in "".join(lines)
    assert board.parts[-1].device_id in lines[7]
    assert lines[-1].split()[:2] == ["wrong", "25"], "streams that end before they begin"


@pytest.mark.parametrize(("width", "height"), [(1, 1), (2, 2), (12, 4), (40, 10)])
def test_it_can_be_drawn_however_small_the_terminal_is_made(board: Board, width: int, height: int) -> None:
    assert max(map(len, drawn(board, width=width, height=height)), default=0) <= width


def test_it_can_be_drawn_before_anything_has_happened() -> None:
    lines = drawn(Board(parts=cast(7), seconds=20), width=80, height=24)
    assert len(lines) <= 24
    assert "·" * 10 in "".join(lines)


def test_without_colours_the_dots_differ_by_their_shapes(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    console = Console(file=io.StringIO(), force_terminal=True, width=100, color_system="truecolor")
    with console.capture() as capture:
        console.print(closing(board, books(board.ledger, is_over=False), width=100))
    assert not COLOUR.search(capture.get())
    assert {"◌", "✕"} <= {*capture.get()}


def test_what_matters_more_stays_longer() -> None:
    lines = [Line(at_s=0.0, who="worker", text="is killed", mood=Mood.BAD)]
    lines += [Line(at_s=n / 10, who="cam-1", text=f"{n}", mood=Mood.EVENT) for n in range(70)]
    assert [line.text for line in what_is_new(lines[:40], 3)] == ["is killed", "37", "38"]
    assert [line.text for line in what_is_new(lines, 3)] == ["67", "68", "69"]
    assert what_is_new([], 3) == []


def test_what_happened_once_matters_more_than_what_happened_often_and_events_least() -> None:
    said = [("streams", Mood.EVENT), *[("again", Mood.ODD)] * 3, ("killed", Mood.BAD), ("poison", Mood.HOSTILE)]
    lines = [Line(at_s=n, who="cam-1", text=text, mood=mood) for n, (text, mood) in enumerate(said)]
    assert [line.text for line in what_mattered(lines, 3)] == ["again", "killed", "poison"]
    assert [line.text for line in what_mattered(lines, 4)] == ["again", "again", "killed", "poison"]
    assert len(what_mattered(lines, 99)) == len(lines)


def test_the_file_is_a_picture_that_needs_nothing_else(board: Board, tmp_path: Path) -> None:
    path = tmp_path / "demo.svg"
    draw(board, books(board.ledger, is_over=True), path)
    text = path.read_text("utf-8")
    root = ET.fromstring(text)  # noqa: S314 - we have just written it
    assert root.tag == "{http://www.w3.org/2000/svg}svg"
    assert "was&#160;killed&#160;with&#160;12&#160;commands" in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert "@font-face" not in text
    assert all(line == line.rstrip() for line in text.split("\n"))
    assert text.endswith("</svg>\n")


def test_it_is_the_first_thing_that_the_readme_shows() -> None:
    before, _, after = (ROOT / "README.md").read_text("utf-8").partition("](docs/demo.svg)")
    assert before.count("![") == 1
    assert "\n## " not in before
    assert after.lstrip().startswith("```sh\nmake demo ")
    assert (ROOT / "docs/demo.svg").is_file()

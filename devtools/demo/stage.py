"""Where people watch: a live picture on a terminal, plain lines everywhere else."""

import io
import os
import sys
from types import TracebackType
from typing import Final, Protocol, Self

from rich.console import Console
from rich.live import Live

from devtools.demo.account import account, verdict
from devtools.demo.board import Board, Line
from devtools.demo.books import Books
from devtools.demo.frame import COLUMNS_MIN, ROWS_MIN, closing, frame

_STDOUT: Final = 1  # `sys.stdout` is none where it was closed from the start
_PLAIN_NAME: Final = 13


class Stage(Protocol):
    """Entered for as long as the demo runs."""

    def __enter__(self) -> Self:
        """Take the terminal."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give it back as it was."""

    def paint(self) -> None:
        """Show what the board has now; called many times a second."""

    def close(self, books: Books) -> None:
        """Show the books, after it was left."""


class Plain:
    """A line for each line of the feed, without colours."""

    def __init__(self, board: Board) -> None:
        self._board = board
        board.on_line = _print

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def paint(self) -> None:
        """Do nothing: each line is printed when it comes."""

    def close(self, books: Books) -> None:
        """Print the books, a row each."""
        print()
        for row in account(books):
            print(f"{row.name:<{_PLAIN_NAME}} {row.sum:>4}  {row.parts}".rstrip())
        print("", verdict(books), *self._board.remarks, sep="\n", flush=True)


def _print(line: Line) -> None:
    print(f"{line.at_s:5.1f}  {line.who:<8}  {line.text}", flush=True)


class Screen:
    """A picture that fills the terminal, and is left in it at the end, with the books."""

    def __init__(self, board: Board, console: Console) -> None:
        self._board = board
        self._console = console
        self._live = Live(console=console, screen=True, auto_refresh=False, vertical_overflow="crop")

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def paint(self) -> None:
        """Draw it anew."""
        width, height = self._console.size
        self._live.update(frame(self._board, width=width, height=height), refresh=True)

    def close(self, books: Books) -> None:
        """Draw the last picture, which stays."""
        self._console.print(closing(self._board, books, width=self._console.width))


def stage_for(board: Board) -> Stage:
    """Return the one that fits where the output goes."""
    console = Console()
    is_large = console.width >= COLUMNS_MIN and console.height >= ROWS_MIN
    if os.isatty(_STDOUT) and is_large and not console.is_dumb_terminal and "utf-8" in console.encoding.lower():
        return Screen(board, console)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    return Plain(board)

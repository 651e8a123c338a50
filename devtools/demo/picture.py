"""The last picture as a file that any browser shows."""

import io
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.terminal_theme import TerminalTheme

from devtools.demo.board import Board
from devtools.demo.books import Books
from devtools.demo.frame import closing

_COLUMNS: Final = 104
_THEME: Final = TerminalTheme(
    (22, 27, 34),
    (201, 209, 217),
    [(72, 79, 88), (255, 123, 114), (86, 211, 100), (227, 179, 65), (88, 166, 255), (210, 168, 255), (86, 212, 221), (201, 209, 217)],
    [(72, 79, 88), (255, 123, 114), (86, 211, 100), (227, 179, 65), (88, 166, 255), (210, 168, 255), (86, 212, 221), (240, 246, 252)],
)


def draw(board: Board, books: Books, remarks: str, path: Path) -> None:
    """Write it. It asks for no font that a reader would have to fetch."""
    console = Console(
        record=True, width=_COLUMNS, file=io.StringIO(), force_terminal=True, color_system="truecolor", legacy_windows=False
    )
    console.print(closing(board, books, remarks, width=_COLUMNS))
    console.save_svg(str(path), title="make demo", theme=_THEME)

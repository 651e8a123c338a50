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
_RED, _GREEN, _YELLOW = (255, 123, 114), (86, 211, 100), (227, 179, 65)
_BLUE, _MAGENTA, _CYAN = (88, 166, 255), (210, 168, 255), (86, 212, 221)
_DARK, _GREY, _LIGHT, _WHITE = (22, 27, 34), (72, 79, 88), (201, 209, 217), (240, 246, 252)
_THEME: Final = TerminalTheme(
    _DARK,
    _LIGHT,
    [_GREY, _RED, _GREEN, _YELLOW, _BLUE, _MAGENTA, _CYAN, _LIGHT],
    [_GREY, _RED, _GREEN, _YELLOW, _BLUE, _MAGENTA, _CYAN, _WHITE],
)
# Rich's own would have each reader fetch a font.
_FORMAT: Final = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg" role="img">
<title>make demo: what fifty devices did, and the books</title>
<style>
.{unique_id}-matrix {{
  font: {char_height}px ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  line-height: {line_height}px;
}}
.{unique_id}-title {{ font: bold 18px system-ui, sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""


def draw(board: Board, books: Books, path: Path) -> None:
    """Write it."""
    console = Console(
        record=True,
        width=_COLUMNS,
        file=io.StringIO(),
        force_terminal=True,
        color_system="truecolor",
        no_color=False,
    )
    console.print(closing(board, books, width=_COLUMNS))
    text = console.export_svg(title="make demo", theme=_THEME, code_format=_FORMAT, unique_id="demo")
    path.write_text("".join(f"{line.rstrip()}\n" for line in text.splitlines()), "utf-8")

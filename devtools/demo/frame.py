"""The picture: devices as dots, streams beside the feed, and the books below."""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import Final

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from devtools.demo.account import account, verdict
from devtools.demo.board import Board, DeviceState, Line, Mood, WorkerState
from devtools.demo.books import Books, books
from devtools.demo.ledger import Fact
from devtools.demo.selection import what_is_new, what_mattered
from schemas import EventName

COLUMNS_MIN: Final = 70
ROWS_MIN: Final = 20

_DOTS: Final[Mapping[DeviceState, tuple[str, str]]] = {
    DeviceState.NOT_YET: ("·", "dim"),
    DeviceState.STREAMING: ("●", "green"),
    DeviceState.STOPPED: ("○", "dim"),
    DeviceState.WAITING: ("◌", "bold yellow"),
    DeviceState.HOSTILE: ("✕", "bold magenta"),
}
_WORKER: Final[Mapping[WorkerState, tuple[str, str]]] = {
    WorkerState.STARTING: ("◌", "bold yellow"),
    WorkerState.READY: ("●", "bold green"),
    WorkerState.KILLED: ("✖", "bold red"),
}
_MOODS: Final[Mapping[Mood, str]] = {
    Mood.EVENT: "dim",
    Mood.ODD: "cyan",
    Mood.HOSTILE: "magenta",
    Mood.NEWS: "bold",
    Mood.GOOD: "bold green",
    Mood.BAD: "bold red",
}
_TURNING: Final = "◐◓◑◒"
_TURN_S: Final = 0.25
_MARGIN: Final = 1
_WIDE: Final = 100
_STREAMS_COLUMNS, _STREAMS_COLUMNS_NARROW = 34, 25
_OTHER_ROWS: Final = 9  # all but the streams, the feed and the sums
_LAST_ROWS: Final = 15


def frame(board: Board, *, width: int, height: int) -> RenderableType:
    """Return the picture as it is now, as high as the terminal."""
    sums = books(board.ledger, is_over=False)
    rows = max(1, height - _OTHER_ROWS - len(account(sums)))
    return _whole(board, what_is_new(board.lines, rows), sums, width=width, rows=rows)


def closing(board: Board, sums: Books, *, width: int) -> RenderableType:
    """Return the last picture: what mattered most of the feed, and a verdict."""
    style = "bold green" if sums.balance else "bold red"
    mark = "✔" if sums.balance else "✖"
    end = Text(f"{mark} {verdict(sums)}", style=style)
    for remark in board.remarks:
        end.append(f"\n  {remark}", style="not bold default")
    lines = what_mattered(board.lines, _LAST_ROWS)
    whole = _whole(board, lines, sums, width=width, rows=_LAST_ROWS, is_last=True)
    return Group("", whole, "", Padding(end, (0, _MARGIN)), "")


def _whole(
    board: Board, lines: Sequence[Line], sums: Books, *, width: int, rows: int, is_last: bool = False
) -> RenderableType:
    is_wide = width >= _WIDE
    width -= 2 * _MARGIN
    states = board.states()
    body = Table.grid(padding=(0, 3, 0, 0), expand=True)
    body.add_column(width=_STREAMS_COLUMNS if is_wide else _STREAMS_COLUMNS_NARROW, no_wrap=True)
    body.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    body.add_row(Text("streams", style="bold"), Text("what happens", style="bold"))
    body.add_row(_streams(board.streams, rows, is_wide=is_wide), _feed(lines, rows))
    return Padding(
        Group(
            _header(board, width),
            _progress(board, width),
            "",
            _dots(states.values(), width),
            _legend(states.values()),
            "",
            body,
            "",
            Text("the books", style="bold"),
            _sums(sums, wraps=is_last),
        ),
        (0, _MARGIN),
    )


def _header(board: Board, width: int) -> Text:
    mark, style = _WORKER[board.worker]
    if board.worker is WorkerState.STARTING:
        mark = _TURNING[int(time.monotonic() / _TURN_S) % len(_TURNING)]
    right = Text(f"  {mark} worker {board.worker.value}", style=style)
    right.append(f"  {board.now_s:4.1f} s", style="not bold default")
    left = Text("stream-worker", style="bold")
    left.append(f"  {len(board.parts)} devices, a subscriber, and a worker that is killed", style="not bold dim")
    left.truncate(width - right.cell_len, overflow="ellipsis", pad=True)
    return left.append_text(right)


def _progress(board: Board, width: int) -> Text:
    """Draw the time that is over, red where the worker was away."""
    whole_s = max(board.seconds, board.now_s) if board.ended_s is None else board.now_s
    line = Text()
    for column in range(width):
        at_s = whole_s * (column + 0.5) / width
        passed = "red" if board.is_away(at_s) else "green"
        line.append("━", style=passed if at_s < board.now_s else "bright_black")
    return line


def _dots(states: Iterable[DeviceState], width: int) -> Text:
    """Draw a dot for each device, as far apart as there is room."""
    dots = [_DOTS[state] for state in states]
    gap = " " if 2 * len(dots) - 1 <= width else ""
    return Text(gap).join(Text(mark, style=style) for mark, style in dots)


def _legend(states: Iterable[DeviceState]) -> Text:
    counts = Counter(states)
    words = []
    for state in (DeviceState.STREAMING, DeviceState.STOPPED, DeviceState.WAITING, DeviceState.HOSTILE):
        mark, style = _DOTS[state]
        words.append(Text(f"{mark} {counts[state]} {state.value}", style=style if counts[state] else "dim"))
    return Text("   ").join(words)


def _streams(streams: Mapping[str, Fact], rows: int, *, is_wide: bool) -> RenderableType:
    """Draw the streams that changed last, the newest at the top."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for fact in islice(reversed(list(streams.values())), rows):
        is_active = fact.kind == EventName.CREATED
        mark, style = _DOTS[DeviceState.STREAMING if is_active else DeviceState.STOPPED]
        state = "active" if is_active else "stopped"
        table.add_row(
            fact.device_id,
            Text(fact.code, style="bold" if is_active else "dim"),
            Text(f"{mark} {state}" if is_wide else mark, style=style),
            Text(f"#{fact.sequence}", style="dim"),
        )
    for _ in range(rows - len(streams)):
        table.add_row("")
    return table


def _feed(lines: Sequence[Line], rows: int) -> Text:
    text = Text(no_wrap=True, overflow="ellipsis")
    for line in lines[-rows:]:
        text.append(f"{line.at_s:4.1f}  ", style="dim")
        text.append(f"{line.who:<9}{line.text}\n", style=_MOODS[line.mood])
    text.right_crop(1)
    return text


def _sums(sums: Books, *, wraps: bool) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(width=12)
    table.add_column(justify="right", width=4, style="bold")
    table.add_column(ratio=1, no_wrap=not wraps, overflow="ellipsis", style="dim")
    for row in account(sums):
        judged = {None: "", True: "green", False: "bold red"}[row.is_good]
        said = judged if row.is_good is False else "dim"
        table.add_row(row.name, Text(str(row.sum), style=f"bold {judged}"), Text(row.parts, style=said))
    return table

"""The picture: devices as dots, streams beside the feed, and the books below."""

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
from schemas import EventName

COLUMNS_MIN: Final = 70
ROWS_MIN: Final = 20

_DOTS: Final[Mapping[DeviceState, tuple[str, str]]] = {
    DeviceState.NOT_YET: ("·", "dim"),
    DeviceState.STREAMING: ("●", "green"),
    DeviceState.STOPPED: ("○", "dim"),
    DeviceState.WAITING: ("◌", "bold yellow"),
    DeviceState.HOSTILE: ("×", "bold magenta"),
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
_MARGIN: Final = 1
_STREAMS_COLUMNS: Final = 33
_OTHER_ROWS: Final = 15  # all but the streams and the feed
_LAST_ROWS: Final = 15


def frame(board: Board, *, width: int, height: int) -> RenderableType:
    """Return the picture as it is now, as high as the terminal."""
    rows = max(1, height - _OTHER_ROWS)
    sums = books(board.ledger, is_over=False)
    return _whole(board, board.lines[-rows:], sums, width=width, rows=rows)


def closing(board: Board, sums: Books, remarks: str, *, width: int) -> RenderableType:
    """Return the last picture: what mattered most of the feed, and a verdict."""
    style = "bold green" if sums.balance else "bold red"
    mark = "✔" if sums.balance else "✖"
    end = Text(f"{mark} {verdict(sums)}", style=style)
    end.append(f"\n  {remarks}" if remarks else "", style="not bold default")
    lines = what_mattered(board.lines, _LAST_ROWS)
    whole = _whole(board, lines, sums, width=width, rows=_LAST_ROWS)
    return Group("", whole, "", Padding(end, (0, _MARGIN)), "")


def what_mattered(lines: Sequence[Line], count: int) -> Sequence[Line]:
    """Return so many lines, those of the more important kinds, and of one kind spread over the whole time."""
    chosen: list[Line] = []
    for mood in reversed(Mood):
        some = [line for line in lines if line.mood is mood]
        room = count - len(chosen)
        chosen += some if len(some) <= room else [some[n * len(some) // room] for n in range(room)]
    return sorted(chosen, key=lambda line: line.at_s)


def _whole(board: Board, lines: Sequence[Line], sums: Books, *, width: int, rows: int) -> RenderableType:
    width -= 2 * _MARGIN
    states = board.states()
    body = Table.grid(padding=(0, 3, 0, 0), expand=True)
    body.add_column(width=_STREAMS_COLUMNS, no_wrap=True)
    body.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    body.add_row(_streams_title(states.values()), Text("what happens", style="bold"))
    body.add_row(_streams(board.streams, rows), _feed(lines, rows))
    return Padding(
        Group(
            _header(board, width),
            _progress(board, width),
            "",
            _dots(states.values(), width),
            "",
            body,
            "",
            _sums(sums),
        ),
        (0, _MARGIN),
    )


def _header(board: Board, width: int) -> Text:
    left = Text("stream-worker", style="bold")
    left.append(f"  {len(board.parts)} devices, a worker, a subscriber", style="not bold dim")
    mark, style = _WORKER[board.worker]
    right = Text(f"{mark} worker {board.worker.value}", style=style)
    right.append(f"  {board.now_s:4.1f} s", style="not bold default")
    left.append(" " * max(2, width - left.cell_len - right.cell_len))
    return left.append_text(right)


def _progress(board: Board, width: int) -> Text:
    done = min(width, int(width * board.now_s / board.seconds))
    return Text("━" * done, style="blue").append("━" * (width - done), style="bright_black")


def _dots(states: Iterable[DeviceState], width: int) -> Text:
    """Draw a dot for each device, as far apart as there is room."""
    dots = [_DOTS[state] for state in states]
    gap = " " if 2 * len(dots) - 1 <= width else ""
    return Text(gap).join(Text(mark, style=style) for mark, style in dots)


def _streams_title(states: Iterable[DeviceState]) -> Text:
    counts = Counter(states)
    title = Text("streams", style="bold")
    for state in (DeviceState.STREAMING, DeviceState.STOPPED, DeviceState.WAITING):
        if counts[state]:
            mark, style = _DOTS[state]
            title.append(f"  {mark} {counts[state]} {state.value}", style=f"not bold {style}")
    return title


def _streams(streams: Mapping[str, Fact], rows: int) -> RenderableType:
    """Draw the streams that changed last, the newest at the top."""
    table = Table.grid(padding=(0, 2, 0, 0))
    for fact in islice(reversed(streams.values()), rows):
        is_active = fact.kind == EventName.CREATED
        mark, style = _DOTS[DeviceState.STREAMING if is_active else DeviceState.STOPPED]
        table.add_row(
            fact.device_id,
            Text(fact.code, style="bold" if is_active else "dim"),
            Text(f"{mark} {'active' if is_active else 'stopped'}", style=style),
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


def _sums(sums: Books) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0), expand=True)
    table.add_column(width=12)
    table.add_column(justify="right", width=4, style="bold")
    table.add_column(ratio=1, no_wrap=True, overflow="ellipsis", style="dim")
    for row in account(sums):
        style = "" if row.is_good else "bold red"
        table.add_row(Text(row.name, style=style), Text(str(row.sum), style=style), Text(row.parts, style=style))
    return table

"""A trial on disk, one JSON object a line, so that a run that failed can be looked at, and judged again."""

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Final

from tests.faults.history import Answer, Event, Fate, History, Letter, Request
from tests.faults.snapshot import DeviceRow, EventRow, HandledRow, Snapshot, StreamRow

_KINDS: Final = {
    kind.__name__: kind for kind in (Request, Answer, Event, Letter, DeviceRow, StreamRow, EventRow, HandledRow)
}


def write_record(path: Path, history: History, snapshot: Snapshot) -> None:
    """Write both; what is there is replaced."""
    path.write_text("".join(f"{line}\n" for line in _lines(history, snapshot)), "utf-8")


def read_record(path: Path) -> tuple[History, Snapshot]:
    """Read what `write_record` wrote. Raises OSError, ValueError or KeyError where it is something else."""
    found: dict[type[Any], list[Any]] = {kind: [] for kind in _KINDS.values()}
    marked: dict[str, list[str]] = {"gone": [], "unheard": []}
    for line in path.read_text("utf-8").splitlines():
        content = json.loads(line)
        name = content.pop("is")
        if name in marked:
            marked[name].append(content["name"])
        else:
            found[_KINDS[name]].append(_read(_KINDS[name], content))
    history = History(
        requests=tuple(found[Request]),
        answers=tuple(found[Answer]),
        events=tuple(found[Event]),
        letters=tuple(found[Letter]),
        gone=frozenset(marked["gone"]),
        unheard=frozenset(marked["unheard"]),
    )
    snapshot = Snapshot(
        devices=tuple(found[DeviceRow]),
        streams=tuple(found[StreamRow]),
        events=tuple(found[EventRow]),
        handled=tuple(found[HandledRow]),
    )
    return history, snapshot


def _lines(history: History, snapshot: Snapshot) -> Iterator[str]:
    values: Iterable[Any] = (
        *history.requests,
        *history.answers,
        *history.events,
        *history.letters,
        *snapshot.devices,
        *snapshot.streams,
        *snapshot.events,
        *snapshot.handled,
    )
    for value in values:
        yield json.dumps({"is": type(value).__name__, **asdict(value)}, default=_text)
    for kind, names in (("gone", history.gone), ("unheard", history.unheard)):
        for name in sorted(names):
            yield json.dumps({"is": kind, "name": name})


def _text(value: bytes) -> str:
    """Bodies are readable, and what is not UTF-8 in them survives."""
    return value.decode("utf-8", "surrogateescape")


def _read(kind: type[Any], content: dict[str, Any]) -> Any:
    for field in fields(kind):
        if field.type is bytes:
            content[field.name] = content[field.name].encode("utf-8", "surrogateescape")
        elif field.type is Fate:
            content[field.name] = Fate(content[field.name])
    return kind(**content)

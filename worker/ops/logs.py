"""Logs: lines of ours and of every library in one form, for people or for machines.

The lines go through the standard library's logging; structlog only gives them their form. A message of ours is a
machine name (`epoch.over`), what it is about stands in fields (`extra`).
"""

import logging
import os
import sys
from collections.abc import Mapping
from textwrap import indent
from typing import Final, TextIO

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from worker.ops import cleaning

# Our supervisor says in one line what these say in many, with tracebacks, at each connection that ends.
# aiosqlite's debug lines hold every parameter of every statement, asyncio's tell of its selector.
# sqlalchemy's pool has a traceback for each connection that is lost, or given up with the task that used it; the
# store says that as what it means, an exception of ours.
_LIBRARY_LEVELS: Final[Mapping[str, int]] = {
    "aio_pika": logging.CRITICAL,
    "aiormq": logging.CRITICAL,
    "aiosqlite": logging.INFO,
    "asyncio": logging.INFO,
    "sqlalchemy.pool": logging.CRITICAL,
}
_OWN_KEYS: Final = frozenset({"event", "exception", "level", "logger", "timestamp"})
_RECORD_KEYS: Final = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def configure_logs(level: str, format: str = "auto", stream: TextIO | None = None) -> None:  # noqa: A002 - the setting's name
    """Send all log lines from this level on to a stream (default: standard error), in one form.

    `level` is a name (`INFO`), `format` is `console`, `json` or `auto`: console on a terminal, else JSON.
    Passwords in addresses are masked, control characters escaped, a text is 1,024 characters at most. Calling it
    again replaces what the last call set.
    """
    target = sys.stderr if stream is None else stream
    handler = logging.StreamHandler(target)
    handler.setFormatter(_formatter(format, target))
    root = logging.getLogger()
    for old in [old for old in root.handlers if isinstance(old.formatter, structlog.stdlib.ProcessorFormatter)]:
        root.removeHandler(old)
    root.addHandler(handler)
    root.setLevel(level)
    for name, lowest in _LIBRARY_LEVELS.items():
        logging.getLogger(name).setLevel(lowest)
    logging.captureWarnings(capture=True)  # a deprecation is a line like any other


def _formatter(format_name: str, stream: TextIO) -> logging.Formatter:
    for_people = stream.isatty() if format_name == "auto" else format_name == "console"
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[
            _add_fields,
            structlog.stdlib.add_logger_name,
            structlog.stdlib.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
        ],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            _clean,
            *(_for_people(stream) if for_people else _for_machines()),
        ],
    )


def _for_people(stream: TextIO) -> list[Processor]:
    colors = stream.isatty() and not os.environ.get("NO_COLOR")  # https://no-color.org
    plain = structlog.dev.plain_traceback  # the default one would warn, or show local variables
    return [_indent_traceback, structlog.dev.ConsoleRenderer(colors=colors, exception_formatter=plain)]


def _for_machines() -> list[Processor]:
    return [_in_order, structlog.processors.JSONRenderer(allow_nan=False)]


def _add_fields(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Take over what was given as `extra`; nothing in it can replace what a line says of itself."""
    given = vars(event["_record"])
    fields = {key: given[key] for key in given.keys() - _RECORD_KEYS}
    event.update({f"{key}_" if key in _OWN_KEYS else key: given for key, given in sorted(fields.items())})
    return event


def _clean(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    trace = event.pop("exception", None)
    cleaned: EventDict = {key: cleaning.value(given) for key, given in event.items()}
    if trace is not None:
        cleaned["exception"] = cleaning.traceback_text(trace)
    return cleaned


def _indent_traceback(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """A line that begins at the margin is a line of ours; an exception's message may hold line ends."""
    if "exception" in event:
        event["exception"] = indent(event["exception"], "    ", lambda _: True)
    return event


def _in_order(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    head = ("timestamp", "level", "logger", "event")
    return {**{key: event[key] for key in head}, **event}

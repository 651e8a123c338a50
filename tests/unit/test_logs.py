import io
import json
import logging
import warnings
from collections.abc import Iterator
from typing import Any, NoReturn

import pytest
from typing_extensions import override

from worker.ops.logs import configure_logs

LIBRARIES = ("aio_pika", "aiormq", "aiosqlite", "asyncio", "sqlalchemy.pool")
FORMS = pytest.mark.parametrize("form", ["json", "console"])


@pytest.fixture(autouse=True)
def _logs_as_they_were() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, old in levels.items():
        logging.getLogger(name).setLevel(old)
    logging.captureWarnings(capture=False)


@pytest.fixture
def log() -> logging.Logger:
    return logging.getLogger("worker.somewhere")


class Terminal(io.StringIO):
    @override
    def isatty(self) -> bool:
        return True


def logged(form: str = "json", level: str = "INFO", stream: io.StringIO | None = None) -> io.StringIO:
    stream = io.StringIO() if stream is None else stream
    configure_logs(level, form, stream)
    return stream


def fail(error: Exception) -> NoReturn:
    raise error


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_line_for_machines_has_its_fields(log: logging.Logger) -> None:
    stream = logged()
    log.warning("epoch.over", extra={"reason": "the broker went", "epoch": 3, "next_in_s": 0.5, "last": None})
    (line,) = lines(stream)
    assert list(line)[:4] == ["timestamp", "level", "logger", "event"]
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "level": "warning",
        "logger": "worker.somewhere",
        "event": "epoch.over",
        "reason": "the broker went",
        "epoch": 3,
        "next_in_s": 0.5,
        "last": None,
    }


def test_a_librarys_line_has_the_same_form() -> None:
    stream = logged()
    logging.getLogger("alembic.runtime").info("Running %s -> %s", "0001", "0002")
    (line,) = lines(stream)
    assert (line["logger"], line["level"], line["event"]) == ("alembic.runtime", "info", "Running 0001 -> 0002")


def test_a_warning_of_python_is_a_line_too() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        stream = logged()
        warnings.warn("this will go", DeprecationWarning, stacklevel=1)
    (line,) = lines(stream)
    assert line["logger"] == "py.warnings"
    assert "this will go" in line["event"]


def test_a_field_cannot_replace_what_a_line_says_of_itself(log: logging.Logger) -> None:
    stream = logged()
    log.info("real", extra={"event": "forged", "level": "forged", "logger": "forged", "timestamp": "forged"})
    (line,) = lines(stream)
    assert (line["event"], line["level"], line["logger"]) == ("real", "info", "worker.somewhere")
    assert line["timestamp"] != "forged"
    assert line["event_"] == "forged"


def test_values_of_all_kinds_become_plain_json(log: logging.Logger) -> None:
    stream = logged()
    log.info(
        "kinds",
        extra={
            "missing": ["a", {"b": 1}],
            "nan": float("nan"),
            "error": OSError("gone"),
            "many": list(range(100)),
            "deep": [[[[["bottom"]]]]],
        },
    )
    (line,) = lines(stream)
    assert line["missing"] == ["a", {"b": 1}]
    assert (line["nan"], line["error"]) == ("nan", "gone")
    assert len(line["many"]) == 32
    assert line["deep"] == [[["[['bottom']]"]]]


@FORMS
@pytest.mark.parametrize("mark", ["\n", "\r", "\x1b[2K", "\x85", "\u2028", "\u202e", "\x00"])
def test_a_control_character_forges_no_line(log: logging.Logger, form: str, mark: str) -> None:
    stream = logged(form)
    log.info("a%sb", mark, extra={"field": f"c{mark}d", "nested": [{f"e{mark}": f"f{mark}"}]})
    assert mark not in stream.getvalue().removesuffix("\n")


def test_a_traceback_for_people_stands_off_the_margin(log: logging.Logger) -> None:
    stream = logged("console")
    try:
        fail(ValueError("first\n2026-01-01T00:00:00Z [info     ] forged\r\x1b[2K"))
    except ValueError:
        log.exception("worker.died")
    first, *rest = stream.getvalue().splitlines()
    assert "worker.died" in first
    assert any("forged" in line for line in rest)
    assert all(line.startswith("    ") for line in rest)
    assert "\x1b" not in stream.getvalue()


def test_a_traceback_for_machines_is_one_field_of_one_line(log: logging.Logger) -> None:
    stream = logged()
    try:
        fail(ValueError("boom"))
    except ValueError:
        log.exception("worker.died")
    (line,) = lines(stream)
    assert line["exception"].splitlines()[-1] == "ValueError: boom"


@FORMS
def test_a_traceback_shows_no_local_variables(log: logging.Logger, form: str) -> None:
    stream = logged(form)
    password = f"hunter{1 + 1}"
    try:
        fail(ValueError(len(password)))
    except ValueError:
        log.exception("worker.died")
    assert "hunter2" not in stream.getvalue()


@FORMS
@pytest.mark.parametrize(
    "url",
    [
        "amqp://worker:hunter2@broker.example/streams",
        "postgresql+asyncpg://worker:hun/ter@hunter2@database.example:5432/streams",
        "amqp://:hunter2@broker.example",
        "'amqp://worker:hunter2@broker.example'",
        f"amqp://worker:hunter2{'x' * 300}@broker.example",
    ],
)
def test_no_line_shows_a_password(log: logging.Logger, form: str, url: str) -> None:
    stream = logged(form)
    log.info("connecting to %s", url, extra={"url": url, "nested": {url: [url]}})
    try:
        try:
            fail(ConnectionError(url))
        except ConnectionError as error:
            raise ValueError(f"cannot use {url}") from error
    except ValueError:
        log.exception("worker.died")
    assert "hunter2" not in stream.getvalue()
    assert "://***@" in stream.getvalue()


def test_an_address_without_a_password_stays_readable(log: logging.Logger) -> None:
    stream = logged()
    log.info("asking", extra={"url": "http://127.0.0.1:9464/readyz", "mail": "http://h/?to=a@b"})
    (line,) = lines(stream)
    assert (line["url"], line["mail"]) == ("http://127.0.0.1:9464/readyz", "http://h/?to=a@b")


def test_a_text_has_an_end(log: logging.Logger) -> None:
    stream = logged()
    log.info("%s", "e" * 2_000, extra={"field": "f" * 1_025, "short": "s" * 1_024})
    (line,) = lines(stream)
    assert line["event"] == "e" * 1_024 + "…"
    assert line["field"] == "f" * 1_024 + "…"
    assert line["short"] == "s" * 1_024


def test_of_a_long_traceback_the_end_is_kept(log: logging.Logger) -> None:
    stream = logged()
    try:
        fail(ValueError("x" * 20_000 + " the end"))
    except ValueError:
        log.exception("worker.died")
    (line,) = lines(stream)
    assert len(line["exception"]) < 17_000
    assert line["exception"].endswith("the end")


def test_lost_connections_are_left_to_our_own_supervisor() -> None:
    stream = logged(level="DEBUG")
    logging.getLogger("aio_pika.connection").error("lost again")
    logging.getLogger("aiormq.connection").warning("lost again")
    logging.getLogger("aiosqlite").debug("executing with parameters")
    logging.getLogger("sqlalchemy.pool.impl.AsyncAdaptedQueuePool").error("terminated again")
    assert stream.getvalue() == ""


def test_what_is_under_the_level_is_not_written(log: logging.Logger) -> None:
    stream = logged(level="WARNING")
    log.info("quiet")
    log.warning("loud")
    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_configuring_again_replaces_the_first(log: logging.Logger) -> None:
    first, second = logged(), logged()
    log.info("once")
    assert first.getvalue() == ""
    assert len(lines(second)) == 1


def test_auto_means_machines_where_there_is_no_terminal(log: logging.Logger) -> None:
    stream = logged("auto")
    log.info("epoch.over")
    assert lines(stream)[0]["event"] == "epoch.over"


def test_auto_means_people_on_a_terminal(log: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    stream = logged("auto", stream=Terminal())
    log.info("epoch.over")
    assert not stream.getvalue().startswith("{")
    assert "\x1b[" in stream.getvalue()


def test_no_color_is_honoured(log: logging.Logger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = logged("auto", stream=Terminal())
    log.info("epoch.over")
    assert "\x1b" not in stream.getvalue()

import os
import re
import socket
import traceback
from pathlib import Path

import pytest
from pydantic import ValidationError

from worker.config import Settings, SettingsError, load_settings

SECRET = "hunter2"


def refusal(**environ: str) -> SettingsError:
    with pytest.raises(SettingsError) as caught:
        load_settings(environ)
    return caught.value


def test_an_empty_environment_gives_the_defaults() -> None:
    settings = load_settings({})
    assert settings.amqp_url.get_secret_value() == "amqp://guest:guest@127.0.0.1:5672/"
    assert settings.database_url.get_secret_value() == "sqlite+aiosqlite:///var/streams.db"
    assert (settings.namespace, settings.topology) == ("streams", "declare")
    assert (settings.http_host, settings.http_port) == ("127.0.0.1", 9464)
    assert (settings.batch_max, settings.prefetch, settings.drain_timeout_s) == (256, 512, 20)
    assert settings.reply_to_pattern is None
    assert (settings.log_level, settings.log_format) == ("INFO", "auto")


def test_every_default_is_within_its_own_limits() -> None:
    settings = load_settings({})
    assert Settings(**{name: getattr(settings, name) for name in Settings.model_fields}) == settings


def test_what_is_not_ours_in_the_environment_is_not_looked_at() -> None:
    assert load_settings({"PATH": "/bin", "BATCH_MAX": "7", "STREAMS": "x"}).batch_max == 256


def test_the_process_environment_is_read_where_no_other_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMS_BATCH_MAX", "7")
    assert load_settings().batch_max == 7


def test_a_given_environment_stands_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMS_BATCH_MAX", "7")
    assert load_settings({}).batch_max == 256


def test_settings_do_not_change() -> None:
    settings = load_settings({})
    with pytest.raises(ValidationError, match="frozen"):
        settings.batch_max = 7  # type: ignore[misc]  # it is what must not work


def test_values_are_read_as_what_they_are() -> None:
    settings = load_settings(
        {
            "STREAMS_BATCH_MAX": "100",
            "STREAMS_RECONNECT_MIN_S": "0.5",
            "STREAMS_LOG_LEVEL": "debug",
            "STREAMS_REPLY_TO_PATTERN": r"replies\.\w+",
            "STREAMS_DATABASE_MIGRATE": "yes",
        }
    )
    assert (settings.batch_max, settings.reconnect_min_s, settings.log_level) == (100, 0.5, "DEBUG")
    assert settings.reply_to_pattern == re.compile(r"replies\.\w+")
    assert settings.database_migrate is True


def test_the_worker_is_called_after_its_host_and_process() -> None:
    assert load_settings({}).worker_name == f"{socket.gethostname()}:{os.getpid()}"


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("BATCH_MAX", "many", "should be a valid integer"),
        ("BATCH_MAX", "", "should be a valid integer"),
        ("BATCH_MAX", "0", "greater than or equal to 1"),
        ("BATCH_MAX", "2001", "less than or equal to 2000"),
        ("PREFETCH", "65536", "less than or equal to 65535"),
        ("NAMESPACE", "a b", "should match pattern"),
        ("NAMESPACE", "", "should match pattern"),
        ("NAMESPACE", "n" * 65, "should match pattern"),
        ("TOPOLOGY", "guess", "should be 'declare' or 'check'"),
        ("HTTP_PORT", "70000", "less than or equal to 65535"),
        ("HEARTBEAT_S", "1", "greater than or equal to 2"),
        ("CONFIRM_TIMEOUT_S", "0", "greater than or equal to 0.1"),
        ("DRAIN_TIMEOUT_S", "nan", "finite"),
        ("DRAIN_TIMEOUT_S", "inf", "finite"),
        ("LOG_FORMAT", "xml", "should be 'auto', 'console' or 'json'"),
        ("LOG_LEVEL", "LOUD", "should be 'DEBUG'"),
        ("REPLY_TO_PATTERN", "(", "should be a valid regular expression"),
        ("DATABASE_MIGRATE", "perhaps", "should be a valid boolean"),
        ("WORKER_NAME", "two\nlines", "should match pattern"),
    ],
)
def test_a_wrong_value_is_refused_in_one_line_that_names_the_variable(
    variable: str, value: str, says: str
) -> None:
    line = str(refusal(**{f"STREAMS_{variable}": value}))
    assert line.startswith(f"STREAMS_{variable} ")
    assert says in line
    assert line.isprintable()


def test_all_that_is_wrong_is_told_at_once() -> None:
    line = str(refusal(STREAMS_BATCH_MAX="many", STREAMS_HTTP_PORT="none"))
    assert "STREAMS_BATCH_MAX" in line
    assert "STREAMS_HTTP_PORT" in line


def test_a_prefetch_that_no_batch_can_fill_is_refused() -> None:
    line = str(refusal(STREAMS_BATCH_MAX="600"))
    assert (
        line == "STREAMS_PREFETCH (512) should be at least STREAMS_BATCH_MAX (600), or no batch could ever be full"
    )


def test_pauses_that_shrink_are_refused() -> None:
    assert "at least STREAMS_RECONNECT_MIN_S" in str(refusal(STREAMS_RECONNECT_MAX_S="0.1"))


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        ("STREAMS_BATCHMAX", "STREAMS_BATCH_MAX"),
        ("STREAMS_AMPQ_URL", "STREAMS_AMQP_URL"),
        ("STREAMS_DRAIN_TIMEOUT", "STREAMS_DRAIN_TIMEOUT_S"),
        ("streams_prefetch", "STREAMS_PREFETCH"),
    ],
)
def test_a_misspelt_variable_is_refused_with_what_was_meant(wrong: str, meant: str) -> None:
    assert str(refusal(**{wrong: SECRET})) == f"{wrong} is not a setting; did you mean {meant}?"


def test_an_unknown_variable_like_none_of_ours_is_refused_without_a_guess() -> None:
    assert str(refusal(STREAMS_XYZZY="1")) == "STREAMS_XYZZY is not a setting"


def test_a_variable_with_a_line_break_in_its_name_is_told_in_one_line() -> None:
    assert str(refusal(**{"STREAMS_X\nY": "1"})).isprintable()


def test_an_optional_setting_that_is_empty_is_not_set() -> None:
    settings = load_settings({"STREAMS_DATABASE_MIGRATE": "", "STREAMS_REPLY_TO_PATTERN": ""})
    assert settings.database_migrate is None
    assert settings.reply_to_pattern is None


@pytest.mark.parametrize(
    ("url", "asked", "migrates"),
    [
        ("sqlite:///file.db", "", True),
        ("sqlite:///file.db", "false", False),
        ("postgresql://host/name", "", False),
        ("postgresql://host/name", "true", True),
    ],
)
def test_only_a_file_of_our_own_is_migrated_unasked(url: str, asked: str, migrates: bool) -> None:  # noqa: FBT001 - a parameter of the test
    settings = load_settings({"STREAMS_DATABASE_URL": url, "STREAMS_DATABASE_MIGRATE": asked})
    assert settings.migrate_at_start is migrates


def test_an_address_may_stand_in_a_file(tmp_path: Path) -> None:
    file = tmp_path / "amqp_url"
    file.write_text(f"amqps://worker:{SECRET}@broker.example/streams\n")
    settings = load_settings({"STREAMS_AMQP_URL_FILE": str(file)})
    assert settings.amqp_url.get_secret_value() == f"amqps://worker:{SECRET}@broker.example/streams"


def test_an_address_is_given_once(tmp_path: Path) -> None:
    line = str(refusal(STREAMS_AMQP_URL="amqp://h/", STREAMS_AMQP_URL_FILE=str(tmp_path / "any")))
    assert line == "STREAMS_AMQP_URL and STREAMS_AMQP_URL_FILE are both set; set one"


@pytest.mark.parametrize("content", [None, b"\xff\xfe", b"x" * 10_000], ids=["missing", "not text", "too long"])
def test_a_file_that_holds_no_address_is_refused(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "database_url"
    if content is not None:
        file.write_bytes(content)
    line = str(refusal(STREAMS_DATABASE_URL_FILE=str(file)))
    assert line.startswith("STREAMS_DATABASE_URL_FILE: ")
    assert line.isprintable()


@pytest.mark.parametrize(
    "environ",
    [
        {"STREAMS_AMQP_URL": f"amqp://worker:{SECRET}/x@broker.example/"},
        {"STREAMS_AMQP_URL": f"amqp://worker:x@broker.example:{SECRET}/"},
        {"STREAMS_AMQP_URL": f"amqp://worker:{SECRET}\u2100@broker.example/"},
        {"STREAMS_AMQP_URL": f"http://worker:{SECRET}@broker.example/"},
        {"STREAMS_AMQP_URL": f"amqp://worker:{SECRET}@broker.example/?no_verify_ssl=0"},
        {"STREAMS_DATABASE_URL": f"mysql://worker:{SECRET}@database.example/streams"},
        {"STREAMS_DATABASE_URL": f"postgresql://worker:{SECRET}@database.example/"},
        {"STREAMS_DATABASE_URL": f"postgresql://worker:{SECRET}@database.example:port/streams"},
        {"STREAMS_NAMESPACE": f"amqp://worker:{SECRET}@broker.example/"},
        {"STREAMS_AMQP_URL": f"amqp://worker:{SECRET}@broker.example/", "STREAMS_BATCH_MAX": "0"},
    ],
)
def test_no_refusal_shows_a_password(environ: dict[str, str]) -> None:
    error = refusal(**environ)
    assert SECRET not in repr(error) + str(error) + "".join(traceback.format_exception(error))
    assert str(error).isprintable()


def test_the_settings_show_no_password() -> None:
    settings = load_settings(
        {
            "STREAMS_AMQP_URL": f"amqp://worker:{SECRET}@broker.example/streams",
            "STREAMS_DATABASE_URL": f"postgresql://worker:{SECRET}@database.example/streams",
        }
    )
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert SECRET not in shown + settings.amqp_shown + settings.database_shown

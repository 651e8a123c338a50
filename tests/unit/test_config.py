import os
import re
import socket
import traceback

import pytest
from pydantic import ValidationError

from worker.amqp.topology import PARTITIONS_MAX
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


def test_there_are_no_partitions_by_default_and_each_must_have_its_share_of_the_prefetch() -> None:
    assert load_settings({}).partitions == 1
    fits = {"STREAMS_PREFETCH": "9", "STREAMS_BATCH_MAX": "1"}
    assert load_settings({**fits, "STREAMS_PARTITIONS": "8"}).partitions == 8
    assert "STREAMS_PARTITIONS (9)" in str(refusal(**fits, STREAMS_PARTITIONS="9"))


def test_there_are_no_more_partitions_than_the_topology_looks_for() -> None:
    assert load_settings({"STREAMS_PARTITIONS": str(PARTITIONS_MAX)}).partitions == PARTITIONS_MAX
    assert "STREAMS_PARTITIONS" in str(refusal(STREAMS_PARTITIONS=str(PARTITIONS_MAX + 1)))


def test_the_defaults_let_everybody_in_without_a_limit_and_forget_no_event() -> None:
    settings = load_settings({})
    assert (settings.authorization, settings.operators) == ("open", frozenset())
    assert (settings.sender_rate, settings.sender_burst) == (0, 50)
    assert (settings.handled_retention_s, settings.event_retention_s) == (604_800, None)
    assert (settings.clock_skew_s, settings.prune_interval_s, settings.prune_batch_max) == (3_600, 600, 200)


def test_the_defaults_are_patient_within_bounds() -> None:
    settings = load_settings({})
    assert (settings.hold_s, settings.command_tries, settings.watchdog_s) == (15, 3, 10)
    assert (settings.park_after, settings.parked_retry_s) == (10, 3_600)
    assert settings.amqp_plaintext is False


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
            "STREAMS_AUTHORIZATION": "device",
            "STREAMS_SENDER_RATE": "2.5",
            "STREAMS_EVENT_RETENTION_S": "86400",
        }
    )
    assert (settings.batch_max, settings.reconnect_min_s, settings.log_level) == (100, 0.5, "DEBUG")
    assert settings.reply_to_pattern == re.compile(r"replies\.\w+")
    assert settings.database_migrate is True
    assert (settings.authorization, settings.sender_rate, settings.event_retention_s) == ("device", 2.5, 86_400)


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
        ("AUTHORIZATION", "closed", "should be 'open' or 'device'"),
        ("OPERATORS", "ada,,grace", "should be user names with commas between them"),
        ("OPERATORS", ",", "should be user names with commas between them"),
        ("OPERATORS", "ada\x1b", "should be user names with commas between them"),
        ("OPERATORS", "\u00fc" * 128, "none empty or over 255 bytes"),
        ("SENDER_RATE", "-1", "greater than or equal to 0"),
        ("SENDER_RATE", "inf", "finite"),
        ("SENDER_BURST", "0", "greater than or equal to 1"),
        ("HANDLED_RETENTION_S", "0", "greater than or equal to 1"),
        ("HANDLED_RETENTION_S", "315576001", "less than or equal to 315576000"),
        ("EVENT_RETENTION_S", "0", "greater than or equal to 1"),
        ("EVENT_RETENTION_S", "nan", "finite"),
        ("CLOCK_SKEW_S", "-1", "greater than or equal to 0"),
        ("PRUNE_INTERVAL_S", "0", "greater than or equal to 0.05"),
        ("PRUNE_BATCH_MAX", "0", "greater than or equal to 1"),
        ("HOLD_S", "601", "less than or equal to 600"),
        ("HOLD_S", "-1", "greater than or equal to 0"),
        ("COMMAND_TRIES", "1", "greater than or equal to 2"),
        ("PARK_AFTER", "0", "greater than or equal to 1"),
        ("PARKED_RETRY_S", "0", "greater than or equal to 0.05"),
        ("WATCHDOG_S", "0", "greater than or equal to 0.05"),
        ("AMQP_PLAINTEXT", "perhaps", "should be a valid boolean"),
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


def test_a_password_does_not_go_to_another_host_in_the_clear() -> None:
    line = str(refusal(STREAMS_AMQP_URL=f"amqp://worker:{SECRET}@broker.example/"))
    assert line.startswith("STREAMS_AMQP_URL begins with amqp://")
    assert "Write amqps://, or set STREAMS_AMQP_PLAINTEXT=true" in line
    assert SECRET not in line


def test_it_does_where_somebody_says_so() -> None:
    url = f"amqp://worker:{SECRET}@broker.example/"
    settings = load_settings({"STREAMS_AMQP_URL": url, "STREAMS_AMQP_PLAINTEXT": "true"})
    assert settings.amqp_url.get_secret_value() == url


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
    names = ("DATABASE_MIGRATE", "REPLY_TO_PATTERN", "EVENT_RETENTION_S", "OPERATORS", "SECRETS_DIR")
    settings = load_settings({f"STREAMS_{name}": "" for name in names})
    assert settings.database_migrate is None
    assert settings.reply_to_pattern is None
    assert settings.event_retention_s is None
    assert settings.operators == frozenset()


def test_operators_stand_between_commas() -> None:
    assert load_settings({"STREAMS_OPERATORS": "ada, grace ,ada"}).operators == {"ada", "grace"}


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
            "STREAMS_AMQP_URL": f"amqps://worker:{SECRET}@broker.example/streams",
            "STREAMS_DATABASE_URL": f"postgresql://worker:{SECRET}@database.example/streams",
        }
    )
    shown = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
    assert SECRET not in shown + settings.amqp_shown + settings.database_shown

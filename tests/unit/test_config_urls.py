import re

import pytest

from worker.config.urls import check_amqp_url, check_database_url, is_sqlite, shown


@pytest.mark.parametrize(
    "url",
    [
        "amqp://guest:guest@127.0.0.1:5672/",
        "amqp://broker.example",
        "amqps://worker:p%2Fw%40@broker.example/%2Fstreams",
        "amqps://broker.example/?cafile=ca.pem&certfile=me.pem&keyfile=me.key",
        "amqp://[::1]:5672/",
    ],
)
def test_a_brokers_address_stays_as_it_is(url: str) -> None:
    assert check_amqp_url(url) == url


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "should begin with amqp://"),
        ("broker.example", "should begin with amqp://"),
        ("redis://broker.example", "should begin with amqp://"),
        ("amqp:///", "names no host"),
        ("amqp://:5672/", "names no host"),
        ("amqp://broker.example:99999/", "is no URL"),
        ("amqp://u:p/w@broker.example/", "is no URL"),
        ("amqp://u:p#w@broker.example/", "is no URL"),
        ("amqp://[::1/", "is no URL"),
        ("amqp://broker.example/ x", "is no URL"),
        ("amqp://broker.example/\n", "is no URL"),
        ("amqps://broker.example/?no_verify_ssl=false", "verification stays on"),
        ("amqps://broker.example/?no_verify_ssl", "verification stays on"),
        ("amqps://broker.example/?ca_certs=ca.pem", "may have no options but"),
        ("amqp://broker.example/?heartbeat=5", "may have no options but"),
        ("amqp://broker.example/?cafile=ca.pem", "write amqps://"),
    ],
)
def test_a_brokers_address_that_would_be_misread_is_refused(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        check_amqp_url(url)


@pytest.mark.parametrize(
    ("given", "spelt"),
    [
        ("sqlite:///var/streams.db", "sqlite+aiosqlite:///var/streams.db"),
        ("sqlite:////srv/streams.db", "sqlite+aiosqlite:////srv/streams.db"),
        ("sqlite+aiosqlite:///streams.db", "sqlite+aiosqlite:///streams.db"),
        ("postgres://u:p@h/name", "postgresql+asyncpg://u:p@h/name"),
        ("postgresql://u:p@h:5432/name?ssl=require", "postgresql+asyncpg://u:p@h:5432/name?ssl=require"),
        ("postgresql+asyncpg:///name?host=/run/postgresql", "postgresql+asyncpg:///name?host=/run/postgresql"),
    ],
)
def test_a_databases_address_gets_its_driver_spelt_out(given: str, spelt: str) -> None:
    assert check_database_url(given) == spelt


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("", "should begin with sqlite"),
        ("postgresql+psycopg://h/name", "should begin with sqlite"),
        ("mysql://h/name", "should begin with sqlite"),
        ("sqlite://streams.db", "has a host where SQLite has none"),
        ("sqlite://", "names no file"),
        ("sqlite:///", "names no file"),
        ("sqlite:///:memory:", "names no file"),
        ("sqlite:///file:x?mode=memory&uri=true", "names no file"),
        ("postgresql://h", "names no database"),
        ("postgresql://h/", "names no database"),
        ("postgresql://h/name?sslmode=require", "write ssl=require"),
        ("postgresql://h:x/name", "is no URL"),
    ],
)
def test_a_databases_address_that_cannot_work_is_refused(url: str, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(says)):
        check_database_url(url)


def test_sqlite_is_told_from_postgresql() -> None:
    assert is_sqlite(check_database_url("sqlite:///streams.db"))
    assert not is_sqlite(check_database_url("postgres://h/name"))


@pytest.mark.parametrize(
    ("url", "without"),
    [
        ("amqp://u:p@h:5672/streams?cafile=secret.pem", "amqp://h:5672/streams"),
        ("amqp://h/", "amqp://h/"),
        ("postgresql+asyncpg://u:p@h/name?password=p", "postgresql+asyncpg://h/name"),
        ("sqlite+aiosqlite:///var/streams.db", "sqlite+aiosqlite:///var/streams.db"),
    ],
)
def test_what_is_shown_of_an_address_is_where_it_leads(url: str, without: str) -> None:
    assert shown(url) == without

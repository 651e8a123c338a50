import re

import pytest

from worker.config.urls import check_amqp_url, check_database_url, is_sqlite, leaves_this_host_unencrypted, shown


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
        ("amqp://127.0.0.1/?cadata=AAAA", "write amqps://"),
        ("amqps://broker.example/?no_verify_ssl=0", "verification stays on"),
        ("amqps://broker.example/?no%5Fverify%5Fssl=1", "verification stays on"),
        ("amqps://broker.example/?cafile=ca.pem&no_verify_ssl", "verification stays on"),
        ("amqps://broker.example/?NO_VERIFY_SSL=1", "may have no options but"),
        ("amqps://broker.example/?cert_reqs=0", "may have no options but"),
        ("amqps://broker.example/?ssl_version=2", "may have no options but"),
        ("amqps://broker.example/?cafile=", "has an option without a value"),
        ("amqps://broker.example/?cafile=a.pem&cafile=b.pem", "has an option twice"),
        ("amqps://broker.example/?keyfile=me.key", "without the certfile"),
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


@pytest.mark.parametrize(
    ("url", "leaves"),
    [
        ("amqp://broker.example/", True),
        ("amqp://10.0.0.1:5672/", True),
        ("amqp://localhost.example/", True),
        ("amqp://127.0.0.1.example/", True),
        ("amqp://127.0.0.1@broker.example/", True),
        ("amqp://0.0.0.0/", True),
        ("amqp://[2001:db8::1]/", True),
        ("amqps://broker.example/", False),
        ("amqp://localhost/", False),
        ("amqp://LOCALHOST/", False),
        ("amqp://127.0.0.1:5672/", False),
        ("amqp://127.8.8.8/", False),
        ("amqp://[::1]:5672/", False),
    ],
)
def test_what_would_be_said_in_the_clear_to_another_host_is_known(url: str, leaves: bool) -> None:  # noqa: FBT001 - a parameter of the test
    assert leaves_this_host_unencrypted(url) is leaves


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

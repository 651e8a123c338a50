"""Addresses with a password in them: what is accepted, and what of them may be shown.

An error here never quotes the address: the standard library's own errors do (a bad port may be half a password),
so they are replaced, not chained.
"""

from ipaddress import ip_address
from typing import Final
from urllib.parse import SplitResult, parse_qsl, urlsplit

_TLS_OPTIONS: Final = frozenset({"cafile", "capath", "cadata", "certfile", "keyfile"})
_AMQP_SCHEMES: Final = ("amqp", "amqps")

_SQLITE: Final = "sqlite+aiosqlite"
_POSTGRESQL: Final = "postgresql+asyncpg"
_DRIVERS: Final = {
    "sqlite": _SQLITE,
    _SQLITE: _SQLITE,
    "postgres": _POSTGRESQL,
    "postgresql": _POSTGRESQL,
    _POSTGRESQL: _POSTGRESQL,
}


def check_amqp_url(url: str) -> str:
    """Return the broker's address if the client library will read it as it is meant. Raises ValueError."""
    parts = _split(url)
    if parts.scheme not in _AMQP_SCHEMES:
        raise ValueError("should begin with amqp:// or amqps://")
    if not parts.hostname:
        raise ValueError("names no host")
    for option in _options(parts):
        _check_amqp_option(option, tls=parts.scheme == "amqps")
    _check_tls_options(parse_qsl(parts.query, keep_blank_values=True))
    return url


def _check_amqp_option(option: str, *, tls: bool) -> None:
    if option == "no_verify_ssl":  # the library turns verification off for any value but 0, "false" included
        raise ValueError("has no_verify_ssl; verification stays on: give your own authority with cafile")
    if option not in _TLS_OPTIONS:  # the library ignores most, and the rest are settings with limits of their own
        raise ValueError(f"may have no options but {', '.join(sorted(_TLS_OPTIONS))}")
    if not tls:  # the library would connect in the clear and say nothing
        raise ValueError("has options for TLS but begins with amqp://, which is not encrypted; write amqps://")


def _check_tls_options(options: list[tuple[str, str]]) -> None:
    given = dict(options)
    if len(given) < len(options):
        raise ValueError("has an option twice")
    if not all(given.values()):  # it would count as not given, and the system's authorities be trusted instead
        raise ValueError("has an option without a value")
    if "keyfile" in given and "certfile" not in given:  # it would be ignored
        raise ValueError("has a keyfile without the certfile that it is the key of")


def leaves_this_host_unencrypted(url: str) -> bool:
    """Whether what is said to the broker at a checked address could be read by others than this host.

    A name other than `localhost` counts as another host, whatever it is resolved to.
    """
    parts = urlsplit(url)
    return parts.scheme == "amqp" and not _is_this_host(parts.hostname or "")


def _is_this_host(name: str) -> bool:
    if name == "localhost":
        return True
    try:
        return ip_address(name).is_loopback
    except ValueError:
        return False


def check_database_url(url: str) -> str:
    """Return the database's address with its driver spelt out. Raises ValueError."""
    parts = _split(url)
    driver = _DRIVERS.get(parts.scheme)
    if driver is None:
        raise ValueError("should begin with sqlite+aiosqlite:// or postgresql+asyncpg://")
    if driver == _SQLITE:
        _check_sqlite(parts)
    else:
        _check_postgresql(parts)
    return f"{driver}:{url.partition(':')[2]}"  # not urlunsplit(): it drops the empty host of sqlite:///file


def _check_sqlite(parts: SplitResult) -> None:
    if parts.netloc:
        raise ValueError("has a host where SQLite has none: write sqlite+aiosqlite:///file or ////absolute/file")
    if parts.path in {"", "/", "/:memory:"} or "memory" in dict(parse_qsl(parts.query)).values():
        raise ValueError("names no file; a database in memory would forget what was answered")


def _check_postgresql(parts: SplitResult) -> None:
    if not parts.path.strip("/"):
        raise ValueError("names no database")
    if "sslmode" in _options(parts):
        raise ValueError("has sslmode, which asyncpg does not know; write ssl=require or ssl=verify-full")


def is_sqlite(url: str) -> bool:
    """Whether a checked database address means SQLite."""
    return url.startswith(_SQLITE)


def shown(url: str) -> str:
    """Return a checked address without its user, password and options: fit for a log.

    >>> shown("amqps://worker:hunter2@broker.example:5671/streams?cafile=ca.pem")
    'amqps://broker.example:5671/streams'
    """
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port  # read late: it is the property that raises
    except ValueError:
        parts = None
    if parts is None or parts.fragment or not url.isprintable() or " " in url:
        raise ValueError(
            "is no URL; the characters / # ? @ % : in a user or password are written %2F %23 and so on"
        )
    return parts


def _options(parts: SplitResult) -> list[str]:
    return [name for name, _ in parse_qsl(parts.query, keep_blank_values=True)]

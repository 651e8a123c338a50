"""A broker's address, looked at before the client library reads it in a way that nobody means."""

from typing import Final

from yarl import URL

_TLS_OPTIONS: Final = frozenset({"cafile", "capath", "cadata", "certfile", "keyfile"})
_OPTIONS: Final = _TLS_OPTIONS | {"auth", "heartbeat"}


def checked_address(url: str) -> URL:
    """Return the address if the connection will be as safe as it looks. Raises ValueError, which never quotes it.

    With `amqps://` the broker has to show a certificate for its host, by an authority that is trusted: `cafile`,
    `capath` or `cadata` name one of your own, `certfile` and `keyfile` are what you show.
    """
    try:
        address = URL(url)
    except ValueError:
        address = URL()
    if address.scheme not in {"amqp", "amqps"} or not address.host:
        raise ValueError("the broker's address should be amqp://host or amqps://host") from None
    options = set(address.query)
    if "no_verify_ssl" in options:  # the library turns verification off for any value but 0, "false" included
        raise ValueError("the broker's address has no_verify_ssl; give your own authority with cafile")
    if options - _OPTIONS:  # the library ignores what it does not know, "cert_reqs" for one
        raise ValueError(f"the broker's address may have no options but {', '.join(sorted(_OPTIONS))}")
    if address.scheme == "amqp" and options & _TLS_OPTIONS:  # it would connect in the clear and say nothing
        raise ValueError("the broker's address has options for TLS and begins with amqp://; write amqps://")
    if any(not address.query[option] for option in options):  # as if it were not there
        raise ValueError("the broker's address has an option without a value")
    return address

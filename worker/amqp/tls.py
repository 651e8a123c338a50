"""TLS to the broker: what we trust, what we show, and what it means when the two sides cannot agree.

The context is ours and not the client library's, so that nothing in an address, in a library's defaults or in the
environment (SSLKEYLOGFILE) can weaken it. It is made anew for each connection: a certificate that was renewed is
taken up without a restart.
"""

import asyncio
import binascii
import ssl
from base64 import b64decode
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final, NoReturn
from urllib.parse import parse_qsl, urlsplit

from worker.service.ports import EpochOver

_AUTHORITIES: Final = ("cafile", "capath", "cadata")
_HASHED: Final = "[0-9a-f]" * 8 + ".*"

_BY_VERIFY_CODE: Final[Mapping[int, str]] = {
    9: "its certificate is not valid yet: is this host's clock right?",
    10: "its certificate has expired",
    62: "its certificate is for another host than the address names",
    64: "its certificate is for another host than the address names",
} | dict.fromkeys(
    (2, 18, 19, 20, 21),
    "its certificate is signed by no authority that is trusted here: give its authority with cafile",
)
_NO_TLS: Final = "it does not speak TLS on this port: is it the port for amqp://?"
_TOO_OLD: Final = "it speaks no TLS of 1.2 or newer"
# By what OpenSSL's name for it contains, the first that fits: the names vary from one version to the next.
_BY_REASON: Final = (
    ("WRONG_VERSION_NUMBER", _NO_TLS),
    ("RECORD_LAYER_FAILURE", _NO_TLS),
    ("UNSUPPORTED_PROTOCOL", _TOO_OLD),
    ("ALERT_PROTOCOL_VERSION", _TOO_OLD),
    ("CERTIFICATE_REQUIRED", "it wants to see a certificate of ours: give certfile and keyfile"),
    ("ALERT_UNKNOWN_CA", "it does not trust the authority of our certificate (certfile)"),
)
# A peer that closes with something unread resets the connection, and what it said last may be lost with that.
_HUNG_UP: Final = {
    "amqp": "it hung up before the connection was open: does it speak TLS on this port (amqps://)?",
    "amqps": "it hung up before the connection was open: does it want a certificate of ours (certfile, keyfile)?",
}


class TlsWrong(EpochOver):
    """What the address says about TLS cannot be used. The text is one line that says what to do."""


def client_context(url: str) -> ssl.SSLContext | None:
    """Return how to speak TLS to the broker at a checked address, None where it begins with amqp://.

    The broker must show a certificate for the host of the address, by an authority of `cafile`, `capath` or
    `cadata` (DER or PEM in base 64), else by one that the system trusts; TLS 1.2 is the least. It reads files: not
    for the event loop. Raises TlsWrong where they cannot be used.
    """
    address = urlsplit(url)
    if address.scheme != "amqps":
        return None
    options = dict(parse_qsl(address.query))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.verify_mode = ssl.CERT_REQUIRED
    context.check_hostname = True
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    _trust(context, options)
    if certificate := options.get("certfile"):
        _show(context, certificate, options.get("keyfile"))
    return context


def why(error: BaseException, url: str) -> str | None:
    """Say why a connection could not be opened, where TLS or the lack of it is or may be the reason; else None."""
    return next((told for cause in _causes(error) if (told := _told(cause, url)) is not None), None)


def _told(cause: BaseException, url: str) -> str | None:
    match cause:
        case ssl.SSLCertVerificationError(verify_code=code, verify_message=message):
            return _BY_VERIFY_CODE.get(code, f"its certificate is not good: {message}")
        case ssl.SSLError(reason=reason):
            known = (text for part, text in _BY_REASON if part in (reason or ""))
            return next(known, f"the TLS handshake failed: {_words(reason) or 'it does not say why'}")
        case ConnectionResetError() | BrokenPipeError() | asyncio.IncompleteReadError() | StopAsyncIteration():
            return _HUNG_UP[urlsplit(url).scheme]
        case _:
            return None


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _words(reason: str | None) -> str:
    return (reason or "").replace("_", " ").lower()


def _trust(context: ssl.SSLContext, options: Mapping[str, str]) -> None:
    if not any(name in options for name in _AUTHORITIES):
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    for name, load in (("cafile", _trust_file), ("capath", _trust_folder), ("cadata", _trust_data)):
        if given := options.get(name):
            try:
                load(context, given)
            except (OSError, ValueError) as error:
                raise TlsWrong(f"TLS: {name} cannot be used: {_reason(error)}") from error


def _trust_file(context: ssl.SSLContext, file: str) -> None:
    context.load_verify_locations(cafile=file)


def _trust_folder(context: ssl.SSLContext, folder: str) -> None:
    """OpenSSL looks into it only when a certificate is checked, and takes any name for a folder."""
    if not any(Path(folder).glob(_HASHED)):
        raise ValueError("no certificate there has the name that `openssl rehash` gives")
    context.load_verify_locations(capath=folder)


def _trust_data(context: ssl.SSLContext, data: str) -> None:
    decoded = b64decode(data.replace(" ", "+"), validate=True)  # in a query a plus means a space
    is_pem = decoded.startswith(b"-----")
    context.load_verify_locations(cadata=decoded.decode("ascii") if is_pem else decoded)


def _show(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    try:
        context.load_cert_chain(certificate, key, password=_no_password)
    except (OSError, ValueError) as error:
        what = "certfile and keyfile" if key else "certfile, which has to hold the key too,"
        raise TlsWrong(f"TLS: {what} cannot be used: {_reason(error)}") from error


def _no_password() -> NoReturn:
    """Without this OpenSSL would ask for one at the terminal, and wait."""
    raise ValueError("the key is encrypted; it has to be readable without a password")


def _reason(error: OSError | ValueError) -> str:
    match error:
        case ssl.SSLError():  # numbers and places in OpenSSL's source, but for this
            return _words(error.reason) or "it is not in the right form"
        case OSError():
            return error.strerror or type(error).__name__
        case binascii.Error():
            return "it is not base 64"
        case _:
            return str(error)

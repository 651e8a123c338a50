"""How we speak TLS to the broker: what is trusted and shown, and what is said when the two sides cannot agree."""

import asyncio
import ssl
from base64 import b64encode
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from aiormq.exceptions import AMQPConnectionError
from cryptography.hazmat.primitives import serialization

from tests.support.certificates import Authority, Pair
from worker.amqp.tls import TlsWrong, client_context, why

AMQPS = "amqps://worker:hunter2@127.0.0.1/"
HUNG_UP = "it hung up before the connection was open"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue()


def context_with(**options: str | Path) -> ssl.SSLContext:
    context = client_context(f"{AMQPS}?{urlencode(options)}")
    assert context is not None
    return context


def refusal(**options: str | Path) -> str:
    with pytest.raises(TlsWrong) as caught:
        context_with(**options)
    assert str(caught.value).isprintable()
    return str(caught.value)


def names(context: ssl.SSLContext) -> list[str]:
    """Return whom a context trusts."""
    subjects: list[Any] = [one["subject"] for one in context.get_ca_certs()]
    return [dict(part[0] for part in subject)["organizationName"] for subject in subjects]


def test_without_tls_there_is_nothing_to_set_up() -> None:
    assert client_context("amqp://127.0.0.1/") is None


def test_whom_we_speak_to_is_verified_and_nothing_old_is_spoken(authority: Authority) -> None:
    context = context_with(cafile=authority.file)

    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_what_the_client_library_would_take_for_an_order_weakens_nothing(authority: Authority) -> None:
    context = context_with(cafile=authority.file, no_verify_ssl="1", cert_reqs="0", ssl_version="2")

    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)


def test_keys_are_not_written_to_a_file_because_a_variable_says_so(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))

    assert context_with().keylog_filename is None


def test_an_authority_of_ones_own_is_trusted_alone(authority: Authority) -> None:
    assert names(context_with(cafile=authority.file)) == [authority.name]


def test_without_one_those_of_the_system_are_trusted(
    monkeypatch: pytest.MonkeyPatch, authority: Authority, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))

    assert names(context_with()) == [authority.name]


@pytest.mark.parametrize("form", ["PEM", "DER"])
def test_an_authority_may_stand_in_the_address_itself(authority: Authority, form: str) -> None:
    pem = authority.file.read_text()
    data = pem.encode() if form == "PEM" else ssl.PEM_cert_to_DER_cert(pem)

    assert names(context_with(cadata=b64encode(data).decode())) == [authority.name]


def test_a_plus_that_was_not_escaped_is_no_mistake(authority: Authority) -> None:
    data = b64encode(authority.file.read_bytes()).decode()

    context = client_context(f"{AMQPS}?cadata={data}")

    assert context is not None
    assert names(context) == [authority.name]


def test_a_folder_of_authorities_is_taken(authority: Authority, tmp_path: Path) -> None:
    (tmp_path / "0a1b2c3d.0").write_bytes(authority.file.read_bytes())

    assert names(context_with(capath=tmp_path)) == []  # OpenSSL looks into it when it has to


def test_a_certificate_of_ours_is_shown(authority: Authority, pair: Pair) -> None:
    context_with(cafile=authority.file, certfile=pair.certificate, keyfile=pair.key)


def test_certificate_and_key_may_stand_in_one_file(authority: Authority, pair: Pair, tmp_path: Path) -> None:
    both = tmp_path / "both.pem"
    both.write_bytes(pair.certificate.read_bytes() + pair.key.read_bytes())

    context_with(cafile=authority.file, certfile=both)


@pytest.mark.parametrize("option", ["cafile", "certfile"])
def test_a_file_that_is_not_there_is_told(option: str, tmp_path: Path) -> None:
    line = refusal(**{option: tmp_path / "nowhere"})

    assert line.startswith(f"TLS: {option}")
    assert line.endswith("cannot be used: No such file or directory")


@pytest.mark.parametrize("option", ["cafile", "certfile"])
@pytest.mark.parametrize("content", ["", "hello", "-----BEGIN CERTIFICATE-----\nxx\n-----END CERTIFICATE-----\n"])
def test_a_file_that_holds_no_certificate_is_told(option: str, content: str, tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.write_text(content)

    assert f"TLS: {option}" in refusal(**{option: file})


def test_a_key_of_another_certificate_is_told(authority: Authority, pair: Pair) -> None:
    line = refusal(certfile=pair.certificate, keyfile=authority.issue().key)

    assert line == "TLS: certfile and keyfile cannot be used: key values mismatch"


def test_a_certificate_without_its_key_is_told(pair: Pair) -> None:
    assert "which has to hold the key too" in refusal(certfile=pair.certificate)


def test_a_key_with_a_password_is_told_and_nobody_is_asked_for_it(pair: Pair, tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(pair.key.read_bytes(), password=None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"hunter2"),
        )
    )

    assert "the key is encrypted" in refusal(certfile=pair.certificate, keyfile=locked)


@pytest.mark.parametrize(
    "data", ["???", "AAAA", b64encode(b"-----BEGIN").decode(), b64encode(b"-----\xff").decode()]
)
def test_data_that_is_no_authority_is_told(data: str) -> None:
    assert refusal(cadata=data).startswith("TLS: cadata cannot be used: ")


def test_a_folder_without_hashed_names_would_trust_nobody_and_is_told(
    authority: Authority, tmp_path: Path
) -> None:
    (tmp_path / "authority.pem").write_bytes(authority.file.read_bytes())

    assert "openssl rehash" in refusal(capath=tmp_path)
    assert "openssl rehash" in refusal(capath=tmp_path / "nowhere")


def verification(code: int) -> ssl.SSLCertVerificationError:
    error = ssl.SSLCertVerificationError(1, "certificate verify failed")
    error.verify_code, error.verify_message = code, "it is odd"
    return error


def handshake(reason: str | None) -> ssl.SSLError:
    error = ssl.SSLError(1, "handshake failed")
    error.reason = reason  # type: ignore[assignment]  # OpenSSL does not always know
    return error


@pytest.mark.parametrize(
    ("cause", "says"),
    [
        (verification(9), "is this host's clock right"),
        (verification(10), "has expired"),
        (verification(20), "give its authority with cafile"),
        (verification(62), "for another host"),
        (verification(99), "its certificate is not good: it is odd"),
        (handshake("WRONG_VERSION_NUMBER"), "does not speak TLS on this port"),
        (handshake("TLSV1_ALERT_PROTOCOL_VERSION"), "no TLS of 1.2 or newer"),
        (handshake("TLSV13_ALERT_CERTIFICATE_REQUIRED"), "give certfile and keyfile"),
        (handshake("NO_SHARED_CIPHER"), "the TLS handshake failed: no shared cipher"),
        (handshake(None), "the TLS handshake failed: it does not say why"),
        (ConnectionResetError(), f"{HUNG_UP}: does it want a certificate of ours"),
        (asyncio.IncompleteReadError(b"", 1), f"{HUNG_UP}: does it want a certificate of ours"),
    ],
    ids=lambda value: str(getattr(value, "reason", None) or getattr(value, "verify_code", None) or value)[:40],
)
def test_why_a_handshake_failed_is_said_so_that_it_can_be_mended(cause: BaseException, says: str) -> None:
    failed = AMQPConnectionError("whatever the library makes of it")
    failed.__cause__ = cause

    assert says in (why(failed, AMQPS) or "")


def test_a_broker_that_hangs_up_on_plain_words_may_speak_tls() -> None:
    assert "does it speak TLS on this port (amqps://)?" in (why(StopAsyncIteration(), "amqp://127.0.0.1/") or "")


@pytest.mark.parametrize("cause", [None, ConnectionRefusedError(), TimeoutError()])
def test_what_has_nothing_to_do_with_tls_is_left_to_others(cause: BaseException | None) -> None:
    failed = AMQPConnectionError("refused")
    failed.__cause__ = cause

    assert why(failed, AMQPS) is None

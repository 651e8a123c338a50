"""TLS against a real broker: what works end to end, and what an operator reads where it does not."""

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
from yarl import URL

from devtools.broker import PrivateBroker
from devtools.tls import TlsListener
from stream_client import StreamsClient, StreamUnavailable
from tests.support.broker_side import options
from tests.support.certificates import Authority, Pair
from tests.support.command_line import stream_worker_program
from tests.support.wire import Device, eventually
from tests.support.worker_process import WorkerProcess, settings_of
from worker.amqp.link import Link
from worker.service.ports import EpochOver

SECRET = "hunter2-hunter2"
USER = "tls-worker"
NOT_READY = 503
HUNG_UP = "it hung up before the connection was open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Broker:
    """A broker with TLS, and a user of it whose password must be seen nowhere."""

    node: PrivateBroker
    authority: Authority

    @property
    def plain_url(self) -> str:
        return _login(self.node.url)

    def url(self, *, trusting: Authority | None = None, host: str = "127.0.0.1", **shown: Path) -> str:
        """Return the address to speak TLS to; by default trusting the right authority."""
        query = urlencode({"cafile": (trusting or self.authority).file, **shown})
        return str(URL(_login(self.node.tls_url)).with_host(host)) + f"?{query}"


def _login(url: str) -> str:
    return str(URL(url).with_user(USER).with_password(SECRET))


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(scope="module")
def strangers(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """An authority that the broker has nothing to do with."""
    return Authority(tmp_path_factory.mktemp("strangers"), "strangers")


@pytest.fixture(scope="module")
def tls(authority: Authority) -> Iterator[Broker]:
    yield from _broker(authority, demands_certificate=False)


@pytest.fixture(scope="module")
def strict(authority: Authority) -> Iterator[Broker]:
    """One that wants to see a certificate of who comes."""
    yield from _broker(authority, demands_certificate=True)


def _broker(authority: Authority, *, demands_certificate: bool) -> Iterator[Broker]:
    shown = authority.issue()
    listener = TlsListener(
        certificate=shown.certificate,
        key=shown.key,
        authority=authority.file,
        demands_certificate=demands_certificate,
    )
    with PrivateBroker(tls=listener) as node:
        node.ctl("add_user", USER, SECRET)
        node.ctl("set_permissions", USER, ".*", ".*", ".*")
        yield Broker(node=node, authority=authority)


@pytest.fixture
def settings(tmp_path: Path) -> dict[str, str]:
    """All but the address."""
    namespace = f"t{uuid.uuid4().hex[:8]}"
    given = settings_of("", namespace, f"sqlite+aiosqlite:///{tmp_path}/streams.db", STREAMS_LOG_LEVEL="DEBUG")
    del given["STREAMS_AMQP_URL"]
    return given | {"STREAMS_RECONNECT_MAX_S": "0.2"}


@asynccontextmanager
async def running(settings: Mapping[str, str]) -> AsyncIterator[WorkerProcess]:
    """Run a worker that is not expected to become ready, and see that it ends well and shows no password."""
    worker = WorkerProcess(settings)
    worker.start()
    try:
        yield worker
        assert await worker.stop() == 0
    finally:
        await worker.discard()
    assert SECRET not in worker.log_at_exit


async def says(worker: WorkerProcess, words: str, *, times: int = 1) -> None:
    """Wait until its log has these words so often."""

    async def look() -> bool:
        return worker.log.count(words) >= times

    try:
        await eventually(look)
    except TimeoutError:
        raise AssertionError(f"it does not say {words!r}: {worker.log[-3000:]}") from None


async def test_a_command_is_answered_over_tls(tls: Broker, settings: dict[str, str]) -> None:
    url = tls.url()
    async with (
        WorkerProcess(settings | {"STREAMS_AMQP_URL": url}) as worker,
        Device(url, settings["STREAMS_NAMESPACE"]) as device,
    ):
        assert (await device.command("create", device_id="cam-1"))["outcome"] == "created"
    assert SECRET not in worker.log_at_exit
    assert "amqps://127.0.0.1:" in worker.log_at_exit


async def test_the_address_may_come_from_a_folder_of_secrets(
    tls: Broker, settings: dict[str, str], tmp_path: Path
) -> None:
    folder = tmp_path / "secrets"
    folder.mkdir()
    (folder / "streams_amqp_url").write_text(f"{tls.url()}\n")
    (folder / "STREAMS_DATABASE_URL").write_text(settings.pop("STREAMS_DATABASE_URL"))
    async with (
        WorkerProcess(settings | {"STREAMS_SECRETS_DIR": str(folder)}) as worker,
        Device(tls.url(), settings["STREAMS_NAMESPACE"]) as device,
    ):
        assert (await device.command("create", device_id="cam-1"))["outcome"] == "created"
    assert SECRET not in worker.log_at_exit


async def test_a_client_certificate_opens_a_broker_that_demands_one(
    strict: Broker, settings: dict[str, str], authority: Authority
) -> None:
    ours = authority.issue("worker")
    url = strict.url(certfile=ours.certificate, keyfile=ours.key)
    async with (
        WorkerProcess(settings | {"STREAMS_AMQP_URL": url}),
        Device(url, settings["STREAMS_NAMESPACE"]) as device,
    ):
        assert (await device.command("create", device_id="cam-1"))["outcome"] == "created"


async def refuses_and_goes_on(settings: dict[str, str], url: str, *reasons: str) -> None:
    """Run a worker that cannot connect: it says one of these reasons, tries again, and is alive and not ready."""
    async with running(settings | {"STREAMS_AMQP_URL": url, "STREAMS_AMQP_PLAINTEXT": "true"}) as worker:
        await says(worker, '"epoch.over"', times=3)
        lines = [line for line in worker.log.splitlines() if '"epoch.over"' in line]
        assert all(any(reason in line for reason in reasons) for line in lines), lines
        assert (await worker.readiness())[0] == NOT_READY
        assert worker.is_running


async def test_an_authority_that_is_not_the_brokers_is_told(
    tls: Broker, settings: dict[str, str], strangers: Authority
) -> None:
    await refuses_and_goes_on(settings, tls.url(trusting=strangers), "give its authority with cafile")


async def test_a_certificate_for_another_host_is_told(tls: Broker, settings: dict[str, str]) -> None:
    await refuses_and_goes_on(settings, tls.url(host="localhost"), "its certificate is for another host")


async def test_a_broker_that_speaks_no_tls_is_told(tls: Broker, settings: dict[str, str]) -> None:
    url = tls.plain_url.replace("amqp://", "amqps://")
    await refuses_and_goes_on(settings, url, "it does not speak TLS on this port")


async def test_a_broker_that_speaks_only_tls_is_told(tls: Broker, settings: dict[str, str]) -> None:
    url = _login(tls.node.tls_url).replace("amqps://", "amqp://")
    await refuses_and_goes_on(settings, url, "does it speak TLS on this port (amqps://)?")


async def test_a_certificate_that_is_demanded_and_not_shown_is_told(
    strict: Broker, settings: dict[str, str]
) -> None:
    """What the broker says of it may be lost: it resets the connection right behind its words."""
    await refuses_and_goes_on(settings, strict.url(), "give certfile and keyfile", HUNG_UP)


@asynccontextmanager
async def listening(shown: Pair | None) -> AsyncIterator[str]:
    """Somebody who listens and says nothing: with a certificate, or without even that."""
    met: list[asyncio.StreamWriter] = []

    def meet(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        met.append(writer)

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER) if shown else None
    if context and shown:
        context.load_cert_chain(shown.certificate, shown.key)
    server = await asyncio.start_server(meet, "127.0.0.1", 0, ssl=context)
    try:
        yield f"amqps://{USER}:{SECRET}@127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    finally:
        server.close()
        for writer in met:
            writer.transport.abort()
        await server.wait_closed()


async def refused(url: str) -> str:
    """Return why no connection to this address can be opened."""
    with pytest.raises(EpochOver) as caught:
        await Link.open(options(url), purpose="tested", confirms=True)
    assert SECRET not in str(caught.value)
    return str(caught.value)


async def test_the_authorities_of_the_system_do_not_vouch_for_our_own_broker(tls: Broker) -> None:
    assert "give its authority with cafile" in await refused(_login(tls.node.tls_url))


async def test_a_certificate_of_an_unknown_authority_is_told(strict: Broker, strangers: Authority) -> None:
    theirs = strangers.issue("worker")
    why = await refused(strict.url(certfile=theirs.certificate, keyfile=theirs.key))
    assert "does not trust the authority of our certificate" in why or HUNG_UP in why


async def test_a_certificate_that_has_expired_is_told(authority: Authority) -> None:
    async with listening(authority.issue(expired=True)) as url:
        assert "its certificate has expired" in await refused(f"{url}?cafile={authority.file}")


@pytest.mark.parametrize("shakes_hands", [True, False], ids=["after the handshake", "before it"])
async def test_a_peer_that_falls_silent_is_left_within_the_deadline(
    authority: Authority,
    shakes_hands: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    async with listening(authority.issue() if shakes_hands else None) as url:
        with pytest.raises(EpochOver, match=r"no answer within 0\.5 s"):
            await Link.open(
                options(f"{url}?cafile={authority.file}", connect_timeout_s=0.5), purpose="tested", confirms=True
            )


async def test_a_file_that_is_gone_later_ends_the_epoch_and_no_more(tls: Broker, tmp_path: Path) -> None:
    assert "cafile cannot be used: No such file" in await refused(
        f"{_login(tls.node.tls_url)}?cafile={tmp_path}/gone.pem"
    )


async def test_the_connection_is_made_with_the_context_that_is_ours(
    tls: Broker, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The client library's own would write its keys down."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))

    link = await Link.open(options(tls.url()), purpose="tested", confirms=True)
    await link.close()

    assert not (tmp_path / "keys").exists()


async def test_a_certificate_that_was_renewed_is_taken_up_without_a_restart(
    tls: Broker, strangers: Authority, tmp_path: Path
) -> None:
    trusted = tmp_path / "ca.pem"
    url = f"{_login(tls.node.tls_url)}?cafile={trusted}"
    trusted.write_bytes(strangers.file.read_bytes())
    assert "give its authority with cafile" in await refused(url)

    trusted.write_bytes(tls.authority.file.read_bytes())

    await (await Link.open(options(url), purpose="tested", confirms=True)).close()


async def test_a_client_that_trusts_nobody_for_it_does_not_speak_to_the_broker(tls: Broker) -> None:
    """`send`, `watch` and whoever uses the client take the same address, and are no way round it."""
    async with StreamsClient(_login(tls.node.tls_url), attempts_max=1) as client:
        with pytest.raises(StreamUnavailable, match="CERTIFICATE_VERIFY_FAILED"):
            await client.create("cam-1")


def test_a_file_that_cannot_be_used_ends_the_worker_at_once(settings: dict[str, str], tmp_path: Path) -> None:
    url = f"amqps://{USER}:{SECRET}@127.0.0.1/?cafile={tmp_path}/nowhere.pem"

    ended = stream_worker_program("run", **settings, STREAMS_AMQP_URL=url)

    assert ended.code == 78
    (line,) = ended.err.splitlines()
    assert "TLS: cafile cannot be used: No such file or directory" in line
    assert SECRET not in ended.out + ended.err

"""A server that greets in TLS and is frozen from then on: even the goodbye of TLS goes unanswered."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.certificates import Authority
from tests.support.proxy import Proxy


@asynccontextmanager
async def frozen_behind_tls(folder: Path) -> AsyncIterator[str]:
    """Lend the address of one, which names the authority that is to be trusted."""
    authority = Authority(folder)
    shown = authority.issue()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(shown.certificate, shown.key)
    writers: list[asyncio.StreamWriter] = []

    def freeze(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        proxy.freeze()
        writers.append(writer)

    server = await asyncio.start_server(freeze, "127.0.0.1", 0, ssl=context)
    async with server, Proxy(f"amqps://127.0.0.1:{server.sockets[0].getsockname()[1]}/") as proxy:
        yield f"{proxy.url}?cafile={authority.file}"
        for writer in writers:
            writer.transport.abort()
        proxy.thaw()

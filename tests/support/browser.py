"""A page as a real browser shows it, asked over the DevTools protocol."""

import asyncio
import base64
import itertools
import os
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from devtools.chromium import chromium
from devtools.process import Child
from devtools.waiting import seen

STARTS_WITHIN_S = 60.0
ANSWERS_WITHIN_S = 60.0

_LISTENS = re.compile(r"^DevTools listening on (ws://\S+)$", re.MULTILINE)


class Page:
    """One tab. What it complained of and what it asked the network for is kept from the beginning."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket
        self._numbers = itertools.count(1)
        self._answers: dict[int, asyncio.Future[Any]] = {}
        self._session: str | None = None
        self._loaded = asyncio.Event()
        self.complaints: list[str] = []
        self.requests: list[str] = []

    async def open(self, url: str, *, width: int, height: int) -> None:
        """Load a page and wait until it is loaded; its program may still be at work."""
        target = await self._ask("Target.createTarget", url="about:blank", width=width, height=height)
        attached = await self._ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            await self._ask(f"{domain}.enable")
        await self._ask("Page.navigate", url=url)
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            await self._loaded.wait()

    async def evaluate(self, program: str) -> Any:
        """Return what a piece of JavaScript comes to; a promise is waited for."""
        said = await self._ask("Runtime.evaluate", expression=program, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in said, said["exceptionDetails"]
        return said["result"].get("value")

    async def picture(self) -> bytes:
        """Return what is in the window, as PNG."""
        said = await self._ask("Page.captureScreenshot")
        return base64.b64decode(said["data"])

    async def listen(self) -> None:
        """Take what the browser says, until it goes."""
        async for frame in self._socket:
            said = frame.json()
            if "id" in said:
                self._answers.pop(said["id"]).set_result(said)
            else:
                self._note(said["method"], said["params"])

    def _note(self, event: str, said: Any) -> None:
        match event:
            case "Runtime.consoleAPICalled":
                self.complaints.append(" ".join(str(one.get("value", one)) for one in said["args"]))
            case "Runtime.exceptionThrown":
                self.complaints.append(str(said["exceptionDetails"]))
            case "Log.entryAdded":
                self.complaints.append(f"{said['entry']['text']} {said['entry'].get('url', '')}")
            case "Network.requestWillBeSent":
                self.requests.append(said["request"]["url"])
            case "Page.loadEventFired":
                self._loaded.set()
            case _:
                pass

    async def _ask(self, method: str, **params: Any) -> Any:
        number = next(self._numbers)
        answer = self._answers[number] = asyncio.get_running_loop().create_future()
        session = {} if self._session is None else {"sessionId": self._session}
        await self._socket.send_json({"id": number, "method": method, "params": params, **session})
        async with asyncio.timeout(ANSWERS_WITHIN_S):
            said = await answer
        assert "error" not in said, said["error"]
        return said["result"]


@asynccontextmanager
async def browser_page(folder: Path) -> AsyncIterator[Page]:
    """Start a browser without a window, with a profile of its own in `folder`, and give a tab."""
    found = chromium()
    log = folder / "browser.log"
    options = [
        "--headless",
        "--no-first-run",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--remote-debugging-port=0",
    ]
    if os.geteuid() == 0:
        options.append("--no-sandbox")  # which it refuses to have as root; the page is our own
    command = [str(found.program), *options, f"--user-data-dir={folder / 'profile'}", "about:blank"]
    with Child(command, env=found.env, cwd=folder, log=log):
        async with (
            aiohttp.ClientSession() as client,
            client.ws_connect(_address(log), max_msg_size=0) as socket,
        ):
            page = Page(socket)
            listening = asyncio.create_task(page.listen(), name="browser")
            yield page
            await socket.close()
            await listening


def _address(log: Path) -> str:
    """Where the browser listens, as it says itself. Blocks: until then there is nothing else to do."""
    assert seen(lambda: _LISTENS.search(_said(log)) is not None, within_s=STARTS_WITHIN_S), _said(log)
    return _LISTENS.findall(_said(log))[0]


def _said(log: Path) -> str:
    return log.read_text("utf-8", "replace") if log.is_file() else ""

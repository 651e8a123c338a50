"""The programs of `examples/`, by the commands and with the output of its page, started as its reader would."""

import asyncio
import os
import re
import shlex
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from devtools.nodejs import nodejs, packages
from devtools.project import ROOT
from devtools.shell import shell_programs
from tests.support.command_line import ENDS_WITHIN_S, Ended, environment

README: Final = (ROOT / "examples/README.md").read_text("utf-8")
TEXTS: Final = tuple(
    re.sub(r"^ +", "", text, flags=re.MULTILINE)
    for text in re.findall(r"^ *```text\n(.*?)^ *```\n", README, re.MULTILINE | re.DOTALL)
)
_ROW: Final = re.compile(r"^\| [^|]+ \| `([^`|]+ cam-1)` \| `([^`|]+)` \|$", re.MULTILINE)
_CODE: Final = re.compile(r"\b[0-9A-HJKMNP-TV-Z]{8}\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Language:
    """A row of the table, named like its folder."""

    name: str
    device: str
    subscriber: str

    @property
    def makes_its_queue(self) -> bool:
        return self.name != "shell"

    @property
    def ends_by_what_it_cannot_read(self) -> bool:
        """Our client rejects it, and goes on."""
        return self.name != "python"


def _languages() -> dict[str, Language]:
    found = [
        Language(name=device.split("/")[-2], device=device.removesuffix(" cam-1"), subscriber=subscriber)
        for device, subscriber in _ROW.findall(README)
    ]
    return {language.name: language for language in found}


LANGUAGES: Final = _languages()


def without_codes(text: str) -> str:
    """A text without what is another each time, but with what is the same within it."""
    for number, code in enumerate(dict.fromkeys(_CODE.findall(text))):
        text = text.replace(code, f"<code {number}>")
    return text


async def run_example(command: str, *arguments: str, url: str) -> Ended:
    """Run it to its end."""
    process = await _start(command, *arguments, url=url)
    try:
        async with asyncio.timeout(ENDS_WITHIN_S):
            out, err = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()
    return Ended(code=process.returncode or 0, out=out.decode(), err=err.decode())


@asynccontextmanager
async def running_example(
    command: str, *arguments: str, url: str, **others: str
) -> AsyncIterator[asyncio.StreamReader]:
    """Run it until the block ends, and give what it prints; `others` stand in its environment."""
    process = await _start(command, *arguments, url=url, **others)
    try:
        assert process.stdout is not None
        yield process.stdout
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


async def lines_about(device: str, printed: asyncio.StreamReader, count: int) -> list[str]:
    """Wait for so many lines with the device in them."""
    lines: list[str] = []
    async with asyncio.timeout(ENDS_WITHIN_S):
        while len(lines) < count:
            line = (await printed.readline()).decode()
            assert line, "it ended"
            lines += [line] if device in line else []
    return lines


async def _start(command: str, *arguments: str, url: str, **others: str) -> asyncio.subprocess.Process:
    program, script, *given = [*shlex.split(command), *arguments]
    started = {".venv/bin/python": sys.executable, "node": str(nodejs().node), "sh": "/bin/sh"}[program]
    return await asyncio.create_subprocess_exec(
        started,
        script,
        *given,
        cwd=ROOT,
        env=environment(STREAMS_AMQP_URL=url, **others) | _found_by(program),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1_000_000,
    )


def _found_by(program: str) -> Mapping[str, str]:
    """Where a program finds what it needs: our packages in this tree, the others in the cache."""
    ours = {"PYTHONPATH": os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])}
    match program:
        case "node":
            return {"NODE_PATH": str(packages(ROOT / "examples/node"))}
        case "sh":
            fetched = shell_programs().environment
            path = f"{Path(sys.executable).parent}:{fetched.get('PATH', os.environ['PATH'])}"
            return {**ours, **fetched, "PATH": path}
        case _:
            return ours

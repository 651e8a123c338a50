"""The page of the contract, as a real browser shows it."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import pytest

from devtools.contract.page import PAGE, main
from schemas import DEVICE_ID_PATTERN, CommandName, EventName, ProblemCode, ReplyName
from schemas.limits import CODE_PATTERN, CODE_WRITTEN_PATTERN
from tests.support.browser import browser_page
from tests.support.contract_document import committed_document

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

WIDTH, HEIGHT = 1700, 2400  # wide enough for the list of operations at the side

_DRAWN = "document.getElementById('schema-StreamStopped')"  # the last thing in the document

_OPEN_ALL = """
[...document.querySelectorAll("button")].filter((one) => one.innerText.trim() === "Expand all")
  .forEach((one) => one.click())
"""
_ALL_OPEN = "document.body.textContent.includes('must match: ')"


def _until(condition: str) -> str:
    """A program that ends when the page is that far; the drawing goes on meanwhile."""
    return f"""
new Promise((resolve) => {{
  const look = () => {condition} ? resolve(true) : requestAnimationFrame(look);
  look();
}})
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What the browser had of the page."""

    title: str
    text: str
    opened: str
    sections: Sequence[str]
    stop: str
    widths: Sequence[int]
    complaints: Sequence[str]
    requests: Sequence[str]
    picture: bytes


@pytest.fixture(scope="module")
async def shown(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Shown]:
    folder = tmp_path_factory.mktemp("page")
    assert main() == 0
    async with browser_page(folder) as tab:
        await tab.open(PAGE.as_uri(), width=WIDTH, height=HEIGHT)
        await tab.evaluate(_until(_DRAWN))
        text = await tab.evaluate("document.body.innerText")
        picture = await tab.picture()
        await tab.evaluate(_OPEN_ALL)
        await tab.evaluate(_until(_ALL_OPEN))
        yield Shown(
            title=await tab.evaluate("document.title"),
            text=text,
            opened=await tab.evaluate("document.body.innerText"),
            sections=await tab.evaluate("[...document.querySelectorAll('[id]')].map((one) => one.id)"),
            stop=await tab.evaluate("document.getElementById('schema-StopStream').innerText"),
            widths=await tab.evaluate("[document.documentElement.scrollWidth, innerWidth]"),
            complaints=tab.complaints,
            requests=[url for url in tab.requests if url != PAGE.as_uri()],
            picture=picture,
        )


async def test_the_page_is_drawn(shown: Shown) -> None:
    assert shown.title == "Streams of devices"
    assert "Send a command" in shown.text
    assert "This page needs JavaScript" not in shown.text


async def test_every_operation_and_every_message_is_on_the_page(shown: Shown) -> None:
    said_of = {"receive": "reply", "send": "send"}  # as the component calls them; what we receive has replies
    for name, operation in committed_document()["operations"].items():
        assert f"operation-{said_of[operation['action']]}-{name}" in shown.sections
        assert operation["summary"] in shown.text
    for message in (*CommandName, *ReplyName, *EventName, "dead.letter"):
        assert f"message-{message}" in shown.sections


async def test_every_way_to_name_a_stream_is_called_something(shown: Shown) -> None:
    for name in ("device_id", "stream_id", "code"):
        assert f"by {name}" in shown.stop


async def test_every_problem_is_on_the_page(shown: Shown) -> None:
    for code in ProblemCode:
        assert code in shown.text


async def test_a_pattern_is_shown_as_it_is(shown: Shown) -> None:
    for pattern in (DEVICE_ID_PATTERN, CODE_PATTERN, CODE_WRITTEN_PATTERN):
        assert pattern in shown.opened


async def test_nothing_runs_out_of_the_page_when_all_is_open(shown: Shown) -> None:
    drawn, there_is = shown.widths
    assert drawn <= there_is


async def test_the_browser_has_nothing_to_complain_of(shown: Shown) -> None:
    assert shown.complaints == []


async def test_the_page_asks_nobody_for_anything(shown: Shown) -> None:
    assert shown.requests == []


async def test_the_page_is_not_blank(shown: Shown) -> None:
    assert len(shown.picture) > 50_000

"""`make demo`, for a few seconds: in a pipe, on a terminal, cut short, and where something is lost."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import pytest

from devtools.project import ROOT
from devtools.tree import alive, descendants
from devtools.waiting import seen
from tests.support import doomed_demo, lossy_demo

pytestmark = pytest.mark.timeout(300)

HAPPENS_WITHIN_S = 200.0
ROW = re.compile(r"^([a-z]+(?: [a-z]+)?) +(\d+)(?:  (.*))?$", re.MULTILINE)
ESCAPE = "\x1b"
SHOW_CURSOR, LEAVE_SCREEN, ENTER_SCREEN = f"{ESCAPE}[?25h", f"{ESCAPE}[?1049l", f"{ESCAPE}[?1049h"
COLOUR = re.compile(rf"{ESCAPE}\[[0-9;]*(?:3[0-7]|9[0-7]|[34]8;)")


class Demo:
    """The program, on a pipe or on a terminal of 80 columns and 24 rows. What it writes is read as it comes."""

    def __init__(
        self,
        scratch: Path,
        *options: str,
        terminal: bool = False,
        errors: bool = False,
        module: str = "devtools.demo",
        **environment: str,
    ) -> None:
        reader, writer = pty.openpty() if terminal else os.pipe()
        if terminal:
            fcntl.ioctl(writer, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
            self.modes = termios.tcgetattr(writer)
        self._reader, self._writer, self._scratch = reader, writer, scratch
        self._written = b""
        self.pids: set[int] = set()
        self.process = subprocess.Popen(  # noqa: S603 - our own program
            [sys.executable, "-m", module, *options],
            cwd=ROOT,
            env={name: value for name, value in os.environ.items() if name not in {"NO_COLOR", "FORCE_COLOR"}}
            | {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", "TMPDIR": str(scratch)}
            | environment,
            stdin=writer if terminal else subprocess.DEVNULL,
            stdout=writer,
            stderr=subprocess.PIPE if errors else writer,
            start_new_session=True,
        )

    @property
    def written(self) -> str:
        while select.select([self._reader], [], [], 0)[0]:
            some = os.read(self._reader, 1 << 16)
            if not some:
                break
            self._written += some
        return self._written.decode(errors="replace").replace("\r\n", "\n")

    def until(self, look: Callable[[str], bool]) -> None:
        """Wait until what it has written is as wanted."""

        def decided() -> bool:
            self.pids.update(descendants(self.process.pid))
            return look(self.written) or self.process.poll() is not None

        assert seen(decided, within_s=HAPPENS_WITHIN_S), self.written[-4_000:]
        assert look(self.written), self.written[-4_000:]

    def end(self) -> int:
        """Wait for its end, reading: a full pipe would hold it up."""

        def is_over() -> bool:
            self.pids.update(descendants(self.process.pid))
            return self.written is not None and self.process.poll() is not None

        assert seen(is_over, within_s=HAPPENS_WITHIN_S), self.written[-4_000:]
        self.must_be_gone()
        assert list(self._scratch.iterdir()) == []
        return self.process.wait()

    def must_be_gone(self) -> None:
        """Wait until no process of it is left."""
        assert seen(lambda: not alive(self.pids), within_s=20), alive(self.pids)

    def press_ctrl_c(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def stop_reading(self) -> None:
        for end in (self._reader, self._writer):
            os.close(end)
        self._reader, self._writer = os.pipe()

    def modes_now(self) -> Sequence[object]:
        return termios.tcgetattr(self._writer)

    def books(self) -> Mapping[str, tuple[int, str]]:
        """The last rows that it printed, by their names."""
        return {name: (int(number), parts) for name, number, parts in ROW.findall(self.written)}

    def close(self) -> None:
        for pid in (*descendants(self.process.pid), self.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.process.wait(20)
        if self.process.stderr is not None:
            self.process.stderr.close()
        os.close(self._reader)
        os.close(self._writer)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Demo]]:
    started: list[Demo] = []
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def start_it(*options: str, **more: object) -> Demo:
        started.append(Demo(scratch, *options, **more))  # type: ignore[arg-type]
        return started[-1]

    yield start_it
    for demo in started:
        demo.close()


def test_in_a_pipe_it_writes_plain_lines_and_books_that_balance(
    start: Callable[..., Demo], tmp_path: Path
) -> None:
    picture = tmp_path / "demo.svg"
    demo = start("--seconds", "4", "--picture", str(picture), FORCE_COLOR="1")
    assert demo.end() == 0, demo.written[-4_000:]
    assert ESCAPE not in demo.written
    assert len(demo.pids) > 4  # two workers, a broker, its epmd and what they have started

    books = demo.books()
    sums = {name: number for name, (number, _) in books.items()}
    assert sums["commands"] > 300
    # One device died before its answer; or had it after all, where the machine is slow.
    died = "whose sender died" in books["commands"][1]
    assert sums["commands"] == sums["replies"] + sums["problems"] + sums["dead letters"] + died
    assert all(sums[name] > 0 for name in ("replies", "problems", "dead letters", "events", "repeats"))
    assert books["repeats"][1].startswith(f"{sums['repeats']} absorbed")
    assert (sums["gaps"], sums["lost"], "wrong" in sums) == (0, 0, False)

    lines = demo.written
    assert re.search(r"worker +is killed \(SIGKILL\), \d+ in hand", lines)
    assert re.search(r"worker +is back after", lines)
    assert re.search(r"says it again: the same answer", lines)
    assert re.search(r"raw poison: dead letter, undecodable", lines)
    assert picture.read_text("utf-8").startswith("<svg")


@pytest.mark.slow
def test_on_a_terminal_it_draws_and_leaves_the_terminal_as_it_was(start: Callable[..., Demo]) -> None:
    demo = start("--seconds", "12", terminal=True)
    demo.until(lambda written: "RabbitMQ starts" in written)
    assert ENTER_SCREEN in demo.written
    assert demo.end() == 0, demo.written[-4_000:]
    live, _, after = demo.written.rpartition(LEAVE_SCREEN)
    assert COLOUR.search(live)
    assert "is killed" in live
    assert SHOW_CURSOR in demo.written[demo.written.rindex(f"{ESCAPE}[?25l") :]
    assert "The books balance" in after, "the last picture stays"
    assert float(re.findall(r"(\d+\.\d) s", after)[0]) >= 12, "what comes too much had time to come"
    assert demo.modes_now() == demo.modes


@pytest.mark.slow
def test_without_colours_the_terminal_shows_the_same(start: Callable[..., Demo]) -> None:
    demo = start("--seconds", "1", terminal=True, NO_COLOR="1")
    assert demo.end() == 0, demo.written[-4_000:]
    assert ENTER_SCREEN in demo.written
    assert not COLOUR.search(demo.written)
    assert "The books balance" in demo.written


def test_a_terminal_that_can_do_nothing_gets_plain_lines(start: Callable[..., Demo]) -> None:
    demo = start(terminal=True, TERM="dumb")
    demo.until(lambda written: "RabbitMQ starts" in written)
    assert ESCAPE not in demo.written
    demo.press_ctrl_c()
    assert demo.end() == 0


@pytest.mark.parametrize(
    "moment",
    [
        "is killed",
        *(
            pytest.param(moment, marks=pytest.mark.slow)
            for moment in ("RabbitMQ starts", "SQLite file", "stream.created", "starts again", "is back")
        ),
    ],
)
def test_ctrl_c_ends_it_at_any_moment_with_the_books_so_far(start: Callable[..., Demo], moment: str) -> None:
    demo = start("--seconds", "20")
    demo.until(lambda written: moment in written)
    demo.press_ctrl_c()
    assert demo.end() == 0, demo.written[-4_000:]
    assert demo.books()["lost"][0] == 0
    assert "Traceback" not in demo.written
    assert re.search(r"^(?:The books balance|Nothing is lost so far)", demo.written, re.MULTILINE)


@pytest.mark.slow
def test_the_second_ctrl_c_does_not_wait(start: Callable[..., Demo]) -> None:
    demo = start("--seconds", "20", terminal=True)
    demo.until(lambda written: "is killed" in written)
    demo.press_ctrl_c()
    demo.press_ctrl_c()
    assert demo.end() == 0, demo.written[-4_000:]
    assert "still under way" in demo.written, "no worker is back so soon"
    assert demo.modes_now() == demo.modes


@pytest.mark.slow
def test_what_is_lost_is_found_missing_and_said_by_the_exit_code(start: Callable[..., Demo]) -> None:
    demo = start("--seconds", "4", "--patience", "8", module=lossy_demo.__name__)
    assert demo.end() == 1
    lost, what = demo.books()["lost"]
    assert lost > 0
    assert "commands without an answer" in what
    assert "The books do not balance" in demo.written


def test_where_its_broker_dies_it_says_so_and_what_to_do_in_one_line(start: Callable[..., Demo]) -> None:
    demo = start("--seconds", "2", errors=True, module=doomed_demo.__name__)
    assert demo.end() == 1
    assert demo.process.stderr is not None
    (said,) = demo.process.stderr.read().decode().splitlines()
    assert "broker has ended by itself" in said
    assert "start it again" in said


@pytest.mark.slow
def test_it_ends_quietly_when_nobody_reads_any_more(start: Callable[..., Demo]) -> None:
    demo = start("--seconds", "20", errors=True)
    demo.until(lambda written: "stream.created" in written)
    demo.stop_reading()
    assert demo.end() == 1
    assert demo.process.stderr is not None
    assert demo.process.stderr.read() == b""


@pytest.mark.slow
def test_without_an_output_it_plays_all_the_same() -> None:
    command = ["/bin/sh", "-c", 'exec "$0" -m devtools.demo --seconds 1 >&-', sys.executable]
    ended = subprocess.run(command, cwd=ROOT, stderr=subprocess.PIPE, check=False, timeout=HAPPENS_WITHIN_S)  # noqa: S603 - our own program

    assert (ended.returncode, ended.stderr) == (0, b"")


@pytest.mark.slow
def test_no_process_stays_when_it_is_killed(start: Callable[..., Demo]) -> None:
    demo = start("--seconds", "20")
    demo.until(lambda written: "stream.created" in written)
    demo.process.kill()
    demo.must_be_gone()

"""`make run` in front of a worker: what it says, in which order it ends, and that nothing stays."""

import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from devtools.broker import PrivateBroker
from devtools.ports import free_port
from devtools.project import ROOT
from devtools.terminal import lines
from devtools.tree import alive, descendants
from devtools.waiting import seen
from tests.support import standin_worker

READY_WITHIN_S = 90.0
END_WITHIN_S = 40.0
WAITS_FOR_PORT_MAX = 300
SECRET = "c0rrect-h0rse"


class Foreground:
    """`python -m devtools.run` as a terminal has it: a process group of its own."""

    def __init__(self, folder: Path, **settings: str) -> None:
        self.worker = folder / "stream-worker"
        self.worker.write_text(
            f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m {standin_worker.__name__} "$@"\n'
        )
        self.worker.chmod(0o755)
        self._folder = folder
        self._journal = folder / "journal"
        command = [
            sys.executable,
            "-m",
            "devtools.run",
            f"--worker={self.worker}",
            f"--folder={folder / 'broker'}",
        ]
        # A port of its own: others of these, in a process beside, find the usual one free at the same moment.
        own = {"STANDIN_JOURNAL": str(self._journal), "STREAMS_HTTP_PORT": str(free_port())}
        environment = {**os.environ, **own, **settings}
        with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                command, cwd=ROOT, env=environment, stdout=out, stderr=err, start_new_session=True
            )

    @property
    def out(self) -> str:
        return (self._folder / "out").read_text()

    @property
    def err(self) -> str:
        return (self._folder / "err").read_text()

    @property
    def journal(self) -> list[str]:
        return self._journal.read_text().splitlines() if self._journal.exists() else []

    def until(self, look: Callable[[], bool], within_s: float = READY_WITHIN_S) -> None:
        """Wait until `look` says yes, or it has ended: then the test's own questions say what is wrong."""
        found = seen(lambda: self.process.poll() is not None or look(), within_s=within_s)
        assert found, f"{self.out}\n{self.err}\n{self.journal}"

    def until_ready(self) -> None:
        self.until(lambda: "send stop" in self.out)

    def press_ctrl_c(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)

    def end(self) -> int:
        return self.process.wait(END_WITHIN_S)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Foreground]]:
    """Start it with settings; whatever a failed test leaves is killed."""
    started: list[Foreground] = []

    def start_it(**settings: str) -> Foreground:
        started.append(Foreground(tmp_path, **settings))
        return started[-1]

    yield start_it
    for foreground in started:
        for pid in (*descendants(foreground.process.pid), foreground.process.pid):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        foreground.process.wait(END_WITHIN_S)


def all_gone(pids: Iterable[int]) -> bool:
    return seen(lambda: not alive(pids), within_s=END_WITHIN_S)


def test_ctrl_c_ends_the_worker_once_and_first_and_leaves_no_process(start: Callable[..., Foreground]) -> None:
    foreground = start()
    foreground.until_ready()
    pids = descendants(foreground.process.pid)
    assert len(pids) > 4  # the worker, the node, its epmd and what they have started
    foreground.press_ctrl_c()
    assert foreground.end() == 0
    assert foreground.journal[0] == "arguments run"
    assert foreground.journal[2:] == ["told SIGINT", "broker up"]
    assert all_gone(pids)


def test_sigterm_is_passed_on(start: Callable[..., Foreground], broker: PrivateBroker) -> None:
    foreground = start(STREAMS_AMQP_URL=broker.url)
    foreground.until_ready()
    pids = descendants(foreground.process.pid)
    foreground.process.send_signal(signal.SIGTERM)
    assert foreground.end() == 0
    assert foreground.journal[2:] == ["told SIGTERM", "broker up"]
    assert all_gone(pids)


def test_the_worker_does_not_outlive_it_when_it_is_killed(start: Callable[..., Foreground]) -> None:
    foreground = start(STREAMS_AMQP_URL="amqp://127.0.0.1:1/")
    foreground.until_ready()
    pids = descendants(foreground.process.pid)
    foreground.process.kill()
    foreground.end()
    assert all_gone(pids)


def test_a_worker_that_ends_by_itself_ends_it_all_with_its_exit_code(start: Callable[..., Foreground]) -> None:
    foreground = start(STANDIN_EXIT="78")
    pids: set[int] = set()

    def has_run() -> bool:
        pids.update(descendants(foreground.process.pid))
        return foreground.journal != []

    foreground.until(has_run)
    assert foreground.end() == 78
    assert foreground.out == ""
    assert len(pids) > 4
    assert all_gone(pids)


def test_ctrl_c_while_the_node_starts_ends_it_before_there_is_a_worker(start: Callable[..., Foreground]) -> None:
    foreground = start()
    foreground.until(lambda: len(descendants(foreground.process.pid)) > 4)
    pids = descendants(foreground.process.pid)
    foreground.press_ctrl_c()
    assert foreground.end() == 1
    assert foreground.journal == []
    assert all_gone(pids)


def test_a_broker_of_ones_own_is_used_and_its_password_shown_nowhere(
    start: Callable[..., Foreground], broker: PrivateBroker
) -> None:
    foreground = start(STREAMS_AMQP_URL=broker.url.replace("guest:guest", f"guest:{SECRET}"))
    foreground.until_ready()
    foreground.press_ctrl_c()
    assert foreground.end() == 0
    assert foreground.journal[2:] == ["told SIGINT", "broker up"]
    assert "with the same STREAMS_AMQP_URL" in foreground.out
    assert SECRET not in foreground.out + foreground.err
    assert not (foreground.worker.parent / "broker").exists()


def test_the_second_ctrl_c_reaches_the_worker_too_and_the_third_kills_it(start: Callable[..., Foreground]) -> None:
    foreground = start(STREAMS_AMQP_URL="amqp://127.0.0.1:1/", STANDIN_DEAF="1")
    foreground.until_ready()
    for count in (1, 2):
        foreground.press_ctrl_c()
        foreground.until(lambda: foreground.journal.count("told SIGINT") == count)  # noqa: B023 - called at once
    foreground.press_ctrl_c()
    assert foreground.end() == 128 + signal.SIGKILL


def test_where_the_health_port_is_taken_it_takes_another(start: Callable[..., Foreground]) -> None:
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        for _ in range(WAITS_FOR_PORT_MAX):  # somebody else may have it: a test beside this one, and then not
            with suppress(OSError):
                other.bind(("127.0.0.1", 9464))
                other.listen()
                break
            time.sleep(0.1)
        foreground = start(STREAMS_AMQP_URL="amqp://127.0.0.1:1/", STREAMS_HTTP_PORT="")
        foreground.until_ready()
    port = foreground.journal[1].removeprefix("health ")
    assert port != "9464"
    assert f"STREAMS_HTTP_PORT={port}" in foreground.err
    foreground.press_ctrl_c()
    assert foreground.end() == 0


def test_the_lines_can_be_typed_anywhere_and_name_the_namespace() -> None:
    given = {"STREAMS_NAMESPACE": "a b", "STREAMS_DATABASE_URL": SECRET}
    said = lines(Path("/opt/my worker"), given, "amqp://guest:guest@127.0.0.1:20000/")
    prefix = "  STREAMS_AMQP_URL=amqp://guest:guest@127.0.0.1:20000/ STREAMS_NAMESPACE='a b' '/opt/my worker'"
    assert said[1:] == [f"{prefix} send create cam-1", f"{prefix} watch", f"{prefix} send stop --device cam-1"]

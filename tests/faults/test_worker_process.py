"""What starts workers for the tests."""

import subprocess
import sys
from pathlib import Path

from devtools.tree import alive
from devtools.waiting import seen

GONE_WITHIN_S = 60.0

# A broker that is not there: the worker tries for ever.
STARTER = """
import sys, time
from tests.support.worker_process import WorkerProcess, settings_of
worker = WorkerProcess(settings_of("amqp://guest:guest@127.0.0.1:1/", "t", sys.argv[1]))
worker.start()
print(worker.process.pid, worker._log, flush=True)
time.sleep(100)
"""


def test_a_worker_does_not_outlive_whoever_started_it_even_if_that_is_killed(tmp_path: Path) -> None:
    database_url = f"sqlite+aiosqlite:///{tmp_path / 'streams.db'}"
    with subprocess.Popen(  # noqa: S603 - our own program
        [sys.executable, "-c", STARTER, database_url], stdout=subprocess.PIPE
    ) as starter:
        assert starter.stdout is not None
        pid, log = starter.stdout.readline().decode().split()
        starter.kill()
    assert seen(lambda: not alive([int(pid)]), within_s=GONE_WITHIN_S)
    Path(log).unlink()

"""`make demo` in a house whose broker dies with its worker."""

import os
import signal
import sys
from contextlib import suppress

from typing_extensions import override

from devtools.demo.house import House
from devtools.demo.program import main
from devtools.tree import descendants


class DoomedHouse(House):
    """The node itself dies, as where there is no memory left: what has started it notices a little later."""

    @override
    def kill_worker(self) -> None:
        super().kill_worker()
        for pid in (pid for server in self._broker.pids[:1] for pid in descendants(server)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    sys.exit(main(build=DoomedHouse))

"""`make demo` in a house that loses commands: while the worker is dead, somebody empties its queue."""

import sys

from typing_extensions import override

from devtools.demo.house import House
from devtools.demo.program import main


class LossyHouse(House):
    """The queue is emptied at the worker's first death only."""

    def __init__(self) -> None:
        super().__init__()
        self._has_lost = False

    @override
    def kill_worker(self) -> None:
        super().kill_worker()
        if not self._has_lost and self._broker.is_running:
            self._has_lost = True
            self._broker.ctl("purge_queue", "streams.commands")


if __name__ == "__main__":
    sys.exit(main(build=LossyHouse))

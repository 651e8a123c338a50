"""The signals of a process that stands in front of another."""

import signal
from types import FrameType

from devtools.process import Child

# What is passed on for what comes. A terminal that goes away is no reason to leave something half done.
_PASSED_ON = {signal.SIGINT: signal.SIGINT, signal.SIGTERM: signal.SIGTERM, signal.SIGHUP: signal.SIGTERM}
_PATIENCE_MAX = 2


class ForwardedSignals:
    """Takes SIGINT, SIGTERM and SIGHUP for good, so that nothing here is interrupted half way.

    Each is passed on to the worker, also one that came before there was a worker. The third kills it.
    """

    def __init__(self) -> None:
        """Take over."""
        self._taken: list[signal.Signals] = []
        self._worker: Child | None = None
        for signum in _PASSED_ON:
            signal.signal(signum, self._take)

    @property
    def have_come(self) -> bool:
        """Whether there was any: somebody wants an end."""
        return bool(self._taken)

    def pass_on_to(self, worker: Child) -> None:
        """Name the worker; it gets at once what came before."""
        self._worker = worker
        for signum in tuple(self._taken):
            worker.send(signum)

    def _take(self, signum: int, _frame: FrameType | None) -> None:
        passed_on = _PASSED_ON[signal.Signals(signum)]
        self._taken.append(passed_on)
        if self._worker is None:
            return
        if len(self._taken) > _PATIENCE_MAX:
            self._worker.send_group(signal.SIGKILL)
        else:
            self._worker.send(passed_on)

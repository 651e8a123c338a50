"""The points on the wire at which a test kills a worker. Arm one, have the worker work, await it, and kill.

After the kill `cut` the point: what was held is lost, as it would be with the worker. Arm a point when the worker
is ready: one that starts publishes too.
"""

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from tests.support.line_faults import Fault
from tests.support.proxy_lines import Lines
from tests.support.wire_trigger import Trigger


@dataclass(frozen=True, slots=True, kw_only=True)
class WirePoint:
    """Reached when all of its triggers have fired; where one holds, it holds until `release`."""

    lines: Lines
    triggers: tuple[Trigger, ...]
    faults: tuple[Fault, ...] = ()

    def __await__(self) -> Generator[Any, None, None]:
        """Wait until it is reached. Raises TimeoutError."""
        return self._until_reached().__await__()

    async def _until_reached(self) -> None:
        for trigger in self.triggers:
            await trigger

    def cut(self) -> None:
        """End the lines as the worker's death does: the broker reads what has passed, and the end."""
        self.lines.hang_up("to_server")
        self.lines.cut("to_client")
        self.release()

    def release(self) -> None:
        """Let what is held go on."""
        for trigger in self.triggers:
            trigger.release()
        for fault in self.faults:
            fault.remove()


def after_first_publish_frame(lines: Lines) -> WirePoint:
    """K7: one publish has passed, and nothing after it."""
    return WirePoint(lines=lines, triggers=(lines.when(lambda said: said.is_publish, hold="rest"),))


def after_write_before_confirm(lines: Lines, *, publishes: int) -> WirePoint:
    """K8: so many publishes have passed, the broker confirmed, and the worker has heard of no confirm."""
    written = lines.when(lambda said: said.is_publish, count=publishes)
    return WirePoint(lines=lines, triggers=(lines.when(lambda said: said.is_confirm, hold="this"), written))


def after_half_confirms(lines: Lines, *, publishes: int) -> WirePoint:
    """K9: so many publishes have passed, and the worker has heard of the confirms of half of them, rounded down
    but at least one. A confirm of many passes as a confirm for each.
    """
    written = lines.when(lambda said: said.is_publish, count=publishes)
    half = lines.when(lambda said: said.is_confirm, count=max(1, publishes // 2), hold="rest")
    return WirePoint(lines=lines, triggers=(half, written), faults=(lines.part_confirms(),))


def after_ack_write(lines: Lines) -> WirePoint:
    """K12: an acknowledgement of the worker has passed, and nothing after it."""
    return WirePoint(lines=lines, triggers=(lines.when(lambda said: said.is_ack, hold="rest"),))

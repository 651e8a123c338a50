"""The devices and streams that a batch touches, in memory, and the rules for changing them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from worker.domain.commands import ByCode, ById, Selector
from worker.domain.events import EventType, StreamEvent
from worker.domain.stream import Stream


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A device: the sequence of its last event (0 before the first), and its latest stream.

    A new stream begins only when none is active, so the latest is the active one if any is.
    """

    id: str
    sequence: int = 0
    latest_stream_id: UUID | None = None


class Roster:
    """A view of the state that commands are decided against, in delivery order.

    Whoever builds one gives it every device and stream that the commands can name; what is not in it does not
    exist. It remembers what changed, for saving.
    """

    def __init__(self, *, devices: Iterable[Device] = (), streams: Iterable[Stream] = ()) -> None:
        self._devices = {device.id: device for device in devices}
        self._streams = {stream.id: stream for stream in streams}
        self._ids_by_code = {stream.code: stream.id for stream in self._streams.values()}
        self._known = frozenset(self._streams)
        self._changed_devices: set[str] = set()
        self._changed_streams: dict[UUID, None] = {}  # a set that keeps the order of birth

    def find(self, selector: Selector, *, only_for: str | None = None) -> Stream | None:
        """Return the stream that is meant: by device its active one, else its latest.

        With `only_for` the streams of every other device are as ones that are not there.
        """
        stream = self._meant(selector)
        return stream if stream and only_for in (None, stream.device_id) else None

    def _meant(self, selector: Selector) -> Stream | None:
        match selector:
            case ById(stream_id=stream_id):
                return self._streams.get(stream_id)
            case ByCode(code=code):
                return self._streams.get(self._ids_by_code[code]) if code in self._ids_by_code else None
            case _:
                device = self._devices.get(selector.device_id)
                latest = device.latest_stream_id if device else None
                return self._streams[latest] if latest else None

    def has_code(self, code: str) -> bool:
        """Whether one of the streams here bears this code."""
        return code in self._ids_by_code

    def begin(self, stream: Stream) -> StreamEvent:
        """Add a new active stream as its device's latest and return the fact."""
        self._ids_by_code[stream.code] = stream.id
        return self._record(EventType.CREATED, stream, stream.created_at)

    def stop(self, stream: Stream, at: datetime) -> StreamEvent:
        """Stop an active stream and return the fact."""
        return self._record(EventType.STOPPED, stream.stop(at), at)

    def _record(self, kind: EventType, stream: Stream, at: datetime) -> StreamEvent:
        device = self._devices.get(stream.device_id) or Device(id=stream.device_id)
        latest = stream.id if kind is EventType.CREATED else device.latest_stream_id
        device = Device(id=device.id, sequence=device.sequence + 1, latest_stream_id=latest)
        self._devices[device.id] = device
        self._changed_devices.add(device.id)
        self._streams[stream.id] = stream
        self._changed_streams[stream.id] = None
        return StreamEvent(type=kind, stream=stream, sequence=device.sequence, at=at)

    @property
    def changed_devices(self) -> list[Device]:
        """The devices that something happened to, by id."""
        return [self._devices[device_id] for device_id in sorted(self._changed_devices)]

    @property
    def updated_streams(self) -> list[Stream]:
        """The streams that were there before and are changed. They are saved before the new ones, because a
        device's old stream must have ended in the database before its next one can be active there.
        """
        return [self._streams[id_] for id_ in self._changed_streams if id_ in self._known]

    @property
    def new_streams(self) -> list[Stream]:
        """The streams that began here, in order of birth, as they are now."""
        return [self._streams[id_] for id_ in self._changed_streams if id_ not in self._known]

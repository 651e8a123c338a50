"""What a device can ask for. Commands command; they carry no transport and no identity."""

from dataclasses import dataclass
from uuid import UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ByDevice:
    """The device's active stream, else its latest."""

    device_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ById:
    """The stream with this id."""

    stream_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class ByCode:
    """The stream with this code, spelt as we spell codes: whoever reads commands has forgiven the rest."""

    code: str


Selector = ByDevice | ById | ByCode


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateStream:
    """Give the device its active stream; make one if there is none."""

    device_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StopStream:
    """End the stream that the selector names; ending an ended one changes nothing."""

    selector: Selector


@dataclass(frozen=True, slots=True, kw_only=True)
class GetStream:
    """Read the stream that the selector names."""

    selector: Selector


Command = CreateStream | StopStream | GetStream

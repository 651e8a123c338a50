"""What the core promises, in a few lines: one command at a time, a list of streams a device, nothing else."""

from dataclasses import dataclass, field
from typing import Literal

Verb = Literal["create", "stop", "get"]


@dataclass(slots=True, kw_only=True)
class ModelStream:
    """A stream, known by its number in the order in which all streams were made."""

    number: int
    device_id: str
    version: int = 1

    @property
    def status(self) -> str:
        return "active" if self.version == 1 else "stopped"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A command: what is meant is a device, or a stream by its number (None: one that was never made)."""

    verb: Verb
    meant: str | int | None


# An outcome and the stream as it is then: number, device, status, version. Or the code of a problem, and nothing.
Told = tuple[str, tuple[int, str, str, int] | None]
# Of one device, in order: what happened, to which stream, at which version, and what caused it.
Fact = tuple[str, int, int, str | None]


@dataclass(slots=True, kw_only=True)
class Model:
    """Carries commands out one at a time and remembers what it told whom."""

    streams: list[ModelStream] = field(default_factory=list)
    facts: dict[str, list[Fact]] = field(default_factory=dict)
    told: dict[tuple[str, str], tuple[bytes, Told]] = field(default_factory=dict)

    def answer(self, ask: Ask, *, sender: str, message_id: str | None, said: bytes) -> Told:
        if message_id is None:
            return self._carry_out(ask, None)
        if (sender, message_id) not in self.told:
            self.told[sender, message_id] = said, self._carry_out(ask, message_id)
        first_said, first_told = self.told[sender, message_id]
        return first_told if first_said == said else ("message_id_reused", None)

    def _carry_out(self, ask: Ask, cause: str | None) -> Told:
        stream = self._find(ask.meant)
        if ask.verb == "create":
            if stream and stream.status == "active":
                return _about("reused", stream)
            stream = ModelStream(number=len(self.streams), device_id=str(ask.meant))
            self.streams.append(stream)
            return self._happened("created", stream, cause)
        if stream is None:
            return "not_found", None
        if ask.verb == "get":
            return _about("found", stream)
        if stream.status == "stopped":
            return _about("already_stopped", stream)
        stream.version += 1
        return self._happened("stopped", stream, cause)

    def _find(self, meant: str | int | None) -> ModelStream | None:
        """A device has no active stream but its latest: so the latest is what it means."""
        mine = [stream for stream in self.streams if meant in {stream.device_id, stream.number}]
        return mine[-1] if mine else None

    def _happened(self, what: str, stream: ModelStream, cause: str | None) -> Told:
        fact = (f"stream.{what}", stream.number, stream.version, cause)
        self.facts.setdefault(stream.device_id, []).append(fact)
        return _about(what, stream)


def _about(what: str, stream: ModelStream) -> Told:
    return what, (stream.number, stream.device_id, stream.status, stream.version)

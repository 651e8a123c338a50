"""The same job as the worker's, as one writes it with an ORM: a session a message, objects, one commit."""

import secrets
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID, uuid4, uuid5

from sqlalchemy import JSON, event, make_url, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_CODE_LENGTH = 8

Body = dict[str, Any]


class Model(DeclarativeBase):
    """What all tables have in common."""

    type_annotation_map: ClassVar[dict[Any, Any]] = {Body: JSON}


class Device(Model):
    """Counts its events."""

    __tablename__ = "devices"
    id: Mapped[str] = mapped_column(primary_key=True)
    sequence: Mapped[int]


class Stream(Model):
    """One stream of a device."""

    __tablename__ = "streams"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    device_id: Mapped[str] = mapped_column(index=True)
    code: Mapped[str] = mapped_column(unique=True)
    status: Mapped[str]
    created_at: Mapped[str]
    stopped_at: Mapped[str | None]
    version: Mapped[int]

    def as_body(self) -> Body:
        """Return it as replies and events show it."""
        return {
            "id": str(self.id),
            "device_id": self.device_id,
            "code": self.code,
            "status": self.status,
            "created_at": self.created_at,
            "stopped_at": self.stopped_at,
            "version": self.version,
        }


class Handled(Model):
    """The reply to a message id, for whoever asks again."""

    __tablename__ = "handled"
    message_id: Mapped[str] = mapped_column(primary_key=True)
    reply: Mapped[Body]


def engine_of(url: str) -> AsyncEngine:
    """Return the engine; on SQLite with the journal mode that costs the least."""
    engine = create_async_engine(url)
    if make_url(url).get_backend_name() == "sqlite":

        @event.listens_for(engine.sync_engine, "connect")
        def use_wal(connection: Any, _: Any) -> None:
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.close()

    return engine


async def make_tables(engine: AsyncEngine) -> None:
    """Make what is missing."""
    async with engine.begin() as connection:
        await connection.run_sync(Model.metadata.create_all)


async def carry_out(session: AsyncSession, kind: str, device_id: str, message_id: str) -> tuple[Body, Body | None]:
    """Return the reply to a command and its event, if it has one; whoever calls commits."""
    handled = await session.get(Handled, message_id)
    if handled is not None:
        return handled.reply, None
    latest = select(Stream).where(Stream.device_id == device_id).order_by(Stream.created_at.desc()).limit(1)
    stream = await session.scalar(latest)
    outcome, stream = _decided(kind, device_id, stream)
    said = None
    if stream is None:
        reply = _not_found(device_id)
    else:
        session.add(stream)
        reply = {"outcome": outcome, "stream": stream.as_body()}
        if outcome in {"created", "stopped"}:
            said = _event(f"stream.{outcome}", stream, await _next_sequence(session, device_id), message_id)
    session.add(Handled(message_id=message_id, reply=reply))
    return reply, said


def _decided(kind: str, device_id: str, stream: Stream | None) -> tuple[str, Stream | None]:
    is_active = stream is not None and stream.status == "active"
    if kind == "stream.create":
        return ("reused", stream) if is_active else ("created", _new(device_id))
    if stream is not None and kind == "stream.stop":
        if not is_active:
            return "already_stopped", stream
        stream.status, stream.stopped_at, stream.version = "stopped", _now(), stream.version + 1
        return "stopped", stream
    return "found", stream


def _new(device_id: str) -> Stream:
    code = "".join(secrets.choice(_ALPHABET) for _ in range(_CODE_LENGTH))
    return Stream(
        id=uuid4(),
        device_id=device_id,
        code=code,
        status="active",
        created_at=_now(),
        stopped_at=None,
        version=1,
    )


async def _next_sequence(session: AsyncSession, device_id: str) -> int:
    device = await session.get(Device, device_id)
    if device is None:
        device = Device(id=device_id, sequence=0)
        session.add(device)
    device.sequence += 1
    return device.sequence


def _event(kind: str, stream: Stream, sequence: int, message_id: str) -> Body:
    return {
        "specversion": "1.0",
        "id": str(uuid5(stream.id, str(stream.version))),
        "source": "/streams",
        "type": kind,
        "subject": str(stream.id),
        "time": stream.stopped_at or stream.created_at,
        "datacontenttype": "application/json",
        "dataschema": "urn:streams:schema:stream:1",
        "sequence": str(sequence),
        "causationid": message_id,
        "data": {"stream": stream.as_body()},
    }


def _not_found(device_id: str) -> Body:
    return {
        "type": "urn:streams:problem:not-found",
        "title": "Stream not found",
        "status": 404,
        "detail": f"The device {device_id} never had a stream.",
        "code": "not_found",
        "retryable": False,
        "errors": [],
    }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")

"""What a peer is told by its environment. Nothing but the standard library: each peer imports it."""

import os
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a peer works. Those without a database say as many bytes as they are told to."""

    amqp_url: str
    database_url: str
    namespace: str
    prefetch: int
    reply_bytes: int
    event_bytes: int

    @property
    def commands(self) -> str:
        """The queue of the commands."""
        return f"{self.namespace}.commands"

    @property
    def events(self) -> str:
        """The exchange of the events."""
        return f"{self.namespace}.events"

    @property
    def environ(self) -> dict[str, str]:
        """The same as variables, which `place` reads."""
        return {
            "PEER_AMQP_URL": self.amqp_url,
            "PEER_DATABASE_URL": self.database_url,
            "PEER_NAMESPACE": self.namespace,
            "PEER_PREFETCH": str(self.prefetch),
            "PEER_REPLY_BYTES": str(self.reply_bytes),
            "PEER_EVENT_BYTES": str(self.event_bytes),
        }


def place() -> Place:
    """Read it from the environment."""
    return Place(
        amqp_url=os.environ["PEER_AMQP_URL"],
        database_url=os.environ["PEER_DATABASE_URL"],
        namespace=os.environ["PEER_NAMESPACE"],
        prefetch=int(os.environ["PEER_PREFETCH"]),
        reply_bytes=int(os.environ["PEER_REPLY_BYTES"]),
        event_bytes=int(os.environ["PEER_EVENT_BYTES"]),
    )

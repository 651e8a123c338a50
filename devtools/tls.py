"""TLS at a private RabbitMQ node."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class TlsListener:
    """What a node shows and asks for: files in PEM form.

    `authority` signs the certificates of clients that the node takes. With `demands_certificate` a client without
    one is refused; else none is asked for.
    """

    certificate: Path
    key: Path
    authority: Path
    demands_certificate: bool = False

    def settings(self, port: int) -> dict[str, str]:
        """Return the lines of rabbitmq.conf with which it listens on this port of the loopback."""
        return {
            "listeners.ssl.1": f"127.0.0.1:{port}",
            "ssl_options.cacertfile": str(self.authority),
            "ssl_options.certfile": str(self.certificate),
            "ssl_options.keyfile": str(self.key),
            "ssl_options.verify": "verify_peer" if self.demands_certificate else "verify_none",
            "ssl_options.fail_if_no_peer_cert": str(self.demands_certificate).lower(),
        }

"""A program that stands in for the worker where only its process matters.

It answers on its health port, writes what happens to it into the file STANDIN_JOURNAL, and when told to end it
looks whether the broker is still there, as a worker that drains would need it. STANDIN_EXIT is how it ends by
itself, STANDIN_DEAF makes it hear nothing.
"""

import http.server
import os
import signal
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import ClassVar
from urllib.parse import urlsplit

from devtools.broker import speaks_amqp


class Health(http.server.BaseHTTPRequestHandler):
    """Ready from the first moment on."""

    protocol_version: ClassVar[str] = "HTTP/1.0"

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


def journal(line: str) -> None:
    with Path(os.environ["STANDIN_JOURNAL"]).open("a") as file:
        file.write(f"{line}\n")


def main() -> None:
    told = threading.Event()

    def take(signum: int, _frame: FrameType | None) -> None:
        journal(f"told {signal.Signals(signum).name}")
        if "STANDIN_DEAF" not in os.environ:
            told.set()

    signal.signal(signal.SIGINT, take)
    signal.signal(signal.SIGTERM, take)
    journal(f"arguments {' '.join(sys.argv[1:])}")
    journal(f"health {os.environ['STREAMS_HTTP_PORT']}")
    if "STANDIN_EXIT" in os.environ:
        sys.exit(int(os.environ["STANDIN_EXIT"]))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(os.environ["STREAMS_HTTP_PORT"])), Health)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    told.wait()
    port = urlsplit(os.environ["STREAMS_AMQP_URL"]).port
    journal(f"broker {'up' if port is not None and speaks_amqp(port) else 'down'}")


if __name__ == "__main__":
    main()

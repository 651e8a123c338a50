"""What the broker's side of the worker has to be told."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerOptions:
    """Where the broker is, and how long each kind of answer may take. The URL stays out of the repr.

    `heartbeat_s`: a peer that is silent for about three of these is taken for dead.
    `prefetch`: how many deliveries may be in hand; bounds memory and what a crash costs.
    `watchdog_s`: how often the watchdog looks; twice that long a deaf epoch can last.
    `in_flight_max`: how many publishes may wait for their confirm on one channel: aiormq searches all of them
    for each confirm that covers several.
    """

    url: str = field(repr=False)
    worker_name: str
    heartbeat_s: int = 10
    connect_timeout_s: float = 10.0
    confirm_timeout_s: float = 10.0
    settle_timeout_s: float = 5.0
    watchdog_s: float = 10.0
    prefetch: int = 512
    in_flight_max: int = 256

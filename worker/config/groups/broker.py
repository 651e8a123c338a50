"""The broker: where it is, what stands on it, and how long it may take."""

from typing import Final, Literal

from pydantic import BaseModel, Field, SecretStr

from worker.config import kinds

_BROKER: Final = SecretStr("amqp://guest:guest@127.0.0.1:5672/")


class BrokerSettings(BaseModel):
    """Of the settings, what the connection to the broker has to be told."""

    # What a broker fresh from its package lets in; needs nothing but the broker.
    amqp_url: kinds.AmqpUrl = Field(_BROKER, description="the broker, with user, password and virtual host")
    # Whoever is on the way would read the password: it takes a word from somebody who knows that nobody is.
    amqp_plaintext: bool = Field(
        default=False, description="allow amqp:// (no encryption) to a host that is not this one"
    )
    namespace: kinds.Namespace = Field("streams", description="how exchanges' and queues' names begin")
    # What works at once. A production user has no right to configure, and says check.
    topology: Literal["declare", "check"] = Field("declare", description="make exchanges and queues, or only look")
    # One queue has no order across workers, and needs nothing but the broker; who needs it says so.
    partitions: int = Field(
        1,
        ge=1,
        le=128,
        description="queues over which commands are spread; from 2 on, order per device holds across workers",
    )
    # A history on the broker costs its disk, and each event waits for one queue more: who replays says so.
    event_log: bool = Field(default=False, description="keep all events in a stream queue, to be replayed")
    # About a million events, which a small broker's disk has to spare; a segment is a twentieth of it. Under 20 MB
    # a segment would hold less than what a busy second brings.
    event_log_bytes_max: int = Field(
        1_000_000_000, ge=20_000_000, le=10**15, description="size of the event log at which the oldest go"
    )
    # A subscriber that was broken over a long weekend can still go on where it was.
    event_log_retention_s: int = Field(
        604_800, ge=60, le=315_576_000, description="age at which events leave the event log"
    )
    # Two batches: one being confirmed, the next being decided. AMQP counts it in 16 bits; 0 would be no limit.
    prefetch: int = Field(512, ge=1, le=65_535, description="unacknowledged commands in hand at most")
    # A reply address lets a sender choose a queue of the broker: the contract's own three kinds are enough.
    reply_to_pattern: kinds.OptionalPattern = Field(
        None, description="replies may also go where this fully matches"
    )

    # The client gives up after three, and a second each: 33 s. At 600 a dead broker goes unseen for half an hour.
    heartbeat_s: int = Field(10, ge=2, le=600, description="between heartbeats to the broker")
    # TCP, TLS and login over any sane network.
    connect_timeout_s: kinds.Seconds = Field(
        10, ge=0.1, le=120, description="one attempt to connect to the broker"
    )
    # A quorum queue answers in milliseconds; electing its leader takes a few seconds.
    confirm_timeout_s: kinds.Seconds = Field(10, ge=0.1, le=120, description="for the broker to confirm a publish")
    # An acknowledgement has no answer: only a blocked connection makes it wait.
    settle_timeout_s: kinds.Seconds = Field(5, ge=0.1, le=120, description="for an acknowledgement to leave")
    # A consumer can end without a word to it. One passive question of the broker in this time costs nothing, and
    # nobody waits much longer than that for a worker that is alive but deaf.
    watchdog_s: kinds.Seconds = Field(
        10, ge=0.05, le=3_600, description="between the watchdog's looks at the queue"
    )
    # A restarted broker is often back at once …
    reconnect_min_s: kinds.Seconds = Field(0.2, ge=0.01, le=60, description="first pause before connecting again")
    # … and else: long enough to spare a broker that is starting, short enough for whoever waits.
    reconnect_max_s: kinds.Seconds = Field(
        10, ge=0.01, le=600, description="longest pause before connecting again"
    )

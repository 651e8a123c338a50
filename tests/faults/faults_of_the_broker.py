"""What can happen to a broker, and what it can do to its clients."""

from collections.abc import Mapping, Sequence
from typing import Final

from devtools.broker import PrivateBroker
from tests.faults import harms_of_broker_objects as objects
from tests.faults import harms_of_the_broker as node
from tests.faults.trial import Fault
from tests.faults.world import Act

GROUP: Final = "broker"

FROZEN_S: Final = 8.0  # three of the trials' heartbeats, and a little
LONG_FROZEN_S: Final = 30.0
LONG_ALARM_S: Final = 60.0
COMMANDS: Final = 300  # some seconds: an operator is not faster

PARKING: Final[Mapping[str, str]] = {"STREAMS_PARK_AFTER": "3", "STREAMS_PARKED_RETRY_S": "0.5"}

# What needs somebody to have something in hand for some time.
_COMMANDS: Final = {"waits a second for an acknowledgement": 900}

_MEMORY: Final = "set_vm_memory_high_watermark"
_DISK: Final = "set_disk_free_limit"
_DOUBLE_ACK: Final = "rabbit_channel:do(Channel, {'basic.ack', 1, false})"
_STRANGE_ACK: Final = "rabbit_channel:do(Channel, {'basic.ack', 9999, false})"
_CANCEL: Final = "rabbit_channel:send_command(Channel, {'basic.cancel', Tag, true})"

# What all trials share is harmed by these.
_OF_THE_NODE: Final[Mapping[str, Act]] = {
    "killed and started": node.server(PrivateBroker.kill, PrivateBroker.start),
    "killed again and again": node.killed_again,
    "restarted": node.server(PrivateBroker.restart),
    "frozen for 8 s": node.server(PrivateBroker.pause, PrivateBroker.resume, pause_s=FROZEN_S),
    "frozen for 30 s": node.server(PrivateBroker.pause, PrivateBroker.resume, pause_s=LONG_FROZEN_S),
    "all connections closed": node.connections_closed,
    "short of memory": node.alarm((_MEMORY, "0.000001"), (_MEMORY, "0.4")),
    "out of memory for 60 s": node.alarm((_MEMORY, "0.000001"), (_MEMORY, "0.4"), for_s=LONG_ALARM_S),
    "short of disk": node.alarm((_DISK, "1000000GB"), (_DISK, "50MB")),
    "waits a second for an acknowledgement": node.held_too_long,
}
_OF_THE_TRIAL: Final[Mapping[str, Act]] = {
    "acknowledged twice": node.told_consumers(_DOUBLE_ACK),
    "acknowledged what was never delivered": node.told_consumers(_STRANGE_ACK),
    "cancels the consumers": node.told_consumers(_CANCEL),
    "a subscriber full": objects.subscriber_full,
    "no queue bound for a device": objects.nobody_bound,
    "reply addresses gone": objects.askers_gone,
    "queue of commands deleted": objects.queue_deleted,
    "queue of dead letters deleted": objects.dead_queue_deleted,
    "queue of commands of another kind": objects.queue_of_another_kind,
    "exchange of commands deleted": objects.exchange_deleted("commands"),
    "exchange of events deleted": objects.events_exchange_deleted,
    "exchange of dead letters deleted": objects.exchange_deleted("dead"),
}
_SETTINGS: Final[Mapping[str, Mapping[str, str]]] = {"a subscriber full": PARKING}
_SHORT: Final = frozenset({"all connections closed", "cancels the consumers", "a subscriber full"})

FAULTS: Final[Sequence[Fault]] = [
    Fault(
        group=GROUP,
        name=name,
        act=act,
        settings=_SETTINGS.get(name, {}),
        commands=_COMMANDS.get(name, COMMANDS),
        harms_servers=name in _OF_THE_NODE,
        is_short=name in _SHORT,
    )
    for name, act in {**_OF_THE_NODE, **_OF_THE_TRIAL}.items()
]

"""The channels: the broker's objects, from the one declaration of them."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from devtools.contract.messages import LETTER, MESSAGES
from schemas import DEVICE_ID_LOOKS, CommandName, EventName, ReplyName
from worker.amqp.topology import EventLog, Exchange, Queue, topology
from worker.config.groups.broker import BrokerSettings

NAMESPACE: Final = "streams"
TWO_PARTITIONS: Final = 2

OBJECTS: Final = topology(NAMESPACE)
PARTITIONED: Final = topology(NAMESPACE, TWO_PARTITIONS)
LOGGED: Final = topology(
    NAMESPACE,
    event_log=EventLog(
        bytes_max=BrokerSettings.model_fields["event_log_bytes_max"].default,
        retention_s=BrokerSettings.model_fields["event_log_retention_s"].default,
    ),
)
EVENT_LOG: Final = f"{OBJECTS.events}.log"

_EXCHANGES: Final = {exchange.name: exchange for exchange in OBJECTS.exchanges}
_QUEUES: Final = {queue.name: queue for queue in (*PARTITIONED.queues, *LOGGED.queues)}

_DEVICE: Final = {"deviceId": {"description": f"The device: {DEVICE_ID_LOOKS}.", "examples": ["cam-1"]}}
_EVERY_COMMAND: Final = tuple(CommandName)


def channels() -> dict[str, Any]:
    """Return all channels by their names in the document."""
    return {
        **_of_commands(),
        "replies": {
            "address": None,
            "title": "Replies",
            "description": "The queue that the command named in `reply_to`, reached through the default exchange. "
            "The reply is `stream.reply` or `stream.problem`.",
            "messages": _messages(ReplyName),
        },
        "events": _exchange(
            OBJECTS.events,
            address="{eventType}.{deviceId}",
            title="Events",
            text="Bind a queue of your own. The routing key is `<event type>.<device id>`: `stream.created.#` "
            "is one type, `stream.*.cam-1` one device, `#` everything. A device id "
            "may have dots in it, so end a key for many devices in `#`, not in `*`.",
            messages=tuple(EventName),
            parameters={
                "eventType": {
                    "description": "What happened. More types may come; each is `stream.` and one word.",
                    "examples": [name.value for name in EventName],
                },
                **_DEVICE,
            },
        ),
        "eventLog": _queue(
            EVENT_LOG,
            title="The log of events",
            text="Only where the operator has set `STREAMS_EVENT_LOG=on`: a stream queue that keeps events for "
            "some time, so that a subscriber can begin before it came.",
            messages=tuple(EventName),
        ),
        **_of_dead_letters(),
    }


def _of_commands() -> dict[str, Any]:
    return {
        "commands": _exchange(
            OBJECTS.commands,
            address="{deviceId}",
            title="Commands",
            text="Publish commands here, with your device id as the routing key, with confirms and `mandatory`.",
            messages=_EVERY_COMMAND,
            parameters=_DEVICE,
        ),
        "commandQueue": _queue(
            OBJECTS.commands,
            title="The queue of commands",
            text="Where the worker takes commands from, bound to the exchange with `#` where there are no "
            "partitions. Publishing straight to it, by the default exchange, is the same; but where senders are "
            "kept apart they may not. A full queue refuses (`basic.nack`) and never drops.",
            messages=_EVERY_COMMAND,
        ),
        "commandPartition": _queue(
            f"{PARTITIONED.commands}.1",
            address=f"{PARTITIONED.commands}.{{partition}}",
            title="A partition of the commands",
            text="Only where the operator has set `STREAMS_PARTITIONS` to N > 1: the queues "
            f"`{PARTITIONED.commands}.1` to `.N`, over which `{PARTITIONED.hashed}` spreads the commands by "
            "their routing keys (the key of a queue's binding is its weight). The commands of one device that "
            "have its id as their routing key and a `message_id` are then carried out in the order in which the "
            "broker got them, whatever the number of workers. Senders see no difference: they "
            "publish to `commands`.",
            messages=_EVERY_COMMAND,
            parameters={"partition": {"description": "1 to N.", "examples": ["1"]}},
        ),
    }


def _of_dead_letters() -> dict[str, Any]:
    return {
        "deadLetters": _exchange(
            OBJECTS.dead,
            address="{routingKey}",
            title="Dead letters",
            text="Every message that could not become a reply, with the reason in its headers. For operators.",
            messages=(LETTER,),
            parameters={"routingKey": {"description": "The one that the message had."}},
        ),
        "deadLetterQueue": _queue(
            OBJECTS.dead,
            title="The queue of dead letters",
            text="Where dead letters wait for an operator, bound with `#`. It has no dead-letter exchange and a "
            "delivery limit that is never reached: no letter is lost by looking at it.",
            messages=(LETTER,),
        ),
    }


def reference(name: str) -> dict[str, str]:
    """Return a reference to a message."""
    return {"$ref": f"#/components/messages/{name}"}


def _messages(names: Iterable[str]) -> dict[str, Any]:
    wanted = {str(name) for name in names}
    return {message.name: reference(message.name) for message in MESSAGES if message.name in wanted}


def _exchange(
    name: str,
    *,
    address: str,
    title: str,
    text: str,
    messages: Sequence[str],
    parameters: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "address": address,
        "title": title,
        "description": f"{text} The address is the routing key on the exchange `{name}`.",
        "messages": _messages(messages),
        "parameters": dict(parameters),
        "bindings": {"amqp": _exchange_binding(_EXCHANGES[name])},
    }


def _exchange_binding(exchange: Exchange) -> dict[str, Any]:
    """The virtual host is the connection's."""
    described = {"name": exchange.name, "type": exchange.kind, "durable": True, "autoDelete": False}
    return {"is": "routingKey", "exchange": described, "bindingVersion": "0.3.0"}


def _queue(
    name: str,
    *,
    title: str,
    text: str,
    messages: Sequence[str],
    address: str | None = None,
    parameters: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    queue = _QUEUES[name]
    return {
        "address": address or name,
        "title": title,
        "description": text,
        "messages": _messages(messages),
        **({"parameters": dict(parameters)} if parameters else {}),
        "bindings": {"amqp": _queue_binding(queue)},
    }


def _queue_binding(queue: Queue) -> dict[str, Any]:
    """The binding has no place for a queue's arguments and bindings: they are extensions of it."""
    return {
        "is": "queue",
        "queue": {"name": queue.name, "durable": True, "exclusive": False, "autoDelete": False},
        "x-amqp-arguments": dict(queue.arguments),
        "x-amqp-binding": {"exchange": queue.exchange, "routingKey": queue.key},
        "bindingVersion": "0.3.0",
    }

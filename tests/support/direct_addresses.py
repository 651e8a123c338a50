"""Direct reply-to addresses of the form that RabbitMQ gives out: an Erlang process, and a key."""

import base64
from typing import Final

CREATION: Final = bytes.fromhex("6b02e8ca")


def direct_address(
    node: str, number: int, *, serial: int = 0, creation: bytes = CREATION, key: str = "key=="
) -> str:
    """The address of the asker whose channel is this process."""
    name = node.encode()
    # NEW_PID_EXT of Erlang's external term format, with the node as a small UTF-8 atom.
    process = b"\x83Xw" + bytes([len(name)]) + name + number.to_bytes(4) + serial.to_bytes(4) + creation
    return f"amq.rabbitmq.reply-to.{base64.b64encode(process).decode()}.{key}"
